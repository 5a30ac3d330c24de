"""Another VAE's latents, one tensor: round trips, odd sizes, damage, foreign weights."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from hypothesis import given, settings
from hypothesis import strategies as st

import qann_core
from qann_core import bitstream, cli, tensor_codec, tensor_coder
from qann_core.codec import Codec, TensorCodec, load_codec
from qann_core.errors import BitstreamError, ModelError, ParameterError
from qann_core.restoration import QannUNet
from qann_core.search import levels_for_bpp
from qann_core.tensor_coder import TensorPayload
from qann_core.tensor_quantization import QuantizedTensor, quantize_tensor, value_grid
from qann_core.tensor_vae import synthesis


def tiny_kl(channels: int = 3) -> AutoencoderKL:
    """An untrained VAE, four pixels a latent position."""
    torch.manual_seed(1)
    return AutoencoderKL(
        block_out_channels=(4, 4, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=channels,
        norm_num_groups=2,
        mid_block_add_attention=False,
    ).eval()


def tiny_tiny() -> AutoencoderTiny:
    """The same of the other class, two pixels a latent position."""
    torch.manual_seed(2)
    return AutoencoderTiny(
        encoder_block_out_channels=(4, 4),
        decoder_block_out_channels=(4, 4),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
        latent_channels=2,
    ).eval()


def tiny_restorer(channels: int) -> QannUNet:
    return QannUNet((channels,), (0,), (8, 8), embedding_channels=8, attention_heads=2).eval()


@pytest.fixture(params=["AutoencoderKL", "AutoencoderTiny"])
def tensor_model(request: pytest.FixtureRequest) -> TensorCodec:
    """An untrained codec of each class, with a restorer."""
    vae = tiny_kl() if request.param == "AutoencoderKL" else tiny_tiny()
    return TensorCodec(vae, tiny_restorer(vae.config.latent_channels), "0123abcd")


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers VAE on disk."""
    folder = tmp_path_factory.mktemp("vae")
    tiny_kl().save_pretrained(folder)
    return folder


def random_pixels(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(
        0, 256, (height, width, 3), "uint8"
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (4, 4), (7, 3), (33, 50)])
def test_any_size_goes_through_a_file(tensor_model: TensorCodec, size: tuple[int, int]) -> None:
    latents = tensor_model.encode(random_pixels(*size))
    for levels in (4, 37, 256):
        expected = tensor_model.quantize(latents, levels)
        data = tensor_model.pack(latents, levels)
        read = tensor_model.unpack(data)
        assert np.array_equal(read.bands[0], expected.bands[0])
        assert (read.payload.low, read.step) == (expected.payload.low, expected.step)
        for restore in (False, True):
            assert tensor_model.decode(read, restore).shape == (*size, 3)
            assert np.array_equal(
                tensor_model.decode(read, restore), tensor_model.decode(expected, restore)
            )
        header = bitstream.read_header(data)
        assert (header.coder, header.levels) == ("brotli-tensor", levels)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(2, 256),
    st.floats(-100, 100, width=32),
    st.floats(0, 50, width=32),
    st.integers(0, 2**32 - 1),
)
def test_n_values_cover_the_full_range(
    levels: int, centre: float, spread: float, seed: int
) -> None:
    torch.manual_seed(seed)
    latents = centre + spread * torch.randn(1, 2, 5, 4)
    told = torch.tensor([float(levels)])
    low, step = value_grid(latents, told)
    integers = quantize_tensor(latents, low, step, told)
    assert integers.min() >= 0
    assert integers.max() <= levels - 1
    error = (low + integers * step - latents).abs().max()
    # Half a step of rounding, and half a step where the grid is moved onto zero at its ends.
    assert error <= 1.001 * step + 1e-4 * abs(centre)
    if latents.min() < 0 < latents.max():
        assert abs(low / step - torch.round(low / step)) < 1e-3


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(4, 256),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_the_coder_gives_back_any_integers(
    channels: int, height: int, width: int, levels: int, density: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    integers = random.integers(0, levels, (channels, -(-height // 4), -(-width // 4)), np.int32)
    integers[random.random(integers.shape) > density] = levels // 2
    payload = TensorPayload(integers, -0.25 * (levels // 2), 0.25, 4)
    decoded = tensor_coder.decode(tensor_coder.encode(payload, levels), levels, height, width)
    assert np.array_equal(decoded.integers, integers)
    assert (decoded.low, decoded.step, decoded.factor) == (payload.low, payload.step, 4)


def test_more_levels_cost_more(tensor_model: TensorCodec, photo: np.ndarray) -> None:
    latents = tensor_model.encode(photo)
    sizes = [len(tensor_model.pack(latents, levels)) for levels in (4, 16, 64, 256)]
    assert sizes == sorted(sizes)
    data, levels = levels_for_bpp(tensor_model, latents, 2.0, lambda: None)
    assert 8 * len(data) <= 2.0 * photo.shape[0] * photo.shape[1]
    assert 4 <= levels <= 256
    for levels in (3, 257):
        with pytest.raises(ParameterError, match="from 4 to 256"):
            tensor_model.pack(latents, levels)


def test_constant_latents_are_exact() -> None:
    for value in (0.0, 5.0, -3.25):
        latents = torch.full((1, 2, 3, 4), value)
        told = torch.tensor([16.0])
        low, step = value_grid(latents, told)
        integers = quantize_tensor(latents, low, step, told)
        assert torch.allclose(low + integers * step, latents)
        payload = TensorPayload(integers[0].int().numpy(), low.item(), step.item(), 2)
        again = tensor_coder.decode(tensor_coder.encode(payload, 16), 16, 6, 8)
        assert np.array_equal(again.integers, payload.integers)


def test_damage_is_a_bitstream_error(tensor_model: TensorCodec) -> None:
    data = tensor_model.pack(tensor_model.encode(random_pixels(20, 24)), 32)
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << (position % 8)
        with pytest.raises(BitstreamError):
            bitstream.unpack(bytes(flipped))
    for length in range(0, len(data), 7):
        with pytest.raises(BitstreamError):
            bitstream.unpack(data[:length])


def resealed(data: bytes, at: int, replacement: bytes) -> bytes:
    """The file with other payload bytes and a checksum that is right again."""
    payload = data[24 : 24 + at] + replacement + data[24 + at + len(replacement) :]
    return data[:20] + struct.pack("<I", zlib.crc32(payload, zlib.crc32(data[:20]))) + payload


@pytest.mark.parametrize(
    ("at", "replacement", "message"),
    [
        (0, b"\x00", "0 channels"),
        (0, b"\xff", "255 channels"),
        (1, b"\x00", "1/1 of"),
        (1, b"\x09", "1/512 of"),
        (1, b"\xff", "not allowed"),
        (2, struct.pack("<f", float("nan")), "start at nan"),
        (6, struct.pack("<f", float("inf")), "steps of inf"),
        (6, struct.pack("<f", -1.0), "steps of -1"),
    ],
)
def test_a_hostile_head_is_named(at: int, replacement: bytes, message: str) -> None:
    codec = TensorCodec(tiny_kl(6), None, "0123abcd")
    data = codec.pack(codec.encode(random_pixels(20, 24)), 32)
    with pytest.raises(BitstreamError, match=message):
        bitstream.unpack(resealed(data, at, replacement))


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
def test_hostile_payloads_never_crash(at: int, replacement: bytes) -> None:
    integers = np.arange(30, dtype=np.int32).reshape(2, 3, 5) % 20
    latents = QuantizedTensor(TensorPayload(integers, -1.0, 0.125, 4), 20, 12, 20, "0123abcd")
    data = bitstream.pack_tensor(latents)
    try:
        read = bitstream.unpack(resealed(data, at % (len(data) - 24), replacement))
    except BitstreamError:
        return
    assert read.bands[0].max() < 20


def test_tiles_change_little_where_the_vae_does_not_normalise(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = TensorCodec(tiny_tiny(), None, "0123abcd")
    latents = codec.encode(photo)
    quantized = codec.quantize(latents, 64)
    whole = codec.decode(quantized, restore=False)
    monkeypatch.setattr(tensor_codec, "TILE", 64)
    monkeypatch.setattr(tensor_codec, "HALO", 16)
    calls = []
    monkeypatch.setattr(
        tensor_codec, "synthesis", lambda *given: calls.append(0) or synthesis(*given)
    )
    # Only a tile's own border differs, and blending gives it little weight.
    difference = (codec.encode(photo).tensor - latents.tensor).abs()
    assert difference.mean() < 0.01 * latents.tensor.std()
    tiled = codec.decode(quantized, restore=False)
    assert np.abs(whole.astype(int) - tiled).mean() < 0.5
    assert len(calls) == 3 * 4


@pytest.mark.parametrize(("size", "tile", "halo", "scale"), [(1000, 300, 32, 1.0), (71, 64, 4, 8)])
def test_blending_weights_sum_to_one(size: int, tile: int, halo: int, scale: float) -> None:
    total = torch.zeros(int(size * scale))
    for start, stop, weights in tensor_codec._spans(size, tile, halo, scale):
        assert stop - start <= tile + 3 * halo
        total[int(start * scale) : int(stop * scale)] += weights
    assert torch.allclose(total, torch.ones_like(total))


def test_a_foreign_vae_serves_without_a_restorer(
    vae_folder: Path, tmp_path: Path, photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    codec = load_codec(vae_folder)
    assert isinstance(codec, TensorCodec)
    assert not codec.restores
    source, packed = tmp_path / "photo.png", tmp_path / "photo.qann"
    qann_core.write_image(source, photo[:40, :40], force=False)
    arguments = ["--model", str(vae_folder)]
    assert cli.main(["compress", str(source), str(packed), "--levels", "32", *arguments]) == 0
    assert "no restoration network" in capsys.readouterr().err
    result = [str(packed), str(tmp_path / "out.png")]
    assert cli.main(["decompress", *result]) == 2
    assert "not installed" in capsys.readouterr().err
    assert cli.main(["decompress", *result, *arguments]) == 2
    assert "--no-restore" in capsys.readouterr().err
    assert cli.main(["decompress", *result, *arguments, "--no-restore"]) == 0
    assert cli.main(["info", str(packed), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert (facts["coder"], facts["model_id"]) == ("brotli-tensor", codec.model_id)


def test_weights_that_cannot_be_used_are_named(vae_folder: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    tiny_kl().save_pretrained(pickled, safe_serialization=False)
    assert list(pickled.glob("*.bin"))
    with pytest.raises(ModelError, match="safetensors"):
        load_codec(pickled)
    other = tmp_path / "other"
    shutil.copytree(vae_folder, other)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(
        json.dumps({**config, "_class_name": "VQModel"}), encoding="utf-8"
    )
    with pytest.raises(ModelError, match="VQModel"):
        load_codec(other)
    (other / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match="configuration"):
        load_codec(other)
    misfit = tmp_path / "misfit"
    tiny_kl().save_pretrained(misfit / "vae")
    tiny_restorer(5).save_pretrained(misfit / "qann")
    with pytest.raises(ModelError, match="fit together"):
        load_codec(misfit)
    with pytest.raises(ModelError, match="load_codec"):
        Codec.load(misfit)


def test_the_hub_without_a_network_is_one_clear_error(tmp_path: Path) -> None:
    program = (
        "from qann_core.models import ModelError, resolve_folder\n"
        "try:\n    resolve_folder('hub:somebody/some-vae')\n"
        "except ModelError as error:\n    print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert "hub:somebody/some-vae is not in the local cache" in done.stdout


def test_files_of_the_other_codec_are_refused(
    codec: Codec, tensor_model: TensorCodec, photo: np.ndarray
) -> None:
    small = photo[:32, :32]
    pyramid = codec.pack(codec.encode(small), 32)
    tensor = tensor_model.pack(tensor_model.encode(small), 32)
    with pytest.raises(ModelError, match=codec.model_id):
        tensor_model.unpack(pyramid)
    with pytest.raises(ModelError, match="0123abcd"):
        codec.unpack(tensor)
    with pytest.raises(ModelError, match="0123abcd"):
        TensorCodec(tensor_model.vae, None, "deadbeef").decode(tensor_model.unpack(tensor), False)
