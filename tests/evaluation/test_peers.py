"""Other codecs: round trips, what each option is for, and the searches."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from test_metrics import photo_like

from qann_core.bisection import bisect
from qann_core.errors import ImageError, ParameterError
from qann_core.evaluation.peers import at_bytes, available_peers, bytes_at_psnr, peer_by_name
from qann_core.metrics import psnr, ssimulacra2

PHOTO = photo_like(96, 128)
QUICK = ("jpeg", "jpeg2000")


def test_known_peers():
    names = [peer.name for peer in available_peers()]
    assert names[:6] == ["jpeg", "jpeg444", "webp", "avif", "avif-psnr", "avif-ssimulacra2"]
    with pytest.raises(ParameterError, match="jpeg, jpeg444, webp"):
        peer_by_name("bpg")


@pytest.mark.parametrize("peer", available_peers(), ids=lambda peer: peer.name)
class TestEveryPeer:
    def test_higher_quality_costs_more_and_is_better(self, peer):
        files = [peer.encode(PHOTO, q) for q in (peer.sweep[0], peer.sweep[6], peer.sweep[-1])]
        sizes = [len(data) for data in files]
        values = [psnr(PHOTO, peer.decode(data)) for data in files]
        assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
        assert values == sorted(values) and values[0] + 5 < values[-1]

    def test_sweep_lies_in_the_range(self, peer):
        assert list(peer.sweep) == sorted(set(peer.sweep))
        assert peer.min_quality <= peer.sweep[0] and peer.sweep[-1] <= peer.max_quality

    @pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 7)])
    def test_odd_sizes_and_both_ends(self, peer, shape):
        if peer.name == "avif-ssimulacra2":
            pytest.skip("libaom's tune=ssimulacra2 refuses images of a few pixels a side")
        pixels = photo_like(*shape)
        for quality in (peer.min_quality, peer.max_quality):
            decoded = peer.decode(peer.encode(pixels, quality))
            assert decoded.shape == pixels.shape and decoded.dtype == np.uint8

    def test_quality_out_of_range(self, peer):
        for quality in (peer.min_quality - 1, peer.max_quality + 1):
            with pytest.raises(ParameterError, match=peer.label):
                peer.encode(PHOTO, quality)


def test_jpeg_is_baseline_and_subsampled():
    for name, factors in (("jpeg", (2, 2)), ("jpeg444", (1, 1))):
        with Image.open(io.BytesIO(peer_by_name(name).encode(PHOTO, 50))) as image:
            assert "progressive" not in image.info
            assert image.layer[0][1:3] == factors


def test_jpeg_2000_follows_its_rate():
    """Quality q means 0.04 * 100^((q - 1) / 99) bits per pixel."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    for quality in (30, 60, 90):
        bpp = 8 * len(peer_by_name("jpeg2000").encode(noise, quality)) / 256**2
        assert bpp == pytest.approx(0.04 * 100 ** ((quality - 1) / 99), rel=0.1)


def test_each_avif_is_the_best_at_what_it_was_tuned_for():
    pixels = photo_like(256, 240)
    reached = {}
    for name in ("avif-psnr", "avif-ssimulacra2"):
        result = at_bytes(peer_by_name(name), pixels, 10_000)
        reached[name] = psnr(pixels, result.pixels), ssimulacra2(pixels, result.pixels)
    assert reached["avif-psnr"][0] > reached["avif-ssimulacra2"][0]
    with Image.open(io.BytesIO(peer_by_name("avif-psnr").encode(pixels, 40))) as image:
        assert image.format == "AVIF"


@pytest.mark.parametrize("name", ["jpeg", "jpeg444"])
def test_noise_fits_into_a_jpeg(name):
    peer = peer_by_name(name)
    noise = np.random.default_rng(0).integers(0, 256, (250, 300, 3), dtype=np.uint8)
    usual = ImageFile.MAXBLOCK
    for quality in (75, 90, 100):
        assert peer.decode(peer.encode(noise, quality)).shape == noise.shape
    assert usual == ImageFile.MAXBLOCK, "other users of Pillow keep their buffers"


def test_too_large_for_the_format():
    with pytest.raises(ImageError, match="WebP cannot store an image of 20000 x 1"):
        peer_by_name("webp").encode(np.zeros((1, 20_000, 3), np.uint8), 50)


class TestAtBytes:
    @pytest.mark.parametrize("name", QUICK)
    @pytest.mark.parametrize("target", [1500, 3000, 5500])
    def test_is_the_best_that_fits(self, name, target):
        peer = peer_by_name(name)
        result = at_bytes(peer, PHOTO, target)
        assert result.met and len(result.data) <= target
        assert len(peer.encode(PHOTO, result.quality + 1)) > target
        np.testing.assert_array_equal(result.pixels, peer.decode(result.data))
        assert result.psnr == psnr(PHOTO, result.pixels) and result.name == name

    def test_nothing_fits_and_everything_fits(self):
        peer = peer_by_name("jpeg")
        tight, loose = at_bytes(peer, PHOTO, 10), at_bytes(peer, PHOTO, 10**9)
        assert (tight.quality, tight.met) == (1, False)
        assert (loose.quality, loose.met) == (100, True)


class TestBytesAtPsnr:
    @pytest.mark.parametrize("name", QUICK)
    @pytest.mark.parametrize("target", [28.0, 31.5])
    def test_lies_between_two_neighbouring_qualities(self, name, target):
        peer = peer_by_name(name)
        files = [peer.encode(PHOTO, quality) for quality in range(1, 90)]
        first = next(i for i, d in enumerate(files) if psnr(PHOTO, peer.decode(d)) >= target)
        exact = bytes_at_psnr(peer, PHOTO, target)
        assert len(files[first - 1]) <= exact <= len(files[first])

    def test_out_of_reach(self):
        peer = peer_by_name("jpeg")
        assert bytes_at_psnr(peer, PHOTO, 90.0) is None
        assert bytes_at_psnr(peer, PHOTO, 1.0) is None

    def test_interpolation_meets_the_points(self):
        peer = peer_by_name("jpeg")
        for quality in (20, 50):
            data = peer.encode(PHOTO, quality)
            value = psnr(PHOTO, peer.decode(data))
            assert bytes_at_psnr(peer, PHOTO, value) == pytest.approx(len(data))
            assert bytes_at_psnr(peer, PHOTO, value - 1e-9) == pytest.approx(len(data))

    def test_log_linear_between_two_qualities(self):
        peer = peer_by_name("jpeg")
        sizes, values = [], []
        for quality in (40, 41):
            sizes.append(len(peer.encode(PHOTO, quality)))
            values.append(psnr(PHOTO, peer.decode(peer.encode(PHOTO, quality))))
        middle = bytes_at_psnr(peer, PHOTO, sum(values) / 2)
        assert middle == pytest.approx(math.sqrt(sizes[0] * sizes[1]))

    def test_lossless_at_the_lowest_quality(self):
        grey = np.full((32, 32, 3), 128, np.uint8)
        assert bytes_at_psnr(peer_by_name("jpeg"), grey, 40.0) is None


class Staircase:
    """A codec whose error is 10 - quality everywhere, and whose files grow by 100 bytes."""

    name, min_quality, max_quality = "staircase", 1, 10

    def encode(self, pixels, quality):
        self.pixels = pixels
        return bytes([quality]) * (100 * quality)

    def decode(self, data):
        return self.pixels + np.uint8(10 - data[0])


def test_lossless_above_the_target():
    pixels = np.zeros((4, 4, 3), np.uint8)
    assert bytes_at_psnr(Staircase(), pixels, 48.0) < 900  # an error of 1 is 48.13 dB
    assert bytes_at_psnr(Staircase(), pixels, 49.0) == 1000.0


@given(st.integers(0, 50), st.integers(1, 50), st.data())
@settings(max_examples=50, deadline=None)
def test_bisection_finds_the_last_that_holds(low, length, data):
    last = data.draw(st.integers(low, low + length - 1))
    calls = []

    def holds(n):
        calls.append(n)
        return n <= last

    assert bisect(holds, low, low + length) == (last, last + 1)
    assert len(calls) <= math.ceil(math.log2(length)) if length > 1 else calls == []
    assert low not in calls and low + length not in calls


def test_later_searches_use_what_earlier_ones_measured(monkeypatch):
    peer, calls, measured = peer_by_name("jpeg"), [], {}
    encode = type(peer).encode
    monkeypatch.setattr(
        type(peer), "encode", lambda self, *a: calls.append(a[1]) or encode(self, *a)
    )
    for target in (30.0, 30.5, 30.0, 29.0):
        assert bytes_at_psnr(peer, PHOTO, target, measured) == bytes_at_psnr(peer, PHOTO, target)
    calls.clear()
    bytes_at_psnr(peer, PHOTO, 30.5, measured)
    assert calls == []
    bytes_at_psnr(peer, PHOTO, 30.25, measured)
    assert len(calls) <= 3
