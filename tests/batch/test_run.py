"""Batches over folders with processes of this machine: record, resuming, failures, kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qann_core import Codec
from qann_core.batch import Compression, Decompression, Store, Summary, run_batch
from qann_core.batch.manifest import Record
from qann_core.batch.pools import Lost, workers_and_threads
from qann_core.batch.tasks import Job, Work
from qann_core.common.errors import ModelError, ParameterError


class HerePool:
    """Does each job at once in this process; a job in ``losing`` is lost as often as it says."""

    capacity = 1

    def __init__(self, work: Work, losing: dict[str, int] | None = None) -> None:
        self.work, self.losing = work, losing or {}
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def wait(self) -> list[tuple[Job, Record | Lost]]:
        job = self.jobs.pop()
        if self.losing.get(job.path, 0) > 0:
            self.losing[job.path] -= 1
            return [(job, Lost("ended by SIGKILL"))]
        return [(job, self.work(job))]

    def close(self) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    """Two pictures of one name in a subfolder, and one beside it."""
    folder = tmp_path / "photos"
    (folder / "a").mkdir(parents=True)
    Image.fromarray(photo[:48, :64]).save(folder / "a" / "DSC.png")
    Image.fromarray(photo[:48, 64:128]).save(folder / "a" / "DSC.jpg")
    Image.fromarray(photo[48:96, :64]).save(folder / "b.PNG")
    return folder


def compress(folder: Path, out: Path | str, **options: object) -> Summary:
    pool = {"make_pool": HerePool} | options
    task = pool.pop("task", Compression(levels=48))
    return run_batch(task, Store(folder), Store(out), **pool)


def lines(out: Path) -> list[dict[str, object]]:
    text = (out / "manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def tree(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".jsonl"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_tree_there_and_back(folder: Path, tmp_path: Path, codec: Codec) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    summary = compress(folder, out, make_pool=None, workers=2)
    assert (summary.files, summary.done, summary.failed) == (3, 3, [])
    assert set(tree(out)) == {"a/DSC.png.qann", "a/DSC.jpg.qann", "b.PNG.qann"}
    pixels = np.asarray(Image.open(folder / "a" / "DSC.png"))
    assert tree(out)["a/DSC.png.qann"] == codec.pack(codec.encode(pixels), 48)
    written = {str(line["path"]): line for line in lines(out)}
    assert set(written) == {"a/DSC.png", "a/DSC.jpg", "b.PNG"}
    line = written["a/DSC.png"]
    assert (line["width"], line["height"], line["levels"]) == (64, 48, 48)
    assert line["bytes_out"] == (out / "a" / "DSC.png.qann").stat().st_size
    assert line["bpp"] == pytest.approx(8 * int(str(line["bytes_out"])) / (64 * 48), abs=1e-4)

    compress(out, back, task=Decompression())
    assert set(tree(back)) == {"a/DSC.png", "a/DSC.jpg.png", "b.PNG"}
    decoded = codec.decode(codec.unpack(tree(out)["a/DSC.png.qann"]))
    assert np.array_equal(np.asarray(Image.open(back / "a" / "DSC.png")), decoded)


def test_names_that_would_meet_are_kept_apart() -> None:
    names = Decompression().outputs(["a.qann", "a.png.qann", "b.png.qann", "c.jpg.qann"])
    assert len(set(names.values())) == 4
    assert (names["b.png.qann"], names["c.jpg.qann"]) == ("b.png", "c.jpg.png")
    assert set(Compression().outputs(["DSC.png", "DSC.jpg"]).values()) == {
        "DSC.png.qann", "DSC.jpg.qann",
    }  # fmt: skip


def test_only_what_is_missing_or_changed_is_done_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert compress(folder, out).done == 3
    again = compress(folder, out)
    assert (again.done, again.current) == (0, 3)

    (out / "b.PNG.qann").unlink()
    os.utime(folder / "a" / "DSC.png", (1, 1))
    assert compress(folder, out).done == 2
    assert compress(folder, out, task=Compression(levels=64)).done == 3, "other options"
    Image.new("RGB", (20, 20)).save(folder / "new.png")
    assert compress(folder, out, task=Compression(levels=64)).done == 1
    assert sorted(str(line["path"]) for line in lines(out)) == [
        "a/DSC.jpg", "a/DSC.png", "b.PNG", "new.png",
    ]  # fmt: skip


def test_a_line_that_was_cut_short_costs_one_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    compress(folder, out)
    manifest = out / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    (out / ".0123456789abcdef.tmp").write_bytes(b"half")
    assert compress(folder, out).done == 1
    assert len(lines(out)) == 3
    assert not (out / ".0123456789abcdef.tmp").exists()


def test_bad_files_are_named_and_the_rest_is_done(folder: Path, tmp_path: Path) -> None:
    (folder / "text.jpg").write_text("no picture", encoding="utf-8")
    whole = (folder / "a" / "DSC.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (20000, 20000)).save(folder / "bomb.png")
    (folder / "nothing.png").symlink_to(folder / "gone.png")
    (folder / "link.png").symlink_to(folder / "b.PNG")
    (folder / "._b.PNG").write_bytes(b"companion")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "c.png").write_bytes(whole)
    out = tmp_path / "out"
    summary = compress(folder, out)
    bad = ["bomb.png", "cut.png", "nothing.png", "text.jpg"]
    assert [path for path, _ in summary.failed] == bad
    assert "too large" in dict(summary.failed)["bomb.png"]
    assert (summary.files, summary.done) == (8, 4)
    assert "link.png.qann" in tree(out)
    assert {str(line["path"]) for line in lines(out) if "error" in line} == set(bad)
    again = compress(folder, out)
    assert (again.current, len(again.failed), len(lines(out))) == (4, 4, 8)


@pytest.mark.parametrize(("losses", "done"), [(1, 3), (2, 3), (3, 2)])
def test_a_lost_worker_is_tried_again(folder: Path, tmp_path: Path, losses: int, done: int) -> None:
    out = tmp_path / "out"
    summary = compress(folder, out, make_pool=lambda work: HerePool(work, {"b.PNG": losses}))
    assert (summary.done, len(summary.failed), len(lines(out))) == (done, 3 - done, 3)
    assert all("SIGKILL" in error for _, error in summary.failed)


def test_refusals_come_first(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="not a folder"):
        compress(tmp_path / "none", tmp_path / "out")
    with pytest.raises(ParameterError, match="No images"):
        (tmp_path / "empty").mkdir()
        compress(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ParameterError, match="source itself"):
        compress(folder, folder)
    with pytest.raises(ParameterError, match="not empty"):
        compress(folder, tmp_path)
    with pytest.raises(ModelError, match="no model"):
        compress(folder, tmp_path / "out", task=Compression(model="none"))
    with pytest.raises(ParameterError, match="above 0"):
        compress(folder, tmp_path / "out", task=Compression(psnr=float("nan")))
    assert not (tmp_path / "out").exists()


def test_a_target_that_cannot_be_reached_is_that_files_error(folder: Path, tmp_path: Path) -> None:
    summary = compress(folder, tmp_path / "out", task=Compression(bpp=0.001))
    assert len(summary.failed) == 3
    assert "cannot be reached" in summary.failed[0][1]


def test_object_stores(folder: Path, tmp_path: Path) -> None:
    """The same bytes through fsspec; the record is whole at the end."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for path, data in tree(folder).items():
        memory.pipe_file(f"/photos/{path}", data)
    assert compress("memory://photos", "memory://out").done == 3
    compress(folder, tmp_path / "out")
    for path, data in tree(tmp_path / "out").items():
        assert memory.cat_file(f"/out/{path}") == data
    assert len(memory.cat_file("/out/manifest.jsonl").splitlines()) == 3
    assert compress("memory://photos", "memory://out").current == 3
    assert compress(f"file://{folder}", tmp_path / "out").current == 3, "the same as the folder"


def test_workers_and_threads_fill_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qann_core.batch.pools.cores", lambda: 8)
    assert workers_and_threads(1000) == (8, 1)
    assert workers_and_threads(2) == (2, 4)
    assert workers_and_threads(1000, workers=3) == (3, 2)
    assert workers_and_threads(1000, workers=16) == (16, 1)
    assert workers_and_threads(1000, device="cuda") == (4, 2)


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def started(folder: Path, out: Path, photo: np.ndarray) -> subprocess.Popen[bytes]:
    """A batch of 23 files that has done some of them."""
    for number in range(20):
        Image.fromarray(photo[:, number:]).save(folder / f"{number:02}.png")
    command = [sys.executable, "-m", "qann_core", "compress", str(folder), str(out)]
    options = ["--levels", "48", "--workers", "1"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE)
    manifest = out / "manifest.jsonl"
    wait_until(lambda: manifest.exists() and manifest.read_bytes().count(b"\n") >= 4)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_batch_goes_on(
    folder: Path, tmp_path: Path, photo: np.ndarray, sign: signal.Signals
) -> None:
    out = tmp_path / "out"
    process = started(folder, out, photo)
    process.send_signal(sign)
    status = process.wait()
    assert status != 0
    done = (out / "manifest.jsonl").read_bytes().count(b"\n")
    assert 4 <= done < 23
    summary = compress(folder, out)
    assert (summary.current, summary.done) == (done, 23 - done)
    assert len({line["path"] for line in lines(out)}) == len(lines(out)) == 23
    compress(folder, tmp_path / "straight")
    assert tree(out) == tree(tmp_path / "straight")


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(folder: Path, tmp_path: Path, photo: np.ndarray) -> None:
    psutil = pytest.importorskip("psutil")
    out = tmp_path / "out"
    process = started(folder, out, photo)
    for child in psutil.Process(process.pid).children():
        if "spawn_main" in " ".join(child.cmdline()):
            child.send_signal(signal.SIGKILL)
    assert process.wait(300) == 0
    assert len({line["path"] for line in lines(out)}) == len(lines(out)) == 23
    assert not any("error" in line for line in lines(out))
