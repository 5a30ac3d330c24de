"""Training of the codec's networks, in stages: restoration, everything together, restoration."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ..coding.network import PriorNetwork
from ..coding.weights import Prior, load_prior, save_prior, trainable
from ..errors import ParameterError
from ..files import find_images
from ..models import prior_folder
from ..quantization import step_for_levels
from ..restoration import QannUNet
from ..vae import WaveletVAE
from .data import PhotoSet, load_photos
from .objective import STAGES, Objective, quantize_batch, scale
from .optimizer import rate_factor
from .reconstruction_run import FIGURES, ReconstructionRun
from .run import RunOptions, check_crop, stored
from .sizes import fresh_networks

VALIDATION_LEVELS = (40, 88, 196)

CROP_FACTOR = 16
"""What the crop's side must be a multiple of, for the wavelet's sake."""


@dataclass(frozen=True)
class TrainingOptions(RunOptions):
    """What a run is told; see ``RunOptions``. The budget is that of all stages.

    Attributes:
        crop: a multiple of 16.
        min_levels, max_levels: N is drawn log-uniformly between them, per image.
        skeleton_share, finish_share: parts of the budget for restoration alone, first on the
            plain wavelet and last on the final encoder. The rest is joint.
        compile: on a processor, fuse the joint stage with torch.compile (needs a C++ compiler and
            some minutes); CUDA has its graphs instead.
    """

    minutes: float = 120.0
    batch: int = 6
    crop: int = 256
    min_levels: int = 18
    max_levels: int = 480
    ema_decay: float = 0.998
    skeleton_share: float = 0.08
    finish_share: float = 0.12
    compile: bool = False


def stage_at(share: float, options: TrainingOptions) -> tuple[str, float]:
    """Stage and the progress within it, at ``share`` (0 to 1) of the whole budget."""
    edges = (0.0, options.skeleton_share, 1 - options.finish_share, 1.0)
    index = 0 if share < edges[1] else 1 if share < edges[2] else 2
    width = edges[index + 1] - edges[index]
    return STAGES[index], min(1.0, (share - edges[index]) / width) if width else 1.0


class TrainingRun(ReconstructionRun):
    """A run of all stages; ``model/`` in its folder has the averaged weights.

    Args:
        folder: where all of it goes; an unfinished run there is resumed.
        photos: what to train and validate on.
        options: the run's settings.
        vae, qann: the networks to start from.
        prior: a learned prior to join the rate and to train along, or None.
    """

    graphed = True
    find_unused_parameters = True  # every stage leaves some network alone
    csv_fields = ("stage", *FIGURES)
    validation_levels = VALIDATION_LEVELS
    objective: Objective
    options: TrainingOptions

    def __init__(
        self,
        folder: Path,
        photos: PhotoSet,
        options: TrainingOptions,
        vae: WaveletVAE,
        qann: QannUNet,
        prior: Prior | None = None,
    ) -> None:
        check_crop(options.crop, CROP_FACTOR)
        self.level_range = options.min_levels, options.max_levels
        self._tables = prior.tables if prior else None
        objective = Objective(vae, qann, trainable(prior.network) if prior else None)
        super().__init__(folder, photos, options, objective)
        # Only the long joint stage repays the minutes that compiling takes.
        fuse = options.compile and self.device.type == "cpu"
        self._joint = torch.compile(self.forward, dynamic=False) if fuse else self.forward

    def update(self, share: float) -> dict[str, float]:
        """See ``BudgetedRun``."""
        stage, stage_progress = stage_at(share, self.options)
        progress = self.progress
        if stage != progress.stage:
            progress.stage, progress.steps_in_stage = stage, 0
        factor = rate_factor(stage_progress, stage, progress.steps_in_stage)
        return self.learn(self._joint if stage == "joint" else self.forward, stage, factor)

    def figures(self, images: Tensor, levels: Tensor) -> Tensor:
        """See ``ReconstructionRun``."""
        objective = cast(Objective, self.averaged)
        step = step_for_levels(levels)
        latents = objective.vae.analysis(images)
        quantized = quantize_batch(latents, step)
        decoded = scale(quantized, step)
        bits = objective.rate(quantized, decoded, levels, step) / images[0, 0].numel()
        corrections = objective.qann(quantized, levels)
        corrected = tuple(q + c for q, c in zip(quantized, corrections, strict=True))
        images_out = [objective.vae.synthesis(y) for y in (decoded, scale(corrected, step))]
        psnrs = [
            -10 * ((out.clamp(-127.5, 127.5) - images).square().mean((1, 2, 3)) / 255**2).log10()
            for out in images_out
        ]
        return torch.stack((bits, *psnrs))

    def save_networks(self) -> None:
        """Writes the averaged weights to ``model/``."""
        objective, folder = cast(Objective, stored(self.averaged)), self.folder / "model"
        objective.vae.save_pretrained(folder / "vae")
        objective.qann.save_pretrained(folder / "qann")
        if self._tables is not None:
            # Classes keep their meaning, so the tables there were serve until they are fitted anew.
            network = cast(PriorNetwork, objective.context)
            save_prior(network, self._tables.frequencies, prior_folder(folder))


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
