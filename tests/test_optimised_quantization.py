"""Rate-distortion optimised quantization through the decoder."""

import numpy as np
import pytest

from qann_core import Codec, ParameterError, optimised_quantization, tiling
from qann_core.metrics import psnr
from qann_core.quantization import DISTORTION_WEIGHT, step_for_levels
from qann_core.search import levels_for_bpp, levels_for_quality
from qann_core.shapes import integer_range


@pytest.fixture(scope="module")
def codec() -> Codec:
    """A model whose aim is squared error."""
    return Codec.load("psnr")


def cost(codec: Codec, pixels: np.ndarray, levels: int, effort: int, coder: str) -> float:
    """Bits per pixel + c / step^2 * MSE, what training minimises, of a file and its picture."""
    data = codec.pack(codec.encode(pixels), levels, coder, effort)
    error = np.square(codec.decode(codec.unpack(data)).astype(float) - pixels).mean()
    bits = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
    return float(bits + DISTORTION_WEIGHT / step_for_levels(levels) ** 2 * error)


@pytest.mark.parametrize("levels", [32, 96, 300])
@pytest.mark.parametrize("coder", ["brotli", "prior"])
def test_a_file_is_worth_more(codec: Codec, photo: np.ndarray, levels: int, coder: str) -> None:
    plain, two, eight = (cost(codec, photo, levels, passes, coder) for passes in (0, 2, 8))
    assert eight < two < plain
    assert eight < 0.985 * plain


def test_models_without_a_learned_prior_use_their_own(photo: np.ndarray) -> None:
    fast = Codec.load("fast")
    assert not fast.has_prior
    assert cost(fast, photo, 96, 4, "brotli") < 0.995 * cost(fast, photo, 96, 0, "brotli")


def test_integers_stay_in_range_and_in_the_file(codec: Codec, photo: np.ndarray) -> None:
    rough = np.random.default_rng(1).choice([0, 255], photo.shape).astype(np.uint8)
    for pixels, levels in ((photo, 16), (rough, 16), (rough[:1, :3], 512)):
        quantized = codec.quantize(codec.encode(pixels), levels, effort=2)
        low, high = integer_range(levels)
        assert all(low <= band.min() and band.max() <= high for band in quantized.bands)
        for coder in codec.coders:
            back = codec.unpack(codec.pack_integers(quantized, coder))
            assert all(
                np.array_equal(a, b) for a, b in zip(back.bands, quantized.bands, strict=True)
            )
        assert codec.decode(quantized).shape == pixels.shape


def test_no_effort_is_plain_rounding_and_effort_repeats(codec: Codec, photo: np.ndarray) -> None:
    latents = codec.encode(photo)
    before = [band.clone() for band in latents.pyramid]
    plain, first, second = (codec.quantize(latents, 96, effort).bands for effort in (0, 2, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert any((a != b).any() for a, b in zip(plain, first, strict=True))
    assert all((a == b).all() for a, b in zip(before, latents.pyramid, strict=True))
    assert codec.pack(latents, 96, effort=0) == codec.pack(latents, 96)


def test_large_images_in_tiles_come_out_alike(
    codec: Codec, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.tile(photo, (3, 2, 1))
    costs = [cost(codec, large, 64, effort, "brotli") for effort in (0, 2)]
    latents = codec.encode(large)
    whole = codec.quantize(latents, 64, effort=2)
    monkeypatch.setattr(optimised_quantization, "TILE", 128)
    monkeypatch.setattr(tiling, "HALO", 64)
    tiled = codec.quantize(latents, 64, effort=2)
    assert any((a != b).any() for a, b in zip(whole.bands, tiled.bands, strict=True))
    difference = costs[1] - cost(codec, large, 64, 2, "brotli")
    assert abs(difference) < 0.15 * (costs[0] - costs[1])


def test_search_counts_the_effort(codec: Codec, photo: np.ndarray) -> None:
    small = photo[:64, :80]
    latents = codec.encode(small)
    data, _ = levels_for_bpp(codec, latents, 1.5, effort=1)
    assert 8 * len(data) / small[..., 0].size <= 1.5
    data, levels = levels_for_quality(codec, latents, small, "psnr", 30.0, effort=1)
    assert psnr(small, codec.decode(codec.unpack(data))) >= 30.0
    assert data == codec.pack(latents, levels, effort=1)


@pytest.mark.parametrize("effort", [-1, 17, 1.5, True])
def test_a_bad_effort_is_named(codec: Codec, photo: np.ndarray, effort: int) -> None:
    with pytest.raises(ParameterError, match=r"effort is .* whole number from 0 to 16"):
        codec.quantize(codec.encode(photo[:16, :16]), 64, effort)
