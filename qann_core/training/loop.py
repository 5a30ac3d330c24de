"""The training run: stages by budget, one process or many, resumable at any moment."""

import csv
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ..errors import ParameterError
from ..files import find_images
from ..models import prior_folder
from ..prior import PriorNetwork
from ..prior_weights import Prior, load_prior, save_prior, trainable
from ..quantization import step_for_levels
from ..restoration import QannUNet
from ..vae import WaveletVAE
from .data import CropStream, PhotoSet, centre_crops, load_photos
from .objective import STAGES, Objective, quantize_batch, scale
from .optimizer import HybridOptimizer, rate_factor
from .report import draw_curves
from .sizes import fresh_networks

VALIDATION_LEVELS = (40, 88, 196)
CSV_FIELDS = (
    "step", "minutes", "stage", "loss", "gradient_norm", "rate_factor",
    "levels", "bpp", "psnr_quantized", "psnr_restored",
)  # fmt: skip


@dataclass(frozen=True)
class TrainingOptions:
    """What a run is told; saved beside its checkpoints.

    Attributes:
        minutes: budget over all stages, resumed time included; or
        steps: the budget as a number of optimizer steps instead (0: use minutes).
        batch: crops per step and process; crop: their side in pixels, a multiple of 16.
        skeleton_share, finish_share: parts of the budget for restoration alone, first on the
            plain wavelet and last on the final encoder. The rest is joint.
        min_levels, max_levels: N is drawn log-uniformly between them, per image.
        rate: factor on all learning rates; below one to train trained weights further.
        seed: of crops, N and noise.
        compile: fuse the joint stage with torch.compile (needs a C++ compiler and some minutes).
    """

    minutes: float = 120.0
    steps: int = 0
    batch: int = 6
    crop: int = 256
    skeleton_share: float = 0.08
    finish_share: float = 0.12
    min_levels: int = 18
    max_levels: int = 480
    ema_decay: float = 0.998
    rate: float = 1.0
    seed: int = 0
    compile: bool = False
    checkpoint_minutes: float = 4.0
    validation_minutes: float = 6.0


@dataclass
class Progress:
    """Where a run stands; what a resumed run starts from."""

    step: int = 0
    seconds: float = 0.0
    stage: str = STAGES[0]
    steps_in_stage: int = 0


def stage_at(share: float, options: TrainingOptions) -> tuple[str, float]:
    """Stage and the progress within it, at ``share`` (0 to 1) of the whole budget."""
    edges = (0.0, options.skeleton_share, 1 - options.finish_share, 1.0)
    index = 0 if share < edges[1] else 1 if share < edges[2] else 2
    width = edges[index + 1] - edges[index]
    return STAGES[index], min(1.0, (share - edges[index]) / width) if width else 1.0


class TrainingRun:
    """One run in one folder: ``state.pt`` and ``log.csv`` to resume from, ``model/`` to use.

    Args:
        folder: where all of it goes; an unfinished run there is resumed.
        photos: what to train and validate on.
        options: the run's settings.
        vae, qann: the networks to start from.
        prior: a learned prior to join the rate and to train along, or None.
    """

    def __init__(
        self,
        folder: Path,
        photos: PhotoSet,
        options: TrainingOptions,
        vae: WaveletVAE,
        qann: QannUNet,
        prior: Prior | None = None,
    ) -> None:
        if options.crop % 16 or options.crop < 32:
            raise ParameterError("crop must be a multiple of 16 and at least 32 pixels.")
        self.folder, self.options = folder, options
        self.accelerator = Accelerator(
            mixed_precision="bf16", kwargs_handlers=_distributed_options()
        )
        self._tables = prior.tables if prior else None
        context = trainable(prior.network) if prior else None
        self.objective = Objective(vae, qann, context).to(self.accelerator.device)
        self.average = AveragedModel(
            self.objective, multi_avg_fn=get_ema_multi_avg_fn(options.ema_decay)
        )
        self.optimizer = HybridOptimizer(self.objective)
        self.progress = Progress()
        self._resume()
        self._forward = self.accelerator.prepare(self.objective)
        # Only the long joint stage repays the minutes that compiling takes.
        self._joint = (
            torch.compile(self._forward, dynamic=False) if options.compile else self._forward
        )
        torch.manual_seed(options.seed + 1000 * self.accelerator.process_index + self.progress.step)
        self._random = np.random.default_rng(options.seed + 7 + self.progress.step)
        self._crops = CropStream(
            photos.training,
            options.crop,
            options.batch,
            options.seed + self.progress.step + 7919 * self.accelerator.process_index,
        )
        self._validation = (
            centre_crops(photos.validation, options.crop) if (photos.validation) else None
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
                figures = self._step(*stage_at(share, self.options))
                self.progress.seconds += time.monotonic() - started
                if main:
                    done = self.progress.step if self.options.steps else self.progress.seconds
                    bar.update(min(budget, int(done)) - bar.n)
                    bar.set_postfix(stage=self.progress.stage, loss=f"{figures['loss']:.3f}")
                    if self.progress.step % 50 == 0:
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
                draw_curves(self.folder / "log.csv", self.folder / "curves.png")
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def _share(self) -> float:
        """Part of the budget that is spent; the main process's clock counts for all."""
        if self.options.steps:
            return self.progress.step / self.options.steps
        share = torch.tensor(self.progress.seconds / (self.options.minutes * 60))
        return float(broadcast(share) if self.accelerator.num_processes > 1 else share)

    def _step(self, stage: str, stage_progress: float) -> dict[str, float | str | int]:
        progress = self.progress
        if stage != progress.stage:
            progress.stage, progress.steps_in_stage = stage, 0
        options = self.options
        low, high = np.log(options.min_levels), np.log(options.max_levels)
        levels = np.round(np.exp(self._random.uniform(low, high, options.batch)))
        images = centred(self._crops.next()).to(self.accelerator.device)
        with self.accelerator.autocast():
            forward = self._joint if stage == "joint" else self._forward
            loss, figures = forward(
                images, torch.tensor(levels, dtype=torch.float32, device=images.device), stage
            )
        self.accelerator.backward(loss)
        factor = rate_factor(stage_progress, stage, progress.steps_in_stage)
        norm = self.optimizer.step(factor * options.rate)
        self.average.update_parameters(self.objective)
        progress.step += 1
        progress.steps_in_stage += 1
        return {
            "step": progress.step, "minutes": round(progress.seconds / 60, 3), "stage": stage,
            "loss": loss.item(), "gradient_norm": norm, "rate_factor": factor,
            "bpp": figures[0].item(),
            "psnr_quantized": _psnr(figures[1].item()), "psnr_restored": _psnr(figures[2].item()),
        }  # fmt: skip

    @torch.no_grad()
    def validate(self) -> None:
        """Logs estimated rate and PSNR, quantized and restored, of the averaged weights."""
        if self._validation is None:
            return
        objective = cast(Objective, self.average.module)
        for levels in VALIDATION_LEVELS:
            rows = []
            for crops in np.array_split(self._validation, -(-len(self._validation) // 8)):
                images = centred(crops).to(self.accelerator.device)
                with self.accelerator.autocast():
                    rows.append(_figures(objective, images, levels, self.progress.stage))
            bpp, quantized, restored = torch.cat(rows, 1).mean(1).tolist()
            row = {
                "step": self.progress.step, "minutes": round(self.progress.seconds / 60, 3),
                "stage": self.progress.stage, "levels": levels, "bpp": bpp,
                "psnr_quantized": quantized, "psnr_restored": restored,
            }  # fmt: skip
            self._log(row)
            tqdm.write(
                f"{row['minutes']:7.1f} min  {self.progress.stage:8s}  N {levels:3d}  "
                f"{bpp:.3f} bpp  quantized {quantized:.2f} dB  restored {restored:.2f} dB"
            )

    def save(self) -> None:
        """Writes the state to resume from and the averaged weights, each atomically."""
        state = {
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "processes": self.accelerator.num_processes,
        }
        temporary = self.folder / "state.pt.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.folder / "state.pt")
        objective = cast(Objective, self.average.module)
        objective.vae.save_pretrained(self.folder / "model" / "vae")
        objective.qann.save_pretrained(self.folder / "model" / "qann")
        if self._tables is not None:
            # Classes keep their meaning, so the tables there were serve until they are fitted anew.
            network = cast(PriorNetwork, objective.context)
            save_prior(network, self._tables.frequencies, prior_folder(self.folder / "model"))

    def _resume(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state_file = self.folder / "state.pt"
        if state_file.exists():
            state = torch.load(state_file, map_location="cpu", weights_only=True)
            self.objective.load_state_dict(state["objective"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.progress = Progress(**state["progress"])
        elif self.accelerator.is_main_process:
            options = json.dumps(asdict(self.options), indent=2)
            (self.folder / "options.json").write_text(options + "\n")

    def _log(self, row: dict) -> None:
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, CSV_FIELDS, restval="")
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def centred(crops: np.ndarray) -> Tensor:
    """uint8 (B, H, W, 3) -> float (B, 3, H, W) minus 127.5, laid out channels last."""
    return torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float() - 127.5


def _figures(objective: Objective, images: Tensor, levels: int, stage: str) -> Tensor:
    """(3, B): estimated bits per pixel, PSNR quantized and PSNR restored, rounding for real."""
    count = images.shape[0]
    told = torch.full((count,), float(levels), device=images.device)
    step = step_for_levels(told)
    latents = objective.vae.analysis(images)
    quantized = quantize_batch(latents, step)
    decoded = scale(quantized, step)
    bits = objective.rate(quantized, decoded, told, step) / (images.shape[-1] * images.shape[-2])
    corrections = objective.qann(quantized, told)
    corrected = tuple(q + c for q, c in zip(quantized, corrections, strict=True))
    images_out = [objective.vae.synthesis(y) for y in (decoded, scale(corrected, step))]
    psnrs = [
        -10 * ((out.clamp(-127.5, 127.5) - images).square().mean((1, 2, 3)) / 255**2).log10()
        for out in images_out
    ]
    return torch.stack((bits, *psnrs))


def _psnr(mse: float) -> float:
    return 10 * float(np.log10(255**2 / mse)) if mse > 0 else float("nan")


def _distributed_options() -> list:
    from accelerate import DistributedDataParallelKwargs

    # Every stage leaves some network alone, so some parameters get no gradient.
    return [DistributedDataParallelKwargs(find_unused_parameters=True)]


def train(
    folders: list[Path],
    out: Path,
    options: TrainingOptions,
    init: Path | None = None,
    exclude: list[Path] | None = None,
    size: str = "default",
    learned_prior: bool = False,
) -> None:
    """Trains on the photos below ``folders``; see ``TrainingRun``.

    Args:
        init: a model folder (``vae/`` and ``qann/``) to start from instead of fresh networks.
        exclude: files to leave out.
        size: of fresh networks, one of ``sizes.SIZES``.
        learned_prior: the prior of ``init`` joins the rate and trains along.

    Raises:
        ParameterError: no usable photos, or options out of range.
        ModelError: ``init`` has no prior that can be loaded, though it is asked for.
    """
    if learned_prior and init is None:
        raise ParameterError("A learned prior is trained along only from a model that has one.")
    prior = load_prior(prior_folder(init)) if learned_prior and init else None
    photos = load_photos(find_images(folders, exclude or ()), options.crop)
    torch.manual_seed(options.seed)
    if init is None:
        vae, qann = fresh_networks(size)
    else:
        vae = WaveletVAE.from_pretrained(init / "vae")
        qann = QannUNet.from_pretrained(init / "qann")
    TrainingRun(out, photos, options, vae, qann, prior).run()
