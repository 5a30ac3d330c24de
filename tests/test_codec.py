"""The whole pipeline with the bundled weights, on a real photo."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import qann_core
from qann_core import Codec, bitstream
from qann_core.common.errors import ImageError, ModelError, ParameterError
from qann_core.metrics import psnr
from qann_core.networks import tiling
from qann_core.search import levels_for_bpp, levels_for_quality


def test_a_photo_goes_through_a_file_and_restoration_helps(codec: Codec, photo: np.ndarray) -> None:
    latents = codec.encode(photo)
    for levels in (32, 96, 256):
        quantized = codec.unpack(codec.pack(latents, levels))
        plain = psnr(photo, codec.decode(quantized, restore=False))
        restored = psnr(photo, codec.decode(quantized))
        assert restored > plain, levels


def test_the_file_holds_exactly_the_integers(codec: Codec, photo: np.ndarray) -> None:
    latents = codec.encode(photo)
    expected = codec.quantize(latents, 100)
    read = codec.unpack(codec.pack(latents, 100))
    assert (read.levels, read.height, read.width) == (100, *photo.shape[:2])
    assert all(np.array_equal(a, b) for a, b in zip(read.bands, expected.bands, strict=True))
    assert len(np.unique(np.concatenate([band.ravel() for band in read.bands]))) <= 100


def test_more_levels_cost_more_and_look_better(codec: Codec, photo: np.ndarray) -> None:
    latents = codec.encode(photo)
    results = []
    for levels in (16, 48, 128, 512):
        data = codec.pack(latents, levels)
        results.append((len(data), psnr(photo, codec.decode(codec.unpack(data)))))
    assert results == sorted(results)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (16, 16), (33, 2)])
def test_tiny_images(codec: Codec, shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), (200, 60, 30), np.uint8)
    decoded = codec.decode(codec.unpack(codec.pack(codec.encode(pixels), 256)))
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - pixels).mean() < 8


def test_one_call_forms(photo: np.ndarray, codec: Codec) -> None:
    data = qann_core.compress(photo, levels=64)
    assert data == codec.pack(codec.encode(photo), 64)
    assert np.array_equal(qann_core.decompress(data), codec.decode(codec.unpack(data)))


@pytest.mark.parametrize("levels", [24, 96])
def test_no_seam_shows_in_large_images(
    codec: Codec, photo: np.ndarray, levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.tile(photo, (3, 5, 1))
    quantized = codec.quantize(codec.encode(large), levels)
    whole = codec.decode(quantized)
    monkeypatch.setattr(tiling, "TILE", 256)
    boxes = [box for box, _ in tiling.tiles(400, 1024)]
    assert len(boxes) == 8 and all(edge % 256 == 0 for box in boxes for edge in box[::2])
    difference = np.abs(whole.astype(int) - codec.decode(quantized))
    assert difference.max() > 0, "the tiled path was not taken"
    assert (difference <= 1).mean() >= 0.999


def test_one_codec_serves_many_threads(codec: Codec, photo: np.ndarray) -> None:
    pictures = [photo, photo[::-1].copy(), photo[:, ::-1].copy()]
    expected = [codec.pack(codec.encode(picture), 64) for picture in pictures]
    results: dict[int, bytes] = {}

    def work(index: int) -> None:
        results[index] = codec.pack(codec.encode(pictures[index % 3]), 64)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[index] for index in range(6)] == expected * 2


def test_bad_arguments_are_named(codec: Codec, photo: np.ndarray) -> None:
    with pytest.raises(ImageError, match="uint8"):
        codec.encode(photo.astype(np.float32))
    with pytest.raises(ParameterError, match="whole number"):
        codec.pack(codec.encode(photo), 3)


def test_latents_of_other_weights_are_refused(codec: Codec, photo: np.ndarray) -> None:
    data = bytearray(codec.pack(codec.encode(photo), 64))
    quantized = bitstream.unpack(bytes(data))
    other = type(quantized)(quantized.bands, 64, *photo.shape[:2], model_id="00000000")
    with pytest.raises(ModelError, match="00000000"):
        codec.decode(other)
    with pytest.raises(ModelError, match="not installed"):
        qann_core.decompress(bitstream.pack(other))


def test_search_by_rate_and_by_quality(codec: Codec, photo: np.ndarray) -> None:
    latents = codec.encode(photo)
    pixels = photo.shape[0] * photo.shape[1]
    data, levels = levels_for_bpp(codec, latents, 1.0)
    assert 8 * len(data) / pixels <= 1.0 < 8 * len(codec.pack(latents, levels + 1)) / pixels
    target = psnr(photo, codec.decode(codec.quantize(latents, 80)))
    data, levels = levels_for_quality(codec, latents, "psnr", target)
    assert psnr(photo, codec.decode(codec.unpack(data))) >= target
    assert levels <= 80 and len(data) <= len(codec.pack(latents, 80))
    with pytest.raises(ParameterError, match="cannot be reached"):
        levels_for_bpp(codec, latents, 0.0001)
    with pytest.raises(ParameterError, match="cannot be reached"):
        levels_for_quality(codec, latents, "psnr", 99.0)


def test_importing_the_package_is_light() -> None:
    program = (
        "import sys, qann_core; "
        "heavy = {'torch', 'diffusers', 'numpy', 'PIL', 'gradio'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
