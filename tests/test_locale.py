"""The command and the page start where text files are GBK by default, as on Chinese Windows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

GBK = """
import builtins, io, runpy, sys

unpatched = io.open

def open_as_gbk(file, mode="r", buffering=-1, encoding=None, *rest, **named):
    if "b" not in mode and encoding in (None, "locale"):
        encoding = "gbk"
    return unpatched(file, mode, buffering, encoding, *rest, **named)

io.open = builtins.open = open_as_gbk
"""
"""What a GBK locale does to ``open``, without one being installed."""


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", GBK + code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "gbk"},
        capture_output=True,
        encoding="gbk",
        timeout=240,
    )


def test_a_photo_with_a_chinese_name_becomes_a_file(examples: Path, tmp_path: Path) -> None:
    photo = tmp_path / "照片.jpg"
    photo.write_bytes((examples / "facade.jpg").read_bytes())
    commands = [
        ["compress", "照片.jpg", "照片.qann", "--levels", "32"],
        ["info", "照片.qann"],
        ["decompress", "照片.qann", "again.png"],
    ]
    for arguments in commands:
        code = f"sys.argv = ['qann', *{arguments}]; runpy.run_module('qann_core', None, '__main__')"
        answer = _run(code, tmp_path)
        assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "again.png").is_file()


@pytest.mark.slow
def test_the_page_is_built(tmp_path: Path) -> None:
    code = f"m = runpy.run_path({str(ROOT / 'app.py')!r}); m['launch_options'](); print('built')"
    answer = _run(code, tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip().endswith("built")
