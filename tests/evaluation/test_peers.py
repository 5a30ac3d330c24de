"""Other codecs: round trips, what each option is for, and the searches."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFile
from test_metrics import photo_like

from qann_core.common.errors import ImageError, ParameterError
from qann_core.evaluation.peers import available_peers, peer_by_name
from qann_core.metrics import psnr

PHOTO = photo_like(96, 128)


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
