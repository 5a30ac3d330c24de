"""Complexity of the networks: multiply-accumulates per pixel, the field's measure of cost.

Counted on a real forward pass, layer by layer: convolutions, transposed convolutions, linear layers
and the two products of attention. Additions, activations and the wavelet are left out, as usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from . import wavelet
from .blocks import WindowAttention

if TYPE_CHECKING:
    from .restoration import QannUNet
    from .vae import WaveletVAE

_SIDE = 256
"""Side in pixels of the image that is counted; whole windows of attention fit in."""


def _layer_macs(layer: nn.Module, inputs: Tensor, output: Tensor) -> int:
    """Multiply-accumulates of one layer for one image."""
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.weight.numel() * inputs.shape[-2] * inputs.shape[-1]
    if isinstance(layer, nn.Conv2d):
        return layer.weight.numel() * output.shape[-2] * output.shape[-1]
    if isinstance(layer, nn.Linear):
        return layer.weight.numel() * (inputs.numel() // inputs.shape[-1])
    if isinstance(layer, WindowAttention):  # queries by keys, then weights by values
        positions = inputs.shape[-2] * inputs.shape[-1]
        return 2 * positions * layer.window**2 * inputs.shape[1]
    return 0


def macs(network: nn.Module, *arguments: object) -> int:
    """Multiply-accumulates of ``network(*arguments)``, a batch of one image."""
    total = 0

    def count(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        nonlocal total
        total += _layer_macs(layer, inputs[0], output)

    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, WindowAttention)
    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, kinds)
    ]
    try:
        with torch.no_grad():
            network(*arguments)
    finally:
        for hook in hooks:
            hook.remove()
    return total


def kilo_macs_per_pixel(vae: WaveletVAE, qann: QannUNet) -> dict[str, float]:
    """kMAC per image pixel of the residual encoder, the residual decoder and QANN."""
    device = next(vae.parameters()).device
    pyramid = wavelet.forward(torch.zeros(1, 3, _SIDE, _SIDE, device=device))
    levels = torch.tensor([96.0], device=device)
    counts = {
        "encoder": macs(vae.encoder, pyramid),
        "decoder": macs(vae.decoder, pyramid),
        "qann": macs(qann, pyramid, levels),
    }
    return {part: count / 1000 / _SIDE**2 for part, count in counts.items()}
