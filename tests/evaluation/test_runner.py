"""Evaluations: what is kept is not measured again, and no bad file ends one."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_metrics import photo_like

from qann_core import ParameterError
from qann_core.evaluation import subjects
from qann_core.evaluation.peers import Peer
from qann_core.evaluation.points import QANN, RESTORED, Curve, Point
from qann_core.evaluation.runner import evaluate
from qann_core.evaluation.store import append_points, pixels_digest, read_points
from qann_core.evaluation.subjects import Subject, make_subjects, model_subject, peer_subject

Asked = list[tuple[tuple[int, ...], tuple[str, ...]]]


def counting() -> tuple[Subject, Asked]:
    """JPEG, and what it was asked for."""
    subject, asked = peer_subject("jpeg"), []

    def points(
        pixels: np.ndarray, settings: Sequence[int], measures: Sequence[str]
    ) -> Iterator[Point]:
        asked.append((tuple(settings), tuple(measures)))
        return subject.points(pixels, settings, measures)

    return replace(subject, settings=(20, 50, 80), points=points), asked


def dying(pixels: np.ndarray, *wanted: Sequence) -> Iterator[Point]:
    """JPEG whose process is killed, as for want of memory, on pictures that begin black."""
    if not pixels[0, 0].any():
        os.kill(os.getpid(), signal.SIGKILL)
    return peer_subject("jpeg").points(pixels, *wanted)


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """Two small pictures and one that is none."""
    found = {}
    for number in range(2):
        path = tmp_path / f"{number}.png"
        Image.fromarray(photo_like(40, 48, number)).save(path)
        found[path.name] = path
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    return {**found, "text.jpg": tmp_path / "text.jpg"}


def test_only_what_is_missing_is_measured(images: dict[str, Path], tmp_path: Path) -> None:
    store = tmp_path / "points"
    subject, asked = counting()
    before = evaluate(images, [subject], ("psnr",), store)
    assert asked == [((20, 50, 80), ("psnr",))] * 2
    asked.clear()
    assert evaluate(images, [subject], ("psnr",), store).points == before.points
    assert asked == []
    after = evaluate(images, [subject], ("psnr", "ssim"), store)
    assert asked == [((20, 50, 80), ("ssim",))] * 2
    for image in ("0.png", "1.png"):
        for old, new in zip(before.points[image], after.points[image], strict=True):
            assert new.values == {**old.values, "ssim": new.values["ssim"]}


def test_a_run_that_was_killed_goes_on(images: dict[str, Path], tmp_path: Path) -> None:
    store = tmp_path / "points"
    before = evaluate(images, [counting()[0]], ("psnr",), store)
    file = store / "jpeg.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines[:4]) + "\n" + lines[4][:40], encoding="utf-8")
    subject, asked = counting()
    assert evaluate(images, [subject], ("psnr",), store).points == before.points
    assert asked == [((50, 80), ("psnr",))]


def test_what_is_stored_can_be_had_without_measuring(
    images: dict[str, Path], tmp_path: Path
) -> None:
    store = tmp_path / "points"
    measured = evaluate({"0.png": images["0.png"]}, [counting()[0]], ("psnr",), store)
    subject, asked = counting()
    stored = evaluate(images, [subject], ("psnr",), store, measure=False)
    assert asked == [] and stored.points == {**measured.points, "1.png": []}
    lacking = evaluate(images, [subject], ("psnr", "ssim"), store, measure=False)
    assert lacking.points == {"0.png": [], "1.png": []}, "points without a measure do not count"


def test_what_cannot_be_read_is_named_and_the_rest_measured(images: dict[str, Path]) -> None:
    result = evaluate(images, [peer_subject("jpeg")], ("psnr",))
    assert result.found == 3 and list(result.points) == ["0.png", "1.png"]
    (left,) = result.left_out
    assert (left.image, left.subject) == ("text.jpg", "") and "not an image" in left.reason


def test_a_peer_that_refuses_an_image_leaves_the_others(tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    Image.new("RGB", (16400, 12), (90, 60, 30)).save(wide)
    peers = [peer_subject("webp"), peer_subject("jpeg")]
    result = evaluate({"wide.png": wide}, peers, ("psnr",))
    (left,) = result.left_out
    assert left.subject == "webp" and "cannot store" in left.reason
    assert {point.kind for point in result.points["wide.png"]} == {"jpeg"}


def test_whatever_a_library_raises_costs_one_image(images: dict[str, Path], monkeypatch) -> None:
    def decode(self: object, data: bytes) -> np.ndarray:
        raise Image.DecompressionBombError("too many pixels")

    monkeypatch.setattr(Peer, "decode", decode)
    result = evaluate({"0.png": images["0.png"]}, [peer_subject("jpeg")], ("psnr",))
    assert result.left_out[0].reason == "DecompressionBombError: too many pixels"


def test_the_same_picture_twice_is_measured_once(images: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(images["0.png"].read_bytes())
    subject, asked = counting()
    result = evaluate({"0.png": images["0.png"], "copy.png": copy}, [subject], ("psnr",))
    assert len(asked) == 1 and result.points["0.png"] == result.points["copy.png"]


@pytest.mark.slow
def test_workers_give_the_same_points_and_one_may_die(
    images: dict[str, Path], tmp_path: Path
) -> None:
    black = tmp_path / "black.png"
    Image.new("RGB", (40, 40)).save(black)
    several = {**images, "black.png": black}
    alone = evaluate(images, [peer_subject("jpeg")], ("psnr",))
    spread = evaluate(several, [replace(peer_subject("jpeg"), points=dying)], ("psnr",), workers=2)
    assert {name: spread.points[name] for name in alone.points} == alone.points
    assert spread.points["black.png"] == []
    lost = next(one for one in spread.left_out if one.image == "black.png")
    assert "SIGKILL" in lost.reason


def test_no_workers() -> None:
    with pytest.raises(ParameterError, match="at least 1"):
        evaluate({}, [], (), workers=0)


class TestSubjects:
    def test_the_main_one_comes_first(self) -> None:
        chosen = make_subjects(["psnr"], (96, 32), ("brotli", "prior"), (0, 2), ["jpeg"], ("rq",))
        assert [subject.name for subject in chosen] == ["psnr", "psnr-2", "jpeg", "psnr-rq"]
        first = next(iter(chosen[0].identities))
        assert (first.coder, first.model, first.effort) == ("brotli", "psnr", 0)
        assert chosen[0].settings == (32, 96)
        curves = [curve for subject in chosen for curve in subject.identities]
        assert len({curve.name for curve in curves}) == len(curves)

    def test_identities_name_all_that_points_depend_on(self, monkeypatch) -> None:
        def identity(coder: str, effort: int) -> str:
            subject = model_subject("psnr", (32,), (coder,), effort)
            return subject.identities[Curve(QANN, RESTORED, coder, "psnr", effort)]

        kinds = [(coder, effort) for coder in ("brotli", "prior") for effort in (0, 1)]
        before = [identity(*kind) for kind in kinds]
        assert len(set(before)) == 4
        monkeypatch.setattr(subjects, "prior_digest", lambda _: "another")
        changed = [identity(*kind) != old for kind, old in zip(kinds, before, strict=True)]
        assert changed == [False, True, True, True], "an effort asks the prior what things cost"

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ({"peers": ["bpg"]}, "no codec 'bpg'"),
            ({"peers": ["jpeg", "jpeg"]}, "jpeg is asked for twice"),
            ({"coders": ["lzma"]}, "no coder 'lzma'"),
            ({"efforts": (99,)}, "effort"),
        ],
    )
    def test_bad_choices(self, options: dict, complaint: str) -> None:
        with pytest.raises(ParameterError, match=complaint):
            make_subjects(["psnr"], (32,), **options)


class TestStore:
    curve = Curve("jpeg")
    point = Point(curve, 50, 1.0, 100, {"psnr": float("inf"), "ms_ssim": None})

    def test_only_lines_that_fit_count_and_the_latest(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "jpeg.jsonl"
        append_points(path, "d0", {self.curve: "me"}, [self.point])
        append_points(path, "d1", {self.curve: "another"}, [self.point])
        path.write_text(path.read_text(encoding="utf-8") + '{"identity": "me", "ima')
        append_points(path, "d2", {self.curve: "me"}, [self.point])
        found = read_points(path, {self.curve: "me"})
        assert [key[0] for key in found] == ["d0", "d2"]
        assert found["d0", self.curve, 50] == self.point
        assert all(json.loads(line) for line in path.read_text().splitlines()[:2])

    def test_absent(self, tmp_path: Path) -> None:
        assert read_points(tmp_path / "none.jsonl", {}) == {} == read_points(None, {})

    def test_digest_tells_shapes_apart(self) -> None:
        flat = np.zeros((4, 6, 3), np.uint8)
        assert pixels_digest(flat) == pixels_digest(flat.copy())
        assert pixels_digest(flat) != pixels_digest(flat.reshape(6, 4, 3))
