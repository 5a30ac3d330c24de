"""A prior of the first order of passes as the start of one with quarters: see ``prior_passes``."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from ..prior import DyadicConv, PriorLevel, PriorNetwork
from ..prior_passes import FIRST_ORDER

_SOURCES = (0, 0, 1, 1, 2, 2, 3, 3)
"""For each pass with quarters, the pass of the first order that knows most of what it knows."""

_INHERITED_CONTEXTS = (None, 0, 0, 1, 1, 2, 2)
"""The same for the convolutions of what is known, which pass 0 has none of; None: of nothing."""


def with_quarters(network: PriorNetwork) -> PriorNetwork:
    """The network with quarters that expects at first what this one does, or as good as.

    Args:
        network: to train, of any order; one with quarters is returned as it is.
    """
    if network.order != FIRST_ORDER:
        return network
    fresh = PriorNetwork(network.channels, network.block_counts)
    own = dict(network.named_parameters())
    with torch.no_grad():
        for name, parameter in fresh.named_parameters():
            if name in own and own[name].shape == parameter.shape:
                parameter.copy_(own[name])
        for old, new in zip(network.levels, fresh.levels, strict=True):
            _inherit(cast(PriorLevel, old), cast(PriorLevel, new))
    return fresh


def _inherit(old: PriorLevel, new: PriorLevel) -> None:
    for number, source in enumerate(_SOURCES):
        new.hidden[number].load_state_dict(old.hidden[source].state_dict())
        new.heads[number].load_state_dict(old.heads[source].state_dict())
    for layer, known in zip(new.contexts, _INHERITED_CONTEXTS, strict=True):
        weight, bias = (cast(Tensor, p) for p in layer.parameters())
        weight.zero_()
        bias.zero_()
        if known is not None:
            _widen(cast(DyadicConv, old.contexts[known]), weight, bias)
        if known == 0:
            # Of a checkerboard only the four nearest neighbours are known; other weights are noise.
            weight[..., ::2, ::2] = 0
            weight[..., 1, 1] = 0


def _widen(layer: DyadicConv, weight: Tensor, bias: Tensor) -> None:
    """Copies a layer into the weights of one that knows more planes: values first, then magnitudes;
    what it does not know it starts without."""
    for old, new in zip(layer.weight.chunk(2, 1), weight.chunk(2, 1), strict=True):
        new[:, : old.shape[1]] = old
    bias.copy_(cast(Tensor, layer.bias))
