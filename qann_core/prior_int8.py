"""The prior's convolutions in eight-bit integers, on processors that have instructions for them.

Activations behind a ReLU are integers from 0 to 127 and weights are integers within +-127, so that
oneDNN's quantized convolution can take them as they are: it sums products in 32-bit integers, which
is exact by nature, and scales each sum by its channel's power of two. Where there is no ReLU, the
positive and the negative part of the input go in side by side. The results are those of the float32
convolutions, bit for bit, in about a third of the time. ``load_prior`` uses this only where the
known answer comes out; everywhere else the float32 convolutions serve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .prior import DyadicConv, RectifiedConv

_NARROW = 4
"""Inputs of so few columns give a 3x3 convolution with stride 2 a single column of outputs, and
oneDNN 3.12's kernel for AMX gets that wrong from the fifth row on: it is to make two."""


@dataclass(frozen=True)
class Int8Convolution:
    """One convolution, ready for oneDNN.

    Attributes:
        weight: int8, in oneDNN's own layout.
        scale: of each output channel, float32, a power of two.
        offset: of each output channel's weights, zeros.
        bias: float32.
        stride, padding: rows and columns from one output to the next; of zeros around the input.
        signed: whether negative inputs count; else they are as zero.
    """

    weight: Tensor
    scale: Tensor
    offset: Tensor
    bias: Tensor
    stride: list[int]
    padding: list[int]
    signed: bool

    def __call__(self, x: Tensor) -> Tensor:
        """(1, in, h, w) integers within +-127, float32 -> (1, out, h, w) float32."""
        narrow = self.stride[1] > 1 and x.shape[-1] <= _NARROW
        integers = (F.pad(x, (0, self.stride[1])) if narrow else x).to(torch.int8)
        if self.signed:
            integers = torch.cat((integers, -integers), 1)
        unsigned = integers.clamp_min_(0).view(torch.uint8)
        out: Tensor = torch.ops.onednn.qconv2d_pointwise(
            unsigned, 1.0, 0, self.weight, self.scale, self.offset, self.bias, self.stride,
            self.padding, [1, 1], 1, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return out[..., :1] if narrow else out


def pack(network: nn.Module, shifts: dict[str, Tensor]) -> bool:
    """Gives every convolution its eight-bit form.

    Args:
        network: a frozen prior network.
        shifts: by the name of a layer, of each output channel: its weights are integers times
            2^-shift.

    Returns:
        Whether it could: not without the processor's instructions, or in a PyTorch whose operators
        are others. Nothing is changed then.
    """
    # Without these instructions oneDNN halves the weights, or adds pairs of products in 16 bits.
    if not torch.cpu._is_vnni_supported():
        return False
    layers = {n: m for n, m in network.named_modules() if isinstance(m, DyadicConv)}
    try:
        packed = {name: _packed(layer, shifts[name]) for name, layer in layers.items()}
    except (AttributeError, RuntimeError):
        return False
    for name, layer in layers.items():
        layer.packed = packed[name]
    return True


def unpack(network: nn.Module) -> None:
    """Takes it back: float32 convolutions from now on."""
    for layer in network.modules():
        if isinstance(layer, DyadicConv):
            layer.packed = None


def _packed(layer: DyadicConv, shift: Tensor) -> Int8Convolution:
    unit = torch.exp2(shift.float())
    integers = (layer.weight.detach() * unit[:, None, None, None]).to(torch.int8).contiguous()
    signed = not isinstance(layer, RectifiedConv)
    if signed:
        integers = torch.cat((integers, -integers), 1)
    stride, padding = list(layer.stride), list(cast(tuple[int, ...], layer.padding))
    return Int8Convolution(
        torch.ops.onednn.qconv_prepack(
            integers, 1 / unit, 1.0, 0, stride, padding, [1, 1], 1, None
        ),
        1 / unit,
        torch.zeros(len(unit), dtype=torch.int64),
        cast(Tensor, layer.bias).detach(),
        stride,
        padding,
        signed,
    )
