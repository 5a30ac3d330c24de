"""Makes the two pictures of README.md.

    python benchmarks/readme_pictures.py [--page URL]

assets/readme/restoration.jpg: the same file decoded without and with restoration, and the original.
assets/readme/page.jpg: the page that runs at URL, as a visitor sees it first (needs playwright).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from qann_core import Codec, read_image

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "assets" / "readme"
LEVELS = 64
FACE = (158, 15, 318, 175)
"""Left, top, right, bottom of the part of the astronaut's photo that is shown twice as large."""


def restoration() -> None:
    """Quantized only, restored and original, side by side, with the file's size."""
    codec = Codec.load()
    pixels = read_image(ROOT / "assets" / "examples" / "astronaut.jpg").pixels
    data = codec.pack(codec.encode(pixels), LEVELS)
    quantized = codec.unpack(data)
    size = f"{len(data) / 1000:.1f} kB"
    shown = {
        f"Quantized only, N = {LEVELS}, {size}": codec.decode(quantized, restore=False),
        f"Restored, the same {size}": codec.decode(quantized),
        f"Original, {pixels.nbytes / 1000:.0f} kB of pixels": pixels,
    }
    side, bar, gap = 2 * (FACE[2] - FACE[0]), 28, 4
    sheet = Image.new("RGB", (len(shown) * (side + gap) - gap, side + bar), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 15)
    for index, (caption, picture) in enumerate(shown.items()):
        crop = Image.fromarray(np.ascontiguousarray(picture)).crop(FACE)
        left = index * (side + gap)
        sheet.paste(crop.resize((side, side), Image.Resampling.BICUBIC), (left, bar))
        draw.text((left + 4, 5), caption, fill="black", font=font)
    sheet.save(OUT / "restoration.jpg", quality=90)


def page(url: str) -> None:
    """The first view of the page at 1440 x 900."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1440, "height": 900})
        view.goto(url)
        view.wait_for_function("window.qannAsk && window.qann?.compare")
        view.wait_for_function("[...document.images].every((image) => image.complete)")
        shot = OUT / "page.png"
        view.screenshot(path=shot)
        browser.close()
    Image.open(shot).convert("RGB").save(OUT / "page.jpg", quality=85)
    shot.unlink()


def main() -> None:
    """Writes both, or the first alone without a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", metavar="URL", help="where the page runs")
    options = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    restoration()
    if options.page:
        page(options.page)


if __name__ == "__main__":
    main()
