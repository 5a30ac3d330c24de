"""What the program that makes results ahead does, and in which order."""

from __future__ import annotations

import os

import numpy as np
import pytest

from app import ahead, frames
from app.choice import OPENING


@pytest.fixture
def work(tmp_path, monkeypatch: pytest.MonkeyPatch) -> ahead.Work:
    monkeypatch.setenv("QANN_PAGE_CACHE", str(tmp_path))
    monkeypatch.setattr(frames, "_make", pretend)
    monkeypatch.setattr(ahead, "add_peers", lambda photo, levels: None)
    return ahead.Work()


def pretend(photo, levels, place) -> None:
    """A frame without its pictures: a thousand bytes."""
    place.mkdir(parents=True)
    frames._write(place / "facts.json", {"n": levels, "sides": {}, "made of": 900 * "."})


def message(key: str) -> dict[str, object]:
    frames.own_place(key).mkdir(parents=True)
    np.zeros((8, 8, 3), np.uint8).tofile(frames.own_pixels(key))
    return {"key": key, "name": key, "shape": [8, 8, 3]}


def made(place) -> list[int]:
    return sorted(int(facts.parent.name) for facts in place.glob("*/facts.json"))


def test_the_newest_own_photo_comes_first_and_the_gallery_last(work):
    work.step()
    assert len(made(frames.gallery_place(OPENING.photo))) == 1
    work.take(message("one"))
    work.step()
    work.take(message("two"))
    for _ in frames.stops():
        work.step()
    assert made(frames.own_place("two")) == list(frames.stops())
    assert len(made(frames.own_place("one"))) == 1
    for _ in frames.stops():
        work.step()
    assert made(frames.own_place("one")) == list(frames.stops())
    while work.step():
        pass
    assert made(frames.gallery_place(OPENING.photo)) == list(frames.stops())


def test_a_photo_that_is_forgotten_is_not_gone_on_with(work):
    work.take(message("one"))
    work.step()
    work.take({"key": "one", "forget": True})
    assert not frames.own_place("one").exists()
    work.step()
    assert not frames.own_place("one").exists()


def test_beyond_the_bound_the_oldest_goes(work, monkeypatch):
    monkeypatch.setattr(ahead, "OWN_BYTES", 70_000)
    for key in ("one", "two"):
        work.take(message(key))
        for _ in frames.stops():
            work.step()
    assert not frames.own_place("one").exists()
    assert made(frames.own_place("two")) == list(frames.stops())


def test_what_a_killed_server_left_is_deleted(work):
    for key, age in (("old", 3 * ahead.LEFT_SECONDS), ("new", 0)):
        place = frames.own_place(key)
        place.mkdir(parents=True)
        os.utime(place, (place.stat().st_mtime - age,) * 2)
    other = frames.folder() / "of-another-version"
    other.mkdir()
    ahead.Work()
    assert frames.own_place("new").exists() and not frames.own_place("old").exists()
    assert not other.exists()
