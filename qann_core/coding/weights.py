"""The prior's stored form: integers only, checked when they are loaded.

A prior is a folder, ``prior/`` inside a model folder, with ``config.json`` (the network's shape and
the known answer) and a safetensors file: int8 weights, int32 biases and the shift of each output
channel, the biases of every N, and the frequency tables. Its id is a digest of both files; a file
coded with it names it.

Two things are checked before it may code. No sum in any layer can reach 2^24, so that float32 has
it exactly; and the network gives the known answer for a fixed input, so that a machine whose
convolutions are not exact after all refuses instead of writing what no one can read.
"""

import copy
import hashlib
import json
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from ..common.errors import ModelError
from ..common.limits import MAX_LEVELS, MIN_LEVELS
from ..common.shapes import pyramid_shapes
from ..networks import CONFIG, WEIGHTS
from ..networks.wavelet import Pyramid
from .network import EXACT, KNOTS_PER_OCTAVE, LIMIT, UNIT, DyadicConv, PriorNetwork, dyadic
from .passes import ORDER
from .range_coder import Tables

ID_BYTES = 4

_MAX_CHANNELS, _MAX_BLOCKS, _LEVELS = 512, 16, 4


@dataclass(frozen=True)
class Prior:
    """A prior that may code: its network, frozen, and its tables.

    Attributes:
        id: 4 bytes that name it in the files that it codes.
    """

    id: bytes
    network: PriorNetwork
    tables: Tables

    @property
    def device(self) -> torch.device:
        """Where its network runs."""
        return self.network.stem.weight.device


def save_prior(network: PriorNetwork, frequencies: np.ndarray, folder: Path) -> None:
    """Writes a trained prior as integers.

    Args:
        network: as trained.
        frequencies: int32 (CLASSES, SYMBOLS); see ``prior_symbols.Tables``.
    """
    tensors = _integers(network)
    tensors["tables"] = torch.from_numpy(frequencies.astype(np.int32))
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    shape = _shape(network)
    answer = known_answer(_network(shape, tensors))
    config = {"_class_name": "PriorNetwork", **shape, "known_answer": answer}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def exact_network(network: PriorNetwork) -> PriorNetwork:
    """The frozen network of integers that ``save_prior`` stores of a trained one."""
    return _network(_shape(network), _integers(network))


def trainable(network: PriorNetwork) -> PriorNetwork:
    """A network to train further from a stored one's integers."""
    fresh = PriorNetwork(network.channels, network.block_counts)
    layers = dict(_layers(network))
    for name, layer in _layers(fresh):
        layer.weight.data = layers[name].weight.detach().clone().contiguous()
        cast(Tensor, layer.bias).data = cast(Tensor, layers[name].bias).detach() / UNIT
    knots = MIN_LEVELS * torch.exp2(torch.arange(len(fresh.embeddings[0])) / KNOTS_PER_OCTAVE)
    for table, rows in zip(fresh.embeddings, network.level_biases(knots.round()), strict=True):
        table.data = rows[:, :, 0, 0] / UNIT
    return fresh


def load_prior(folder: Path, device: str = "cpu") -> Prior:
    """Reads a prior and checks that this machine can use it.

    Args:
        folder: a model folder's ``prior``.
        device: where its network is to run. Where that device's arithmetic does not give the known
            answer, it runs on the CPU, and a warning says so.

    Raises:
        ModelError: when it is not there, is damaged, could overflow, or this machine's arithmetic
            does not give the known answer.
    """
    try:
        config, weights = (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise ModelError(
            f"There is no prior in {folder}; a model needs one to use the prior coder."
        ) from error
    try:
        shape = json.loads(config)
        tensors = load(weights)
        network = _network(shape, tensors)
        tables = Tables(tensors["tables"].numpy())
        answer = shape["known_answer"]
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The prior in {folder} cannot be loaded: {error}") from error
    if device != "cpu" and known_answer(network.to(device)) != answer:
        warnings.warn(
            f"The prior runs on the CPU: on {device}, its convolutions are not exact.", stacklevel=2
        )
        device = "cpu"
    if device == "cpu" and known_answer(network.to(device)) != answer:
        raise ModelError(
            "This machine cannot use the prior coder: its convolutions do not give the exact "
            "integers that the prior's known answer asks for."
        )
    identifier = hashlib.sha256(config + weights).digest()[:ID_BYTES]
    return Prior(identifier, network, tables)


@cache
def cached_prior(folder: Path, device: str = "cpu") -> Prior:
    """``load_prior``, once for each folder and device."""
    return load_prior(folder, device)


@torch.inference_mode()
def known_answer(network: PriorNetwork) -> str:
    """What the network expects of a fixed input, as a CRC-32 in hexadecimal digits."""
    crc, device = 0, network.stem.weight.device
    for levels in (40, 400):
        with torch.autocast(device.type, enabled=False):
            question = tuple(b.to(device) for b in _known_question(levels))
            expected = network(question, torch.tensor([float(levels)], device=device))
        for passes in expected:
            for one in passes:
                for part in one:
                    crc = zlib.crc32(part.to(torch.int8).contiguous().cpu().numpy().tobytes(), crc)
    return f"{crc:08x}"


def _known_question(levels: int) -> Pyramid:
    """Integers of all sizes as of an image of 128 x 96 pixels, by a linear congruence."""
    state = np.uint64(levels)
    bands = []
    for shape in pyramid_shapes(96, 128):
        count = int(np.prod(shape))
        with np.errstate(over="ignore"):
            numbers = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(6364136223846793005)
            mixed = (numbers + state) ^ ((numbers + state) >> np.uint64(29))
            mixed = (mixed * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(40)
        size = (mixed >> np.uint64(8)).astype(np.int64) % 9
        values = (mixed.astype(np.int64) % (1 << 8)) % (1 << size)
        signs = 1 - 2 * ((mixed.astype(np.int64) >> 20) & 1)
        values = np.minimum(values * signs, (levels - 1) // 2).reshape(shape)
        bands.append(torch.from_numpy(np.maximum(values, -(levels // 2))).float()[None])
        state += np.uint64(count)
    return tuple(bands)


def _shape(network: PriorNetwork) -> dict[str, Any]:
    return {
        "channels": list(network.channels),
        "blocks": list(network.block_counts),
        "order": ORDER,
    }


@torch.no_grad()
def _integers(network: PriorNetwork) -> dict[str, Tensor]:
    """The stored tensors of a trained network, wherever it was trained."""
    network = copy.deepcopy(network).cpu()
    tensors = {"magnitudes": network.magnitudes.to(torch.int8)}
    for name, layer in _layers(network):
        weight, bias, shift = dyadic(layer.weight, cast(Tensor, layer.bias) * UNIT)
        tensors[f"{name}.weight"] = weight.to(torch.int8).contiguous()
        tensors[f"{name}.bias"] = bias.to(torch.int32)
        tensors[f"{name}.shift"] = shift.to(torch.int8)
    every = torch.arange(MIN_LEVELS, MAX_LEVELS + 1)
    for index, rows in enumerate(network.level_biases(every)):
        tensors[f"level_biases.{index}"] = rows[:, :, 0, 0].to(torch.int8).contiguous()
    return tensors


def _layers(network: PriorNetwork) -> Sequence[tuple[str, DyadicConv]]:
    return [(n, m) for n, m in network.named_modules() if isinstance(m, DyadicConv)]


def _network(shape: dict[str, Any], tensors: dict[str, Tensor]) -> PriorNetwork:
    """A frozen network of stored integers.

    Raises:
        ValueError, KeyError, TypeError: when they do not make one that is exact.
    """
    channels, blocks = tuple(shape["channels"]), tuple(shape["blocks"])
    if not (
        len(channels) == len(blocks) == _LEVELS
        and all(isinstance(c, int) and 1 <= c <= _MAX_CHANNELS for c in channels)
        and all(isinstance(b, int) and 0 <= b <= _MAX_BLOCKS for b in blocks)
    ):
        raise ValueError(f"channels {channels} and blocks {blocks} are out of range")
    if shape["order"] != ORDER:
        raise ValueError(f"there is no order of passes named {shape['order']!r}")
    network = PriorNetwork(channels, blocks)
    for name, layer in _layers(network):
        parts = [tensors[f"{name}.{part}"].float() for part in ("weight", "bias", "shift")]
        _freeze(name, layer, *parts)
    rows = [tensors[f"level_biases.{index}"].float() for index in range(_LEVELS)]
    for table, width in zip(rows, channels, strict=True):
        if table.shape != (MAX_LEVELS - MIN_LEVELS + 1, width):
            raise ValueError("the biases of N have the wrong shape")
    magnitudes = tensors["magnitudes"].float()
    if magnitudes.shape != network.magnitudes.shape:
        raise ValueError("the table of magnitudes has the wrong shape")
    network.magnitudes = magnitudes
    network.rows = rows
    return network.eval().requires_grad_(False)


def _freeze(name: str, layer: DyadicConv, weight: Tensor, bias: Tensor, shift: Tensor) -> None:
    outputs = layer.weight.shape[0]
    if weight.shape != layer.weight.shape or bias.shape != (outputs,) or shift.shape != bias.shape:
        raise ValueError(f"{name} has the wrong shape")
    if shift.min() < 0 or shift.max() > 22:
        raise ValueError(f"a shift of {name} is out of range")
    unit = torch.exp2(shift.double())
    # Largest sum that can occur: all inputs at the limit, what it is added to, the half to round.
    largest = LIMIT * (weight.double().abs().flatten(1).sum(1) + unit) + bias.abs() + unit
    if largest.max() >= EXACT:
        raise ValueError(f"sums of {name} could reach 2^24, where float32 is no longer exact")
    on_grid = weight / unit.float()[:, None, None, None]
    layer.weight.data = on_grid.contiguous(memory_format=torch.channels_last)
    cast(Tensor, layer.bias).data = bias / unit.float()
    layer.frozen = True
