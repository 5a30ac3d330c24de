"""Multiply-accumulates are counted as one would by hand."""

import torch
from torch import nn

from qann_core import Codec
from qann_core.blocks import WindowAttention
from qann_core.complexity import kilo_macs_per_pixel, macs
from qann_core.training.sizes import fresh_networks


def test_layers_count_as_by_hand() -> None:
    image = torch.zeros(1, 4, 8, 8)
    assert macs(nn.Conv2d(4, 6, 3, padding=1), image) == 9 * 4 * 6 * 64
    assert macs(nn.Conv2d(4, 6, 2, 2), image) == 4 * 4 * 6 * 16
    assert macs(nn.ConvTranspose2d(4, 6, 2, 2), image) == 4 * 4 * 6 * 64
    assert macs(nn.Linear(4, 6), torch.zeros(1, 7, 4)) == 4 * 6 * 7
    attention = WindowAttention(4, heads=2, window=4)
    assert macs(attention, image) == 64 * (4 * 4 * 4 + 2 * 16 * 4)


def test_the_default_model_costs_what_its_card_says(codec: Codec) -> None:
    cost = kilo_macs_per_pixel(codec.vae, codec.qann)
    assert {part: round(value) for part, value in cost.items()} == {
        "encoder": 32, "decoder": 13, "qann": 57,
    }  # fmt: skip


def test_the_fast_size_costs_about_a_quarter(codec: Codec) -> None:
    fast = sum(kilo_macs_per_pixel(*fresh_networks("fast")).values())
    default = sum(kilo_macs_per_pixel(codec.vae, codec.qann).values())
    assert 0.2 < fast / default < 0.3
