"""Training of the learned prior on a frozen encoder.

The network computes with rounded weights and activations from the first step on, so that what it
learns is what the integers will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..coding.network import PriorNetwork
from ..coding.registry import coder_by_name
from ..coding.weights import exact_network, load_prior, save_prior, trainable
from ..files import find_images
from ..models import load_networks
from ..quantization import step_for_levels
from ..samples import centred
from ..vae import WaveletVAE
from ..wavelet import Pyramid
from .data import CropStream, PhotoSet, centre_crops, load_photos
from .loop import CROP_FACTOR, VALIDATION_LEVELS
from .objective import quantize_batch
from .optimizer import WARM_UP_STEPS
from .prior_tables import fit_tables
from .run import BudgetedRun, RunOptions, check_crop, stored

VALIDATION_CROP, VALIDATION_CROPS = 256, 24

DRAWS_PER_BATCH = 2
"""Updates, each at other N, on crops that were encoded once: a step."""

TABLE_CROPS = 192
"""Training crops, VALIDATION_CROP pixels wide, on which the frequency tables are counted."""


@dataclass(frozen=True)
class PriorOptions(RunOptions):
    """What a run is told; see ``RunOptions``.

    Attributes:
        crop: a multiple of 16.
        min_levels, max_levels: N is drawn log-uniformly between them, per image.
    """

    minutes: float = 40.0
    batch: int = 6
    crop: int = 128
    min_levels: int = 18
    max_levels: int = 480
    checkpoint_minutes: float = 3.0
    validation_minutes: float = 5.0


class PriorObjective(nn.Module):
    """The loss of a batch of integers in its forward pass, as distributed training wants it.

    Args:
        context: the prior, under its name in joint training, by which the optimizer knows it.
    """

    def __init__(self, context: PriorNetwork) -> None:
        super().__init__()
        self.context = context

    def forward(self, quantized: Pyramid, levels: Tensor) -> Tensor:
        """Mean logarithm of the bits per pixel of integers (as floats) at these N, (B,)."""
        pixels = 4 * quantized[-1][0, 0].numel()
        bits = self.context.bits(quantized, quantized, levels)
        # The logarithm weighs every image and N alike; the constant keeps flat crops from ruling.
        return torch.log(bits / pixels + 0.01).mean()


class PriorTrainingRun(BudgetedRun):
    """A run on the integers of a frozen encoder; ``prior/`` in its folder has the result.

    Args:
        folder: where all of it goes; an unfinished run there is resumed.
        photos: what to train and validate on.
        options: the run's settings.
        vae: the frozen encoder. network: the prior to start from.
    """

    csv_fields = ("loss", "gradient_norm", "levels", "bpp", "bpp_brotli", "ratio")
    log_every = 20
    graphed = True

    def __init__(
        self,
        folder: Path,
        photos: PhotoSet,
        options: PriorOptions,
        vae: WaveletVAE,
        network: PriorNetwork,
    ) -> None:
        check_crop(options.crop, CROP_FACTOR)
        super().__init__(folder, photos, options, PriorObjective(network))
        self.level_range = options.min_levels, options.max_levels
        self.network = network
        vae = vae.eval().requires_grad_(False).to(self.device)
        self.vae = vae.to(memory_format=torch.channels_last)
        self._validation = self._validation_set()

    def update(self, share: float) -> dict[str, float]:
        """See ``BudgetedRun``."""
        warm_up = min(1.0, (self.progress.step + 1) / WARM_UP_STEPS)
        return self.take_steps("prior", self._step, warm_up * min(1.0, 1.4 * (1 - share) + 0.002))

    @torch.no_grad()
    def encode(self, images: Tensor) -> Pyramid:
        """Centred images (B, 3, H, W) to latents, float32."""
        with self.accelerator.autocast():
            latents = self.vae.analysis(images.to(self.device))
        return tuple(band.float() for band in latents)

    def _step(self) -> dict[str, Tensor]:
        latents = self.encode(self.crops.next())
        for _ in range(DRAWS_PER_BATCH):
            levels = self.draw_levels(len(latents[0]))
            quantized = quantize_batch(latents, step_for_levels(levels))
            with self.accelerator.autocast():
                loss = self.forward(quantized, levels)
            norm = self.descend(loss)
        return {"loss": loss.detach(), "gradient_norm": norm}

    def _validation_set(self) -> dict[int, tuple[Pyramid, float, float]]:
        """Per N: integers of the validation crops, Brotli's bits per pixel, and the LL band's."""
        large = [p for p in self.photos.validation if min(p.shape[:2]) >= VALIDATION_CROP]
        if not large:
            return {}
        crops = centre_crops(large[:VALIDATION_CROPS], VALIDATION_CROP)
        latents = self.encode(centred(crops))
        brotli, sets = coder_by_name("brotli"), {}
        for levels in VALIDATION_LEVELS:
            step = step_for_levels(torch.full((len(crops),), float(levels), device=self.device))
            quantized = quantize_batch(latents, step)
            sizes, lows = [], []
            for index in range(len(crops)):
                bands = [band[index].cpu().numpy().astype(np.int32) for band in quantized]
                payload = brotli.encode(bands, levels)
                shapes = [band.shape for band in bands]
                sizes.append(len(payload))
                lows.append(brotli.bytes_by_band(payload, shapes, levels)[0])
            scale = 8 / VALIDATION_CROP**2
            sets[levels] = quantized, scale * float(np.mean(sizes)), scale * float(np.mean(lows))
        return sets

    @torch.no_grad()
    def validate(self) -> None:
        """Reports estimated bits per pixel (LL as Brotli codes it) and Brotli's real ones."""
        for number, (quantized, brotli, low) in self._validation.items():
            levels = torch.full((len(quantized[0]),), float(number), device=self.device)
            with self.accelerator.autocast():
                bits = self.network.bits(quantized, quantized, levels).mean().item()
            bpp = bits / VALIDATION_CROP**2 + low
            ratio = bpp / brotli
            text = f"{bpp:.4f} bpp  Brotli {brotli:.4f} bpp  {100 * (ratio - 1):+.1f} %"
            self.report(number, text, bpp=bpp, bpp_brotli=brotli, ratio=ratio)

    def finish(self) -> None:
        """Exports the prior."""
        self.export()

    def export(self) -> Path:
        """Fits the frequency tables and writes the prior as integers; returns its folder."""
        folder, network = self.folder / "prior", cast(PriorNetwork, stored(self.network))
        frozen = exact_network(network)
        frequencies = fit_tables(frozen, tqdm(self._table_samples(), "Fitting tables"))
        save_prior(network, frequencies, folder)
        return folder

    def _table_samples(self) -> list[tuple[Pyramid, Tensor]]:
        """Integers of training crops at random N, where the exact network is: on the processor."""
        large = [p for p in self.photos.training if min(p.shape[:2]) >= VALIDATION_CROP]
        side = VALIDATION_CROP if large else self.options.crop
        stream = CropStream(large or self.photos.training, side, 1, self.options.seed + 1)
        samples = []
        for _ in range(TABLE_CROPS):
            levels = self.draw_levels(1)
            quantized = quantize_batch(self.encode(stream.next()), step_for_levels(levels))
            samples.append((tuple(band.cpu() for band in quantized), levels.cpu()))
        return samples


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
    network = PriorNetwork()
    if init is not None:
        network = trainable(load_prior(init).network)
    PriorTrainingRun(out, photos, options, vae, network).run()
    return out / "prior"
