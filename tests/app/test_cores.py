"""How the cores are shared out between answers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from app import cores


def threads() -> int:
    """How many threads PyTorch uses in this thread, after work that makes PyTorch look again."""
    cores.take()
    torch.rand(512, 512).exp()
    return torch.get_num_threads()


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(cores, "_count", 4)
    cores._answers.cache_clear()
    yield
    cores._answers().shutdown()
    cores._answers.cache_clear()
    torch.set_num_threads(before)


def test_an_answer_alone_has_all_cores(four_cores):
    assert cores.run(threads) == 4
    assert not cores.crowded()


@pytest.mark.parametrize(("answers", "share"), [(2, 2), (3, 1), (4, 1)])
def test_answers_share_the_cores(four_cores, answers, share):
    together = threading.Barrier(answers)

    def make() -> int:
        together.wait(20)
        used = threads()
        together.wait(20)
        return used

    with ThreadPoolExecutor(answers) as callers:
        made = [callers.submit(cores.run, make) for _ in range(answers)]
        assert [each.result() for each in made] == [share] * answers


def test_more_answers_than_cores_wait(four_cores):
    go_on = threading.Event()
    with ThreadPoolExecutor(5) as callers:
        asked = [callers.submit(cores.run, lambda: go_on.wait(20)) for _ in range(5)]
        while cores._asked < 5:
            go_on.wait(0.01)
        assert cores.crowded()
        go_on.set()
        assert all(each.result() for each in asked)
    assert not cores.crowded()


def test_later_work_has_all_cores_again(four_cores):
    together = threading.Barrier(4)
    with ThreadPoolExecutor(4) as callers:
        asked = [
            callers.submit(cores.run, lambda: (together.wait(20), threads())) for _ in range(4)
        ]
        assert [used for _, used in (each.result() for each in asked)] == [1] * 4
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
    with pytest.raises(ZeroDivisionError):
        cores.run(lambda: 1 // 0)
    assert cores.run(threads) == 4


def test_large_photos_wait_until_there_is_memory():
    inside, waiting = threading.Event(), threading.Event()

    def second() -> None:
        with cores.begun(cores.ROOM_PIXELS // 2):
            inside.set()

    with cores.begun(cores.ROOM_PIXELS):
        thread = threading.Thread(target=second)
        thread.start()
        while not cores.crowded():
            waiting.wait(0.01)
        assert not inside.is_set()
    thread.join(20)
    assert inside.is_set()
    assert not cores.crowded()


def test_one_photo_may_be_larger_than_the_room():
    with cores.begun(2 * cores.ROOM_PIXELS):
        assert not cores.crowded()
