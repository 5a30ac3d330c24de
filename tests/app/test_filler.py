"""The process that makes results ahead: it stands still while visitors wait, and is never left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app import frames
from app.filler import Filler
from app.photos import Photo
from app.toasts import refused, toasted

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")

_SERVER = """
import time
from contextlib import nullcontext
from app.filler import filler
filler.start()
with {context}:
    print(filler.process.pid, flush=True)
    time.sleep(60)
"""


def state(pid: int) -> str:
    """A process's state as Linux tells it: T is stopped, Z is ended; "" where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return ""


def becomes(pid: int, *states: str) -> bool:
    for _ in range(6000):
        if state(pid) in states:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Filler]:
    """A filler that has just started."""
    monkeypatch.setenv("QANN_PAGE_CACHE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    one = Filler()
    one.start()
    yield one
    one.end()
    assert one.process is not None and one.process.wait(10) == -signal.SIGKILL


def test_stands_still_until_nobody_waits(running: Filler):
    pid = running.process.pid
    with running.paused():
        assert becomes(pid, "T")
        with running.paused():
            pass
        assert state(pid) == "T"
    assert becomes(pid, "R", "S", "D")


def test_listeners_pause_it(running: Filler, monkeypatch):
    monkeypatch.setattr("app.toasts.filler", running)
    pid = running.process.pid

    def once() -> bool:
        return becomes(pid, "T")

    def stream() -> Iterator[bool]:
        yield becomes(pid, "T")
        raise ValueError("a fault of ours")

    assert refused(once)() and becomes(pid, "R", "S", "D")
    steps = toasted(stream)()
    assert next(steps) and state(pid) == "T"
    with pytest.raises(ValueError, match="a fault"):
        next(steps)
    assert becomes(pid, "R", "S", "D")


def test_results_of_an_own_photo_are_made_and_forgotten(running: Filler, pixels):
    photo = Photo("leaves", pixels)
    assert running.make(photo) and running.make(photo)
    place = frames.own_place(photo.key)
    for _ in range(1200):
        made = json.loads((place / "index.json").read_text())["frames"]
        if made:
            break
        time.sleep(0.1)
    assert made[0]["photo"] == "own"
    assert made[0]["ssimulacra2"] is None, "its sides are too short"
    for side in ("original", "quantized", "restored"):
        file = frames.folder() / made[0]["sides"][side]["url"].removeprefix("frames/")
        assert Image.open(file).size == pixels.shape[1::-1]
    assert not frames.own_pixels(photo.key).exists()
    running.forget(photo)
    for _ in range(600):
        if not place.exists():
            break
        time.sleep(0.1)
    assert not place.exists()


def test_it_is_started_again_where_it_has_ended(running: Filler, pixels):
    running.process.kill()
    running.process.wait()
    photo = Photo("leaves", pixels)
    assert running.make(photo)
    first = running.process
    first.kill()
    first.wait()
    other = Photo("roots", pixels)
    assert running.make(other) and running.process is not first
    assert running.make(photo), "it is begun again"
    assert {photo.key, other.key} <= running._begun
    running.process.kill()
    running.process.wait()
    running.forget(photo)
    assert not frames.own_place(photo.key).exists()


def test_what_it_made_of_own_photos_goes_with_the_server(running: Filler, pixels):
    photo = Photo("leaves", pixels)
    running.make(photo)
    running.end()
    assert not frames.own_place(photo.key).exists()


def test_of_too_many_photos_at_once_some_are_not_made_ahead(running: Filler, pixels, monkeypatch):
    monkeypatch.setattr("app.filler.MAX_WAITING", 2)
    with running.paused():
        assert becomes(running.process.pid, "T")
        begun = [running.make(Photo("leaves", pixels)) for _ in range(3)]
    assert begun == [True, True, False]


def test_nothing_is_made_where_it_was_not_started(pixels):
    assert not Filler().make(Photo("leaves", pixels))


@pytest.mark.parametrize("context", ["filler.paused()", "nullcontext()"])
def test_a_killed_server_leaves_no_process(tmp_path: Path, monkeypatch, context: str):
    monkeypatch.setenv("QANN_PAGE_CACHE", str(tmp_path))
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER.format(context=context)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(server.stdout.readline())
    assert "null" in context or becomes(pid, "T")
    server.kill()
    server.wait(10)
    assert becomes(pid, "", "Z")


def test_without_a_signal_to_stop_it_goes_on(running: Filler, monkeypatch):
    """As on Windows."""
    monkeypatch.delattr(signal, "SIGSTOP")
    with running.paused():
        assert state(running.process.pid) in ("R", "S", "D")
