"""Other codecs in as many bytes, and at as high a PSNR."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_metrics import photo_like

from app.matching import at_bytes, bytes_at_psnr, finest
from qann_core.evaluation.peers import peer_by_name
from qann_core.metrics import psnr, ssimulacra2

PHOTO = photo_like(96, 128)
QUICK = ("jpeg", "jpeg2000")


def test_each_avif_is_the_best_at_what_it_was_tuned_for():
    pixels = photo_like(256, 240)
    reached = {}
    for name in ("avif-psnr", "avif-ssimulacra2"):
        result = at_bytes(peer_by_name(name), pixels, 10_000)
        reached[name] = psnr(pixels, result.pixels), ssimulacra2(pixels, result.pixels)
    assert reached["avif-psnr"][0] > reached["avif-ssimulacra2"][0]
    with Image.open(io.BytesIO(peer_by_name("avif-psnr").encode(pixels, 40))) as image:
        assert image.format == "AVIF"


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


@given(st.lists(st.integers(1, 100), min_size=1, max_size=50), st.integers(0, 110))
@settings(max_examples=50, deadline=None)
def test_the_finest_setting_that_fits_is_found_with_few_tries(sizes, room):
    sizes, calls = sorted(sizes), []
    setting, size = finest(range(len(sizes)), room, lambda s: calls.append(s) or sizes[s], int)
    assert size == sizes[setting] == max([s for s in sizes if s <= room], default=sizes[0])
    assert len(calls) == len(set(calls)) <= math.log2(len(sizes)) + 2


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
