"""The codec with any diffusers VAE of one latent tensor: files, sizes, weights, training."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from hypothesis import given, settings
from hypothesis import strategies as st

import qann_core
from qann_core import Codec, bitstream, cli
from qann_core.coding.brotli_coder import BrotliCoder
from qann_core.common.errors import BitstreamError, ModelError, ParameterError
from qann_core.common.shapes import integer_range
from qann_core.networks import diffusers_vae
from qann_core.networks.diffusers_vae import DiffusersVAE
from qann_core.networks.restoration import QannUNet
from qann_core.search import levels_for_bpp


def tiny_kl(channels: int = 3, scale: float = 8.0) -> AutoencoderKL:
    """An untrained VAE, four pixels a latent position."""
    torch.manual_seed(1)
    return AutoencoderKL(
        block_out_channels=(4, 4, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=channels,
        norm_num_groups=2,
        mid_block_add_attention=False,
        scaling_factor=scale,
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
        scaling_factor=8.0,
    ).eval()


def tiny_restorer(channels: int) -> QannUNet:
    return QannUNet((channels,), (0,), (8, 8), embedding_channels=8, attention_heads=2).eval()


@pytest.fixture(params=["AutoencoderKL", "AutoencoderTiny"])
def foreign(request: pytest.FixtureRequest) -> Codec:
    """An untrained codec of each class, with a restorer."""
    vae = DiffusersVAE(tiny_kl() if request.param == "AutoencoderKL" else tiny_tiny())
    return Codec(vae, tiny_restorer(vae.channels), "0123abcd")


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
def test_any_size_goes_through_a_file(foreign: Codec, size: tuple[int, int]) -> None:
    latents = foreign.encode(random_pixels(*size))
    for levels in (16, 37, 512):
        expected = foreign.quantize(latents, levels)
        data = foreign.pack(latents, levels)
        read = foreign.unpack(data)
        assert np.array_equal(read.bands[0], expected.bands[0])
        assert read.step == expected.step == foreign.vae.latent_range / (levels - 1)
        for restore in (False, True):
            assert foreign.decode(read, restore).shape == (*size, 3)
            assert np.array_equal(foreign.decode(read, restore), foreign.decode(expected, restore))
        header = bitstream.read_header(data)
        assert (header.coder, header.levels) == ("brotli", levels)


def test_values_cover_the_stated_range_and_are_clipped_beyond(foreign: Codec) -> None:
    reach = foreign.vae.latent_range / 2
    latents = foreign.encode(random_pixels(16, 16))
    wide = type(latents)((torch.linspace(-2, 2, 64).view(1, 1, 8, 8) * reach,), latents.pixels)
    integers = foreign.quantize(wide, 32)
    assert (integers.bands[0].min(), integers.bands[0].max()) == integer_range(32)
    inside = wide.pyramid[0].abs() < reach * 0.9
    error = (integers.bands[0] * integers.step - wide.pyramid[0].numpy())[0]
    assert np.abs(error[inside[0].numpy()]).max() <= integers.step / 2 * 1.001


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 12), st.integers(1, 40), st.integers(1, 40), st.integers(16, 512),
    st.floats(0, 1), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_the_coder_gives_back_any_integers_of_one_band(
    channels: int, height: int, width: int, levels: int, density: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    low, high = integer_range(levels)
    band = random.integers(low, high + 1, (channels, height, width), np.int32)
    band[random.random(band.shape) > density] = 0
    coder = BrotliCoder()
    payload = coder.encode([band], levels)
    (decoded,) = coder.decode(payload, [band.shape], levels)
    assert np.array_equal(decoded, band)
    assert sum(coder.bytes_by_band(payload, [band.shape], levels)) in (
        0, pytest.approx(len(payload)),
    )  # fmt: skip


def test_channels_are_predicted_only_where_that_pays() -> None:
    random = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(40), np.arange(50)) // 4
    noise = random.integers(-20, 21, (40, 50))
    band = np.stack((smooth, noise)).astype(np.int32)
    payload = BrotliCoder().encode([band], 128)
    assert payload[0] == 0b10000000
    assert len(payload) < 0.85 * noise.size


def test_more_levels_cost_more(
    foreign: Codec, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qann_core.search._SCANNED_PIXELS", 0)  # an untrained VAE is erratic
    latents = foreign.encode(photo)
    sizes = [len(foreign.pack(latents, levels)) for levels in (16, 64, 256, 512)]
    assert sizes == sorted(sizes)
    data, _ = levels_for_bpp(foreign, latents, 2.0)
    assert 8 * len(data) <= 2.0 * photo.shape[0] * photo.shape[1]
    for levels in (15, 513):
        with pytest.raises(ParameterError, match="from 16 to 512"):
            foreign.pack(latents, levels)


def test_there_is_no_optimised_quantization_and_no_prior(foreign: Codec) -> None:
    latents = foreign.encode(random_pixels(16, 16))
    assert foreign.max_effort == 0 and foreign.coders == ("brotli",)
    with pytest.raises(ParameterError, match="use effort 0"):
        foreign.pack(latents, 64, effort=1)
    with pytest.raises(ModelError, match="no prior"):
        foreign.pack(latents, 64, "prior")


def test_damage_is_a_bitstream_error_or_another_model(foreign: Codec) -> None:
    data = foreign.pack(foreign.encode(random_pixels(20, 24)), 32)
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << (position % 8)
        with pytest.raises((BitstreamError, ModelError)):
            foreign.unpack(bytes(flipped))
    for length in range(0, len(data), 7):
        with pytest.raises(BitstreamError):
            foreign.unpack(data[:length])


def test_a_large_picture_goes_through_in_tiles(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Codec(DiffusersVAE(tiny_kl()), None, "0123abcd")
    monkeypatch.setattr(diffusers_vae, "TILE", 64)
    tiled = Codec(DiffusersVAE(tiny_kl()), None, "0123abcd")
    sizes = []
    network = tiled.vae.network
    network.encoder.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[-2:]))
    network.decoder.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[-2:]))
    latents, same = whole.encode(photo).pyramid[0], tiled.encode(photo).pyramid[0]
    assert (same - latents).abs().mean() < 0.5 * latents.std(), "it normalises over each tile"
    assert tiled.decode(tiled.quantize(tiled.encode(photo), 64), restore=False).shape == photo.shape
    assert len(sizes) > 8 and all(max(size) <= 64 for size in sizes)


def test_a_foreign_vae_serves_without_a_restorer(
    vae_folder: Path, tmp_path: Path, photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    codec = Codec.load(vae_folder)
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


def test_weights_that_cannot_be_used_are_named(vae_folder: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    tiny_kl().save_pretrained(pickled, safe_serialization=False)
    assert list(pickled.glob("*.bin"))
    with pytest.raises(ModelError, match="safetensors"):
        Codec.load(pickled)
    other = tmp_path / "other"
    shutil.copytree(vae_folder, other)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    for change, match in (
        ({"_class_name": "VQModel"}, "VQModel"),
        ({"latent_channels": 4}, "in another shape"),
        ({"layers_per_block": 2}, "lack"),
        ({"block_out_channels": [16384, 16384, 16384]}, "The weights in"),
        ({"block_out_channels": [10**9] * 3}, "at most 16384"),
        ({"layers_per_block": 10**9}, "at most 64"),
        ({"scaling_factor": 0.0}, "scaling_factor is 0"),
        ({"scaling_factor": float("nan")}, "scaling_factor is nan"),
    ):
        changed = json.dumps({**config, **change})
        (other / "config.json").write_text(changed, encoding="utf-8")
        with pytest.raises(ModelError, match=match) as caught:
            Codec.load(other)
        assert "\n" not in str(caught.value)
    (other / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match="configuration"):
        Codec.load(other)
    misfit = tmp_path / "misfit"
    tiny_kl().save_pretrained(misfit / "vae")
    tiny_restorer(5).save_pretrained(misfit / "qann")
    with pytest.raises(ModelError, match="fit together"):
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


def test_files_of_the_other_model_are_refused(
    codec: Codec, foreign: Codec, photo: np.ndarray
) -> None:
    small = photo[:32, :32]
    pyramid = codec.pack(codec.encode(small), 32)
    tensor = foreign.pack(foreign.encode(small), 32)
    with pytest.raises(ModelError, match=codec.model_id):
        foreign.unpack(pyramid)
    with pytest.raises(ModelError, match="0123abcd"):
        codec.unpack(tensor)
    with pytest.raises(ModelError, match="0123abcd"):
        Codec(foreign.vae, None, "deadbeef").decode(foreign.unpack(tensor), False)
