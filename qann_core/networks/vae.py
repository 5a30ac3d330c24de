"""The wavelet VAE: a 9/7 pyramid whose encoder and decoder each add a learned residual.

It is a variational autoencoder in the sense of compression (Kingma and Welling 2014; Ballé et al.
2017 and 2018): the posterior is a box of one quantization step's width around the encoder's mean,
the prior is a density per channel, and the KL divergence between them is the rate.

In models made for the eye each band is also scaled and companded; see ``BandCompanding``.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from ..common.shapes import BLOCK, WAVELET_LEVELS, Shape, pyramid_shapes
from . import wavelet
from .blocks import UNet, group_bands, ungroup_bands
from .roles import Role
from .wavelet import Pyramid

_BAND_CHANNELS = (3, 9, 9, 9, 9)
_BAND_LEVELS = (3, 3, 2, 1, 0)
_BAND_SCALES = (400.0, 64.0, 64.0, 64.0, 64.0)
_RESIDUAL_LIMIT = 32.0


class VAE(Protocol):
    """What the codec needs of a VAE: transforms between images and a pyramid of latents.

    Attributes:
        block: image sides must be multiples of it, in pixels.
        latent_range: full range R of the latents, around zero; N values cover it.
        optimisable: whether optimised quantization can look through its decoder.
        tile: side, in pixels, of the tiles that large images are cut into, by default
            ``tiling.TILE``.
    """

    block: int
    tile: int | None
    latent_range: float
    optimisable: bool

    def band_shapes(self, height: int, width: int) -> tuple[Shape, ...]:
        """Shapes (C, h, w) of the latents, coarse to fine, of an image of this size in pixels."""

    def analysis(self, image: Tensor) -> Pyramid:
        """Centred images (B, 3, H, W) to latents."""

    def synthesis(self, latents: Pyramid) -> Tensor:
        """Latents to centred images (B, 3, H, W), not clipped."""

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """As ``torch.nn.Module.to``."""


class ResidualTransform(nn.Module):
    """A wavelet U-Net that reads a pyramid and writes a bounded residual for it.

    Every band enters twice, as asinh(y / 8), which resolves small details, and as y / scale,
    which does not compress edges. Its last layers start at zero.
    """

    def __init__(self, widths: Sequence[int], blocks_down: int, blocks_up: int) -> None:
        super().__init__()
        outputs = (9, 9, 9, 12)
        self.unet = UNet([2 * n for n in outputs], outputs, widths, blocks_down, blocks_up)

    def forward(self, pyramid: Pyramid) -> Pyramid:
        """Pyramid -> residuals of the same shapes, float32, within +-32."""
        features = [
            torch.cat((torch.asinh(band / 8), band / scale), 1)
            for band, scale in zip(pyramid, _BAND_SCALES, strict=True)
        ]
        outputs = self.unet(group_bands(features, _BAND_LEVELS, 4))
        return tuple(
            _RESIDUAL_LIMIT * torch.tanh(out.float() / 2)
            for out in ungroup_bands(outputs, _BAND_CHANNELS, _BAND_LEVELS)
        )


class BandCompanding(nn.Module):
    """Learned gains and self-contrast masking of the details, elementwise, between the transforms
    and quantization; the LL band passes as it is::

        analysis    v = g x,  y = sign(v) ((|v| / K + 1)^a - 1) K / a
        synthesis   v = sign(y) ((|y| a / K + 1)^(1/a) - 1) K,  x = v / g

    The gains g are the quantization matrix: the effective step of a band is step / g, coarser
    where the eye's sensitivity to contrast is low. Watson, Yang, Solomon and Villasenor 1997,
    "Visibility of wavelet quantization noise", measured such matrices; here they are learned.
    The exponents a, at most 1, quantize large coefficients more coarsely, since strong contrast
    hides errors at its own place: self-contrast masking, as in part 2 of JPEG 2000 (ISO/IEC
    15444-2; Zeng, Daly and Lei 2002, "An overview of the visual optimization tools in JPEG 2000").
    The slope of the curve is 1 at zero.

    N values cover a fixed range R. Gains over 1 push strong edges beyond +-R/2, where they would be
    clipped, which shows as grey clouds beside the edge. So magnitudes over OVERLOAD R grow with
    ``overload_slope`` instead of 1; with a fifth, +-0.9 R are coded.
    """

    KNEE = 64.0
    """K: magnitude in the unit of latents from which the exponent matters."""

    LARGEST_BEND = 0.6
    """1 - a stays below it."""

    OVERLOAD = 0.4
    """Share of R over which magnitudes are coded more coarsely."""

    def __init__(self, overload_slope: float = 1.0) -> None:
        super().__init__()
        if not 0 < overload_slope <= 1:
            raise ValueError(
                f"overload_slope is {overload_slope}; it must be over 0 and at most 1."
            )
        self.overload_slope = overload_slope
        # One-dimensional, so that the optimizer does not take them for matrices.
        gain = torch.tensor([1.0, 0.82, 0.82]).repeat(WAVELET_LEVELS * 3)  # Y, C1, C2
        bend = torch.full((WAVELET_LEVELS * 9,), 0.05 / self.LARGEST_BEND)
        self.log_gain = nn.Parameter(gain.log())
        self.bend_logit = nn.Parameter(bend.logit())

    @property
    def gain(self) -> Tensor:
        """g, (levels coarse to fine, 9): the channels of ``wavelet``'s details."""
        return self.log_gain.exp().view(WAVELET_LEVELS, 9)

    @property
    def exponent(self) -> Tensor:
        """a, of the same shape, from 0.4 to 1."""
        return (1 - self.LARGEST_BEND * self.bend_logit.sigmoid()).view(WAVELET_LEVELS, 9)

    def compress(self, pyramid: Pyramid) -> Pyramid:
        """Coefficients x to latents y."""
        gains, exponents = self._by_level()
        details = zip(pyramid[1:], gains, exponents, strict=True)
        curves = (_curve(x * (g / self.KNEE), a) * (self.KNEE / a) for x, g, a in details)
        return pyramid[0], *(self.bend(y, self.overload_slope) for y in curves)

    def expand(self, latents: Pyramid) -> Pyramid:
        """Latents y to coefficients x: the inverse of ``compress``."""
        gains, exponents = self._by_level()
        unbent = (self.bend(y, 1 / self.overload_slope) for y in latents[1:])
        details = zip(unbent, gains, exponents, strict=True)
        curves = (_curve(y * (a / self.KNEE), 1 / a) * (self.KNEE / g) for y, g, a in details)
        return latents[0], *curves

    def bend(self, values: Tensor, slope: float) -> Tensor:
        """The values, of any shape, with another slope over OVERLOAD R."""
        if slope == 1:
            return values
        bound = self.OVERLOAD * wavelet.LL_RANGE
        within = values.clamp(-bound, bound)
        return within + (values - within) * slope

    def _by_level(self) -> tuple[Tensor, Tensor]:
        return self.gain[..., None, None], self.exponent[..., None, None]


def _curve(values: Tensor, exponent: Tensor) -> Tensor:
    """sign(u) ((|u| + 1)^p - 1), with slope p at zero, also for automatic differentiation."""
    magnitude = values.abs().clamp_min(1e-6)
    return values * (torch.expm1(exponent * torch.log1p(magnitude)) / magnitude)


class LogisticMixturePrior(nn.Module):
    """Prior of the latents: per channel, a zero-mean mixture of logistics.

    P(q) = F(q step + step / 2) - F(q step - step / 2), Ballé et al. 2018, appendix 6.1. The LL
    band's prior is on the difference to the mean of the left and the upper neighbour, since the
    entropy coder predicts that band.
    """

    def __init__(self, channels: Sequence[int] = _BAND_CHANNELS, components: int = 3) -> None:
        super().__init__()
        self.channels = tuple(channels)
        spread = torch.linspace(math.log(2.0), math.log(50.0), components)
        self.log_scale = nn.Parameter(spread.repeat(sum(channels), 1))
        self.logit = nn.Parameter(torch.zeros(sum(channels), components))

    def forward(self, noisy: Pyramid, step: Tensor) -> Tensor:
        """Bits of each image.

        Args:
            noisy: latents plus uniform noise of +-step / 2, bands (B, C, h, w).
            step: quantization step of each image, (B,).

        Returns:
            (B,) estimated bits.
        """
        return sum(self.bits_by_band(noisy, step), step.new_zeros(len(step)))

    def bits_by_band(self, noisy: Pyramid, step: Tensor) -> list[Tensor]:
        """As the forward pass, (B,) for each band."""
        return [bits.sum((1, 2, 3)) for bits in self.bits_by_latent(noisy, step)]

    def bits_by_latent(self, noisy: Pyramid, step: Tensor) -> list[Tensor]:
        """The same of each single latent, in the bands' shapes."""
        scales = self.log_scale.exp().split(self.channels)
        weights = self.logit.softmax(-1).split(self.channels)
        bits = []
        for index, band in enumerate(noisy):
            if index == 0:
                left = F.pad(band[..., :-1], (1, 0, 0, 0))
                above = F.pad(band[..., :-1, :], (0, 0, 1, 0))
                band = band - (left + above) / 2
            bits.append(_bits(band, step, scales[index], weights[index]))
        return bits


def _bits(band: Tensor, step: Tensor, scales: Tensor, weights: Tensor) -> Tensor:
    """-log2 of the mixture's mass in the box around each latent of a band."""
    magnitude = band.abs()  # symmetric density: the right tail's sigmoid does not saturate
    half = step[:, None, None, None] / 2
    mass = torch.full_like(band, 1e-9)
    for component in range(scales.shape[1]):
        scale = scales[:, component, None, None]
        upper = torch.sigmoid((half - magnitude) / scale)
        lower = torch.sigmoid((-half - magnitude) / scale)
        mass = mass + weights[:, component, None, None] * (upper - lower)
    return -mass.log2()


class WaveletVAE(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Analysis and synthesis transforms between images and a pyramid of latents.

    ::

        x --> DWT --> + --> compress --> y     y^ --> expand --> + --> inverse DWT --> x^
                |     |                                    |     |
                +-> residual encoder                       +-> residual decoder

    Args:
        encoder_widths, decoder_widths: features per U-Net level, finest (1/2) first.
        encoder_blocks, decoder_blocks: residual blocks per level, (way down, way up).
        companding: whether the details have gains and are companded (``BandCompanding``);
            without, compress and expand leave them as they are.
        overload_slope: slope of companding for magnitudes over 0.4 R, from 0 (not included) to 1,
            which leaves them to be clipped at +-R/2.
    """

    roles: ClassVar = {"prior": Role.DENSITY}
    block, tile = BLOCK, None
    latent_range = wavelet.LL_RANGE
    optimisable = True
    band_shapes = staticmethod(pyramid_shapes)

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        encoder_widths: Sequence[int] = (32, 64, 96, 128),
        encoder_blocks: Sequence[int] = (1, 1),
        decoder_widths: Sequence[int] = (32, 48, 64, 96),
        decoder_blocks: Sequence[int] = (0, 1),
        companding: bool = False,
        overload_slope: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = ResidualTransform(encoder_widths, *encoder_blocks)
        self.decoder = ResidualTransform(decoder_widths, *decoder_blocks)
        self.prior = LogisticMixturePrior()
        self.bands = BandCompanding(overload_slope) if companding else None

    def analysis(self, image: Tensor) -> Pyramid:
        """Image (B, 3, H, W), centred RGB (pixel - 127.5), sides multiples of 16 -> latents."""
        plain = wavelet.forward(image)
        pyramid = _add(plain, self.encoder(_channels_last(plain)))
        return pyramid if self.bands is None else self.bands.compress(pyramid)

    def synthesis(self, latents: Pyramid) -> Tensor:
        """Latents -> image (B, 3, H, W), centred RGB, not clipped.

        In a faster arithmetic, where the caller asks for one, only the network runs.
        """
        with torch.autocast(latents[0].device.type, enabled=False):
            pyramid = latents if self.bands is None else self.bands.expand(latents)
        residual = self.decoder(_channels_last(pyramid))
        with torch.autocast(latents[0].device.type, enabled=False):
            return wavelet.inverse(_add(pyramid, residual))

    def rate(self, noisy: Pyramid, step: Tensor) -> Tensor:
        """Estimated bits of each image, (B,); see ``LogisticMixturePrior``."""
        bits: Tensor = self.prior(noisy, step)
        return bits

    def forward(self, image: Tensor) -> Tensor:
        """Reconstruction without quantization."""
        return self.synthesis(self.analysis(image))


def _add(a: Pyramid, b: Pyramid) -> Pyramid:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _channels_last(pyramid: Pyramid) -> Pyramid:
    return tuple(band.contiguous(memory_format=torch.channels_last) for band in pyramid)
