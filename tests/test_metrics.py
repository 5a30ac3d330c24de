"""Metrics against known values, library references and their own properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import correlate
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from qann_core.common.errors import ImageError, ParameterError
from qann_core.evaluation.peers import peer_by_name
from qann_core.images import read_image
from qann_core.metrics import (
    MS_SSIM_MIN_SIDE,
    bits_per_pixel,
    ms_ssim,
    psnr,
    ssim,
    ssimulacra2,
)

SHAPE = st.tuples(st.integers(1, 30), st.integers(1, 30), st.just(3))


def photo_like(height, width, seed=0):
    """Smooth shapes with some noise: neither flat nor white."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / a + y / b + c) for a, b, c in rng.uniform(5, 30, (3, 3))]
    noise = rng.normal(0, 6, (height, width, 3))
    return (128 + 90 * np.stack(waves, -1) + noise).clip(0, 255).astype(np.uint8)


def noisy(image, sigma, seed=1):
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def reference_ssim(a, b):
    return structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=255, channel_axis=-1,
    )  # fmt: skip


def test_bits_per_pixel():
    assert bits_per_pixel(49152, 512, 768) == 1.0
    assert bits_per_pixel(1, 1, 1) == 8.0


class TestPsnr:
    def test_known_values(self):
        black, white = np.zeros((5, 7, 3), np.uint8), np.full((5, 7, 3), 255, np.uint8)
        assert psnr(black, white) == 0.0
        assert psnr(black, black) == math.inf
        one = black.copy()
        one[...] = 1
        assert psnr(black, one) == pytest.approx(48.1308, abs=1e-4)  # 20 log10(255)

    @given(st.data())
    @settings(max_examples=40, deadline=None)
    def test_equals_scikit_image(self, data):
        shape = data.draw(SHAPE)
        a, b = (data.draw(arrays(np.uint8, shape)) for _ in range(2))
        if not np.array_equal(a, b):
            expected = peak_signal_noise_ratio(a, b, data_range=255)
            assert psnr(a, b) == pytest.approx(expected, abs=1e-6)
            assert psnr(a, b) == psnr(b, a)

    def test_of_a_large_image_loses_no_digits(self):
        a = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
        b = a.copy()
        b[0, 0, 0] ^= 1
        assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 * a.size), abs=1e-9)
        assert psnr(a, 255 - a) == pytest.approx(peak_signal_noise_ratio(a, 255 - a), abs=1e-6)


class TestSsim:
    @pytest.mark.parametrize(
        ("height", "width"), [(11, 11), (11, 60), (128, 40), (138, 33), (139, 33), (300, 200)]
    )
    @pytest.mark.parametrize("sigma", [2, 40])
    def test_equals_scikit_image(self, height, width, sigma):
        a = photo_like(height, width)
        b = noisy(a, sigma)
        assert ssim(a, b) == pytest.approx(reference_ssim(a, b), abs=1e-5)

    def test_of_flat_images_is_the_luminance_term(self):
        a, b = np.full((20, 20, 3), 100, np.uint8), np.full((20, 20, 3), 150, np.uint8)
        c1 = (0.01 * 255) ** 2
        expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
        assert ssim(a, b) == pytest.approx(expected, abs=1e-4)

    @given(st.data())
    @settings(max_examples=30, deadline=None)
    def test_properties_at_any_size(self, data):
        shape = data.draw(SHAPE)
        a, b = (data.draw(arrays(np.uint8, shape)) for _ in range(2))
        assert ssim(a, a) == pytest.approx(1, abs=1e-5)
        assert -1 <= ssim(a, b) <= 1 + 1e-6
        assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-6)

    def test_small_image_equals_its_reflection(self):
        a = photo_like(8, 40)
        b = noisy(a, 20)
        extended = [np.concatenate((x, x[:-4:-1])) for x in (a, b)]
        assert extended[0].shape[0] == 11
        assert ssim(a, b) == pytest.approx(reference_ssim(*extended), abs=1e-5)


class TestMsSsim:
    def test_of_equal_images_and_falls_with_noise(self):
        a = photo_like(MS_SSIM_MIN_SIDE, 200)
        values = [ms_ssim(a, noisy(a, sigma)) for sigma in (0, 10, 30, 60)]
        assert values[0] == pytest.approx(1, abs=1e-6)
        assert values == sorted(values, reverse=True) and values[-1] < values[0] - 0.05

    @pytest.mark.parametrize(("height", "width"), [(192, 224), (171, 185)])
    def test_equals_the_definition(self, height, width):
        """Wang 2003 written out with scikit-image at each scale, on one grey image."""
        grey = photo_like(height, width)[..., :1].repeat(3, 2)
        other = noisy(grey[..., :1], 25).repeat(3, 2)
        a, b = grey[..., 0].astype(float), other[..., 0].astype(float)
        product = 1.0
        for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            # Contrast-structure alone: luminance is 1 once K1 is enormous.
            value = structural_similarity(
                a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                data_range=255, K1=0.01 if scale == 4 else 1e6,
            )  # fmt: skip
            product *= value**weight
            # The authors' program: a 2 x 2 mean with symmetric borders, then every other sample.
            a, b = (correlate(x, np.full((2, 2), 0.25), origin=-1)[::2, ::2] for x in (a, b))
        assert ms_ssim(grey, other) == pytest.approx(product, abs=1e-6)

    @pytest.mark.parametrize("sigma", [5, 40, 200])
    def test_equals_pytorch_msssim(self, sigma):
        torch = pytest.importorskip("torch")
        reference = pytest.importorskip("pytorch_msssim").ms_ssim
        a = photo_like(192, 176)
        b = noisy(a, sigma)
        tensors = (torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (a, b))
        expected = float(reference(*tensors, data_range=255))
        assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-5)

    def test_too_small(self):
        a = photo_like(MS_SSIM_MIN_SIDE - 1, 300)
        with pytest.raises(ParameterError, match="161"):
            ms_ssim(a, a)


class TestRealPictures:
    """A photo as JPEG stores it, against the libraries."""

    @pytest.mark.parametrize("quality", [10, 60])
    def test_ssim_and_ms_ssim_equal_the_libraries(self, examples, quality):
        torch = pytest.importorskip("torch")
        reference = pytest.importorskip("pytorch_msssim").ms_ssim
        a, b = photo_pair(examples / "facade.jpg", quality, 320)
        assert ssim(a, b) == pytest.approx(reference_ssim(a, b), abs=1e-5)
        tensors = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() for x in (a, b))
        assert ms_ssim(a, b) == pytest.approx(float(reference(*tensors, data_range=255)), abs=1e-5)


class TestSsimulacra2:
    @pytest.mark.parametrize(("shift", "published"), [(1, 96.15), (5, 89.73), (10, 80.29)])
    def test_flat_pairs_near_the_authors_program(self, shift, published):
        """Scores of libjxl's ssimulacra2 for grey 128 against 128 + shift, 256 x 256, as the tests
        of the Rust implementation (imazen/ssimulacra2, src/reference_data.rs) state them. The
        border is treated otherwise here, which is most of what a flat picture has."""
        a, b = np.full((256, 256, 3), 128, np.uint8), np.full((256, 256, 3), 128 + shift, np.uint8)
        assert published <= ssimulacra2(a, b) <= published + 2.5

    @pytest.mark.parametrize(("quality", "published"), [(20, 30), (35, 50)])
    def test_jpeg_scores_as_its_authors_say(self, examples, quality, published):
        """The authors: libjpeg-turbo's quality 20 with 4:2:0 scores 30 on average, 35 scores 50."""
        paths = sorted(examples.glob("*.jpg"))
        scores = [ssimulacra2(*photo_pair(path, quality, 384)) for path in paths]
        assert np.mean(scores) == pytest.approx(published, abs=8)


def photo_pair(path, quality, side):
    """The middle of a photo, and the same as JPEG 4:2:0 stores it."""
    pixels = read_image(path).pixels
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    a = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    jpeg = peer_by_name("jpeg")
    return a, jpeg.decode(jpeg.encode(a, quality))


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim, ssimulacra2])
def test_images_that_cannot_be_compared(metric):
    good = np.zeros((230, 230, 3), np.uint8)
    for a, b in (
        (good, good[1:]),
        (good.astype(np.float32), good),
        (good[..., 0], good[..., 0]),
        (good[:0], good[:0]),
    ):
        with pytest.raises(ImageError):
            metric(a, b)
