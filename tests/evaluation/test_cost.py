"""Multiply-accumulates are those that the model's card names; memory is of this process."""

from qann_core import Codec
from qann_core.evaluation.cost import kilo_macs, peak_megabytes
from qann_core.training.sizes import fresh_networks


def test_the_model_costs_what_its_card_says(codec: Codec) -> None:
    cost = kilo_macs(codec)
    assert {part: round(value) for part, value in cost.items()} == {
        "encoder": 32, "restoration": 57, "decoder": 13,
    }  # fmt: skip


def test_the_fast_size_costs_about_a_quarter(codec: Codec) -> None:
    fast = sum(kilo_macs(Codec(*fresh_networks("fast"), "0" * 8)).values())
    assert 0.2 < fast / sum(kilo_macs(codec).values()) < 0.3


def test_peak_memory_only_grows() -> None:
    before = peak_megabytes()
    block = bytearray(64_000_000)
    block[::4096] = b"x" * len(block[::4096])
    after = peak_megabytes()
    assert after > before > 10 and after >= 64
