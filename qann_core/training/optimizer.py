"""Muon on hidden weights, Adam on the rest, as the modules declare them (``roles``)."""

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..networks.roles import Role

MOMENTUM = 0.95

RATES = {
    Role.HIDDEN: 0.02,
    Role.OUTER: 1e-3,
    # The residual stream is not normalised and grows, so that the last layers' weights are small
    # (about 0.005): at the rate of the others they would change by a tenth in every step.
    Role.HEAD: 1e-4,
    Role.PRIOR_HEAD: 6e-4,
    Role.DENSITY: 1e-2,
}
"""Learning rates: Muon's for HIDDEN, Adam's for the others."""

WARM_UP_STEPS = 50


def with_roles(module: nn.Module, role: Role = Role.HIDDEN) -> Iterator[tuple[nn.Parameter, Role]]:
    """Parameters that are trained, each with the role that its module declares."""
    declared = cast(dict[str, Role], getattr(module, "roles", {}))
    for name, parameter in module.named_parameters(recurse=False):
        own = declared.get(name, role)
        if own == Role.HIDDEN and parameter.ndim < 2:
            own = Role.OUTER
        if parameter.requires_grad:
            yield parameter, own
    for name, child in module.named_children():
        yield from with_roles(child, declared.get(name, role))


class StackedMuon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024): orthogonalises the momentum of each weight, as a matrix.

    The result is that of ``torch.optim.Muon`` with its defaults and no weight decay. But weights
    may have any dimensions, as matrices (out, rest), and all those of one shape go in one batch:
    small products, one after another, would leave an accelerator idle.

    Args:
        weights: of two dimensions or more.
        lr: learning rate, a tensor () that may be filled anew between steps.
        dtype: what the orthogonalisation is computed in.
    """

    def __init__(
        self, weights: list[nn.Parameter], lr: Tensor, dtype: torch.dtype = torch.bfloat16
    ) -> None:
        super().__init__(weights, {"lr": lr})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Updates the weights that have a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._update(weights, group["lr"])

    def _update(self, weights: list[nn.Parameter], lr: Tensor) -> None:
        gradients = [cast(Tensor, weight.grad) for weight in weights]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        momenta = [self.state[weight]["momentum_buffer"] for weight in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        directions = torch._foreach_lerp(gradients, momenta, MOMENTUM)  # Nesterov's
        alike: dict[torch.Size, list[int]] = {}
        for index, weight in enumerate(weights):
            alike.setdefault(weight.shape, []).append(index)
        for shape, members in alike.items():
            stack = torch.stack([directions[index].flatten(1) for index in members])
            rate = lr * math.sqrt(max(1, stack.shape[1] / stack.shape[2]))
            updates = orthogonalised(stack, self._dtype).float() * rate
            for index, update in zip(members, updates, strict=True):
                weights[index].sub_(update.view(shape))


def orthogonalised(matrices: Tensor, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """(B, m, n) -> the same with singular values near one, by five steps of Newton and Schulz.

    Coefficients of Jordan et al. 2024: steep at zero rather than convergent.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).to(dtype)
    x = x / x.flatten(1).norm(dim=1)[:, None, None].clamp_min(1e-7)
    for _ in range(5):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=-4.775, alpha=2.0315)
        x = torch.baddbmm(x, polynomial, x, beta=3.4445)
    return x.mT if tall else x


class HybridOptimizer:
    """``StackedMuon`` on hidden convolutions and linear layers, Adam elsewhere.

    Nothing here waits for an accelerator, so that a step can be part of a CUDA graph.

    Args:
        objective: holds the networks.
        dtype: of Muon's orthogonalisation.
    """

    def __init__(self, objective: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        members: dict[Role, list[nn.Parameter]] = {role: [] for role in RATES}
        for parameter, role in with_roles(objective):
            members[role].append(parameter)
        self._trained = [parameter for group in members.values() for parameter in group]
        device = self._trained[0].device
        # Rates are tensors: a captured step reads them anew at each replay.
        rates = {role: torch.tensor(base, device=device) for role, base in RATES.items()}
        self._muon = StackedMuon(members[Role.HIDDEN], rates[Role.HIDDEN], dtype)
        self._adam = torch.optim.Adam(
            [{"params": members[role], "lr": rates[role]} for role in RATES if role != Role.HIDDEN],
            betas=(0.9, 0.99),
            fused=True,
            capturable=device.type == "cuda",
        )

    def scale_rates(self, factor: float) -> None:
        """Sets all learning rates to ``factor`` times their own."""
        for group, base in zip(self._groups, RATES.values(), strict=True):
            group["lr"].fill_(base * factor)

    def step(self) -> Tensor:
        """One update; returns the gradients' norm, ().

        The norm over all gradients is clipped at 1. Gradients that are not finite count as zero,
        all of them.
        """
        norm = nn.utils.clip_grad_norm_(self._trained, 1.0)
        broken = ~norm.isfinite()
        for parameter in self._trained:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(broken, 0)
        self._muon.step()
        self._adam.step()
        for parameter in self._trained:
            parameter.grad = None
        return norm

    def state_dict(self) -> dict[str, Any]:
        """State of both optimizers, tensors and numbers only."""
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned, on this device."""
        fixed = ("lr", "capturable")  # by this device
        own = [{key: group[key] for key in fixed if key in group} for group in self._groups]
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])
        for group, kept in zip(self._groups, own, strict=True):
            group.update(kept)

    @property
    def _groups(self) -> list[dict[str, Any]]:
        """In the order of RATES."""
        return [*self._muon.param_groups, *self._adam.param_groups]
