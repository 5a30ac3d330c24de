"""The command, as a user types it."""

import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qann_core import Codec, bitstream
from qann_core.cli import main


@pytest.fixture
def picture(tmp_path: Path, photo: np.ndarray) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    return path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_compress_info_decompress(
    picture: Path, codec: Codec, photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    packed, output = picture.with_suffix(".qann"), picture.with_name("out.png")
    assert run("compress", picture, packed, "--levels", 80) == 0
    assert packed.read_bytes() == codec.pack(codec.encode(photo), 80)
    capsys.readouterr()
    assert run("info", packed, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["levels"] == 80
    assert (facts["width"], facts["height"]) == (203, 133)
    assert facts["total_bytes"] == packed.stat().st_size
    assert facts["model"] == "default"
    assert run("decompress", packed, output) == 0
    expected = codec.decode(bitstream.unpack(packed.read_bytes()))
    assert np.array_equal(np.asarray(Image.open(output)), expected)


def test_the_prior_coder(
    picture: Path, codec: Codec, photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, packed = picture.with_suffix(".qann"), picture.with_name("prior.qann")
    output, expected = picture.with_name("out.png"), codec.quantize(codec.encode(photo), 80)
    assert run("compress", picture, plain, "--levels", 80) == 0
    assert run("compress", picture, packed, "--levels", 80, "--coder", "prior") == 0
    assert packed.stat().st_size < plain.stat().st_size
    capsys.readouterr()
    assert run("info", packed) == 0
    assert "coder        prior" in capsys.readouterr().out
    assert run("decompress", packed, output) == 0
    assert np.array_equal(np.asarray(Image.open(output)), codec.decode(expected))


def test_effort(
    picture: Path, codec: Codec, photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = picture.with_suffix(".qann")
    assert run("compress", picture, packed, "--levels", 80, "--effort", 2) == 0
    assert packed.read_bytes() == codec.pack(codec.encode(photo), 80, effort=2)
    assert run("decompress", packed, picture.with_name("out.png")) == 0
    assert run("compress", picture, packed, "--effort", 17, "--force") == 2
    assert "effort is 17; it must be a whole number from 0 to 16" in capsys.readouterr().err


def test_targets(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = picture.with_suffix(".qann")
    assert run("compress", picture, packed, "--bpp", 1.5) == 0
    assert bitstream.read_header(packed.read_bytes()).bits_per_pixel <= 1.5
    assert run("compress", picture, packed, "--bpp", 0.0001, "--force") == 2
    assert "cannot be reached" in capsys.readouterr().err
    assert bitstream.read_header(packed.read_bytes()).bits_per_pixel <= 1.5, "kept as it was"


def test_nothing_is_overwritten_unasked(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = picture.with_suffix(".qann")
    packed.write_bytes(b"mine")
    assert run("compress", picture, packed) == 2
    assert "exists already" in capsys.readouterr().err
    assert packed.read_bytes() == b"mine"
    assert run("compress", picture, packed, "--force") == 0
    assert packed.read_bytes()[:4] == b"QANN"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "not a .qann"), (b"\xff\xd8\xff\xe0 jpeg", "not a .qann"), (b"QANN\x01", "cut short")],
)
def test_bad_files(
    tmp_path: Path, content: bytes, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.qann"
    bad.write_bytes(content)
    for command in (("info", bad), ("decompress", bad, tmp_path / "out.png")):
        assert run(*command) == 2
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == [bad], "nothing was written"


def test_missing_input_and_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compress", tmp_path / "none.png", tmp_path / "x.qann") == 2
    assert "does not exist" in capsys.readouterr().err
    assert run("info", tmp_path / "none.qann") == 2
    assert run("evaluate", tmp_path / "none") == 2
    assert run("evaluate", tmp_path) == 2
    assert "No images" in capsys.readouterr().err


def test_evaluate_writes_table_json_and_csv(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = picture.parent, picture.parent / "out.json"
    table = picture.parent / "out.csv"
    levels = [32, 64, 96, 192, 384]
    assert run("evaluate", folder, "--levels", *levels, "--peers", "jpeg", "--json", out,
               "--csv", table, "--workers", 1) == 0  # fmt: skip
    result = json.loads(out.read_text(encoding="utf-8"))
    assert result["images"] == 1
    assert [row["levels"] for row in result["mean"]] == levels
    assert all(row["psnr_restored"] > row["psnr_quantized"] for row in result["mean"])
    assert result["per_image"][0]["image"] == "photo.png"
    assert isinstance(result["bd_rate_psnr"]["jpeg"], float)
    assert len(table.read_text(encoding="utf-8").splitlines()) > 10
    printed = capsys.readouterr().out
    assert "| BD-rate, %: QANN restored against" in printed
    assert "Means over 1 of 1 images" in printed


def test_the_module_is_the_command_and_starts_without_torch(tmp_path: Path) -> None:
    blocked = tmp_path / "torch.py"
    blocked.write_text("raise ImportError('torch must not be imported for this')", encoding="utf-8")
    (tmp_path / "empty.qann").write_bytes(b"")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    golden = Path(__file__).parent / "golden"
    (prior_file,) = golden.glob("08fb743a/photo-medium-prior-*.qann")
    for arguments, status in (
        (["--help"], 0),
        (["info", str(tmp_path / "empty.qann")], 2),
        (["info", str(prior_file)], 0),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "qann_core", *arguments],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr


def test_the_photo_is_never_overwritten_by_its_file(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = picture.read_bytes()
    link = picture.with_name("photo.qann")
    link.symlink_to(picture)
    assert run("compress", picture, link, "--force") == 2
    assert "is the file that is read" in capsys.readouterr().err
    assert run("decompress", picture, picture, "--force") == 2
    assert run("evaluate", picture.parent, "--json", picture, "--force") == 2
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compress", "photo.png", "out.png"), "must end in .qann"),
        (("compress", "photo.png", "."), "is a folder"),
        (("compress", "photo.png", "out.qann", "--levels", "8"), "N is 8"),
        (("compress", "photo.png", "out.qann", "--levels", "513"), "16 to 512"),
        (("compress", "photo.png", "out.qann", "--effort", "-1"), "effort is -1"),
        (("compress", "photo.png", "out.qann", "--levels", "96.5"), "invalid int value"),
        (("compress", "photo.png", "out.qann", "--levels", "96", "--psnr", "30"), "not allowed"),
        (("compress", "photo.png"), "required: output; see qann compress --help"),
        (("compress", "", "out.qann"), "is empty"),
        (("compress", "photo.png", ""), "is empty"),
        (("evaluate", ""), "is empty"),
        (("info", "missing.qann"), "missing.qann: No such file"),
        (("decompress", "photo.qann", "out.exe"), "must end in one of"),
        (("compress", "no\n\x1b[31mphoto.png", "out.qann"), "no\\n\\x1b[31mphoto.png does not"),
    ],
)
def test_refusals_come_before_the_networks(
    picture: Path,
    arguments: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("networks were loaded")

    monkeypatch.chdir(picture.parent)
    monkeypatch.setattr("qann_core.codec.Codec.load", fail)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and "\x1b" not in error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_read_as_a_file(picture: Path) -> None:
    pipe, packed = picture.with_name("pipe"), picture.with_suffix(".qann")
    os.mkfifo(pipe)
    with subprocess.Popen(["cp", picture, pipe]):
        assert run("compress", pipe, packed) == 0
    assert bitstream.read_header(packed.read_bytes()).width == 203


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_sentence(picture: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "qann_core", "compress", picture, "-"],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "qann: The output: No space left on device.\n")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    ],
)
def test_out_of_memory_is_one_sentence(
    picture: Path,
    error: Exception,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        warnings.warn("a library complains", stacklevel=1)
        logging.getLogger("library").warning("and again")
        raise error

    monkeypatch.setattr("qann_core.batch.tasks.read_image", fail)
    assert run("compress", picture, picture.with_suffix(".qann")) == 2
    assert capsys.readouterr().err == (
        "qann: There is not enough memory for this; use a smaller image.\n"
    )
