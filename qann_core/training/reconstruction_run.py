"""A run whose networks paint images: judged by its estimated rate and by PSNR."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..samples import centred
from .data import centre_crops
from .report import draw_curves
from .run import BudgetedRun

FIGURES = (
    "loss", "gradient_norm", "rate_factor", "levels", "bpp", "psnr_quantized", "psnr_restored",
)  # fmt: skip


class ReconstructionRun(BudgetedRun):
    """A ``BudgetedRun`` that validates on a crop of each validation photo and draws its curves."""

    csv_fields: tuple[str, ...] = FIGURES

    validation_levels: tuple[int, ...]
    """The N to validate at."""

    restores = True
    """Whether anything is restored, so that its gain is worth a curve."""

    def figures(self, images: Tensor, levels: Tensor) -> Tensor:
        """(3, B): estimated bits per pixel, PSNR quantized and PSNR restored, rounding for real.

        Args:
            images: (B, 3, H, W) centred RGB; levels: N of each, (B,) float.
        """
        raise NotImplementedError

    def learn(
        self, forward: Callable[..., tuple[Tensor, Tensor]], when: float | str, factor: float
    ) -> dict[str, float]:
        """One or more optimizer steps on fresh batches; returns what the log says of the last.

        Args:
            forward: takes images, N and ``when``; gives the loss, and (3,) means: bits per
                pixel, MSE quantized and MSE restored (0: not known).
            when: the stage or the share of the budget, as the objective wants it.
            factor: on the learning rates.
        """

        def step() -> dict[str, Tensor]:
            levels = self.draw_levels(self.options.batch)
            images = self.crops.next().to(self.device)
            with self.accelerator.autocast():
                loss, figures = forward(images, levels, when)
            norm = self.descend(loss)
            bpp, quantized, restored = figures.unbind()
            return {
                "loss": loss.detach(), "gradient_norm": norm, "bpp": bpp,
                "psnr_quantized": quantized, "psnr_restored": restored,
            }  # fmt: skip

        figures = self.take_steps(str(when), step, factor)
        for name in ("psnr_quantized", "psnr_restored"):
            figures[name] = _psnr(figures[name])
        return {**figures, "rate_factor": factor}

    @torch.no_grad()
    def validate(self) -> None:
        """Reports ``figures`` of the averaged weights, means over the validation photos."""
        if not self.photos.validation:
            return
        validation = centre_crops(self.photos.validation, self.options.crop)
        for levels in self.validation_levels:
            rows = []
            for crops in np.array_split(validation, -(-len(validation) // 8)):
                images = centred(crops).to(self.device)
                told = torch.full((len(images),), float(levels), device=self.device)
                with self.accelerator.autocast():
                    rows.append(self.figures(images, told))
            bpp, quantized, restored = torch.cat(rows, 1).mean(1).tolist()
            text = f"{bpp:.3f} bpp  quantized {quantized:.2f} dB  restored {restored:.2f} dB"
            self.report(levels, text, bpp=bpp, psnr_quantized=quantized, psnr_restored=restored)

    def finish(self) -> None:
        """Draws the learning curves into ``curves.png``."""
        if self.photos.validation:
            draw_curves(self.folder / "log.csv", self.folder / "curves.png", self.restores)


def _psnr(mse: float) -> float:
    return 10 * float(np.log10(255**2 / mse)) if mse > 0 else float("nan")
