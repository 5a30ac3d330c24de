"""The same on every machine: what other processors would do, in this run, in processes of its own.

oneDNN and ATen choose their code by the processor's instruction sets; both can be told to use
older ones. A setting newer than the processor is the same as none.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, tuple[dict[str, str], list[str]]] = {
    "as it is": ({}, []),
    "SSE4.1": ({"ONEDNN_MAX_CPU_ISA": "SSE41"}, []),
    "AVX2": ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, []),
    "AVX-512": ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, []),
    "ATen without vectors": ({"ATEN_CPU_CAPABILITY": "default"}, []),
    "without oneDNN": ({}, ["--without-onednn"]),
}
"""Environment and arguments of the probe."""

pytestmark = pytest.mark.slow


@cache
def _run(setting: str) -> dict[str, np.ndarray]:
    """What one setting gives, by kind/file/threads; see probe.py."""
    environment, arguments = SETTINGS[setting]
    probe = Path(__file__).with_name("probe.py")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.npz"
        subprocess.run(
            [sys.executable, str(probe), str(out), *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            check=True,
        )
        with np.load(out) as stored:
            return dict(stored)


@pytest.fixture(scope="module", params=SETTINGS)
def found(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    return _run(request.param)


@pytest.fixture(scope="module")
def golden() -> dict[str, Path]:
    """The golden files by model and stem."""
    files = (ROOT / "tests" / "golden").rglob("*.qann")
    return {f"{file.parent.name}-{file.stem}": file for file in files}


def _of_kind(found: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Stem -> result, with one and two threads."""
    results = {key: value for key, value in found.items() if key.startswith(kind + "/")}
    assert len(results) >= 12, "the golden files are not where the probe looks for them"
    return results


def test_both_coders_read_the_same_integers(
    found: dict[str, np.ndarray], golden: dict[str, Path]
) -> None:
    for key, integers in _of_kind(found, "integers").items():
        with np.load(golden[key.split("/")[1]].with_suffix(".npz")) as stored:
            bands = [stored[f"band{index}"].ravel() for index in range(len(stored.files))]
        assert np.array_equal(integers, np.concatenate(bands)), key


def test_both_coders_write_the_same_bytes(found: dict[str, np.ndarray]) -> None:
    here = _of_kind(_run("as it is"), "bytes")
    for key, data in _of_kind(found, "bytes").items():
        assert np.array_equal(data, here[key]), key


def test_pictures_are_the_same_within_a_grey_level(
    found: dict[str, np.ndarray], golden: dict[str, Path]
) -> None:
    for key, picture in _of_kind(found, "picture").items():
        stored = np.asarray(Image.open(golden[key.split("/")[1]].with_suffix(".png")))
        assert (np.abs(picture.astype(int) - stored) <= 1).mean() >= 0.999, key


def test_photos_become_the_same_integers_but_for_ties(found: dict[str, np.ndarray]) -> None:
    here = {key: value for key, value in _run("as it is").items() if key.startswith("encoded/")}
    assert here
    for key, integers in here.items():
        difference = np.abs(found[key] - integers)
        assert difference.max() <= 1 and (difference > 0).mean() < 0.0005, key
