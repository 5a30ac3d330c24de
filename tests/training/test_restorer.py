"""A restorer for a diffusers VAE: trained by the command, exported, used by the codec."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file

from qann_core import Codec, cli


@pytest.fixture
def vae_folder(tmp_path: Path) -> Path:
    """An untrained VAE, four pixels a latent position, as diffusers saves it."""
    torch.manual_seed(1)
    AutoencoderKL(
        block_out_channels=(4, 4, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=3,
        norm_num_groups=2,
        mid_block_add_attention=False,
    ).save_pretrained(tmp_path / "vae")
    return tmp_path / "vae"


def test_a_restorer_is_trained_and_exported(
    tmp_path: Path, photo_folder: Path, vae_folder: Path
) -> None:
    run, model = tmp_path / "run", tmp_path / "model"
    command = ["train", str(photo_folder), "--vae", str(vae_folder), "--out", str(run)]
    assert cli.main([*command, "--batch", "2", "--crop", "64", "--steps", "2"]) == 0
    state = torch.load(run / "state.pt", weights_only=True)
    assert state["objective"]["qann.unet.heads.0.weight"].abs().max() > 0, "it is trained"
    before = load_file(vae_folder / "diffusion_pytorch_model.safetensors")
    name = "decoder.conv_out.weight"
    assert torch.equal(state["objective"][f"vae.network.{name}"], before[name]), "the VAE is frozen"
    assert cli.main(["export", str(run), str(model), "--summary", "Two steps."]) == 0
    assert str(tmp_path) not in (model / "vae" / "config.json").read_text(encoding="utf-8")
    codec = Codec.load(model)
    assert codec.restores


@pytest.mark.parametrize("wrong", [("--crop", "61"), ("--finish-share", "0.5")])
def test_options_that_do_not_fit_are_refused(
    wrong: tuple[str, ...], tmp_path: Path, photo_folder: Path, vae_folder: Path
) -> None:
    command = ["train", str(photo_folder), "--vae", str(vae_folder), "--out", str(tmp_path / "run")]
    assert cli.main([*command, "--steps", "1", *wrong]) == 2
