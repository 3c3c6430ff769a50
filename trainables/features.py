"""Features of a body that stays as it is, kept on disk: whoever asks next on this node reads what the first computed.

A file's name is a hash of all that determines what it holds: the weights and the structure of front and body, the
pixels, the kind of device. So it never goes stale, and two studies that ask for the same share it; nothing is ever
deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray

from trainables.contract import Context, Pixels
from trainables.data.stack import Stack
from trainables.detector import Detector, evaluating, fake_log_odds
from trainables.score import BATCH, batch_of, infer, score
from trainables.writing import write_once

VERSION = 1
"""Raise it when code that is in no weight and no structure changes what features are."""
_IMAGES = 256
"""Read at a time to be hashed."""

Features = NDArray[np.float32]


def kept_features(detector: Detector, pixels: Pixels, context: Context) -> Features:
    """``features_of`` as a cell asks for them: from its context's cache, if others may want the same."""
    cache = context.cache if _lasting(detector) else None
    return features_of(detector, pixels, context.device, cache, batch_of(context))


def kept_score(detector: Detector, pixels: Pixels, context: Context) -> NDArray[np.float32]:
    """P(fake) of every image as ``score`` has it, (N,) float32, from features in the cache if others may want these."""
    batch = batch_of(context)
    if context.cache is None or detector.views > 1 or not _lasting(detector):
        return score(detector, pixels, context.device, batch)
    features = kept_features(detector, pixels, context)
    detector.to(context.device)
    parts = (np.array(features[start : start + batch]) for start in range(0, len(features), batch))
    with evaluating(detector), torch.inference_mode():
        logits = [detector.classify(torch.from_numpy(part).to(context.device)) for part in parts]
        return fake_log_odds(torch.cat(logits)).sigmoid().float().cpu().numpy()


def features_of(
    detector: Detector, pixels: Pixels, device: str = "cpu", cache: Path | None = None, batch: int = BATCH
) -> Features:
    """(N, D) float32 features of every image; with a cache and of one whole set a read-only memory map.

    In the cache each set of a ``Stack`` has a file of its own, whatever it is stacked with. Where several processes ask
    at once, one computes and the others wait for it.

    Args:
        detector: moved to the device; taken in evaluation mode.
        pixels: (N, H, W, 3) uint8.
        cache: the folder, made if it is not there; computed anew if not given.
        batch: images at a time.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    compute = partial(infer, detector, detector.features, device=device, batch=batch)
    if cache is None or not len(pixels):
        return compute(pixels)
    sets, places = pixels.distinct() if isinstance(pixels, Stack) else ([pixels], slice(None))
    network = _network(detector, device)
    found = [_kept(cache / f"{_key(network, each)}.npy", partial(compute, each)) for each in sets]
    return (found[0] if len(found) == 1 else np.concatenate(found))[places]


def _kept(target: Path, compute: Callable[[], Features]) -> Features:
    write_once(target, lambda path: _write(path, compute()))
    kept: Features = np.load(target, mmap_mode="r", allow_pickle=False)
    return kept


def _lasting(detector: Detector) -> bool:
    """Whether the body has weights and none is trained: what another has trained, no other cell asks for.

    A transform without weights is computed anew sooner than its many features are read.
    """
    weights = list(detector.body.parameters())
    return bool(weights) and not any(each.requires_grad for each in weights)


def _write(path: Path, features: Features) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, features, allow_pickle=False)


def _key(network: str, pixels: Pixels) -> str:
    return hashlib.sha256(f"{VERSION} {network} {pixels.shape} {_seen(pixels)}".encode()).hexdigest()


def _network(detector: Detector, device: str) -> str:
    """A hash of all but the images that features follow from."""
    # A GPU's sums are not a CPU's to the last bit: a cell's result must not hang on who asked first.
    found = xxhash.xxh3_128(f"{device.partition(':')[0]} {detector.precision}".encode())
    for part in (detector.front, detector.body):
        found.update(repr(part).encode())
        for name, tensor in part.state_dict().items():
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _seen(pixels: Pixels) -> str:
    """A hash of the pixels themselves: an image's id does not say how it was preprocessed, or corrupted."""
    found = xxhash.xxh3_128()
    for start in range(0, len(pixels), _IMAGES):
        found.update(np.ascontiguousarray(pixels[start : start + _IMAGES]).data)
    return found.hexdigest()
