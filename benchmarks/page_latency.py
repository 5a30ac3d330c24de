"""Seconds from a move of N to the new pictures of an own photo, in a real browser.

    python benchmarks/page_latency.py [--url URL] [--photo NAME] [--moves K]

Without a URL it starts ``app.py`` itself. N is typed, so that the server computes it, and then
chosen with the slider once the results for its positions have been made ahead; a second passes
between moves. The clock runs inside the page, from the move to the first new picture, and until the
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium"

# Resolves with milliseconds to the first visible answer and to all of it.
_WATCH = """
([selector, kind]) => {
  const pictures = [...document.querySelectorAll("#picture img")];
  const verdict = document.querySelector("#verdict");
  window.latency = new Promise((done) => {
    document.querySelector(selector).addEventListener(kind, () => {
      const started = performance.now();
      const old = pictures.map((image) => image.src);
      let first = 0;
      const look = () => {
        const fresh = pictures.map((image, i) => image.src !== old[i] && image.complete);
        if (!first && fresh.some(Boolean)) first = performance.now() - started;
        const { levels, complete } = verdict.dataset;
        const all = complete === "true" && levels === document.querySelector("#n-number").value;
        if (!all || !fresh.every(Boolean)) return;
        watcher.disconnect();
        done([first, performance.now() - started]);
      };
      const watcher = new MutationObserver(look);
      for (const image of pictures) {
        watcher.observe(image, { attributes: true });
        image.addEventListener("load", look);
      }
      watcher.observe(verdict, { attributes: true });
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


def typed(page: Page, n: int) -> list[float]:
    """Types N; returns seconds to the first picture and to all."""
    page.evaluate(_WATCH, ["#n-number", "change"])
    page.locator("#n-number").fill(str(n))
    page.locator("#n-number").press("Enter")
    return [milliseconds / 1000 for milliseconds in page.evaluate("window.latency")]


def dragged(page: Page, n: int) -> list[float]:
    """Drags the slider to N; returns seconds from its release, as ``typed``."""
    box = page.locator("#n-range").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    share = page.evaluate("(n) => qann.compare.levels.position(n) / 1000", n)
    page.evaluate(_WATCH, ["#n-range", "pointerup"])
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 8 + share * (box["width"] - 16), y)
    page.mouse.up()
    return [milliseconds / 1000 for milliseconds in page.evaluate("window.latency")]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a running demo; by default one is started")
    parser.add_argument("--photo", default="brushes", help="an example photo's subject or name")
    parser.add_argument("--moves", type=int, default=15)
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
        stops = page.evaluate("qann.compare.levels.stops")
        # Between the slider's positions, in leaps; the first move warms up.
        steps = [stops[7 * k % (len(stops) - 1)] + 1 for k in range(moves + 1)]
        report("typed", [after_a_second(page, typed, n) for n in steps][1:])
        page.wait_for_function(f"Object.keys(qann.compare.frames).length === {len(stops)}",
                               timeout=600_000)  # fmt: skip
        steps = [stops[7 * k % len(stops)] for k in range(moves)]
        report("dragged", [after_a_second(page, dragged, n) for n in steps])
        browser.close()


def after_a_second(page: Page, move: Callable[[Page, int], list[float]], n: int) -> list[float]:
    """A move once the page has been at rest."""
    page.wait_for_timeout(1000)
    return move(page, n)


def report(name: str, times: list[list[float]]) -> None:
    """Prints medians."""
    for part, seconds in zip(("first picture", "all"), zip(*times, strict=True), strict=True):
        print(f"{name}, {len(times)} moves, load {os.getloadavg()[0]:.1f}, {part}: median "
              f"{statistics.median(seconds):.2f} s, from {min(seconds):.2f} to "
              f"{max(seconds):.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()
