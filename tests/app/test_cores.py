"""How the cores are shared out between answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from app import cores


def threads(spared: int = 0) -> int:
    """How many threads PyTorch uses in a new thread, after work that makes PyTorch look again."""

    def used() -> int:
        cores.take(spared)
        torch.rand(512, 512).exp()
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(used).result()


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(cores, "_count", 4)
    yield
    torch.set_num_threads(before)


def test_answers_share_the_cores(four_cores):
    with cores.at_work(0):
        assert (threads(), threads(spared=1)) == (4, 3)
        with cores.at_work(0):
            assert (threads(), threads(spared=1)) == (2, 1)
            with cores.at_work(0):
                assert (threads(), threads(spared=1)) == (1, 1)
        assert threads() == 4


def test_later_work_has_all_cores_again(four_cores):
    with cores.at_work(0), cores.at_work(0):
        cores.take()
    cores.give_back()
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(torch.get_num_threads).result() == 4


def test_what_runs_beside_a_network_has_one_core(four_cores):
    with ThreadPoolExecutor(2, initializer=cores._use, initargs=(1,)) as executor:
        torch.set_num_threads(4)
        assert (
            executor.submit(
                lambda: (torch.rand(512, 512).exp(), torch.get_num_threads())[1]
            ).result()
            == 1
        )


def test_a_failed_answer_gives_its_cores_back(four_cores):
    with pytest.raises(ValueError, match="failed"), cores.at_work(0):
        raise ValueError("failed")
    with cores.at_work(0):
        assert threads() == 4
