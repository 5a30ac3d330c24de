"""float32 defines the picture: bfloat16 serves only where it cannot be told apart on photos."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qann_core import Codec
from qann_core.models import bundled_models
from qann_core.networks import precision

CROPS = {"astronaut": (60, 160), "stream": (200, 100), "page": (20, 40)}
"""Upper left corners of crops with a face, leaves and rocks, and text."""


@pytest.fixture(
    scope="module",
    params=[info.name for info in bundled_models()],
)
def bundled(request: pytest.FixtureRequest) -> Codec:
    return Codec.load(request.param)


@pytest.mark.parametrize("levels", [24, 64, 256])
@pytest.mark.parametrize("example", CROPS)
def test_bfloat16_stays_within_a_grey_level_on_photos(
    bundled: Codec, examples: Path, example: str, levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    top, left = CROPS[example]
    pixels = np.asarray(Image.open(examples / f"{example}.jpg").convert("RGB"))
    quantized = bundled.quantize(
        bundled.encode(pixels[top : top + 128, left : left + 192].copy()), levels
    )
    pictures = _in_both(bundled, quantized, monkeypatch)
    difference = np.abs(pictures[0] - pictures[1])
    assert difference.max() > 0, "the two arithmetics were not both used"
    assert (difference <= 1).mean() >= 0.999


def test_the_coarsest_levels_are_float32_everywhere(
    codec: Codec, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantized = codec.quantize(codec.encode(photo), precision.BFLOAT16_MIN_LEVELS - 1)
    pictures = _in_both(codec, quantized, monkeypatch)
    assert np.array_equal(pictures[0], pictures[1])


def _in_both(codec, quantized, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The picture in float32, then in bfloat16, native or emulated."""
    pictures = []
    for native in (False, True):
        monkeypatch.setattr(precision, "has_native_bfloat16", lambda device, native=native: native)
        pictures.append(codec.decode(quantized).astype(int))
    return pictures


@pytest.mark.parametrize(
    ("variable", "value"), [("ONEDNN_MAX_CPU_ISA", "AVX2"), ("ATEN_CPU_CAPABILITY", "default")]
)
def test_no_emulated_bfloat16_where_the_instructions_are_limited(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setenv(variable, value)
    with precision.decoding_precision(256):
        assert not torch.is_autocast_enabled("cpu")
    monkeypatch.delenv(variable)
    with precision.decoding_precision(256):
        assert torch.is_autocast_enabled("cpu")


def has(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bfloat16_where_the_processor_has_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    has(monkeypatch, **{name: True})
    assert precision.training_dtype(torch.device("cpu")) == torch.bfloat16


def test_float32_where_bfloat16_would_be_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, avx2=True, avx512_bf16=False)
    assert precision.training_dtype(torch.device("cpu")) == torch.float32


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ("AVX2", torch.float32),
        ("avx512_core", torch.float32),
        ("AVX512_CORE_BF16", torch.bfloat16),
        ("DEFAULT", torch.bfloat16),
    ],
)
def test_a_limit_on_the_instructions_is_respected(
    allowed: str, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, avx512_bf16=True)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", allowed)
    assert precision.training_dtype(torch.device("cpu")) == expected
