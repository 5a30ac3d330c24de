"""Training of the learned prior on a frozen encoder: resumable, by budget, logged.

The network computes with rounded weights and activations from the first step on, so that what it
learns is what the integers will do.
"""

from __future__ import annotations

import csv
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..entropy import coder_by_name
from ..errors import ParameterError
from ..files import find_images
from ..models import load_networks
from ..prior import PriorNetwork
from ..prior_weights import exact_network, load_prior, save_prior, trainable
from ..quantization import step_for_levels
from ..vae import WaveletVAE
from ..wavelet import Pyramid
from .data import CropStream, PhotoSet, centre_crops, load_photos
from .loop import VALIDATION_LEVELS, centred
from .objective import quantize_batch
from .optimizer import WARM_UP_STEPS, HybridOptimizer
from .prior_tables import fit_tables

CSV_FIELDS = ("step", "minutes", "loss", "gradient_norm", "levels", "bpp", "bpp_brotli", "ratio")

VALIDATION_CROP, VALIDATION_CROPS = 256, 24

DRAWS_PER_BATCH = 2
"""Steps, each at other N, on crops that were encoded once."""

TABLE_CROPS = 192
"""Training crops, VALIDATION_CROP pixels wide, on which the frequency tables are counted."""


@dataclass(frozen=True)
class PriorOptions:
    """What a run is told.

    Attributes:
        minutes: the whole budget, resumed time included.
        batch: crops per step; crop: their side in pixels, a multiple of 16.
        min_levels, max_levels: N is drawn log-uniformly between them, per image.
        rate: factor on all learning rates; below one to train a trained prior further.
        seed: of crops and N.
    """

    minutes: float = 40.0
    batch: int = 6
    crop: int = 128
    min_levels: int = 18
    max_levels: int = 480
    rate: float = 1.0
    seed: int = 0
    checkpoint_minutes: float = 3.0
    validation_minutes: float = 5.0


class PriorTrainingRun:
    """One run in one folder: ``state.pt`` and ``log.csv``.

    Args:
        folder: where it goes; an unfinished run there is resumed.
        photos: what to train and validate on.
        vae: the frozen encoder. network: the prior to start from.
    """

    def __init__(
        self,
        folder: Path,
        photos: PhotoSet,
        options: PriorOptions,
        vae: WaveletVAE,
        network: PriorNetwork,
    ) -> None:
        if options.crop % 16 or options.crop < 32:
            raise ParameterError("crop must be a multiple of 16 and at least 32 pixels.")
        self.folder, self.options, self.photos = folder, options, photos
        self.vae = vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.network = network
        self.optimizer = HybridOptimizer(nn.ModuleDict({"context": network}))
        self.step, self.seconds = 0, 0.0
        self._resume()
        seed = options.seed + self.step
        self._random = np.random.default_rng(seed + 7)
        self._crops = CropStream(photos.training, options.crop, options.batch, seed)
        self._validation = self._validation_set()

    def run(self) -> None:
        """Trains until the budget is spent."""
        last_save = last_validation = time.monotonic()
        budget = self.options.minutes * 60
        with tqdm(total=round(budget), desc="Training", unit="s") as bar:
            while self.seconds < budget:
                started = time.monotonic()
                latents = self.encode(self._crops.next())
                for _ in range(DRAWS_PER_BATCH):
                    loss, norm = self._train_step(latents, self.seconds / budget)
                self.seconds += time.monotonic() - started
                bar.update(min(round(budget), int(self.seconds)) - bar.n)
                if self.step % 20 == 0:
                    bar.set_postfix(step=self.step, loss=f"{loss:.3f}")
                    self._log({"loss": loss, "gradient_norm": norm})
                now = time.monotonic()
                if now - last_validation > self.options.validation_minutes * 60:
                    self.validate()
                    last_validation = now
                if now - last_save > self.options.checkpoint_minutes * 60:
                    self.save()
                    last_save = now
        self.validate()
        self.save()

    @torch.no_grad()
    def encode(self, crops: np.ndarray) -> Pyramid:
        """uint8 (B, H, W, 3) to latents, float32."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return tuple(band.float() for band in self.vae.analysis(centred(crops)))

    def _train_step(self, latents: Pyramid, share: float) -> tuple[float, float]:
        levels = self._draw_levels(len(latents[0]))
        quantized = quantize_batch(latents, step_for_levels(levels))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            bits = self.network.bits(quantized, quantized, levels)
        pixels = self.options.crop**2
        # The logarithm weighs every image and N alike; the constant keeps flat crops from ruling.
        loss = torch.log(bits / pixels + 0.01).mean()
        loss.backward()
        factor = min(1.0, (self.step + 1) / WARM_UP_STEPS) * min(1.0, 1.4 * (1 - share) + 0.002)
        norm = self.optimizer.step(factor * self.options.rate)
        self.step += 1
        return loss.item(), norm

    def _validation_set(self) -> dict[int, tuple[Pyramid, float, float]]:
        """Per N: integers of the validation crops, Brotli's bits per pixel, and the LL band's."""
        large = [p for p in self.photos.validation if min(p.shape[:2]) >= VALIDATION_CROP]
        if not large:
            return {}
        crops = centre_crops(large[:VALIDATION_CROPS], VALIDATION_CROP)
        latents = self.encode(crops)
        brotli, sets = coder_by_name("brotli"), {}
        for levels in VALIDATION_LEVELS:
            step = step_for_levels(torch.full((len(crops),), float(levels)))
            quantized = quantize_batch(latents, step)
            sizes, lows = [], []
            for index in range(len(crops)):
                bands = [band[index].numpy().astype(np.int32) for band in quantized]
                payload = brotli.encode(bands, levels)
                shapes = [band.shape for band in bands]
                sizes.append(len(payload))
                lows.append(brotli.bytes_by_band(payload, shapes, levels)[0])
            scale = 8 / VALIDATION_CROP**2
            sets[levels] = quantized, scale * float(np.mean(sizes)), scale * float(np.mean(lows))
        return sets

    @torch.no_grad()
    def validate(self) -> None:
        """Logs estimated bits per pixel (LL as Brotli codes it) against Brotli's real bytes."""
        for number, (quantized, brotli, low) in self._validation.items():
            levels = torch.full((len(quantized[0]),), float(number))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                bits = self.network.bits(quantized, quantized, levels).mean().item()
            bpp = bits / VALIDATION_CROP**2 + low
            row = {"levels": number, "bpp": bpp, "bpp_brotli": brotli, "ratio": bpp / brotli}
            self._log(row)
            tqdm.write(
                f"{self.seconds / 60:7.1f} min  step {self.step}  N {number:3d}  {bpp:.4f} bpp  "
                f"Brotli {brotli:.4f} bpp  {100 * (bpp / brotli - 1):+.1f} %"
            )

    def export(self) -> Path:
        """Fits the frequency tables and writes the prior as integers; returns its folder."""
        folder = self.folder / "prior"
        frozen = exact_network(self.network)
        frequencies = fit_tables(frozen, tqdm(self._table_samples(), "Fitting tables"))
        save_prior(self.network, frequencies, folder)
        return folder

    def _table_samples(self) -> list[tuple[Pyramid, Tensor]]:
        """Integers of training crops at random N."""
        large = [p for p in self.photos.training if min(p.shape[:2]) >= VALIDATION_CROP]
        side = VALIDATION_CROP if large else self.options.crop
        stream = CropStream(large or self.photos.training, side, 1, self.options.seed + 1)
        samples = []
        for _ in range(TABLE_CROPS):
            levels = self._draw_levels(1)
            latents = self.encode(stream.next())
            samples.append((quantize_batch(latents, step_for_levels(levels)), levels))
        return samples

    def _draw_levels(self, count: int) -> Tensor:
        low, high = np.log(self.options.min_levels), np.log(self.options.max_levels)
        drawn = np.round(np.exp(self._random.uniform(low, high, count)))
        return torch.tensor(drawn, dtype=torch.float32)

    def save(self) -> None:
        """Writes the state to resume from, atomically."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        temporary = self.folder / "state.pt.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.folder / "state.pt")

    def _resume(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state_file = self.folder / "state.pt"
        if state_file.exists():
            state = torch.load(state_file, map_location="cpu", weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = state["step"], state["seconds"]
        else:
            options = json.dumps(asdict(self.options), indent=2)
            (self.folder / "options.json").write_text(options + "\n")

    def _log(self, row: dict[str, float]) -> None:
        path = self.folder / "log.csv"
        new = not path.exists()
        row = {"step": self.step, "minutes": round(self.seconds / 60, 3), **row}
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, CSV_FIELDS, restval="")
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def train_prior(
    folders: list[Path],
    model: Path,
    out: Path,
    options: PriorOptions,
    init: Path | None = None,
    exclude: list[Path] | None = None,
) -> Path:
    """Trains a prior for a model on the photos below ``folders`` and writes it to ``out/prior``.

    Args:
        model: the model folder whose encoder, frozen, makes the latents.
        init: a ``prior`` folder to start from instead of a fresh network.
        exclude: files to leave out.

    Raises:
        ParameterError: no usable photos, or options out of range.
        ModelError: the model or the prior to start from cannot be loaded.
    """
    vae = load_networks(model)[0]
    photos = load_photos(find_images(folders, exclude or ()), options.crop)
    torch.manual_seed(options.seed)
    network = PriorNetwork() if init is None else trainable(load_prior(init).network)
    run = PriorTrainingRun(out, photos, options, vae, network)
    run.run()
    return run.export()
