"""Files of a run: its state, its networks and its log."""

import copy
import csv
import os
import shutil
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from ..common.errors import ParameterError
from .objective import Objective

_Network = TypeVar("_Network", bound=nn.Module)

STATE = "state.pt"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Writes ``state.pt`` whole or not at all."""
    temporary = folder / f"{STATE}.tmp"
    torch.save(state, temporary)
    os.replace(temporary, folder / STATE)


def load_state(folder: Path) -> dict[str, Any] | None:
    """What ``save_state`` wrote there, tensors on the processor; None where there is none.

    Raises:
        ParameterError: when the file is damaged.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or "progress" not in state:
            raise ValueError("not a state")
    except Exception as error:  # torch, pickle and zipfile each have errors of their own
        raise ParameterError(
            f"{path} is damaged, so that this run cannot be resumed; delete the file to start anew "
            "or choose another folder."
        ) from error
    return state


def save_networks(objective: Objective, folder: Path) -> None:
    """Writes ``model/`` as the objective does; an older one stays until the new one is whole."""
    fresh, current, old = (folder / name for name in ("model.new", "model", "model.old"))
    for path in (fresh, old):
        shutil.rmtree(path, ignore_errors=True)
    stored(objective).save(fresh)
    if not fresh.exists():  # a prior is written by itself, at the end
        return
    if current.exists():
        current.rename(old)
    fresh.rename(current)
    shutil.rmtree(old, ignore_errors=True)


def stored(network: _Network) -> _Network:
    """A copy of a network on the processor, laid out as files have it."""
    network = copy.deepcopy(network).cpu()
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()
    return network


class Log:
    """``log.csv`` of a run: a line an update now and then, and a line a validated N.

    Args:
        path: of the file; lines are added to one that is there.
        columns: names, for a new file.
    """

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._path, self._columns = path, columns
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                self._columns = tuple(next(csv.reader(file), columns))

    def write(self, row: dict[str, Any]) -> None:
        """Adds a line."""
        new = not self._path.exists()
        with self._path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns, restval="", extrasaction="ignore")
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
