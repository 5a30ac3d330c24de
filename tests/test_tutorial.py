"""The tutorial runs from top to bottom, says what it promises and is stored without outputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).resolve().parents[1] / "assets" / "tutorial.ipynb"


def test_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(NOTEBOOK.parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    printed = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream" and output.name == "stdout"
    )
    lines = [line for line in printed.splitlines() if line.startswith("assumed N")]
    values = {line: float(line.split(":")[1].split("dB")[0]) for line in lines}
    assert len(values) == 4
    truth = next(value for line, value in values.items() if line.endswith("(the true N)"))
    assert truth > next(iter(values.values()))  # half of N
    assert "uniform + QANN" in printed
