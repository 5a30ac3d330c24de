"""The one training loop, whatever it trains: a budget, checkpoints to resume from, and a log.

It runs in one process or many, as accelerate is configured; the main one writes and validates.
"""

import copy
import json
import math
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast
from torch import Tensor, nn
from tqdm import tqdm

from ..common.errors import ParameterError, TrainingError
from ..common.signals import handled
from ..networks.precision import training_dtype
from ..networks.samples import centred
from .checkpoint import Log, load_state, save_networks, save_state
from .data import CropStream, DeviceCrops, PhotoSet, centre_crops
from .graph import GraphedStep
from .objective import Objective, Stage, levels_like, stage_at
from .optimizer import WARM_UP_STEPS, HybridOptimizer
from .options import RunOptions
from .report import draw_curves

LOG_EVERY = 20
"""Steps from one logged update to the next."""

_REPLAYS = 10
"""Steps that CUDA takes between two looks at the clock and at the loss."""


@dataclass
class Progress:
    """Where a run stands; what a resumed run starts from."""

    step: int = 0
    seconds: float = 0.0
    stage: str = ""
    steps_in_stage: int = 0


class TrainingRun:
    """One run in one folder: ``state.pt``, ``options.json``, ``log.csv``, ``model/``.

    Args:
        folder: where all of it goes; an unfinished run there is resumed.
        photos: what to train and validate on.
        options: the run's settings.
        objective: what to minimise, with its networks; ``model/`` has their averaged weights.

    Raises:
        ParameterError: when the folder holds a run of other networks, or a damaged one.
    """

    def __init__(
        self, folder: Path, photos: PhotoSet, options: RunOptions, objective: Objective
    ) -> None:
        self.folder, self.photos, self.options = folder, photos, options
        on_cpu = not torch.cuda.is_available()
        self.dtype = training_dtype(torch.device("cpu" if on_cpu else "cuda"))
        self.arithmetic = str(self.dtype).removeprefix("torch.")
        self.accelerator = Accelerator(
            cpu=on_cpu,
            mixed_precision="bf16" if self.dtype == torch.bfloat16 else "no",
            kwargs_handlers=[
                DistributedDataParallelKwargs(find_unused_parameters=objective.partial)
            ],
        )
        self.device = self.accelerator.device
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
            objective.to(self.device)
            objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Before all that refers to the parameters: it may give them other memory.
        self.forward = self.accelerator.prepare(objective)
        self.objective = objective
        self.optimizer = HybridOptimizer(objective, self.dtype)
        self.average = copy.deepcopy(objective) if options.ema_decay else None
        self.progress = Progress()
        self._resume()
        names = ("step", "minutes", "stage", "loss", "gradient_norm", "rate_factor", "levels")
        self._log = Log(folder / "log.csv", (*names, *objective.columns))
        self._steps = torch.tensor(float(self.progress.step), device=self.device)
        seed, process = options.seed + self.progress.step, self.accelerator.process_index
        torch.manual_seed(seed + 1000 * process)
        self.crops: CropStream | DeviceCrops
        batches = photos.training, options.crop, options.batch
        if self.device.type == "cuda":
            self.crops = DeviceCrops(*batches, self.device)
        else:
            self.crops = CropStream(*batches, seed + 7919 * process)
        self._graphs: dict[str, GraphedStep] = {}
        self._interrupted = False

    @property
    def averaged(self) -> Objective:
        """The objective with the averaged weights, or where there are none with the newest."""
        return self.objective if self.average is None else self.average

    def run(self) -> None:
        """Trains until the budget is spent; validates and saves now and then, and at the end.

        Raises:
            TrainingError: when the loss is not finite; the last checkpoint stays as it was.
            KeyboardInterrupt: after Ctrl-C, once the step is finished and a checkpoint written.
        """
        main, options = self.accelerator.is_main_process, self.options
        budget = options.steps or math.ceil(options.minutes * 60)
        unit = "step" if options.steps else "s"
        every = {self.validate: options.validation_minutes, self.save: options.checkpoint_minutes}
        last = dict.fromkeys(every, time.monotonic())
        if main:
            why = "" if self.dtype == torch.bfloat16 else ": it has no native bfloat16"
            where = f"Training on {self.device.type} in {self.arithmetic}{why}."
            for line in (*self.photos.notes, where):
                tqdm.write(line)
            if not self.progress.step:
                self.save()
        bar = tqdm(total=budget, desc="Training", unit=unit, disable=not main)
        with handled(self._note_interrupt, signal.SIGINT, signal.SIGTERM), bar:
            while (share := self._share()) < 1:
                started = time.monotonic()
                figures = self.update(share)
                self.progress.seconds += time.monotonic() - started
                if main:
                    self._show(bar, figures)
                    for task, minutes in every.items():
                        if (now := time.monotonic()) - last[task] > minutes * 60:
                            last[task] = now
                            task()
        if main:
            self.save()
        if main and not self._interrupted:
            self.validate()
            if self.photos.validation:
                draw_curves(self.folder / "log.csv", self.folder / "curves.png")
        if self._interrupted:
            raise KeyboardInterrupt
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def update(self, share: float) -> dict[str, float]:
        """Takes one step, or on CUDA so many that waiting for the last one costs little.

        Args:
            share: part of the budget that is spent.

        Returns:
            Figures of the last step by the log's columns, ``loss`` among them.

        Raises:
            TrainingError: when the loss is not finite.
        """
        stage, within = stage_at(share, self.objective.stages)
        progress = self.progress
        if stage.name != progress.stage:
            progress.stage, progress.steps_in_stage = stage.name, 0
        warm_up = min(1.0, (progress.steps_in_stage + 1) / WARM_UP_STEPS)
        factor = warm_up * stage.rate(within)
        self.optimizer.scale_rates(factor * self.options.rate)
        count, graph = 1, None
        # Gradients of several processes are exchanged by the host.
        if self.accelerator.num_processes == 1 and self.device.type == "cuda":
            graph = self._graphs.get(stage.name) or GraphedStep(lambda: self._step(stage))
            self._graphs[stage.name] = graph
            count = _REPLAYS
        for _ in range(count):
            figures = graph() if graph else self._step(stage)
        progress.step += count
        progress.steps_in_stage += count
        values = {name: figure.item() for name, figure in figures.items()}
        if not math.isfinite(values["loss"]):
            raise TrainingError(
                f"The loss is not finite at step {progress.step}, so that the run stopped; "
                f"{self.folder} keeps the last checkpoint before it: try a smaller rate from there."
            )
        return {**values, "rate_factor": factor}

    def _step(self, stage: Stage) -> dict[str, Tensor]:
        """One batch of crops: as many updates of the weights as the objective makes of it."""
        with self.accelerator.autocast():
            batch = self.objective.prepare(self.crops.next().to(self.device))
        for _ in range(self.objective.updates):
            levels = self.draw_levels(self.options.batch)
            with self.accelerator.autocast():
                loss, figures = self.forward(batch, levels, stage.name)
            self.accelerator.backward(loss)
            norm = self.optimizer.step()
            if self.average is not None:
                self._follow(self.average)
        return {"loss": loss.detach(), "gradient_norm": norm, **figures}

    @torch.no_grad()
    def _follow(self, average: nn.Module) -> None:
        """Moves the average towards the newest weights; the step is counted where they are."""
        share = (9 / (10 + self._steps)).clamp_min(1 - self.options.ema_decay)
        averaged = tuple(average.parameters())
        moves = torch._foreach_sub(tuple(self.objective.parameters()), averaged)
        torch._foreach_mul_(moves, share)
        torch._foreach_add_(averaged, moves)
        self._steps += 1

    def draw_levels(self, count: int) -> Tensor:
        """N for so many images, (B,) float, log-uniform."""
        low, high = np.log((self.options.min_levels, self.options.max_levels))
        return torch.empty(count, device=self.device).uniform_(low, high).exp_().round_()

    @torch.no_grad()
    def validate(self) -> None:
        """Logs and prints what the averaged weights do, means over the validation photos."""
        side = self.objective.validation_side or self.options.crop
        photos = [photo for photo in self.photos.validation if min(photo.shape[:2]) >= side]
        if not photos:
            return
        crops = centre_crops(photos[: self.objective.validation_photos], side)
        for levels in self.objective.validation_levels:
            rows: dict[str, list[Tensor]] = {}
            for part in np.array_split(crops, -(-len(crops) // 8)):
                images = centred(part).to(self.device)
                with self.accelerator.autocast():
                    figures = self.averaged.figures(images, levels_like(images, levels))
                for name, figure in figures.items():
                    rows.setdefault(name, []).append(figure)
            means = {name: torch.cat(parts).mean().item() for name, parts in rows.items()}
            self._write({"levels": levels, **means})
            said = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
            minutes, step = self.progress.seconds / 60, self.progress.step
            tqdm.write(f"{minutes:7.1f} min  step {step}  N {levels:3d}  {said}")

    def save(self) -> None:
        """Writes the state to resume from, and ``model/``; both whole or not at all."""
        state: dict[str, Any] = {name: part.state_dict() for name, part in self._parts().items()}
        state["progress"] = asdict(self.progress)
        state["processes"] = self.accelerator.num_processes
        save_state(self.folder, state)
        save_networks(self.averaged, self.folder)

    def _resume(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state = load_state(self.folder)
        if state is not None:
            try:
                for name, part in self._parts().items():
                    part.load_state_dict(state[name])
                self.progress = Progress(**state["progress"])
            except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
                raise ParameterError(
                    f"{self.folder} holds a run of other networks; choose another folder."
                ) from error
        if self.accelerator.is_main_process:
            options = {**asdict(self.options), **self.objective.settings}
            options["arithmetic"] = self.arithmetic
            text = json.dumps(options, indent=2) + "\n"
            (self.folder / "options.json").write_text(text, encoding="utf-8")

    def _parts(self) -> dict[str, Any]:
        """What has a state of its own."""
        parts = {"objective": self.objective, "optimizer": self.optimizer}
        return parts if self.average is None else {**parts, "average": self.average}

    def _share(self) -> float:
        """Part of the budget that is spent, infinite once interrupted; as the main process says."""
        spent = self.progress.seconds / (self.options.minutes * 60)
        if self.options.steps:
            spent = self.progress.step / self.options.steps
        if self._interrupted:
            spent = math.inf
        if self.accelerator.num_processes == 1:
            return spent
        share = float(broadcast(torch.tensor(spent, device=self.device)))
        self._interrupted = share == math.inf
        return share

    def _note_interrupt(self, number: int, frame: object) -> None:
        """Ctrl-C, or a request to terminate, ends the run after the step; a second one at once."""
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        tqdm.write("Stopping after this step and writing a checkpoint.")

    def _show(self, bar: tqdm, figures: dict[str, float]) -> None:
        """Brings the bar up to date and, once in a while, the log."""
        done = self.progress.step if self.options.steps else self.progress.seconds
        bar.update(min(bar.total, int(done)) - bar.n)
        bar.set_postfix(stage=self.progress.stage, loss=f"{figures['loss']:.3f}")
        if self.progress.step % LOG_EVERY == 0:
            self._write(figures)

    def _write(self, row: dict[str, float]) -> None:
        progress = self.progress
        minutes = round(progress.seconds / 60, 3)
        self._log.write({"step": progress.step, "minutes": minutes, "stage": progress.stage, **row})
