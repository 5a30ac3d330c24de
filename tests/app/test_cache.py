"""Files that the demo makes for visitors: deleted when they are old, by a server of its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("gradio")

from gradio_client import Client, handle_file

from app.page import build, launch_options


def test_old_files_are_deleted_but_not_the_pages_own(photo, tmp_path, monkeypatch):
    photo_file = tmp_path / "leaves.png"
    Image.fromarray(photo).save(photo_file)
    cache = tmp_path / "cache"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(cache))
    demo = build()
    frequency, age = demo.delete_cache
    assert frequency < age <= 3600
    kept = _files(cache)
    assert {path.name for path in kept} == {"tutorial.ipynb"}
    demo.delete_cache = (0.2, 8)
    _, url, _ = demo.launch(**launch_options(), prevent_thread_lock=True, quiet=True)
    try:
        client = Client(url, verbose=False, download_files=False)
        client.predict(handle_file(photo_file), 60, api_name="/compress")
        assert len(_files(cache) - kept) >= 2, "the photo and the .qann file"
        deadline = time.monotonic() + 40
        while _files(cache) - kept and time.monotonic() < deadline:
            time.sleep(0.2)
        assert _files(cache) == kept
    finally:
        demo.close()


def _files(folder: Path) -> set[Path]:
    """Files with content; Gradio leaves an empty one behind each upload."""
    return {path for path in folder.rglob("*") if path.is_file() and path.stat().st_size}
