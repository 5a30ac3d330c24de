"""One demo server and one browser for all tests of the page."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def start_demo(folder: Path, root: Path = ROOT) -> tuple[subprocess.Popen[bytes], str]:
    """Starts ``python app.py`` at a free port with its own cache; waits for the page.

    Args:
        folder: for the cache and the log.
        root: the project, or a copy of it.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "cache"),
        "QANN_PAGE_CACHE": str(folder / "frames"),
        "PYTHONPATH": str(root),
    }
    with open(folder / "demo.log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "app.py"], cwd=root, env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    for _ in range(1200):
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return server, url
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.25)
    server.kill()
    raise RuntimeError(
        "The demo did not start:\n" + (folder / "demo.log").read_text(encoding="utf-8")
    )


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo keeps its files."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="session")
def frames_folder(demo_folder: Path) -> Path:
    """Where the demo keeps results made ahead."""
    return demo_folder / "frames"


@pytest.fixture(scope="session")
def demo_url(demo_folder: Path) -> Iterator[str]:
    """The address of a running demo."""
    server, url = start_demo(demo_folder)
    yield url
    server.terminate()
    server.wait(20)


@pytest.fixture(scope="session")
def started_in() -> Callable[[Path, Path], tuple[subprocess.Popen[bytes], str]]:
    """Starts a demo of one's own, which is to be terminated."""
    return start_demo


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Debian's chromium; without it the tests are skipped, but never in CI."""
    if CHROMIUM is None:
        message = "no chromium is installed (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *FAKE_CAMERA]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small photo that is not among the examples."""
    path = tmp_path_factory.mktemp("photo") / "leaves.png"
    with Image.open(ROOT / "assets" / "examples" / "stream.jpg") as image:
        image.crop((100, 100, 356, 292)).save(path)
    return path


@pytest.fixture
def open_page(browser, demo_url) -> Iterator[Callable[..., object]]:
    """Opens the page with its first result; at the end its console and network are checked.

    What a test provokes on purpose it names in ``open_page.expected``.
    """
    troubles: list[str] = []
    contexts = []

    def opened(width: int = 1440, height: int = 900, query: str = ""):
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on(
            "console",
            lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda r: None if _is_local(r.url) else troubles.append(r.url))
        page.goto(demo_url + "/" + query)
        page.wait_for_selector("#verdict .cards", state="attached")
        page.wait_for_function("window.qannAsk && window.qann?.compare")
        return page

    opened.expected = ()
    gradios = ("Method not implemented.",)  # what its client warns of when an upload is done
    yield opened
    for context in contexts:
        context.close()
    assert [
        text for text in troubles if not any(e in text for e in (*opened.expected, *gradios))
    ] == []


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "data:", "blob:"))
