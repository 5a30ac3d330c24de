"""The demo page in a real browser: what a visitor does, and what must then be on screen."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from safetensors.torch import load_file, save_file

from qann_core import Codec, read_header, read_image
from qann_core.metrics import psnr, ssim
from qann_core.training.export import export_model

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
CARDS = "#verdict"


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec.load()


def upload(page, path: Path, selector: str = "#upload") -> None:
    page.set_input_files(f"{selector} input[type=file]", path)


def wait_for_photo(page, name: str, levels: int | None = None) -> None:
    page.wait_for_selector(f"#source:has-text('{name}')")
    page.wait_for_selector(f"{CARDS}[data-complete=true]")
    page.wait_for_selector("#picture[aria-busy]", state="detached")
    if levels is not None:
        wait_for_levels(page, levels)


def set_levels(page, levels: int) -> None:
    """Moves N as a visitor does with the keyboard: types it and presses Enter."""
    number = page.locator("#n-number")
    number.fill(str(levels))
    number.press("Enter")
    wait_for_levels(page, levels)


def wait_for_levels(page, levels: int) -> None:
    page.wait_for_selector(f"{CARDS}[data-levels='{levels}'][data-complete=true]")
    page.wait_for_selector("#picture[aria-busy]", state="detached")


def shown_pixels(page, side: int, viewer: str = "#picture") -> np.ndarray:
    """The pixels of the left (0) or right (1) picture, from the file that the browser shows."""
    url = page.locator(f"{viewer} img").nth(side).evaluate("(image) => image.src")
    return np.array(Image.open(io.BytesIO(page.request.get(url).body())).convert("RGB"))


def toast(page) -> str:
    """The text of the newest toast; closes it, so that the next one is the only one."""
    bodies = page.locator("[data-testid=toast-body]")
    bodies.first.wait_for()
    text = bodies.last.inner_text()
    page.locator("[data-testid=toast-close]").last.click()
    bodies.first.wait_for(state="detached")
    return text


def expected(codec: Codec, path: Path, levels: int):
    pixels = read_image(path).pixels
    latents = codec.encode(pixels)
    data = codec.pack(latents, levels)
    quantized = codec.unpack(data)
    return pixels, data, codec.decode(quantized, restore=False), codec.decode(quantized)


def test_uploaded_photo_and_numbers_are_those_of_the_library(open_page, photo, codec):
    page = open_page()
    upload(page, photo)
    wait_for_photo(page, "leaves")
    before = page.locator(CARDS).inner_text()
    set_levels(page, 120)
    text = page.locator(CARDS).inner_text()
    assert text != before
    pixels, data, quantized, restored = expected(codec, photo, 120)
    assert page.locator(CARDS).get_attribute("data-bytes") == str(len(data))
    for number in (
        f"{psnr(pixels, restored):.2f} dB",
        f"{psnr(pixels, quantized):.2f} dB",
        f"{ssim(pixels, restored):.4f}",
        f"{8 * len(data) / (256 * 192):.3f}",
    ):
        assert number in text
    assert np.abs(shown_pixels(page, 0).astype(int) - quantized).max() <= 1
    assert np.abs(shown_pixels(page, 1).astype(int) - restored).max() <= 1


def test_downloaded_file_opens_in_the_third_tab(open_page, photo, codec, tmp_path):
    page = open_page()
    upload(page, photo)
    wait_for_photo(page, "leaves")
    restored = shown_pixels(page, 1)
    with page.expect_download() as event:
        page.click("#download-qann")
    path = tmp_path / "again.qann"
    event.value.save_as(path)
    assert np.abs(codec.decode(codec.unpack(path.read_bytes())).astype(int) - restored).max() <= 1
    page.get_by_role("tab", name="Open a file").click()
    upload(page, path, "#qann-input")
    page.wait_for_function("document.querySelectorAll('#opened .pictures img').length == 2")
    assert (shown_pixels(page, 1, "#opened") == restored).all()
    assert read_header(path.read_bytes()).model_id in page.locator("#header-table").inner_text()

    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    for name, data, words in (
        ("damaged.qann", bytes(damaged), "damaged"),
        ("foreign.qann", b"GIF89a" + bytes(40), "not a .qann file"),
        ("newer.qann", b"QANN\x63" + bytes(damaged[5:]), "version 99"),
    ):
        (tmp_path / name).write_bytes(data)
        upload(page, tmp_path / name, "#qann-input")
        assert words in toast(page)


def test_the_sample_opens(open_page):
    page = open_page()
    page.get_by_role("tab", name="Open a file").click()
    page.locator("#open-sample").click()
    page.wait_for_selector("#opened .pictures img")
    assert shown_pixels(page, 1, "#opened").shape == (512, 512, 3)
    assert "distinct values allowed" in page.locator("#header-table").inner_text()


def test_a_heic_photo_opens(open_page, photo, tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.open(photo)).save(tmp_path / "phone.heic", quality=90)
    page = open_page()
    upload(page, tmp_path / "phone.heic")
    wait_for_photo(page, "phone")
    assert shown_pixels(page, 1).shape == (192, 256, 3)


def test_optimised_integers_and_back(open_page, photo):
    page = open_page()
    upload(page, photo)
    wait_for_photo(page, "leaves")
    set_levels(page, 120)
    plain = page.locator(CARDS).get_attribute("data-bytes")
    page.locator("#codec-settings button").first.click()
    page.locator("#optimise input").check()
    page.wait_for_selector(f"{CARDS}[data-effort='4']")
    assert page.locator(CARDS).get_attribute("data-bytes") != plain
    page.locator("#optimise input").uncheck()
    page.wait_for_selector(f"{CARDS}[data-effort='0'][data-bytes='{plain}']")


def test_refuses_what_is_no_photo_and_goes_on(open_page, photo, tmp_path):
    page = open_page()
    upload(page, photo)
    wait_for_photo(page, "leaves")
    shown = page.locator(CARDS).inner_text()
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / "truncated.png").write_bytes(photo.read_bytes()[:2000])
    _huge_png(tmp_path / "huge.png")
    for name, words in (
        ("notes.txt", "(?i)invalid file type"),
        ("truncated.png", "damaged or incomplete"),
        ("huge.png", "too large"),
    ):
        upload(page, tmp_path / name)
        assert re.search(words, toast(page)), name
        assert page.locator(CARDS).inner_text() == shown
        assert page.locator("#picture .waiting").text_content() == ""
        page.wait_for_selector("#upload input[type=file]", state="attached")
    set_levels(page, 77)


def _huge_png(path: Path) -> None:
    """A well-formed PNG of 20 000 x 20 000 black pixels, one bit each, without building them."""
    import struct
    import zlib

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(2501)) for _ in range(20_000)) + packer.flush()
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
        for kind, data in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")):
            PngImagePlugin.putchunk(file, kind, data)


def test_pasted_photo(open_page):
    page = open_page()
    page.evaluate(
        """async () => {
          const canvas = document.createElement("canvas");
          canvas.width = 64; canvas.height = 48;
          canvas.getContext("2d").fillRect(8, 8, 20, 20);
          const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
          const data = new DataTransfer();
          data.items.add(new File([blob], "pasted.png", { type: "image/png" }));
          document.body.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }"""
    )
    wait_for_photo(page, "64 × 48")


def test_phone_in_the_dark(open_page, photo):
    page = open_page(390, 844, "?__theme=dark")
    upload(page, photo)
    wait_for_photo(page, "leaves")
    set_levels(page, 48)
    for tab in ("Compare", "Rate-distortion"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.body.classList.contains('dark')")


def test_two_visitors_see_only_their_own_pictures(open_page, photo):
    first, second = open_page(), open_page()
    upload(first, photo)
    wait_for_photo(first, "leaves")
    second.locator("#lesson-2").click()
    second.wait_for_selector("#source:has-text('page of text')")
    set_levels(first, 60)
    set_levels(second, 61)
    assert shown_pixels(first, 1).shape == (192, 256, 3)
    assert shown_pixels(second, 1).shape == (512, 768, 3)


def test_nothing_jumps_when_a_result_arrives(open_page, photo):
    page = open_page()
    upload(page, photo)
    wait_for_photo(page, "leaves")
    tops = "['#picture', '#verdict', '#gallery'].map((name) => " \
        "document.querySelector(name).getBoundingClientRect().top)"  # fmt: skip
    before = page.evaluate(tops)
    set_levels(page, 333)
    assert page.evaluate(tops) == pytest.approx(before, abs=1)


def test_another_model_in_the_codec_settings(browser, started_in, tmp_path):
    for name in ("app", "assets", "qann_core", "app.py"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    default = tmp_path / "assets" / "models" / "default"
    run = tmp_path / "run" / "model"
    shutil.copytree(default, run)
    weights = run / "qann" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file({k: v * ("heads" not in k) for k, v in tensors.items()}, weights)
    export_model(run, default.parent / "idle", "It repairs nothing.")
    server, url = started_in(tmp_path, tmp_path)
    try:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url)
        page.wait_for_selector(f"{CARDS}[data-model='default']")
        page.get_by_text("Codec settings").click()
        page.locator("#model input").click()
        page.get_by_role("option", name="idle").click()
        page.wait_for_selector(f"{CARDS}[data-model='idle']")
        page.wait_for_selector(".card :text('+0.00 dB')")
        set_levels(page, 50)
        assert page.locator(CARDS).get_attribute("data-model") == "idle"
        page.close()
    finally:
        server.terminate()
        server.wait(20)
