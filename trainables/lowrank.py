"""Low-rank adapters on convolutions and linear layers, merged into the weights at the end.

LoRA: Hu et al. 2021 (arXiv 2106.09685), section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, register_parametrization, remove_parametrizations

from trainables.detector import Detector
from trainables.errors import InputError
from trainables.seeding import seeded

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
NOTHING_TO_CORRECT = "low-rank corrections need convolutions or linear layers, and there are none to train"


class LowRank(nn.Module):
    """``W + (alpha / r) * B A``, the weight seen as (outputs, inputs): exactly W at first, for B is 0.

    Args:
        weight: (O, …) that it will be added to.
        rank: r, or the weight's own rank where that is smaller.
        alpha: scale of the product.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = weight.shape[0], weight[0].numel()
        r = min(rank, outputs, inputs)
        self.factor = alpha / r
        self.down = nn.Parameter(weight.new_empty(r, inputs))
        self.up = nn.Parameter(weight.new_empty(outputs, r))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """A as torch draws a linear layer's weights, B 0: no correction."""
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        nn.init.zeros_(self.up)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight and its correction."""
        return weight + self.factor * (self.up @ self.down).reshape(weight.shape)


def correct(module: nn.Module, rank: int, alpha: float) -> None:
    """Freeze the module, and give every convolution, linear layer and attention in it a low-rank correction to train.

    The corrections stay parts of the module; its weights as they were are kept beside them.

    Raises:
        InputError: the module has no such layer.
    """
    module.requires_grad_(False)
    weights = [(part, name) for part in module.modules() if (name := _weight_of(part))]
    if not weights:
        raise InputError(NOTHING_TO_CORRECT)
    for part, name in weights:
        register_parametrization(part, name, LowRank(getattr(part, name).detach(), rank, alpha))


def _weight_of(part: nn.Module) -> str:
    """The name of the weight that is corrected; empty if there is none."""
    if isinstance(part, nn.MultiheadAttention):
        return "in_proj_weight" if part.in_proj_weight is not None else ""
    return "weight" if isinstance(part, LAYERS) else ""


@contextmanager
def adapters(detector: Detector, rank: int, alpha: float, seed: int) -> Iterator[list[nn.Parameter]]:
    """Within, every trainable convolution and linear layer has an adapter; afterwards these are part of the weights.

    Yields:
        The adapters' parameters.

    Raises:
        InputError: the detector has no such layer.
    """
    layers = [part for part in detector.modules() if isinstance(part, LAYERS) and part.weight.requires_grad]
    if not layers:
        raise InputError(NOTHING_TO_CORRECT)
    added: list[nn.Parameter] = []
    with seeded(seed, "adapters"):
        for layer in layers:
            adapter = LowRank(layer.weight.detach(), rank, alpha)
            register_parametrization(layer, "weight", adapter)
            added += adapter.parameters()
    try:
        yield added
    finally:
        for layer in layers:
            _merge(layer)


def _merge(layer: nn.Module) -> None:
    stack = layer.get_submodule("parametrizations.weight")
    assert isinstance(stack, ParametrizationList)
    if len(stack) > 1:
        # The detector has a correction of its own, which it keeps.
        stack.original.data.copy_(stack[-1](stack.original.data))
        del stack[-1]
        return
    remove_parametrizations(layer, "weight", leave_parametrized=True)
    # The weight was registered anew, after the bias: put them in the order of a layer that was never adapted.
    bias = dict(layer.named_parameters(recurse=False)).get("bias")
    del layer.bias
    layer.register_parameter("bias", bias)
