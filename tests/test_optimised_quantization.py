"""Rate-distortion optimised quantization through the decoder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qann_core import Codec, ParameterError, optimised_quantization
from qann_core.common.limits import MAX_LEVELS
from qann_core.common.shapes import integer_range
from qann_core.metrics import psnr, ssimulacra2
from qann_core.networks import precision, tiling
from qann_core.networks.samples import centred
from qann_core.perceptual import eye_cost
from qann_core.quantization import DISTORTION_WEIGHT, step_for_levels
from qann_core.search import levels_for_bpp, levels_for_quality

GOLDEN = Path(__file__).resolve().parent / "golden" / "08fb743a"


@pytest.fixture(scope="module")
def codec() -> Codec:
    """A model whose aim is squared error."""
    return Codec.load("psnr")


@pytest.fixture(scope="module")
def eye() -> Codec:
    """A model whose aim is what the eye sees."""
    codec = Codec.load("default")
    assert codec.aim == "eye"
    return codec


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


def test_integers_for_squared_error_are_those_of_version_0_2(
    codec: Codec, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other processors round sums otherwise, so that an integer in a thousand may differ."""
    monkeypatch.setattr(precision, "BFLOAT16_MIN_LEVELS", MAX_LEVELS + 1)
    quantized = codec.quantize(codec.encode(photo), 64, effort=3)
    with np.load(GOLDEN / "effort-3.npz") as known:
        for index, band in enumerate(quantized.bands):
            assert (band != known[f"band{index}"]).mean() < 1e-3


@pytest.fixture(scope="module")
def crop(examples: Path) -> np.ndarray:
    """A part of a real photo, large enough for SSIMULACRA 2, uint8 (240, 256, 3)."""
    with Image.open(examples / "stream.jpg") as image:
        return np.array(image.convert("RGB").resize((600, 400)).crop((100, 80, 356, 320)))


def cost_for_the_eye(pixels: np.ndarray, decoded: np.ndarray, levels: int) -> float:
    """What errors cost a model made for the eye, in bits per pixel."""
    step = torch.tensor([step_for_levels(float(levels))])
    return float(eye_cost(centred(pixels[None]), centred(decoded[None]), step))


@pytest.mark.parametrize("levels", [48, 160])
def test_models_for_the_eye_make_files_worth_more_to_the_eye(
    eye: Codec, crop: np.ndarray, levels: int
) -> None:
    latents = eye.encode(crop)

    def measure(levels: int, effort: int) -> tuple[float, float, int]:
        """J, SSIMULACRA 2 and bytes."""
        data = eye.pack(latents, levels, "prior", effort)
        decoded = eye.decode(eye.unpack(data))
        bits = 8 * len(data) / crop[..., 0].size
        worth = bits + cost_for_the_eye(crop, decoded, levels)
        return worth, ssimulacra2(crop, decoded), len(data)

    plain, optimised = measure(levels, 0), measure(levels, 4)
    assert optimised[0] < 0.99 * plain[0]
    _, score, size = measure(round(0.95 * levels), 4)
    assert score > plain[1] and size < plain[2]


def test_large_pictures_for_the_eye_are_optimised_in_tiles(
    eye: Codec, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(examples / "stream.jpg") as image:
        pixels = np.array(image.convert("RGB").resize((750, 500)).crop((100, 0, 340, 496)))
    latents = eye.encode(pixels)
    monkeypatch.setattr(optimised_quantization, "TILE", 256)
    monkeypatch.setattr(tiling, "HALO", 112)
    assert len(list(tiling.tiles(496, 240, 256))) == 2
    costs = []
    for effort in (0, 3):
        quantized = eye.quantize(latents, 96, effort)
        bits = 8 * len(eye.pack_integers(quantized, "prior")) / pixels[..., 0].size
        costs.append(bits + cost_for_the_eye(pixels, eye.decode(quantized), 96))
    assert costs[1] < 0.995 * costs[0]


def test_small_pictures_are_optimised_for_squared_error(eye: Codec, photo: np.ndarray) -> None:
    assert min(photo.shape[:2]) < 225
    assert cost(eye, photo, 96, 4, "prior") < cost(eye, photo, 96, 0, "prior")


def test_an_effort_for_the_eye_repeats_and_never_makes_it_worse(
    eye: Codec, crop: np.ndarray
) -> None:
    """Flat and noisy pictures among them, where SSIMULACRA 2 is far from what photos have."""
    noise = np.random.default_rng(2).integers(0, 256, crop.shape, dtype=np.uint8)
    for pixels in (np.full_like(crop, 90), noise):
        latents = eye.encode(pixels)
        first, second = (eye.quantize(latents, 32, effort=1) for _ in range(2))
        assert all(np.array_equal(a, b) for a, b in zip(first.bands, second.bands, strict=True))
        plain = eye.quantize(latents, 32)
        costs = []
        for quantized in (plain, first):
            bits = 8 * len(eye.pack_integers(quantized, "prior")) / pixels[..., 0].size
            costs.append(bits + cost_for_the_eye(pixels, eye.decode(quantized), 32))
        assert costs[1] < 1.01 * costs[0]


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
    data, levels = levels_for_quality(codec, latents, "psnr", 30.0, effort=1)
    assert psnr(small, codec.decode(codec.unpack(data))) >= 30.0
    assert data == codec.pack(latents, levels, effort=1)


@pytest.mark.parametrize("effort", [-1, 17, 1.5, True])
def test_a_bad_effort_is_named(codec: Codec, photo: np.ndarray, effort: int) -> None:
    with pytest.raises(ParameterError, match=r"effort is .* whole number from 0 to 16"):
        codec.quantize(codec.encode(photo[:16, :16]), 64, effort)
