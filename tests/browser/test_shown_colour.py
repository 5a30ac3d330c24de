"""Colour that a file describes by numbers, beside what Chromium shows."""

import base64

import numpy as np
import pytest
from made_images import (
    COLOURS,
    DISPLAY_P3,
    chrm,
    cicp,
    colour_patches,
    described_png,
    gama,
    saved,
    with_nclx,
)
from PIL import Image

from qann_core.images import read_image

pytestmark = pytest.mark.browser

SHOW = """async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d", {colorSpace: "srgb"});
    context.drawImage(image, 0, 0);
    return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
}"""

PRIMARIES = (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22)
"""Those of ITU-T H.273."""

CHUNKS = {
    **{f"primaries {p}": [cicp(p, 13)] for p in PRIMARIES},
    **{f"transfer {t}": [cicp(1, t)] for t in (1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 17)},
    **{f"hdr {p} {t}": [cicp(p, t)] for p in (1, 9, 12) for t in (16, 18)},
    **{f"gamma {g}": [gama(g)] for g in (0.1, 0.4, 0.43, 0.44, 0.45455, 0.47, 0.48, 1.0, 2.0)},
    "chromaticities": [chrm(DISPLAY_P3)],
    "chromaticities and gamma": [chrm(DISPLAY_P3), gama(0.45455)],
    "sRGB first": [(b"sRGB", b"\0"), gama(1.0)],
    "narrow range": [cicp(12, 13, full_range=0)],
    "unspecified, then gamma": [cicp(2, 2), gama(1.0)],
}


@pytest.fixture(scope="module")
def shown(browser):
    """Pixels, (n, 3), of an image file as a page sees them."""
    page = browser.new_page()
    page.goto("about:blank")

    def show(data, kind):
        url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        return np.array(page.evaluate(SHOW, url)).reshape(-1, 4)[:, :3]

    yield show
    page.close()


@pytest.mark.parametrize("kind", CHUNKS)
def test_png(shown, kind):
    data = described_png(*CHUNKS[kind])
    pixels = read_image(data).pixels.reshape(-1, 3).astype(int)
    assert len(pixels) == len(COLOURS)
    assert np.abs(pixels - shown(data, "png")).max() <= 1


@pytest.mark.parametrize(
    "numbers",
    [*((p, 13) for p in PRIMARIES), *((1, t) for t in (1, 2, 4, 5, 6, 7, 8, 14, 15, 17)),
     (12, 2), (2, 13), (9, 1), (9, 16), (9, 18), (12, 16)],
    ids=str,
)  # fmt: skip
def test_avif(shown, numbers):
    patches = Image.fromarray(colour_patches())
    data = with_nclx(saved(patches, "AVIF", quality=100, subsampling="4:4:4"), *numbers)
    pixels = read_image(data).pixels.reshape(-1, 3).astype(int)
    assert np.abs(pixels - shown(data, "avif")).max() <= 1
