"""Training of the learned prior on a frozen encoder.

The network computes with rounded weights and activations from the first step on, so that what it
learns is what the integers will do.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..coding.network import PriorNetwork
from ..coding.registry import coder_by_name
from ..coding.weights import exact_network, load_prior, save_prior, trainable
from ..models import load_wavelet_networks, resolve_folder
from ..networks.vae import WaveletVAE
from ..networks.wavelet import Pyramid
from ..quantization import step_for_levels
from .checkpoint import stored
from .codec_objective import CROP_FACTOR, quantize_batch
from .data import CropStream, load_photos
from .objective import Figures, Objective, Stage
from .options import RunOptions, check_crop
from .prior_tables import fit_tables
from .run import TrainingRun

VALIDATION_CROP, VALIDATION_CROPS = 256, 24

TABLE_CROPS = 192
"""Training crops, VALIDATION_CROP pixels wide, on which the frequency tables are counted."""


class PriorObjective(Objective):
    """Code length of the integers of a frozen encoder.

    Args:
        vae: the encoder. network: the prior to train.
    """

    columns = ("bpp", "bpp_brotli", "ratio")
    stages = (Stage("prior", 1.0, lambda progress: min(1.0, 1.4 * (1 - progress) + 0.002)),)
    validation_side = VALIDATION_CROP
    validation_photos = VALIDATION_CROPS
    updates = 2

    def __init__(self, vae: WaveletVAE, network: PriorNetwork) -> None:
        super().__init__()
        self.vae = vae.eval().requires_grad_(False)
        self.network = network

    @torch.no_grad()
    def prepare(self, images: Tensor) -> Pyramid:
        """The latents of images, float32: encoded once for several updates."""
        return tuple(band.float() for band in self.vae.analysis(images))

    def forward(self, batch: Pyramid, levels: Tensor, stage: str) -> tuple[Tensor, Figures]:
        """See ``Objective``; the batch is latents."""
        quantized = quantize_batch(batch, step_for_levels(levels))
        pixels = 4 * quantized[-1][0, 0].numel()
        bits = self.network.bits(quantized, quantized, levels)
        # The logarithm weighs every image and N alike; the constant keeps flat crops from ruling.
        return torch.log(bits / pixels + 0.01).mean(), {}

    def figures(self, images: Tensor, levels: Tensor) -> Figures:
        """Estimated bits per pixel (LL as Brotli codes it), Brotli's real ones, and the ratio."""
        brotli, number = coder_by_name("brotli"), int(levels[0])
        quantized = quantize_batch(self.prepare(images), step_for_levels(levels))
        sizes, lows = [], []
        for index in range(len(images)):
            bands = [band[index].cpu().numpy().astype(np.int32) for band in quantized]
            payload = brotli.encode(bands, number)
            shapes = [band.shape for band in bands]
            sizes.append(len(payload))
            lows.append(brotli.bytes_by_band(payload, shapes, number)[0])
        real, low = (torch.tensor(parts, device=levels.device) * 8.0 for parts in (sizes, lows))
        estimated = self.network.bits(quantized, quantized, levels) + low
        pixels = images[0, 0].numel()
        # Every image counts by its bytes, as in a sum over all of them.
        ratio = (estimated.sum() / real.sum()).expand(len(images))
        return {"bpp": estimated / pixels, "bpp_brotli": real / pixels, "ratio": ratio}

    def save(self, folder: Path) -> None:
        """Nothing: a prior is exported with its tables, at the end of a run."""


def export_prior(run: TrainingRun) -> Path:
    """Fits the frequency tables of a run's prior and writes it as integers; returns its folder."""
    folder, objective = run.folder / "prior", cast(PriorObjective, stored(run.objective))
    frozen = exact_network(objective.network)
    frequencies = fit_tables(frozen, tqdm(_table_samples(run, objective), "Fitting tables"))
    save_prior(objective.network, frequencies, folder)
    return folder


def _table_samples(run: TrainingRun, objective: PriorObjective) -> list[tuple[Pyramid, Tensor]]:
    """Integers of training crops at random N, where the exact network is: on the processor."""
    side, photos, options = VALIDATION_CROP, run.photos.training, run.options
    large = [photo for photo in photos if min(photo.shape[:2]) >= side]
    stream = CropStream(large or photos, side if large else options.crop, 1, options.seed + 1)
    samples = []
    for _ in range(TABLE_CROPS):
        levels = run.draw_levels(1).cpu()
        with run.accelerator.autocast():
            latents = objective.prepare(stream.next())
        samples.append((quantize_batch(latents, step_for_levels(levels)), levels))
    return samples


def train_prior(
    images: Sequence[Path],
    out: Path,
    model: str | Path,
    options: RunOptions,
    init: Path | None = None,
) -> Path:
    """Trains a prior for a model and writes it to ``prior/`` in the run's folder, which it returns.

    Args:
        images: files of photos. out: the run's folder.
        model: whose encoder, frozen, makes the latents.
        init: a ``prior`` folder to start from instead of a fresh network.

    Raises:
        ParameterError: no usable photos, or options out of range.
        ModelError: the model or the prior to start from cannot be loaded.
        TrainingError: when the loss is not finite.
    """
    check_crop(options.crop, CROP_FACTOR)
    vae, _ = load_wavelet_networks(resolve_folder(model))
    torch.manual_seed(options.seed)
    network = trainable(load_prior(init).network) if init else PriorNetwork()
    photos = load_photos(images, options.crop)
    run = TrainingRun(out, photos, options, PriorObjective(vae, network))
    run.run()
    return export_prior(run)
