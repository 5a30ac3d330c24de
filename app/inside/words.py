"""The texts of the tab "Inside the codec": each term defined once, sources linked."""

from __future__ import annotations

INTRO = """
**Your photo**, step by step through the codec, at the present N. Scroll down; move N at any time,
and every step follows.
"""

IMAGE = (
    "A pixel is red, green and blue: 3 × 8 = 24 bits. A rotation turns them into brightness Y and "
    "two colour differences, C1 and C2. Most of what varies is in Y; C1 and C2 will cost little."
)

LATENTS = (
    "A <b>wavelet transform</b> (CDF 9/7, as in JPEG 2000) splits each colour four times into a "
    "small coarse picture (LL) and details: across columns (HL), rows (LH), both (HH). A network "
    "adds a small correction. The result, the <b>latents</b>, is what a <b>variational "
    "autoencoder</b> ({kingma}, {balle17}) gives to the quantizer. Choose a subband in the picture."
)

SENSITIVITY = (
    "The eye sees coarse brightness best, and fine detail of colour least. So each band is "
    "multiplied by a <b>gain</b> before rounding, and divided by it after: a gain of 2 halves the "
    "step of that band. These 36 gains were learned. They are this codec's <b>quantization "
    "matrix</b>, as JPEG has one ({jpeg}), and they follow the eye's <b>contrast sensitivity</b> "
    "({watson}). <b>Companding</b> then bends large values down: strong texture hides errors "
    "({part2}), and the strongest edges still find one of the N values."
)

LEVELS = (
    "N is the number of distinct values. Each latent is divided by the <b>step</b>, 7067 / (N − 1) "
    "grey levels, and rounded to a whole number. A magnitude below 0.58 steps becomes 0, but not "
    "in LL. Few values, most of them zero: that is what makes the file small."
)

TOY = (
    "Sixteen neighbouring pixels of your photo. A small wavelet (Haar) turns them into one average "
    "and fifteen differences; these are rounded, and turned back. It follows N while you move it."
)

BYTES = (
    "<b>Brotli</b> ({brotli}, {rfc}) packs the integers. Before that, each one's size is expected "
    "from its neighbours, and bits that are about as likely to be 1 are put together. That is why "
    "it can need less than the <b>zero-order entropy</b>, the least for a code that knows only how "
    "often each integer occurs."
)

PRIOR = (
    "The second coder, the <b>learned prior</b>: a network predicts how large each integer will "
    "probably be, from N and from what is decoded already, and a <b>range coder</b> spends bits "
    "accordingly. The network computes in whole numbers, so that both ends expect the same."
)

RESTORATION = (
    "<b>QANN</b> is a U-Net ({unet}) that reads the integers and N. Rounding moved every latent by "
    "an unknown part of a step; the network estimates that part from the neighbours, up to ±0.75 "
    "step. N enters every block as a scale and a shift of its features ({film})."
)

ASSUMED = (
    "What is it worth to know N? The file stays as it is, but the network <b>assumes</b> another N "
    "than the true one. The picture is best, or nearly so, where the two agree."
)

ATTENTION = (
    "<b>Self-attention</b> lets a place look at others in its window of 16 × 16 places, each 16 "
    "pixels wide. Choose a point: the brighter a place, the more it counts there."
)

SYNTHESIS = (
    "The inverse wavelet turns the restored latents into pixels, after a second small network, the "
    "VAE's decoder, has added its correction. Everything that is not in the file, the networks "
    "learned from other photos."
)

ALTERNATIVES = (
    "There are other ways to keep few values. <b>Distribution-aware quantization</b> (DAQ, after "
    "{daq}) places them where latents are dense. <b>Residual quantization</b> (RQ, after {rq}) "
    "describes vectors of latents by sums of learned codewords. Same latents, same decoder, same "
    "Brotli, at most as many bytes."
)

_SOURCES = {
    "kingma": ("Kingma and Welling 2014", "https://arxiv.org/abs/1312.6114"),
    "balle17": ("Ballé et al. 2017", "https://arxiv.org/abs/1611.01704"),
    "brotli": ("Alakuijala et al. 2018", "https://doi.org/10.1145/3231935"),
    "rfc": ("RFC 7932", "https://www.rfc-editor.org/rfc/rfc7932"),
    "unet": ("Ronneberger et al. 2015", "https://arxiv.org/abs/1505.04597"),
    "film": ("FiLM, Perez et al. 2018", "https://arxiv.org/abs/1709.07871"),
    "daq": ("Hong et al. 2022", "https://arxiv.org/abs/2012.11230"),
    "rq": ("Lee et al. 2022", "https://arxiv.org/abs/2203.01941"),
    "jpeg": ("Wallace 1992", "https://doi.org/10.1109/30.125072"),
    "watson": ("Watson et al. 1997", "https://doi.org/10.1109/83.605413"),
    "part2": ("JPEG 2000, part 2", "https://www.itu.int/rec/T-REC-T.801"),
}


def linked(text: str) -> str:
    """A text with its sources' names as links."""
    links = {
        key: f"<a href='{url}' target='_blank' rel='noopener'>{name}</a>"
        for key, (name, url) in _SOURCES.items()
    }
    return text.format(**links)
