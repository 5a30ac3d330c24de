"""The texts of the tab "Inside the codec": each term defined once, sources linked."""

from __future__ import annotations

INTRO = """
Follow **your photo** through the codec, in the order in which the data flow, at the present N.
Each stage shows a picture, a number and what they mean; move N and watch the stage change.
"""

STAGES = (
    "1 Image",
    "2 Latents",
    "3 Diversity",
    "4 Brotli",
    "5 QANN",
    "6 Image again",
    "Three roads",
)

IMAGE = (
    "The photo arrives as red, green and blue, 8 bits each, 24 bits a pixel. An orthonormal "
    "rotation turns them into brightness Y and two colour differences C1 and C2, and most of what "
    "varies is in Y alone, so that the other two will cost little."
)

LATENTS = (
    "A <b>wavelet transform</b> (CDF 9/7, as in JPEG 2000) splits each colour four times over into "
    "a coarse picture, LL, and details across columns (HL), rows (LH) and both (HH): the "
    "<b>subbands</b>, drawn here each at its place. A network adds a small residual, and the sum, "
    "the <b>latents</b>, is the mean of a <b>variational autoencoder</b>'s posterior ({kingma}) in "
    "the sense of compression: the posterior is a box one step wide, and its KL divergence from "
    "the prior is the rate ({balle17}, {balle18})."
)

DIVERSITY = (
    "Each latent is divided by the <b>step</b> Δ = 7067 / (N − 1) and becomes one of N integers, "
    "the <b>levels</b>; magnitudes below 0.58 become 0, which is the <b>dead zone</b>, while LL is "
    "rounded plainly. Where a value lay within its <b>bin</b>, the interval that becomes one "
    "integer, is lost, but it is not random: the network guesses it from the neighbours."
)

BROTLI = (
    "Before <b>Brotli</b> ({brotli}, {rfc}) each integer's magnitude is expected from coefficients "
    "already known, and bits that are about as likely to be 1 are put together. The "
    "<b>zero-order entropy</b> is the least that any code could need that knows only how often "
    "each integer occurs in its subband; a code that knows the neighbours as well can go below it."
)

PRIOR = (
    "The second coder, the <b>learned prior</b>, has a network tell how large each detail will "
    "probably be, from N, the coarser scales and what is known already of its own scale, and a "
    "<b>range coder</b> spends bits accordingly. The network computes in whole numbers, so that "
    "both ends expect exactly the same."
)

QANN = (
    "<b>QANN</b> is a U-Net ({unet}) on the pyramid: it reads the integers and N, and predicts "
    "what rounding took from every latent, within ±0.75 step. N enters as sines and cosines of "
    "log₂ N that scale and shift the features of every block (FiLM, {film})."
)

SYNTHESIS = (
    "The inverse wavelet transform turns the restored latents back into pixels, after the VAE's "
    "decoder, a second small network, has added its residual. The whole way from the file took no "
    "more information than the file holds: everything else is what the networks learned from "
    "other photos."
)

ROADS = (
    "Fewer distinct values can be chosen in other ways. <b>Distribution-aware quantization</b> "
    "(DAQ, after {daq}) places the levels of each subband by its density; <b>residual "
    "quantization</b> (RQ, after {rq}) describes vectors of latents by sums of learned codewords. "
    "All three use the same latents, decoder and Brotli, and files of at most as many bytes."
)

LIE = (
    "What is it worth to know N? Tell the network another one: the file stays as it is, only the "
    "embedding lies. Far outside the range that it was trained with, it may break down."
)

ATTENTION = (
    "<b>Self-attention</b> lets a position at 1/16 of the size weigh all others in its window of "
    "16 × 16 positions. Choose a point: the brighter a place, the more weight it has for that "
    "point (mean of the heads, logarithmic from a thousandth of the strongest)."
)

_SOURCES = {
    "kingma": ("Kingma and Welling 2014", "https://arxiv.org/abs/1312.6114"),
    "balle17": ("Ballé et al. 2017", "https://arxiv.org/abs/1611.01704"),
    "balle18": ("2018", "https://arxiv.org/abs/1802.01436"),
    "brotli": ("Alakuijala et al. 2018", "https://doi.org/10.1145/3231935"),
    "rfc": ("RFC 7932", "https://www.rfc-editor.org/rfc/rfc7932"),
    "unet": ("Ronneberger et al. 2015", "https://arxiv.org/abs/1505.04597"),
    "film": ("Perez et al. 2018", "https://arxiv.org/abs/1709.07871"),
    "daq": ("Hong et al. 2022", "https://arxiv.org/abs/2012.11230"),
    "rq": ("Lee et al. 2022", "https://arxiv.org/abs/2203.01941"),
}


def linked(text: str) -> str:
    """A text with its sources' names as links."""
    links = {
        key: f"<a href='{url}' target='_blank' rel='noopener'>{name}</a>"
        for key, (name, url) in _SOURCES.items()
    }
    return text.format(**links)
