"""Muon and Adam, and which parameter goes where, as its module declares."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from qann_core.coding.network import PriorNetwork
from qann_core.networks.roles import Role
from qann_core.training.codec_objective import CodecObjective
from qann_core.training.optimizer import HybridOptimizer, StackedMuon, orthogonalised, with_roles


def test_modules_declare_what_their_parameters_are(networks: Callable[[], Any]) -> None:
    objective = CodecObjective(*networks())
    roles = {id(parameter): role for parameter, role in with_roles(objective)}
    named = {name: roles[id(parameter)] for name, parameter in objective.named_parameters()}
    expected = {
        "vae.encoder.unet.stems.0.weight": Role.OUTER,
        "vae.encoder.unet.heads.0.weight": Role.HEAD,
        "vae.encoder.unet.down_blocks.0.0.conv1.weight": Role.HIDDEN,
        "vae.encoder.unet.down_blocks.0.0.conv1.bias": Role.OUTER,
        "vae.prior.log_scale": Role.DENSITY,
        "qann.embedding.mlp.0.weight": Role.OUTER,
        "qann.unet.up_blocks.0.0.film.weight": Role.OUTER,
        "qann.unet.attention.qkv.weight": Role.HIDDEN,
        "qann.unet.heads.3.bias": Role.HEAD,
    }
    assert {name: named[name] for name in expected} == expected
    assert len(named) == len(roles), "each is there once"
    prior = PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1))
    roles = {id(parameter): role for parameter, role in with_roles(prior)}
    named = {name: roles[id(parameter)] for name, parameter in prior.named_parameters()}
    assert named["levels.1.heads.0.weight"] == Role.PRIOR_HEAD
    assert named["embeddings.0"] == Role.OUTER and named["stem.weight"] == Role.HIDDEN


def test_frozen_parameters_are_left_out(networks: Callable[[], Any]) -> None:
    vae, qann = networks()
    objective = CodecObjective(vae.requires_grad_(False), qann)
    assert {id(p) for p, _ in with_roles(objective)} == {id(p) for p in qann.parameters()}


def test_stacked_muon_is_torchs() -> None:
    torch.manual_seed(0)
    shapes = [(8, 4, 3, 3), (8, 4, 3, 3), (16, 4), (4, 16)]
    ours = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [nn.Parameter(weight.detach().flatten(1).clone()) for weight in ours]
    stacked = StackedMuon(ours, torch.tensor(0.02), torch.bfloat16)
    muon = torch.optim.Muon(theirs, lr=0.02, momentum=0.95, nesterov=True, weight_decay=0.0)
    for _ in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.flatten(1).clone()
        stacked.step()
        muon.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.flatten(1), other, atol=1e-5)


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16):
        made = orthogonalised(torch.randn(3, 24, 60), dtype)
        assert made.dtype == dtype
        values = torch.linalg.svdvals(made.float())
        assert values.min() > 0.5
        assert values.max() < 1.5


def test_gradients_that_are_not_finite_change_nothing(networks: Callable[[], Any]) -> None:
    objective = CodecObjective(*networks())
    optimizer = HybridOptimizer(objective)
    before = [p.detach().clone() for p in objective.parameters()]
    for parameter in objective.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, objective.parameters(), strict=True))
