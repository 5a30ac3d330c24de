"""The networks: day-zero identity, bounds, locality, other latents, and what they are told."""

import math

import pytest
import torch

from qann_core.common.shapes import pyramid_shapes
from qann_core.networks import wavelet
from qann_core.networks.blocks import ResidualBlock, WindowAttention
from qann_core.networks.restoration import CORRECTION_LIMIT, QannUNet
from qann_core.networks.vae import LogisticMixturePrior, WaveletVAE
from qann_core.quantization import dequantize, quantize

SMALL = {"widths": (8, 8, 12, 16), "embedding_channels": 16, "attention_heads": 2}


def integers(height: int = 64, width: int = 96) -> wavelet.Pyramid:
    torch.manual_seed(1)
    return tuple(
        torch.randint(-3, 4, (1, *shape)).float() for shape in pyramid_shapes(height, width)
    )


def disturb(network: torch.nn.Module) -> None:
    """Moves all weights off their zero initialisation."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)


@torch.no_grad()
def test_an_untrained_vae_is_the_plain_wavelet() -> None:
    vae = WaveletVAE((8, 8, 8, 8), (1, 1), (8, 8, 8, 8), (0, 1))
    image = torch.rand(2, 3, 32, 64) * 255 - 127.5
    latents = vae.analysis(image)
    assert all(torch.equal(a, b) for a, b in zip(latents, wavelet.forward(image), strict=True))
    assert torch.allclose(vae(image), image, atol=1e-3)


def companding_vae() -> WaveletVAE:
    """Gains from 0.5 to 2, exponents from 0.4 to 1, networks that do nothing."""
    vae = WaveletVAE((8, 8, 8, 8), (1, 1), (8, 8, 8, 8), (0, 1), companding=True)
    assert vae.bands is not None
    with torch.no_grad():
        vae.bands.log_gain.uniform_(-0.7, 0.7)
        vae.bands.bend_logit.uniform_(-4, 4)
    return vae


@torch.no_grad()
def test_synthesis_inverts_companding() -> None:
    vae = companding_vae()
    image = torch.rand(1, 3, 32, 64) * 255 - 127.5
    latents, plain = vae.analysis(image), wavelet.forward(image)
    assert torch.equal(latents[0], plain[0])
    assert not any(torch.allclose(a, b) for a, b in zip(latents[1:], plain[1:], strict=True))
    assert torch.allclose(vae.synthesis(latents), image, atol=1e-2)


@torch.no_grad()
def test_companding_is_the_gain_at_zero_and_bends_large_coefficients() -> None:
    companding = companding_vae().bands
    assert companding is not None
    small, large = (
        tuple(torch.full((1, *shape), size) for shape in pyramid_shapes(16, 16))
        for size in (0.01, 1000.0)
    )
    g, a = companding.gain, companding.exponent
    for pyramid, expected in (
        (small, g * 0.01),
        (large, ((g * 1000 / 64 + 1) ** a - 1) * 64 / a),
    ):
        for band, negative, value in zip(
            companding.compress(pyramid)[1:],
            companding.compress(tuple(-x for x in pyramid))[1:],
            expected,
            strict=True,
        ):
            assert torch.equal(band, -negative)
            assert torch.allclose(band[0, :, 0, 0], value, rtol=1e-3)


@torch.no_grad()
def test_an_overload_slope_keeps_strong_edges_from_being_clipped() -> None:
    """Dark and bright stripes, amplified, survive a rounding to 513 levels."""
    stripes = torch.where(torch.arange(64) % 32 < 16, -90.0, 90.0).expand(1, 3, 64, 64)
    errors = {}
    for slope in (1.0, 0.2):
        vae = WaveletVAE(
            (8, 8, 8, 8), (1, 1), (8, 8, 8, 8), (0, 1), companding=True, overload_slope=slope
        )
        assert vae.bands is not None
        vae.bands.log_gain.fill_(math.log(2.5))
        vae.bands.bend_logit.fill_(-4)
        latents = vae.analysis(stripes)
        assert torch.allclose(vae.synthesis(latents), stripes, atol=1e-2)
        picture = vae.synthesis(dequantize(quantize(latents, 513), 513))
        errors[slope] = float((picture - stripes).abs().max())
    assert errors[1.0] > 10 * errors[0.2]


@pytest.mark.parametrize("slope", [0.0, -1.0, 1.1, math.nan])
def test_an_overload_slope_that_cannot_be_inverted_is_refused(slope) -> None:
    with pytest.raises(ValueError, match="overload_slope"):
        WaveletVAE(companding=True, overload_slope=slope)


def test_a_gradient_passes_where_latents_are_zero() -> None:
    """As in flat pictures, whose details are all zero."""
    vae = companding_vae()
    latents = tuple(torch.zeros(1, *shape, requires_grad=True) for shape in pyramid_shapes(16, 16))
    ramp = torch.linspace(-1, 1, 16 * 16 * 3).view(1, 3, 16, 16)
    gradients = torch.autograd.grad((vae.synthesis(latents) * ramp).sum(), latents)
    assert all(bool((g != 0).any()) for g in gradients)


def test_companding_is_saved_and_loaded(tmp_path) -> None:
    vae = companding_vae()
    vae.save_pretrained(tmp_path)
    loaded = WaveletVAE.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert loaded.bands is not None and vae.bands is not None
    assert torch.equal(loaded.bands.gain, vae.bands.gain)


@torch.no_grad()
def test_residuals_are_bounded() -> None:
    vae = WaveletVAE((8, 8, 8, 8), (1, 1), (8, 8, 8, 8), (0, 1))
    disturb(vae)
    image = torch.rand(1, 3, 32, 32) * 1e6
    plain = wavelet.forward(image)
    residual = vae.encoder(plain)
    assert all(band.abs().max() <= 32 for band in residual)
    assert any(band.abs().max() > 0 for band in residual)


@torch.no_grad()
def test_an_untrained_qann_corrects_nothing() -> None:
    corrections = QannUNet(**SMALL)(integers(), torch.tensor([64.0]))
    assert all(band.abs().max() == 0 for band in corrections)


@torch.no_grad()
def test_corrections_are_bounded_and_depend_on_what_the_network_is_told() -> None:
    qann = QannUNet(**SMALL)
    disturb(qann)
    quantized = integers()
    first, second = (qann(quantized, torch.tensor([n])) for n in (40.0, 200.0))
    assert [band.shape for band in first] == [band.shape for band in quantized]
    assert all(band.abs().max() <= CORRECTION_LIMIT for band in first)
    # N also scales the LL band's input, so the embedding is tested on a network without LL.
    details = (torch.zeros_like(quantized[0]), *quantized[1:])
    first, second = (qann(details, torch.tensor([n])) for n in (40.0, 200.0))
    assert (first[-1] - second[-1]).abs().max() > 1e-3


@torch.no_grad()
def test_without_an_embedding_the_network_is_not_told() -> None:
    qann = QannUNet(**{**SMALL, "embedding_channels": 0})
    disturb(qann)
    quantized = integers()
    details = (torch.zeros_like(quantized[0]), *quantized[1:])
    first, second = (qann(details, torch.tensor([n])) for n in (40.0, 200.0))
    assert torch.equal(first[-1], second[-1])


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 8), (5, 7), (1, 1)])
def test_one_tensor_latents_of_another_vae(size: tuple[int, int]) -> None:
    qann = QannUNet((4,), (0,), widths=(8, 8, 8), embedding_channels=16, attention_heads=2)
    disturb(qann)
    latents = (torch.randint(-20, 20, (2, 4, *size)).float(),)
    (correction,) = qann(latents, torch.tensor([32.0, 64.0]))
    assert correction.shape == latents[0].shape
    assert correction.abs().max() > 0


@torch.no_grad()
def test_attention_stays_within_its_window() -> None:
    attention = WindowAttention(8, 2, window=4)
    disturb(attention)
    x = torch.randn(1, 8, 6, 9)
    changed = x.clone()
    changed[..., 0, 0] += 1
    difference = (attention(changed) - attention(x)).abs().amax((0, 1))
    assert difference[:4, :4].min() > 0
    assert difference[4:].max() == 0
    assert difference[:, 4:].max() == 0


@torch.no_grad()
def test_attention_ignores_the_margin_it_pads() -> None:
    attention = WindowAttention(8, 2, window=4)
    disturb(attention)
    x = torch.randn(1, 8, 4, 3)
    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = (
        part.unflatten(-1, (2, 4)).transpose(1, 2) for part in attention.qkv(tokens).chunk(3, -1)
    )
    weights = (q @ k.transpose(-1, -2) / 2).softmax(-1)
    mixed = attention.out((weights @ v).transpose(1, 2).flatten(2))
    expected = x + mixed.transpose(1, 2).unflatten(2, (4, 3))
    assert torch.allclose(attention(x), expected, atol=1e-5)


def test_the_prior_is_a_probability() -> None:
    prior = LogisticMixturePrior(channels=(1, 1))
    step = torch.tensor([10.0])
    # 0 for LL costs a constant; the detail's integers must have a total probability of one.
    constant = prior((torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)), step)
    total = 0.0
    zero_bits = None
    for q in range(-60, 61):
        bits = prior((torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), q * 10.0)), step)
        if q == 0:
            zero_bits = bits
        total += 2.0 ** (constant - bits).item()
    assert zero_bits is not None
    # total = sum P(q) / P(0), and P(0) < 1, so multiplying by P(0) gives one.
    scales, weights = prior.log_scale.exp()[1], prior.logit.softmax(-1)[1]
    p_zero = (weights * torch.tanh(5 / (2 * scales))).sum().item()
    assert abs(total * p_zero - 1) < 1e-3


@torch.no_grad()
@pytest.mark.parametrize(("row", "column"), [(0, 0), (5, 9), (2, 4)])
def test_attention_weights_are_those_that_mix_the_values(row: int, column: int) -> None:
    attention = WindowAttention(8, 2, 4)
    disturb(attention)
    features = torch.randn(1, 8, 6, 10)
    weights = attention.weights(features, row, column)
    assert weights.shape == (2, 6, 10)
    assert torch.allclose(weights.sum((1, 2)), torch.ones(2), atol=1e-5)
    tokens = features[0].permute(1, 2, 0)
    values = attention.qkv(tokens)[..., 16:].unflatten(-1, (2, 4))
    mixed = torch.einsum("nhw,hwnc->nc", weights, values).flatten()
    expected = features[0, :, row, column] + attention.out(mixed)
    assert torch.allclose(attention(features)[0, :, row, column], expected, atol=1e-4)


def test_inference_of_one_image_is_the_same_network() -> None:
    block = ResidualBlock(8, 16)
    disturb(block)
    x, embedding = torch.randn(1, 8, 20, 12), torch.randn(1, 16)
    for given in (embedding, None):
        trained = block(x, given)
        before = x.clone()
        with torch.inference_mode():
            assert torch.allclose(block(x, given), trained, rtol=1e-4, atol=1e-4)
        assert torch.equal(x, before)
