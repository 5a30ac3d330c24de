"""Seconds from letting go of the slider to the new pictures of an own photo, in a real browser.

    python benchmarks/page_latency.py [--url URL] [--photo NAME] [--moves K]

Without a URL it starts ``app.py`` itself. For each move the slider is dragged with the mouse; the
clock runs inside the page, from the slider's release to the first new picture, and until the
numbers for exactly that N stand there and both new pictures are loaded. Medians depend on the
load, which is printed too.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium"

# Polls each frame; resolves with milliseconds to the first visible answer and to all of it.
_WATCH = """
() => {
  const pictures = [...document.querySelectorAll("#picture img")];
  window.latency = new Promise((done) => {
    document.querySelector("#n-range").addEventListener("pointerup", (event) => {
      const started = performance.now();
      const old = pictures.map((image) => image.src);
      let first = 0;
      const look = () => {
        const { levels, complete } = document.querySelector("#verdict").dataset;
        const fresh = pictures.map((image, i) => image.src !== old[i] && image.complete);
        if (!first && fresh.some(Boolean)) first = performance.now() - started;
        const all = complete === "true" && levels === document.querySelector("#n-number").value;
        if (all && fresh.every(Boolean)) done([first, performance.now() - started]);
        else requestAnimationFrame(look);
      };
      setTimeout(look);
    }, { once: true });
  });
}
"""


@contextmanager
def demo() -> Iterator[tuple[str, int]]:
    """A demo server of our own; gives its address and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port)}
    started = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(url, timeout=2).close()
                break
            except OSError:
                if server.poll() is not None:
                    sys.exit("The demo did not start.")
                time.sleep(0.1)
        print(f"start to first answer: {time.perf_counter() - started:.1f} s")
        yield url, server.pid
    finally:
        server.terminate()
        server.wait()


def move(page: Page, share: float) -> tuple[float, float]:
    """Drags the slider to a share of its width; returns seconds to the first picture and to all."""
    box = page.locator("#n-range").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.evaluate(_WATCH)
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + share * box["width"], y, steps=5)
    page.mouse.up()
    first, whole = page.evaluate("window.latency")
    return first / 1000, whole / 1000


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a running demo; by default one is started")
    parser.add_argument("--photo", default="brushes", help="an example photo's subject or name")
    parser.add_argument("--moves", type=int, default=20)
    options = parser.parse_args()
    if options.url:
        measure(options.url, options.photo, options.moves)
    else:
        with demo() as (url, _):
            measure(url, options.photo, options.moves)


def measure(url: str, photo: str, moves: int) -> None:
    """Opens the page, chooses the photo, moves the slider and prints what it took."""
    sys.path.insert(0, str(ROOT))
    from app.examples import credits

    index = next(i for i, credit in enumerate(credits()) if photo in (credit.name, credit.subject))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 1400})
        started = time.perf_counter()
        page.goto(url)
        page.wait_for_selector("#verdict .cards")
        print(f"page opened with a result: {time.perf_counter() - started:.1f} s")
        page.wait_for_function("window.qann?.compare")
        path = credits()[index].path
        page.set_input_files("#upload input[type=file]", path)
        page.wait_for_function("window.qann?.compare?.state?.photo === 'own'")
        page.wait_for_selector("#verdict[data-complete=true]")
        page.wait_for_timeout(3000)
        times = [move(page, 0.04 + 0.9 * (7 * k % moves) / moves) for k in range(moves)]
        browser.close()
    times = times[1:]  # the first move warms up
    print(f"{credits()[index].file} as an own photo, {len(times)} moves, "
          f"load {os.getloadavg()[0]:.1f}:")  # fmt: skip
    for name, seconds in zip(("first picture", "all"), zip(*times, strict=True), strict=True):
        print(f"{name}: median {statistics.median(seconds):.2f} s, "
              f"from {min(seconds):.2f} to {max(seconds):.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()
