"""A detector's trainable parameters in blocks, shallow to deep: what fine-tuning by layers chooses among."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from trainables.detector import Detector
from trainables.errors import InputError, nearest

STEM, HEAD = "stem", "head"

Block = tuple[nn.Parameter, ...]


def blocks(detector: Detector) -> Mapping[str, Block]:
    """Every trainable parameter, each in one block, from the images to the logits.

    The blocks are the detector's named layers and ``head``. A layer's block has its own parameters, and those that
    lie between the layer before it and itself; what lies before the first layer is the block ``stem``, unless that
    layer has no parameters of its own; what lies between the last layer and the head belongs to the last. Parameters
    that are fixed (filters, a normalisation of colours) belong to none, and a block without any is left out.
    """
    found: dict[str, list[nn.Parameter]] = {}
    waiting: list[nn.Parameter] = []
    seen: set[int] = set()
    names = {id(layer): name for name, layer in detector.layers.items()}
    for part in _parts(detector):
        own = _new(part.parameters(recurse=id(part) in names), seen)
        if id(part) not in names:
            waiting += own
            continue
        if own and waiting and not found:
            found[STEM] = waiting
            waiting = []
        found[names[id(part)]] = waiting + own
        waiting = []
    found.setdefault(next(reversed(found), STEM), []).extend(waiting)
    found[HEAD] = _new(detector.head.parameters(), seen)
    return {name: tuple(parameters) for name, parameters in found.items() if parameters}


def block(detector: Detector, which: int | str) -> Block:
    """One block, by its name or by its position from 1, the shallowest.

    Raises:
        InputError: there is no such block.
    """
    named = blocks(detector)
    names = list(named)
    if isinstance(which, int):
        if not 1 <= which <= len(names):
            fix = f"choose from 1 to {len(names)}: {', '.join(names)}"
            raise InputError("the detector has no block at this position", value=which, fix=fix)
        return named[names[which - 1]]
    if which not in named:
        raise InputError("the detector has no block of this name", value=which, fix=nearest(which, names))
    return named[which]


def deepest(detector: Detector, count: int) -> Block:
    """The head, and so many of the blocks before it: 0 is the head alone.

    Raises:
        InputError: there are not so many.
    """
    named = blocks(detector)
    before = [name for name in named if name != HEAD]
    if count > len(before):
        problem = f"the detector has {len(before)} blocks before its head"
        raise InputError(problem, value=count, fix=f"shallow to deep they are: {', '.join(before)}")
    return tuple(parameter for name in [*before[len(before) - count :], HEAD] for parameter in named[name])


def _parts(detector: Detector) -> Iterator[nn.Module]:
    """The modules of front and body, a parent before its children."""
    yield from detector.front.modules()
    yield from detector.body.modules()


def _new(parameters: Iterator[nn.Parameter], seen: set[int]) -> list[nn.Parameter]:
    """Those that are trainable and in no block yet."""
    fresh = [p for p in parameters if p.requires_grad and id(p) not in seen]
    seen.update(map(id, fresh))
    return fresh
