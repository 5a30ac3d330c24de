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
    options = ("--levels", 48, "--workers", 1, "--measure", "psnr", "ms_ssim")
    assert run("compress", folder, out, *options) == 1
    output = capsys.readouterr()
    assert "2 files compressed" in output.out
    assert "1 failed" in output.out
    (line,) = [line for line in output.err.splitlines() if line.startswith("qann:")]
    assert line.startswith("qann: bad\\n\\x1b[2J.png: ")
    records = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    measured = [json.loads(line).get("measures") for line in records]
    assert [15 < m["psnr"] < 60 for m in measured if m] == [True, True]
    assert [m["ms_ssim"] for m in measured if m] == [None, None], "too small for it"
    bad.unlink()
    assert run("compress", folder, out, *options) == 0
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


@pytest.mark.parametrize("extension", ["png", "jpg", "avif", "webp"])
def test_metadata_survive_when_asked(
    tmp_path: Path, photo: np.ndarray, extension: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """There and back through a file that lies on its side: the picture comes back upright, and
    nothing in the metadata turns it again."""
    source, packed = tmp_path / "a.jpg", tmp_path / "a.qann"
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A camera", 6
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6">title</a></x:xmpmeta>'
    Image.fromarray(photo[:48, :64]).save(source, exif=exif, xmp=xmp)
    assert run("compress", source, packed, "--keep-metadata") == 0
    assert "Not kept" not in capsys.readouterr().err
    assert run("info", packed) == 0
    assert "container    version 2" in capsys.readouterr().out
    output = tmp_path / f"back.{extension}"
    assert run("decompress", packed, output) == 0
    with Image.open(output) as image:
        assert image.size == (48, 64)
        assert image.getexif()[0x010F] == "A camera"
        assert image.getexif().get(0x0112, 1) == 1
        image.load()
        kept = image.info["xmp"]
    assert (kept if isinstance(kept, bytes) else kept.encode()) == xmp.replace(b'"6"', b'"1"')


def test_what_is_dropped_is_said_once(
    tmp_path: Path, photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(photo[:48, :64]).save(folder / name, exif=exif)
    assert run("compress", folder, tmp_path / "out", "--workers", 1) == 0
    assert capsys.readouterr().err.count("Not kept: EXIF.") == 1
    assert (tmp_path / "out" / "a.jpg.qann").read_bytes()[4] == 1
    assert run("compress", folder / "a.jpg", tmp_path / "a.qann", "--keep-metadata") == 0
    assert capsys.readouterr().err == ""
    assert run("decompress", tmp_path / "a.qann", tmp_path / "a.bmp") == 0
    assert "Not kept: EXIF." in capsys.readouterr().err
