"""Training around one latent tensor: a VAE by itself, or a restorer on a frozen VAE.

The same budgeted, resumable run serves both; they differ in their objective.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from diffusers import AutoencoderKL
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ..errors import ParameterError
from ..files import find_images
from ..models import load_vae, resolve_folder
from ..restoration import QannUNet
from ..tensor_vae import downsampling_factor, latent_channels
from .data import CropStream, PhotoSet, centre_crops, load_photos
from .loop import centred
from .optimizer import HybridOptimizer, rate_factor
from .report import draw_curves
from .tensor_objective import RestorerObjective, TensorObjective, VaeObjective

VALIDATION_LEVELS = (16, 64, 256)
CSV_FIELDS = (
    "step", "minutes", "loss", "gradient_norm", "rate_factor",
    "levels", "bpp", "psnr_quantized", "psnr_restored",
)  # fmt: skip


@dataclass(frozen=True)
class TensorOptions:
    """What a run is told; saved beside its checkpoints.

    Attributes:
        minutes: budget, resumed time included; or
        steps: the budget as a number of optimizer steps instead (0: use minutes).
        batch: crops per step and process; crop: their side in pixels.
        seed: of crops, N and noise.
    """

    minutes: float = 60.0
    steps: int = 0
    batch: int = 4
    crop: int = 160
    ema_decay: float = 0.99
    seed: int = 0
    checkpoint_minutes: float = 4.0
    validation_minutes: float = 6.0


class TensorRun:
    """One run in one folder: ``state.pt`` and ``log.csv`` to resume from, ``model/`` to use.

    Args:
        folder: where all of it goes; an unfinished run there is resumed.
        photos: what to train and validate on.
        options: the run's settings.
        objective: what to minimise, with its networks.
    """

    def __init__(
        self, folder: Path, photos: PhotoSet, options: TensorOptions, objective: TensorObjective
    ) -> None:
        self.folder, self.options = folder, options
        self.accelerator = Accelerator(mixed_precision="bf16")
        self.objective = objective.to(self.accelerator.device)
        self.average = AveragedModel(
            self.objective, multi_avg_fn=get_ema_multi_avg_fn(options.ema_decay)
        )
        self.optimizer = HybridOptimizer(self.objective)
        self.step, self.seconds = 0, 0.0
        self._resume()
        self._forward = self.accelerator.prepare(self.objective)
        torch.manual_seed(options.seed + 1000 * self.accelerator.process_index + self.step)
        self._random = np.random.default_rng(options.seed + 7 + self.step)
        self._crops = CropStream(
            photos.training,
            options.crop,
            options.batch,
            options.seed + self.step + 7919 * self.accelerator.process_index,
        )
        self._validation = (
            centre_crops(photos.validation, options.crop) if photos.validation else None
        )

    def run(self) -> None:
        """Trains until the budget is spent, then writes the averaged weights to ``model/``."""
        main = self.accelerator.is_main_process
        last_save = last_validation = time.monotonic()
        budget = self.options.steps or round(self.options.minutes * 60)
        unit = "step" if self.options.steps else "s"
        with tqdm(total=budget, desc="Training", unit=unit, disable=not main) as bar:
            while (share := self._share()) < 1:
                started = time.monotonic()
                figures = self._update(share)
                self.seconds += time.monotonic() - started
                if main:
                    done = self.step if self.options.steps else self.seconds
                    bar.update(min(budget, int(done)) - bar.n)
                    bar.set_postfix(loss=f"{figures['loss']:.3f}")
                    if self.step % 50 == 0:
                        self._log(figures)
                    now = time.monotonic()
                    if now - last_validation > self.options.validation_minutes * 60:
                        self.validate()
                        last_validation = now
                    if now - last_save > self.options.checkpoint_minutes * 60:
                        self.save()
                        last_save = now
        if main:
            self.validate()
            self.save()
            if self._validation is not None:
                restores = isinstance(self.objective, RestorerObjective)
                draw_curves(self.folder / "log.csv", self.folder / "curves.png", restores)
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def _share(self) -> float:
        """Part of the budget that is spent; the main process's clock counts for all."""
        if self.options.steps:
            return self.step / self.options.steps
        share = torch.tensor(self.seconds / (self.options.minutes * 60))
        return float(broadcast(share) if self.accelerator.num_processes > 1 else share)

    def _update(self, share: float) -> dict[str, float]:
        """One optimizer step; returns what the log says about it."""
        options = self.options
        low, high = np.log(self.objective.min_levels), np.log(self.objective.max_levels)
        drawn = np.round(np.exp(self._random.uniform(low, high, options.batch)))
        images = centred(self._crops.next()).to(self.accelerator.device)
        levels = torch.tensor(drawn, dtype=torch.float32, device=images.device)
        with self.accelerator.autocast():
            loss, figures = self._forward(images, levels, share)
        self.accelerator.backward(loss)
        factor = rate_factor(share, "joint", self.step)
        norm = self.optimizer.step(factor)
        self.average.update_parameters(self.objective)
        self.step += 1
        bpp, quantized, restored = figures.tolist()
        return {
            "step": self.step, "minutes": round(self.seconds / 60, 3), "loss": loss.item(),
            "gradient_norm": norm, "rate_factor": factor, "bpp": bpp,
            "psnr_quantized": 10 * float(np.log10(255**2 / quantized)),
            "psnr_restored": 10 * float(np.log10(255**2 / restored)),
        }  # fmt: skip

    @torch.no_grad()
    def validate(self) -> None:
        """Logs estimated rate and PSNR, quantized and restored, of the averaged weights."""
        if self._validation is None:
            return
        objective = cast(TensorObjective, self.average.module)
        for levels in VALIDATION_LEVELS:
            rows = []
            for crops in np.array_split(self._validation, -(-len(self._validation) // 8)):
                images = centred(crops).to(self.accelerator.device)
                told = torch.full((len(images),), float(levels), device=images.device)
                with self.accelerator.autocast():
                    rows.append(objective.figures(images, told))
            bpp, quantized, restored = torch.cat(rows, 1).mean(1).tolist()
            minutes = round(self.seconds / 60, 3)
            self._log({
                "step": self.step, "minutes": minutes, "levels": levels, "bpp": bpp,
                "psnr_quantized": quantized, "psnr_restored": restored,
            })  # fmt: skip
            tqdm.write(
                f"{minutes:7.1f} min  N {levels:3d}  {bpp:.3f} bpp  "
                f"quantized {quantized:.2f} dB  restored {restored:.2f} dB"
            )

    def save(self) -> None:
        """Writes the state to resume from and the averaged weights, each atomically."""
        state = {
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        temporary = self.folder / "state.pt.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.folder / "state.pt")
        cast(TensorObjective, self.average.module).save(self.folder / "model")

    def _resume(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state_file = self.folder / "state.pt"
        if state_file.exists():
            state = torch.load(state_file, map_location="cpu", weights_only=True)
            try:
                self.objective.load_state_dict(state["objective"])
                self.average.load_state_dict(state["average"])
                self.optimizer.load_state_dict(state["optimizer"])
                self.step, self.seconds = state["step"], state["seconds"]
            except (KeyError, RuntimeError, ValueError) as error:
                raise ParameterError(
                    f"{self.folder} holds a run of other networks; choose another folder."
                ) from error
        elif self.accelerator.is_main_process:
            options = json.dumps(asdict(self.options), indent=2)
            (self.folder / "options.json").write_text(options + "\n")

    def _log(self, row: dict[str, float]) -> None:
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, CSV_FIELDS, restval="")
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def small_vae(channels: int = 16) -> AutoencoderKL:
    """A fresh ``AutoencoderKL`` of 2.1 million parameters, 8 pixels a latent position.

    Without attention, whose cost would grow with the square of the image's area.

    Args:
        channels: of the latents, at least 2.
    """
    return AutoencoderKL(
        block_out_channels=(16, 32, 64, 112),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=8,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.0,
    )


def small_restorer(channels: int) -> QannUNet:
    """A fresh restoration network of 1.9 million parameters for one latent tensor."""
    return QannUNet(band_channels=(channels,), band_levels=(0,), widths=(96, 128))


def train_vae(
    folders: Sequence[Path],
    out: Path,
    options: TensorOptions,
    channels: int = 16,
    exclude: Sequence[Path] = (),
) -> None:
    """Trains a small ``AutoencoderKL`` for this codec on the photos below ``folders``.

    Args:
        channels: of the latents.
        exclude: files to leave out.

    Raises:
        ParameterError: no usable photos, or options out of range.
    """
    if not 2 <= channels <= 64:
        raise ParameterError(f"A VAE of {channels} latent channels is not made; give 2 to 64.")
    torch.manual_seed(options.seed)
    vae = small_vae(channels)
    photos = _photos(folders, options, downsampling_factor(vae), exclude)
    TensorRun(out, photos, options, VaeObjective(vae)).run()


def train_restorer(
    folders: Sequence[Path],
    out: Path,
    vae: str | Path,
    options: TensorOptions,
    exclude: Sequence[Path] = (),
) -> None:
    """Trains a restoration network for a frozen diffusers VAE on the photos below ``folders``.

    Args:
        vae: the folder of an ``AutoencoderKL`` or ``AutoencoderTiny``, a folder or a run's
            ``model`` with ``vae/`` in it, a bundled model's name, or ``hub:OWNER/NAME``.
        exclude: files to leave out.

    Raises:
        ModelError: when the VAE cannot be found or loaded.
        ParameterError: no usable photos, or options out of range.
    """
    network = load_vae(resolve_folder(vae))
    torch.manual_seed(options.seed)
    qann = small_restorer(latent_channels(network))
    photos = _photos(folders, options, downsampling_factor(network), exclude)
    TensorRun(out, photos, options, RestorerObjective(network, qann)).run()


def _photos(
    folders: Sequence[Path], options: TensorOptions, factor: int, exclude: Sequence[Path]
) -> PhotoSet:
    if options.crop % factor or options.crop < 2 * factor:
        raise ParameterError(
            f"The crop is {options.crop} pixels; it must be a multiple of {factor}, and at least "
            f"{2 * factor}."
        )
    return load_photos(find_images(folders, exclude), options.crop)
