"""What the codec minimises: every part learns, rounding is the codec's, a prior may join."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qann_core import cli
from qann_core.coding.network import PriorNetwork
from qann_core.coding.range_coder import CLASSES, SYMBOLS, TOTAL, Tables
from qann_core.coding.weights import Prior, exact_network, load_prior
from qann_core.common.errors import ParameterError
from qann_core.networks.roles import Role
from qann_core.perceptual import ssimulacra2
from qann_core.quantization import ROUNDING_OFFSET
from qann_core.training.codec_objective import CodecObjective, quantize_batch, with_companding
from qann_core.training.data import CropStream, PhotoSet
from qann_core.training.optimizer import HybridOptimizer, with_roles
from qann_core.training.run import TrainingRun

Make = Callable[..., Any]


def test_the_learning_rate_ends_near_zero(networks: Make) -> None:
    _, joint, finish = CodecObjective(*networks()).stages
    assert joint.rate(1.0) < 0.01 and finish.rate(1.0) < 0.01
    assert joint.rate(0.0) == 0.7


@pytest.mark.parametrize("shares", [(1.1, 0.0), (0.0, -0.1), (0.7, 0.7), (float("nan"), 0.0)])
def test_shares_out_of_range_are_refused(shares: tuple[float, float], networks: Make) -> None:
    with pytest.raises(ParameterError, match="share"):
        CodecObjective(*networks(), None, *shares)


def test_training_lowers_the_loss(photos: PhotoSet, networks: Make) -> None:
    objective = CodecObjective(*networks())
    optimizer = HybridOptimizer(objective)
    images = CropStream(photos.training, 64, 4, seed=1).next()
    optimizer.scale_rates(0.5)
    levels = torch.full((4,), 64.0)
    losses = []
    for _ in range(20):
        loss, _ = objective(images, levels, "skeleton")
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(1, abs=0.05), "starts as the identity"
    assert losses[-1] < 0.98 * losses[0]


def test_the_joint_stage_moves_every_part(photos: PhotoSet, networks: Make) -> None:
    objective = CodecObjective(*networks())
    optimizer = HybridOptimizer(objective)
    before = {name: p.detach().clone() for name, p in objective.named_parameters()}
    images = CropStream(photos.training, 64, 2, 1).next()
    for _ in range(3):
        loss, figures = objective(images, torch.tensor([40.0, 200.0]), "joint")
        loss.backward()
        optimizer.step()
    assert figures["bpp"] > 0
    for part in ("vae.encoder", "vae.decoder", "vae.prior", "qann"):
        names = [name for name in before if name.startswith(part)]
        after = dict(objective.named_parameters())
        assert any(not torch.equal(before[name], after[name]) for name in names), part


def test_a_learned_prior_joins_the_rate(
    tmp_path: Path, photos: PhotoSet, networks: Make, options: Make
) -> None:
    tables = np.ones((CLASSES, SYMBOLS), np.int32)
    tables[:, 0] = TOTAL - SYMBOLS + 1
    start = exact_network(PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1)))
    prior = Prior(b"test", start, Tables(tables))
    objective = CodecObjective(*networks(), prior)
    images = torch.from_numpy(photos.training[0][None, :64, :64]).permute(0, 3, 1, 2).float()
    latents = objective.vae.analysis(images - 127.5)
    levels, step = torch.tensor([64.0]), torch.tensor([110.0])
    values = tuple(band.detach().requires_grad_(True) for band in latents)
    quantized = quantize_batch(latents, step)
    bits = objective.rate(quantized, values, levels, step)
    bits.sum().backward()
    assert all(band.grad is not None and band.grad.abs().max() > 0 for band in values)
    assert bits < objective.vae.rate(values, step) * 2 and bits > 0
    TrainingRun(tmp_path, photos, options(), objective).run()
    weights = dict(load_prior(tmp_path / "model" / "prior").network.named_parameters())
    assert any(not torch.equal(p, weights[name]) for name, p in start.named_parameters())


def test_training_rounds_as_the_codec_does() -> None:
    latents = (torch.tensor([0.55]).view(1, 1, 1, 1),) * 2
    ll, detail = quantize_batch(latents, torch.tensor([1.0]))
    assert (ll.item(), detail.item()) == (1.0, 0.0 if ROUNDING_OFFSET < 0.45 else 1.0)


def large_crop(photos: PhotoSet, side: int = 240) -> torch.Tensor:
    pixels = torch.from_numpy(photos.training[0][None].copy()).permute(0, 3, 1, 2).float() - 127.5
    return torch.nn.functional.interpolate(pixels, (side, side), mode="bilinear")


def test_the_aim_says_what_distortion_is(photos: PhotoSet, networks: Make) -> None:
    images, step = large_crop(photos), torch.tensor([60.0])
    noisy = images + 8 * torch.randn(images.shape, generator=torch.manual_seed(1))
    squared = 32 / 60**2 * (noisy - images).square().mean()
    unlike = 7.44 / 60**1.5 * (100 - ssimulacra2(images, noisy))
    for settings, expected in (
        ({}, squared),
        ({"aim": "eye"}, 0.3 * squared + 0.7 * unlike),
        ({"aim": "eye", "share": 1.0}, squared),
    ):
        found = CodecObjective(*networks(), **settings).distortion(images, noisy, step)
        assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_gains_and_exponents_are_learned_for_the_eye(photos: PhotoSet, networks: Make) -> None:
    plain, qann = networks()
    vae = with_companding(plain)
    assert torch.equal(vae.encoder.unet.stems[0].weight, plain.encoder.unet.stems[0].weight)
    objective = CodecObjective(vae, qann, aim="eye")
    roles = {id(parameter): role for parameter, role in with_roles(objective)}
    assert {roles[id(parameter)] for parameter in vae.bands.parameters()} == {Role.OUTER}
    optimizer = HybridOptimizer(objective)
    before = vae.bands.gain.detach().clone(), vae.bands.exponent.detach().clone()
    loss, figures = objective(large_crop(photos), torch.tensor([64.0]), "joint")
    loss.backward()
    optimizer.step()
    assert loss.isfinite() and figures["bpp"] > 0
    assert (before[0] != vae.bands.gain).any() and (before[1] != vae.bands.exponent).any()


def test_a_validation_reports_both_measures(photos: PhotoSet, networks: Make) -> None:
    objective = CodecObjective(*networks())
    with torch.no_grad():
        figures = objective.figures(large_crop(photos), torch.tensor([64.0]))
        small = objective.figures(large_crop(photos, 64), torch.tensor([64.0]))
    assert set(figures) == set(objective.columns)
    assert 0 < figures["ssimulacra2_quantized"] < 100
    assert set(figures) - set(small) == {"ssimulacra2_quantized", "ssimulacra2_restored"}


@pytest.mark.parametrize(
    "wrong",
    [
        ("--aim", "eye", "--crop", "64"), ("--aim", "eye", "--share", "1.5"),
        ("--aim", "eye", "--share", "nan"), ("--share", "0.5"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_aim_that_cannot_be_had_is_refused(
    wrong: tuple[str, ...], tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(photo_folder), "--out", str(tmp_path / "run"), "--size", "fast"]
    assert cli.main([*command, *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1
