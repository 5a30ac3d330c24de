"""Muon on hidden weights, Adam on the rest, and the learning rate's schedule."""

import math
from dataclasses import dataclass

import torch
from torch import nn

MUON_RATE = 0.02
ADAM_RATE = 1e-3
HEAD_RATE = 1e-4
"""The residual stream is not normalised and grows, so that the last layers' weights are small
(about 0.005): at Adam's rate they would change by a tenth in every step."""

CONTEXT_HEAD_RATE = 6e-4
"""Adam's rate for a learned prior's last layers, whose inputs are integers up to 127."""

PRIOR_RATE = 1e-2
"""The prior's few scalars are far from any other parameter's scale and follow the encoder."""

WARM_UP_STEPS = 50

_OUTER_LAYERS = ("stems", "embedding", "film", "conv_in", "conv_out")
"""Parts of the names of first and last layers and of embeddings, diffusers' names included."""


@dataclass(frozen=True)
class _Shadow:
    """A weight of more than two dimensions and a matrix that shares its memory, for Muon."""

    weight: nn.Parameter
    matrix: nn.Parameter


class HybridOptimizer:
    """``torch.optim.Muon`` on hidden convolutions and linear layers, Adam elsewhere.

    Muon (Jordan et al. 2024) orthogonalises the momentum of a matrix. PyTorch's takes matrices
    only, so convolution weights are shown to it flattened to (out, in * k * k), on the same memory.
    First and last layers, embeddings, biases and the factorised prior stay with Adam.
    """

    def __init__(self, objective: nn.Module) -> None:
        hidden, rest, prior = [], [], []
        heads: list[nn.Parameter] = []
        context_heads: list[nn.Parameter] = []
        trained = [(n, p) for n, p in objective.named_parameters() if p.requires_grad]
        for name, parameter in trained:
            outer = any(part in name for part in _OUTER_LAYERS)
            if "prior" in name:
                prior.append(parameter)
            elif ".heads." in name:
                (context_heads if name.startswith("context.") else heads).append(parameter)
            elif parameter.ndim >= 2 and not outer:
                hidden.append(parameter)
            else:
                rest.append(parameter)
        self._shadows = [_Shadow(weight, nn.Parameter(weight.data.flatten(1))) for weight in hidden]
        assert all(s.matrix.data_ptr() == s.weight.data_ptr() for s in self._shadows)
        self._muon = torch.optim.Muon(
            [shadow.matrix for shadow in self._shadows],
            lr=MUON_RATE,
            momentum=0.95,
            nesterov=True,
            weight_decay=0.0,
        )
        groups = [
            {"params": rest, "lr": ADAM_RATE, "base": ADAM_RATE},
            {"params": heads, "lr": HEAD_RATE, "base": HEAD_RATE},
            {"params": context_heads, "lr": CONTEXT_HEAD_RATE, "base": CONTEXT_HEAD_RATE},
            {"params": prior, "lr": PRIOR_RATE, "base": PRIOR_RATE},
        ]
        self._adam = torch.optim.Adam(groups, betas=(0.9, 0.99))
        self._clipped = [parameter for _, parameter in trained]

    def step(self, factor: float) -> float:
        """One update with all learning rates times ``factor``; returns the gradients' norm.

        The norm over all gradients is clipped at 1. A step whose gradients are not finite is
        skipped.
        """
        norm = float(nn.utils.clip_grad_norm_(self._clipped, 1.0))
        if math.isfinite(norm):
            for group in self._muon.param_groups:
                group["lr"] = MUON_RATE * factor
            for group in self._adam.param_groups:
                group["lr"] = group["base"] * factor
            for shadow in self._shadows:
                assert shadow.matrix.data_ptr() == shadow.weight.data_ptr(), "weights were moved"
                gradient = shadow.weight.grad
                shadow.matrix.grad = None if gradient is None else gradient.flatten(1)
            self._muon.step()
            self._adam.step()
        for parameter in self._clipped:
            parameter.grad = None
        return norm

    def state_dict(self) -> dict:
        """State of both optimizers, tensors and numbers only."""
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Restores what ``state_dict`` returned."""
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])


def rate_factor(stage_progress: float, stage: str, steps_in_stage: int) -> float:
    """Learning rate as a factor: a short warm-up, then flat, then linear to zero.

    The skeleton stage ends at a third, where the joint stage takes over; the finish restarts low.
    """
    warm_up = min(1.0, (steps_in_stage + 1) / WARM_UP_STEPS)
    if stage == "skeleton":
        return warm_up * (1 - 0.5 * stage_progress)
    if stage == "joint":
        return warm_up * min(0.7, 0.98 * (1 - stage_progress) + 0.002)
    return warm_up * 0.3 * (1 - stage_progress) + 0.0005
