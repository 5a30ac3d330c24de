"""What the tests of the page share: a small photo, and a client of a running page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qann_core import read_image

gr = pytest.importorskip("gradio")

from gradio_client import Client  # noqa: E402

from app.page import build, launch_options  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def frames_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of its own for results made ahead."""
    folder = tmp_path_factory.mktemp("frames")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QANN_PAGE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    whole = read_image(ROOT / "assets" / "examples" / "stream.jpg").pixels
    return np.ascontiguousarray(whole[100:292, 100:356])


@pytest.fixture(scope="session")
def photo_file(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "leaves.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    demo = build()
    _, url, _ = demo.launch(**launch_options(), prevent_thread_lock=True, quiet=True)
    yield Client(url, verbose=False, download_files=tmp_path_factory.mktemp("client"))
    demo.close()
