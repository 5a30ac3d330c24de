"""Writes screenshots of every tab, at two sizes, light and dark: look at them before a release.

python benchmarks/screenshots.py FOLDER [--url http://127.0.0.1:7860]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.inside.layout import PARTS

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
CHROMIUM = "/usr/bin/chromium"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Screenshots of a running demo.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        for size, (width, height) in SIZES.items():
            for shade in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(f"{options.url}/?__theme={shade}")
                shoot_tabs(page, options.folder, f"{size}-{shade}")
                shoot_article(page, options.folder, f"{size}-{shade}")
                page.close()
        browser.close()


def shoot_tabs(page: Page, folder: Path, name: str) -> None:
    """Each tab of one page, whole and filled."""
    page.wait_for_selector("#verdict .card", timeout=60_000)
    page.wait_for_function("window.qannAsk && window.qann.compare")
    page.wait_for_timeout(1200)
    page.screenshot(path=folder / f"compare-{name}-first.png")
    page.click("#errors")
    page.wait_for_function("/^blob:/.test(document.querySelector('#picture img').src)")
    page.screenshot(path=folder / f"compare-{name}.png", full_page=True)
    with page.expect_download() as download, tempfile.TemporaryDirectory() as scratch:
        page.click("#download-qann")
        path = Path(scratch) / "photo.qann"
        download.value.save_as(path)
        page.get_by_role("tab", name="Open a file").click()
        page.set_input_files("#qann-input input[type=file]", path)
        page.wait_for_selector("#header-table table", timeout=60_000)
    page.wait_for_timeout(800)
    page.screenshot(path=folder / f"open-{name}.png", full_page=True)
    page.get_by_role("tab", name="Rate-distortion").click()
    page.wait_for_selector("#chart .rd")
    page.wait_for_timeout(500)
    page.screenshot(path=folder / f"curves-{name}.png", full_page=True)


def shoot_article(page: Page, folder: Path, name: str) -> None:
    """The tab "Inside the codec", scrolled through, so that every part is made, then whole."""
    page.get_by_role("tab", name="Inside the codec").click()
    for part in PARTS:
        place = page.locator(f"#part-{part.name}")
        place.scroll_into_view_if_needed()
        place.locator("[data-key]").wait_for(timeout=60_000)
    page.click("#assume-nine")
    page.wait_for_function(
        "document.querySelector('#part-assumed img')?.alt.match(/ dB at/g)?.length >= 7",
        timeout=120_000,
    )
    page.wait_for_timeout(800)
    page.screenshot(path=folder / f"inside-{name}.png", full_page=True)


if __name__ == "__main__":
    main()
