"""Multiply-accumulates are those that the model's card names; memory is of this process."""

import subprocess
import sys

from qann_core import Codec
from qann_core.evaluation.cost import kilo_macs
from qann_core.training.codec_objective import fresh_networks


def test_the_model_costs_what_its_card_says(codec: Codec) -> None:
    cost = kilo_macs(codec)
    assert {part: round(value) for part, value in cost.items()} == {
        "encoder": 32, "restoration": 57, "decoder": 13,
    }  # fmt: skip


def test_the_fast_size_costs_about_a_quarter(codec: Codec) -> None:
    fast = sum(kilo_macs(Codec(*fresh_networks("fast"), "0" * 8)).values())
    assert 0.2 < fast / sum(kilo_macs(codec).values()) < 0.3


def test_peak_memory_only_grows() -> None:
    """In a process of its own, which no test before has made large."""
    code = (
        "from qann_core.evaluation.cost import peak_megabytes as peak; before = peak();"
        "block = b'x' * 640_000_000; print(before, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert before > 10 and after >= before + 300
