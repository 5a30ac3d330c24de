"""``qann compress`` and ``decompress`` with folders and with standard input and output."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qann_core import Codec
from qann_core.cli import main


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    (folder / "a").mkdir(parents=True)
    Image.fromarray(photo[:48, :64]).save(folder / "a" / "DSC.png")
    Image.fromarray(photo[:48, 64:128]).convert("RGBA").save(folder / "b.png")
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def piped(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "qann_core", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False)


def test_a_folder_with_a_bad_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, bad = tmp_path / "out", folder / "bad\n\x1b[2J.png"
    bad.write_bytes(b"")
    assert run("compress", folder, out, "--levels", 48, "--workers", 1, "--measure", "psnr") == 1
    told = capsys.readouterr()
    assert "2 files compressed" in told.out
    assert "1 failed" in told.out
    (line,) = [line for line in told.err.splitlines() if line.startswith("qann:")]
    assert line.startswith("qann: bad\\n\\x1b[2J.png: ")
    records = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    measured = [json.loads(line).get("measures") for line in records]
    assert [15 < m["psnr"] < 60 for m in measured if m] == [True, True]
    bad.unlink()
    assert run("compress", folder, out, "--levels", 48, "--workers", 1, "--measure", "psnr") == 0
    assert "0 files compressed" in capsys.readouterr().out


def test_options_of_folders_are_refused_for_files(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compress", folder / "b.png", tmp_path / "b.qann", "--workers", 2) == 2
    assert "--workers is for folders" in capsys.readouterr().err
    assert run("compress", folder, "-") == 2
    assert run("compress", folder, tmp_path / "out", "--levels", 4) == 2
    assert "N is 4" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_standard_input_and_output(folder: Path, codec: Codec, photo: np.ndarray) -> None:
    """Binary both ways: some of these bytes are line ends, and none is changed."""
    source = (folder / "a" / "DSC.png").read_bytes()
    packed = piped("compress", "-", "-", "--levels", "48", data=source)
    assert (packed.returncode, packed.stderr) == (0, b"")
    assert packed.stdout == codec.pack(codec.encode(photo[:48, :64]), 48)
    image = piped("decompress", "-", "-", "--format", "bmp", data=packed.stdout)
    assert image.returncode == 0
    output = folder.parent / "image.bmp"
    output.write_bytes(image.stdout)
    decoded = codec.decode(codec.unpack(packed.stdout))
    assert np.array_equal(np.asarray(Image.open(output)), decoded)


def test_standard_input_refused(tmp_path: Path) -> None:
    for command in ("compress", "decompress"):
        done = piped(command, "-", "-", data=b"neither image nor .qann file")
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.startswith(b"qann: ")
        assert done.stderr.count(b"\n") == 1
    assert os.listdir(tmp_path) == []
