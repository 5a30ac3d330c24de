"""Muon on hidden weights, Adam on the rest, and the learning rate's schedule."""

import math
from typing import cast

import torch
from torch import Tensor, nn

MUON_RATE = 0.02
MOMENTUM = 0.95
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

    First and last layers, embeddings, biases and the factorised prior stay with Adam. Nothing here
    waits for an accelerator, so that a step can be part of a CUDA graph.

    Args:
        objective: holds the networks.
        dtype: of Muon's orthogonalisation.
    """

    def __init__(self, objective: nn.Module, dtype: torch.dtype = torch.float32) -> None:
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
        device = trained[0][1].device
        bases = (ADAM_RATE, HEAD_RATE, CONTEXT_HEAD_RATE, PRIOR_RATE)
        # Rates are tensors: a captured step reads them anew at each replay.
        rates = [torch.tensor(base, device=device) for base in (MUON_RATE, *bases)]
        groups = [
            {"params": parameters, "lr": rate}
            for parameters, rate in zip((rest, heads, context_heads, prior), rates[1:], strict=True)
        ]
        self._muon = StackedMuon(hidden, rates[0], dtype)
        self._adam = torch.optim.Adam(
            groups, betas=(0.9, 0.99), fused=True, capturable=device.type == "cuda"
        )
        self._bases = (MUON_RATE, *bases)
        self._trained = [parameter for _, parameter in trained]

    def scale_rates(self, factor: float) -> None:
        """Sets all learning rates to ``factor`` times their own."""
        groups = (*self._muon.param_groups, *self._adam.param_groups)
        for group, base in zip(groups, self._bases, strict=True):
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

    def state_dict(self) -> dict:
        """State of both optimizers, tensors and numbers only."""
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Restores what ``state_dict`` returned, on this device."""
        own = [group["lr"] for group in (*self._muon.param_groups, *self._adam.param_groups)]
        capturable = self._adam.defaults["capturable"]
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])
        groups = (*self._muon.param_groups, *self._adam.param_groups)
        for group, rate in zip(groups, own, strict=True):
            group["lr"] = rate
        for group in self._adam.param_groups:
            group["capturable"] = capturable


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
