"""The wavelet VAE: a 9/7 pyramid whose encoder and decoder each add a learned residual.

It is a variational autoencoder in the sense of compression (Kingma and Welling 2014; Ballé et al.
2017 and 2018): the posterior is a box of one quantization step's width around the encoder's mean,
the prior is a density per channel, and the KL divergence between them is the rate.
"""

import math
from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from . import wavelet
from .blocks import UNet, group_bands, ungroup_bands
from .wavelet import Pyramid

_BAND_CHANNELS = (3, 9, 9, 9, 9)
_BAND_LEVELS = (3, 3, 2, 1, 0)
_BAND_SCALES = (400.0, 64.0, 64.0, 64.0, 64.0)
_RESIDUAL_LIMIT = 32.0


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


class WaveletVAE(ModelMixin, ConfigMixin):
    """Analysis and synthesis transforms between images and a pyramid of latents.

    ::

        x --> DWT --> + ----------> y        y^ --> + --> inverse DWT --> x^
                |     |                       |     |
                +-> residual encoder          +-> residual decoder

    Args:
        encoder_widths, decoder_widths: features per U-Net level, finest (1/2) first.
        encoder_blocks, decoder_blocks: residual blocks per level, (way down, way up).
    """

    @register_to_config
    def __init__(
        self,
        encoder_widths: Sequence[int] = (32, 64, 96, 128),
        encoder_blocks: Sequence[int] = (1, 1),
        decoder_widths: Sequence[int] = (32, 48, 64, 96),
        decoder_blocks: Sequence[int] = (0, 1),
    ) -> None:
        super().__init__()
        self.encoder = ResidualTransform(encoder_widths, *encoder_blocks)
        self.decoder = ResidualTransform(decoder_widths, *decoder_blocks)
        self.prior = LogisticMixturePrior()

    def analysis(self, image: Tensor) -> Pyramid:
        """Image (B, 3, H, W), centred RGB (pixel - 127.5), sides multiples of 16 -> latents."""
        plain = wavelet.forward(image)
        return tuple(a + b for a, b in zip(plain, self.encoder(plain), strict=True))

    def synthesis(self, latents: Pyramid) -> Tensor:
        """Latents -> image (B, 3, H, W), centred RGB, not clipped."""
        residual = self.decoder(latents)
        return wavelet.inverse(tuple(a + b for a, b in zip(latents, residual, strict=True)))

    def rate(self, noisy: Pyramid, step: Tensor) -> Tensor:
        """Estimated bits of each image, (B,); see ``LogisticMixturePrior``."""
        return self.prior(noisy, step)

    def forward(self, image: Tensor) -> Tensor:
        """Reconstruction without quantization."""
        return self.synthesis(self.analysis(image))
