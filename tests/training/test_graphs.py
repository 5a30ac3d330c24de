"""Training as an accelerator does it, checked without one: crops cut from one tensor, and steps
that a CUDA graph could capture."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from qann_core.coding.network import PriorNetwork
from qann_core.training.checkpoint import stored
from qann_core.training.codec_objective import CodecObjective
from qann_core.training.data import CropStream, DeviceCrops
from qann_core.training.prior import PriorObjective


class HostTransfers(TorchDispatchMode):
    """Notes what reads the host's memory or waits for a device; the meta device stands for it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        read = {x.device.type for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        written = {x.device.type for x in tree_leaves(out) if isinstance(x, Tensor)}
        if "cpu" in read and "meta" in written:
            self.found.append(str(func))
        return out


@pytest.fixture(autouse=True)
def _autocast_knows_no_meta_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


def small_prior() -> PriorNetwork:
    return PriorNetwork((8, 8, 8, 8), (1, 1, 1, 1))


@pytest.mark.parametrize("stage", ["joint", "finish"])
def test_a_step_can_be_captured(stage: str, networks: Callable[[], Any]) -> None:
    objective = CodecObjective(*networks())
    objective.context = small_prior()  # the prior as it trains
    objective.to("meta")
    images = torch.empty(2, 3, 64, 64, device="meta")
    with HostTransfers() as transfers:
        loss, _ = objective(images, torch.full((2,), 64.0, device="meta"), stage)
        loss.backward()  # to read a value of the meta device would raise
    assert transfers.found == []


def test_a_step_of_the_prior_can_be_captured(networks: Callable[[], Any]) -> None:
    objective = PriorObjective(networks()[0], small_prior()).to("meta")
    with HostTransfers() as transfers:
        latents = objective.prepare(torch.empty(2, 3, 64, 64, device="meta"))
        loss, _ = objective(latents, torch.full((2,), 64.0, device="meta"), "prior")
        loss.backward()
    assert transfers.found == []


def test_transfers_are_noticed() -> None:
    with HostTransfers() as transfers:
        torch.ones(3).to("meta")
    assert transfers.found


def test_crops_cut_on_a_device_are_those_of_the_stream() -> None:
    rows, columns = np.indices((40, 50))
    photos = [np.stack((rows, columns, np.full((40, 50), k)), -1).astype(np.uint8) for k in (7, 9)]
    torch.manual_seed(0)
    sets = []
    for source in (DeviceCrops(photos, 32, 64, torch.device("cpu")), CropStream(photos, 32, 64, 1)):
        crops = source.next() + 127.5
        assert crops.shape == (64, 3, 32, 32)
        assert set(crops[:, 2].unique().tolist()) == {7, 9}
        assert set(crops[:, 0].unique().tolist()) == set(range(40)), "all rows are reached"
        slopes = torch.stack((*torch.gradient(crops[:, :2], dim=(2, 3)),), 1)[..., 5, 5]
        sets.append({tuple(slope.flatten().tolist()) for slope in slopes})
    assert sets[0] == sets[1], "the same flips and transposes"
    assert len(sets[0]) == 4


def test_what_is_stored_is_on_the_processor_and_contiguous() -> None:
    network = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
    assert not network.weight.is_contiguous()
    copy = stored(network)
    assert all(p.is_contiguous() and p.device.type == "cpu" for p in copy.parameters())
    assert torch.equal(copy.weight, network.weight)
