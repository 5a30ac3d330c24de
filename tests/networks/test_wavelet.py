"""The skeleton transform: perfect reconstruction, gains, padding."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qann_core.common.shapes import pyramid_shapes
from qann_core.networks import wavelet


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator) * 255 - 127.5


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_perfect_reconstruction_at_any_size(height: int, width: int, seed: int) -> None:
    image = noise(height, width, seed)
    padded = wavelet.pad(image)
    assert padded.shape[-2] % wavelet.BLOCK == padded.shape[-1] % wavelet.BLOCK == 0
    back = wavelet.inverse(wavelet.forward(padded))[..., :height, :width]
    assert torch.allclose(back, image, atol=2e-4)


def test_perfect_reconstruction_to_float64_precision() -> None:
    image = noise(48, 80).double()
    assert (wavelet.inverse(wavelet.forward(image)) - image).abs().max() < 1e-10


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 40), (133, 203)])
def test_shapes_are_announced(size: tuple[int, int]) -> None:
    pyramid = wavelet.forward(wavelet.pad(noise(*size)))
    assert tuple(tuple(band.shape[1:]) for band in pyramid) == pyramid_shapes(*size)


def test_full_range_is_that_of_white_minus_black() -> None:
    white = torch.full((1, 3, 32, 32), 127.5)
    pyramid = wavelet.forward(white)
    assert math.isclose(2 * pyramid[0][0, 0].max().item(), wavelet.LL_RANGE, rel_tol=1e-5)
    assert pyramid[0][0, 1:].abs().max() < 1e-2, "grey has no colour difference"
    assert all(band.abs().max() < 1e-2 for band in pyramid[1:]), "a flat image has no details"


def test_nearly_orthonormal() -> None:
    image = noise(128, 128)
    energy = sum(band.square().sum() for band in wavelet.forward(image))
    assert 0.95 < (energy / image.square().sum()).item() < 1.10


def test_padding_reflects_and_keeps_the_image() -> None:
    image = noise(20, 30)
    padded = wavelet.pad(image)
    assert torch.equal(padded[..., :20, :30], image)
    assert torch.equal(padded[..., :20, 30], image[..., 28])
