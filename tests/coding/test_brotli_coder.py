"""The Brotli coder: exact round trips of anything, less than plain Brotli on photos."""

from pathlib import Path

import brotli
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qann_core.coding.brotli_coder import BrotliCoder
from qann_core.coding.prediction import med_residual, med_restore
from qann_core.coding.registry import coder_by_name
from qann_core.common.errors import BitstreamError
from qann_core.common.limits import MAX_LEVELS
from qann_core.common.shapes import pyramid_shapes
from qann_core.networks import wavelet
from qann_core.quantization import quantize

Bands = tuple[np.ndarray, ...]


def round_trip(bands: Bands, levels: int = MAX_LEVELS) -> bytes:
    coder = coder_by_name("brotli")
    payload = coder.encode(bands, levels)
    decoded = coder.decode(payload, [band.shape for band in bands], levels)
    assert all(
        a.dtype == np.int32 and np.array_equal(a, b) for a, b in zip(decoded, bands, strict=True)
    )
    return payload


def random_bands(height: int, width: int, seed: int, density: float, reach: int) -> Bands:
    random = np.random.default_rng(seed)
    bands = []
    for shape in pyramid_shapes(height, width):
        values = random.integers(-reach, reach, shape, dtype=np.int32)
        bands.append(np.where(random.random(shape) < density, values, 0).astype(np.int32))
    return tuple(bands)


@given(st.integers(1, 5), st.integers(1, 23), st.integers(1, 23), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_round_trip_of_one_tensor(channels: int, height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    round_trip((random.integers(-30, 31, (channels, height, width), dtype=np.int32),))


@pytest.mark.parametrize("value", [-256, -1, 0, 1, 255])
def test_constant_latents_are_tiny(value: int) -> None:
    bands = tuple(np.full(s, value, np.int32) for s in pyramid_shapes(64, 64))
    assert len(round_trip(bands)) < (40 if value == 0 else 3000)


def test_extremes_take_the_escape_path() -> None:
    bands = random_bands(32, 32, 0, 0.0, 1)
    bands[2][0, 1, 1] = 255
    bands[4][8, 3, 7] = -256
    round_trip(bands)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_median_edge_prediction_inverts(height: int, width: int, seed: int) -> None:
    planes = np.random.default_rng(seed).integers(-256, 257, (3, height, width)).astype(np.int32)
    residuals = np.stack([med_residual(plane) for plane in planes])
    assert np.array_equal(med_restore(residuals), planes)


@pytest.mark.parametrize("levels", [32, 96, 256])
def test_fewer_bytes_than_plain_brotli(levels: int, examples: Path) -> None:
    with Image.open(examples / "stream.jpg") as example:
        pixels = np.array(example.convert("RGB"))
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() - 127.5
    bands = quantize(wavelet.forward(wavelet.pad(image)), levels)
    zigzag = [np.where(band > 0, 2 * band - 1, -2 * band).ravel() for band in bands]
    plain = brotli.compress(np.concatenate(zigzag).clip(0, 255).astype(np.uint8).tobytes())
    assert len(round_trip(bands, levels)) < 0.95 * len(plain)


def test_bytes_by_band_add_up(photo: np.ndarray) -> None:
    image = torch.from_numpy(photo).permute(2, 0, 1)[None].float() - 127.5
    bands = quantize(wavelet.forward(wavelet.pad(image)), 96)
    payload = round_trip(bands, 96)
    shares = coder_by_name("brotli").bytes_by_band(payload, [band.shape for band in bands], 96)
    assert sum(shares) == pytest.approx(len(payload))
    assert min(shares) > 0
    planes = BrotliCoder().bytes_by_plane(payload, [band.shape for band in bands])
    assert [len(costs) for costs in planes] == [band.shape[0] for band in bands]
    assert [sum(costs) for costs in planes] == pytest.approx(shares)
    for band, costs in zip(bands, planes, strict=True):
        assert all((cost > 0) == bool(plane.any()) for plane, cost in zip(band, costs, strict=True))


def test_integers_that_n_does_not_allow_are_refused() -> None:
    bands = random_bands(32, 32, 1, 0.5, 200)
    payload = coder_by_name("brotli").encode(bands, MAX_LEVELS)
    with pytest.raises(BitstreamError, match="out of range"):
        coder_by_name("brotli").decode(payload, [band.shape for band in bands], 32)
