"""What the whole codec minimises: rate and distortion, per image and in logarithm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..coding.weights import Prior, load_prior, save_prior, trainable
from ..common.errors import ParameterError
from ..common.limits import SSIMULACRA2_MIN_SIDE
from ..models import load_wavelet_networks, prior_folder, resolve_folder
from ..networks import wavelet
from ..networks.restoration import QannUNet
from ..networks.vae import WaveletVAE
from ..networks.wavelet import Pyramid
from ..perceptual import SQUARED_ERROR_SHARE, eye_cost, ssimulacra2
from ..quantization import DISTORTION_WEIGHT, ROUNDING_OFFSET, dead_zone_round, step_for_levels
from .data import load_photos
from .objective import Figures, Objective, Stage, detached, long_decay, mse, psnr, psnr_of
from .options import RunOptions, check_crop, check_share
from .run import TrainingRun

_SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({}, {}),
    # Half as many features at every level: about a quarter of the multiply-accumulates.
    "fast": (
        {"encoder_widths": (16, 32, 48, 64), "decoder_widths": (16, 24, 32, 48)},
        {"widths": (16, 32, 64, 96), "embedding_channels": 64},
    ),
}
"""Settings of the networks that a run may start from fresh, by size; what ships is one model of
each."""

CROP_FACTOR = 16
"""What the crop's side must be a multiple of, for the wavelet's sake."""

AIMS = ("psnr", "eye")
"""What the weights can be made for: squared error, or what the eye sees."""

OVERLOAD_SLOPE = 0.2
"""See ``BandCompanding``: magnitudes up to 0.9 R are coded instead of 0.5 R."""

LEARNED_SHARE = 0.5
"""What the learned prior counts of the rate, where there is one; the factorised prior counts the
rest, so that the encoder goes on serving the Brotli coder, which does without a network."""


class CodecObjective(Objective):
    """Rate and distortion of the wavelet VAE and its restoration network, in three stages.

    ``skeleton``: restoration alone, on the plain wavelet. ``joint``: everything, by
    J = bits per pixel + D. ``finish``: restoration alone, on the final encoder. D, in bits per
    pixel too, is 32 / step^2 * MSE, or for the eye that of ``perceptual.eye_cost``.

    Args:
        vae, qann: the codec's networks.
        prior: a learned prior that joins the rate and trains along, or None.
        skeleton_share, finish_share: parts of the budget; the rest is joint.
        aim: one of AIMS.
        share: what the squared error counts of D for the eye, 0 to 1.

    Raises:
        ParameterError: when a share is out of range.
    """

    columns = (
        "bpp", "psnr_quantized", "psnr_restored", "ssimulacra2_quantized", "ssimulacra2_restored",
    )  # fmt: skip
    partial = True  # every stage leaves some network alone

    def __init__(
        self,
        vae: WaveletVAE,
        qann: QannUNet,
        prior: Prior | None = None,
        skeleton_share: float = 0.0,
        finish_share: float = 0.0,
        aim: str = "psnr",
        share: float = SQUARED_ERROR_SHARE,
    ) -> None:
        super().__init__()
        if aim not in AIMS:
            raise ParameterError(f"The aim is {aim!r}; it must be one of: {', '.join(AIMS)}.")
        check_share("share", share)
        check_share("skeleton_share", skeleton_share)
        check_share("finish_share", finish_share)
        check_share("skeleton_share + finish_share", skeleton_share + finish_share)
        self.vae, self.qann = vae, qann
        self.context = trainable(prior.network) if prior else None
        self._frequencies = prior.tables.frequencies if prior else None
        self.stages = (
            # Ends at half of the rate; the joint stage takes over.
            Stage("skeleton", skeleton_share, lambda progress: 1 - 0.5 * progress),
            Stage("joint", 1 - skeleton_share - finish_share, long_decay),
            Stage("finish", finish_share, lambda progress: 0.3 * (1 - progress) + 0.0005),
        )
        self.aim, self.share = aim, share
        shares = {"skeleton_share": skeleton_share, "finish_share": finish_share}
        self.settings = {"aim": aim, **shares, **({"share": share} if aim == "eye" else {})}

    def forward(self, batch: Tensor, levels: Tensor, stage: str) -> tuple[Tensor, Figures]:
        """See ``Objective``; the batch is images, sides multiples of 16."""
        step = step_for_levels(levels)
        if stage == "joint":
            return self._joint(batch, levels, step)
        with torch.no_grad():
            latents = wavelet.forward(batch) if stage == "skeleton" else self.vae.analysis(batch)
            quantized = quantize_batch(latents, step)
            plain = wavelet.inverse if stage == "skeleton" else self.vae.synthesis
            before = plain(scale(quantized, step))
            # As if at least one squared grey level were lost, so that flat crops do not rule.
            worst = self.distortion(batch, before, step) + DISTORTION_WEIGHT / step**2
        after = plain(self._restore(quantized, levels, step))
        # Every N and every image weighs the same: the ratio, not the error, is averaged.
        loss = (self.distortion(batch, after, step) / worst).mean()
        figures = detached(
            psnr_quantized=psnr_of(mse(before, batch).mean()),
            psnr_restored=psnr_of(mse(after, batch).mean()),
        )
        return loss, figures

    def distortion(self, images: Tensor, decoded: Tensor, step: Tensor) -> Tensor:
        """D of each image in bits per pixel, (B,), by the aim."""
        if self.aim == "eye":
            return eye_cost(images, decoded, step, self.share)
        return DISTORTION_WEIGHT / step**2 * mse(decoded, images)

    def _joint(self, images: Tensor, levels: Tensor, step: Tensor) -> tuple[Tensor, Figures]:
        latents = self.vae.analysis(images)
        width = step[:, None, None, None]
        noisy = tuple(band + (torch.rand_like(band) - 0.5) * width for band in latents)
        pixels = images.shape[-2] * images.shape[-1]
        with torch.no_grad():
            quantized = quantize_batch(latents, step)
        bits_per_pixel = self.rate(quantized, noisy, levels, step) / pixels
        corrections = self.qann(quantized, levels)
        # Straight-through: the rounding error is a constant to the encoder.
        restored = tuple(
            band + ((q + correction) * width - band.detach())
            for band, q, correction in zip(latents, quantized, corrections, strict=True)
        )
        decoded = self.vae.synthesis(restored)
        cost = bits_per_pixel + self.distortion(images, decoded, step)
        # The logarithm weighs every image and N alike and keeps one odd image from ruling a step.
        figures = detached(
            bpp=bits_per_pixel.mean(), psnr_restored=psnr_of(mse(decoded, images).mean())
        )
        return cost.log().mean(), figures

    def rate(self, quantized: Pyramid, values: Pyramid, levels: Tensor, step: Tensor) -> Tensor:
        """Estimated bits of each image, (B,).

        Args:
            quantized: the integers, as floats: what a learned prior knows when it comes to the
                next; no gradient goes there.
            values: latents with uniform noise, to learn from, or as they are dequantized.
            levels, step: N and the quantization step of each image, (B,).
        """
        if self.context is None:
            return self.vae.rate(values, step)
        by_band = self.vae.prior.bits_by_band(values, step)
        factorised = sum(by_band[1:], by_band[0])
        in_steps = scale(values, 1 / step)
        learned = by_band[0] + self.context.bits(quantized, in_steps, levels)
        return torch.lerp(factorised, learned, LEARNED_SHARE)

    def figures(self, images: Tensor, levels: Tensor) -> Figures:
        step = step_for_levels(levels)
        quantized = quantize_batch(self.vae.analysis(images), step)
        decoded = scale(quantized, step)
        plain = self.vae.synthesis(decoded)
        restored = self.vae.synthesis(self._restore(quantized, levels, step))
        figures = {
            "bpp": self.rate(quantized, decoded, levels, step) / images[0, 0].numel(),
            "psnr_quantized": psnr(plain, images),
            "psnr_restored": psnr(restored, images),
        }
        if min(images.shape[-2:]) >= SSIMULACRA2_MIN_SIDE:
            figures["ssimulacra2_quantized"] = ssimulacra2(images, plain)
            figures["ssimulacra2_restored"] = ssimulacra2(images, restored)
        return figures

    def save(self, folder: Path) -> None:
        self.vae.save_pretrained(folder / "vae")
        self.qann.save_pretrained(folder / "qann")
        if self.context is not None and self._frequencies is not None:
            # Classes keep their meaning, so the tables there were serve until they are fitted anew.
            save_prior(self.context, self._frequencies, prior_folder(folder))

    def _restore(self, quantized: Pyramid, levels: Tensor, step: Tensor) -> Pyramid:
        corrections = self.qann(quantized, levels)
        return scale(tuple(q + c for q, c in zip(quantized, corrections, strict=True)), step)


def quantize_batch(latents: Pyramid, step: Tensor) -> Pyramid:
    """Latents to integers (as floats) with one step per image; unclipped, unlike ``quantize``."""
    width = step[:, None, None, None]
    return tuple(
        dead_zone_round(band / width, 0.5 if index == 0 else ROUNDING_OFFSET)
        for index, band in enumerate(latents)
    )


def scale(quantized: Pyramid, step: Tensor) -> Pyramid:
    """Integers to latents with one step per image."""
    return tuple(band * step[:, None, None, None] for band in quantized)


def fresh_networks(size: str) -> tuple[WaveletVAE, QannUNet]:
    """Untrained networks of a size; ParameterError when there is no such size."""
    if size not in _SIZES:
        raise ParameterError(f"There is no size {size!r}; there is: {', '.join(_SIZES)}.")
    vae, qann = _SIZES[size]
    return WaveletVAE(**vae), QannUNet(**qann)


def with_companding(vae: WaveletVAE) -> WaveletVAE:
    """The same weights in a VAE whose bands have gains and are companded, at their start."""
    sizes = {name: value for name, value in vae.config.items() if not name.startswith("_")}
    companded = {"companding": True, "overload_slope": OVERLOAD_SLOPE}
    made: WaveletVAE = WaveletVAE(**{**sizes, **companded})
    made.load_state_dict({**made.state_dict(), **vae.state_dict()})
    return made


def train(
    images: Sequence[Path],
    out: Path,
    options: RunOptions,
    init: str | Path | None = None,
    size: str = "default",
    learned_prior: bool = False,
    aim: str = "psnr",
    **settings: Any,
) -> None:
    """Trains a codec; see ``CodecObjective`` for ``settings``.

    Args:
        images: files of photos. out: the run's folder.
        init: a model folder (``vae/`` and ``qann/``) or a bundled model's name, to start from
            instead of fresh networks.
        size: of fresh networks, "default" or "fast".
        learned_prior: the prior of ``init`` joins the rate and trains along.
        aim: one of AIMS. For the eye, a VAE whose bands are not companded becomes one whose are.

    Raises:
        ParameterError: no usable photos, or options out of range.
        ModelError: ``init`` cannot be loaded, or has no prior though it is asked for.
        TrainingError: when the loss is not finite.
    """
    if learned_prior and init is None:
        raise ParameterError("A learned prior is trained along only from a model that has one.")
    check_crop(options.crop, CROP_FACTOR, SSIMULACRA2_MIN_SIDE if aim == "eye" else 0)
    torch.manual_seed(options.seed)
    prior = None
    if init is None:
        vae, qann = fresh_networks(size)
    else:
        folder = resolve_folder(init)
        vae, qann = load_wavelet_networks(folder)
        prior = load_prior(prior_folder(folder)) if learned_prior else None
    if aim == "eye" and vae.bands is None:
        vae = with_companding(vae)
    for network in (vae, qann):
        network.train().requires_grad_(True)
    objective = CodecObjective(vae, qann, prior, aim=aim, **settings)
    photos = load_photos(images, options.crop)
    TrainingRun(out, photos, options, objective).run()
