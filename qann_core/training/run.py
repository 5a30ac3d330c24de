"""A training run, whatever it trains: a budget, checkpoints to resume from, and a log.

It runs in one process or many, as accelerate is told; the main one writes and validates.
"""

from __future__ import annotations

import copy
import csv
import json
import os
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

from ..errors import ParameterError
from .arithmetic import described, training_dtype
from .data import CropStream, DeviceCrops, PhotoSet
from .graph import GraphedStep, Step
from .optimizer import HybridOptimizer


@dataclass(frozen=True)
class RunOptions:
    """What every run is told; saved beside its checkpoints.

    Attributes:
        minutes: budget, resumed time included; or
        steps: the budget as a number of optimizer steps instead (0: use minutes).
        batch: crops per step and process; crop: their side in pixels.
        ema_decay: of the weights' average, which is what is validated and saved (0: no average);
            less at first, (1 + step) / (10 + step), so that it does not lag behind a young run.
        rate: factor on all learning rates; below one to train trained weights further.
        seed: of crops, N and noise.
        checkpoint_minutes, validation_minutes: from one to the next.
    """

    minutes: float
    batch: int
    crop: int
    steps: int = 0
    ema_decay: float = 0.0
    rate: float = 1.0
    seed: int = 0
    checkpoint_minutes: float = 4.0
    validation_minutes: float = 6.0


_REPLAYS = 10
"""Steps that CUDA takes between two looks at the clock and at the loss."""


@dataclass
class Progress:
    """Where a run stands; what a resumed run starts from. Only some runs have stages."""

    step: int = 0
    seconds: float = 0.0
    stage: str = ""
    steps_in_stage: int = 0


def check_crop(crop: int, factor: int) -> None:
    """Raises ParameterError where a crop's side is no multiple of ``factor``, or is too small."""
    if crop % factor or crop < 2 * factor:
        raise ParameterError(
            f"The crop is {crop} pixels; it must be a multiple of {factor}, and at least "
            f"{2 * factor}."
        )


def stored(network: nn.Module) -> nn.Module:
    """A copy of a network on the processor, laid out as files have it."""
    network = copy.deepcopy(network).cpu()
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()
    return network


class BudgetedRun:
    """One run in one folder: ``state.pt``, ``options.json`` and ``log.csv``.

    Args:
        folder: where all of it goes; an unfinished run there is resumed.
        photos: what to train and validate on.
        options: the run's settings.
        objective: what to minimise, with its networks.

    Raises:
        ParameterError: when the folder holds a run of other networks.
    """

    csv_fields: tuple[str, ...]
    """Columns of the log besides the step and the minutes."""

    log_every = 50
    """Steps from one logged update to the next."""

    find_unused_parameters = False
    """Whether some steps leave some parameters without a gradient."""

    graphed = False
    """Whether steps of one kind are all alike, so that one CUDA device has them as a graph."""

    level_range: tuple[int, int]
    """N is drawn log-uniformly between them, per image."""

    options: RunOptions

    def __init__(
        self, folder: Path, photos: PhotoSet, options: RunOptions, objective: nn.Module
    ) -> None:
        self.folder, self.photos, self.options = folder, photos, options
        distributed = DistributedDataParallelKwargs(
            find_unused_parameters=self.find_unused_parameters
        )
        on_cpu = not torch.cuda.is_available()
        dtype = training_dtype(torch.device("cpu" if on_cpu else "cuda"))
        self.accelerator = Accelerator(
            cpu=on_cpu,
            mixed_precision="bf16" if dtype == torch.bfloat16 else "no",
            kwargs_handlers=[distributed],
        )
        self.device = self.accelerator.device
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
            objective = objective.to(self.device)
            objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Before all that refers to the parameters: it may give them other memory.
        self.forward = self.accelerator.prepare(objective)
        self.objective = objective
        self.optimizer = HybridOptimizer(self.objective, dtype)
        self.average = copy.deepcopy(self.objective) if options.ema_decay else None
        self.progress = Progress()
        self._resume()
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

    def update(self, share: float) -> dict[str, float]:
        """Takes one or more optimizer steps; returns what the log says of the last one.

        Args:
            share: part of the budget that is spent.

        Returns:
            Figures by the log's columns, ``loss`` among them.
        """
        raise NotImplementedError

    def validate(self) -> None:
        """Reports figures on photos that are not trained on, where there are any."""
        raise NotImplementedError

    def save_networks(self) -> None:
        """Writes, at each checkpoint, what can be used already; by default nothing."""

    def finish(self) -> None:
        """Writes what is made of a run at its end; by default nothing."""

    @property
    def averaged(self) -> nn.Module:
        """The objective with the averaged weights, or where there are none with the newest."""
        return self.objective if self.average is None else self.average

    def run(self) -> None:
        """Trains until the budget is spent; validates and saves now and then, and at the end."""
        main, options = self.accelerator.is_main_process, self.options
        if main:
            for line in (*self.photos.notes, described(self.device)):
                tqdm.write(line)
        budget = options.steps or round(options.minutes * 60)
        unit = "step" if options.steps else "s"
        every = {self.validate: options.validation_minutes, self.save: options.checkpoint_minutes}
        last = dict.fromkeys(every, time.monotonic())
        with tqdm(total=budget, desc="Training", unit=unit, disable=not main) as bar:
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
            self.validate()
            self.save()
            self.finish()
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def take_steps(self, kind: str, step: Step, factor: float) -> dict[str, float]:
        """Takes one step, or on CUDA so many that waiting for the last one costs little.

        Args:
            kind: what a graph of the step is kept under.
            step: see ``Step``.
            factor: on the learning rates.

        Returns:
            The figures of the last step.
        """
        self.optimizer.scale_rates(factor * self.options.rate)
        count = 1
        # Gradients of several processes are exchanged by the host.
        alone = self.accelerator.num_processes == 1
        if self.graphed and alone and self.device.type == "cuda":
            if kind not in self._graphs:
                self._graphs[kind] = GraphedStep(step)
            step, count = self._graphs[kind], _REPLAYS
        for _ in range(count):
            figures = step()
        self.progress.step += count
        self.progress.steps_in_stage += count
        return {name: figure.item() for name, figure in figures.items()}

    def descend(self, loss: Tensor) -> Tensor:
        """One update of the networks and of their average; the gradients' norm, ()."""
        self.accelerator.backward(loss)
        norm = self.optimizer.step()
        if self.average is not None:
            self._follow(self.average)
        return norm

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
        """N for so many images, (B,) float."""
        low, high = np.log(self.level_range)
        return torch.empty(count, device=self.device).uniform_(low, high).exp_().round_()

    def report(self, levels: int, text: str, **figures: float) -> None:
        """Logs the figures of a validation at N and prints what they say."""
        self._log({"levels": levels, **figures})
        minutes, step = self.progress.seconds / 60, self.progress.step
        tqdm.write(f"{minutes:7.1f} min  step {step}  N {levels:3d}  {text}")

    def save(self) -> None:
        """Writes the state to resume from, atomically, and what ``save_networks`` does."""
        state: dict[str, Any] = {name: part.state_dict() for name, part in self._parts().items()}
        state["progress"] = asdict(self.progress)
        state["processes"] = self.accelerator.num_processes
        temporary = self.folder / "state.pt.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.folder / "state.pt")
        self.save_networks()

    def _resume(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state_file = self.folder / "state.pt"
        if state_file.exists():
            state = torch.load(state_file, map_location="cpu", weights_only=True)
            try:
                for name, part in self._parts().items():
                    part.load_state_dict(state[name])
                self.progress = Progress(**state["progress"])
            except (KeyError, RuntimeError, ValueError) as error:
                raise ParameterError(
                    f"{self.folder} holds a run of other networks; choose another folder."
                ) from error
        elif self.accelerator.is_main_process:
            arithmetic = str(training_dtype(self.device)).removeprefix("torch.")
            options = json.dumps({**asdict(self.options), "arithmetic": arithmetic}, indent=2)
            (self.folder / "options.json").write_text(options + "\n", encoding="utf-8")

    def _parts(self) -> dict[str, Any]:
        """What has a state of its own."""
        parts = {"objective": self.objective, "optimizer": self.optimizer}
        return parts if self.average is None else {**parts, "average": self.average}

    def _share(self) -> float:
        """Part of the budget that is spent; the main process's clock counts for all."""
        if self.options.steps:
            return self.progress.step / self.options.steps
        share = torch.tensor(self.progress.seconds / (self.options.minutes * 60))
        return float(broadcast(share) if self.accelerator.num_processes > 1 else share)

    def _show(self, bar: tqdm, figures: dict[str, float]) -> None:
        """Brings the bar up to date and, once in a while, the log."""
        progress = self.progress
        done = progress.step if self.options.steps else progress.seconds
        bar.update(min(bar.total, int(done)) - bar.n)
        bar.set_postfix(self._stage(), loss=f"{figures['loss']:.3f}")
        if progress.step % self.log_every == 0:
            self._log(figures)

    def _log(self, row: dict[str, float]) -> None:
        minutes = round(self.progress.seconds / 60, 3)
        full = {"step": self.progress.step, "minutes": minutes, **self._stage(), **row}
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, ("step", "minutes", *self.csv_fields), restval="")
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in full.items()})

    def _stage(self) -> dict[str, str]:
        return {"stage": self.progress.stage} if self.progress.stage else {}
