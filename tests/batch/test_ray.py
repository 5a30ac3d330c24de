"""The same work on a Ray cluster, of which a machine dies in the middle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qann_core.batch import Compression, Store, run_batch
from qann_core.batch.manifest import Record
from qann_core.batch.pools import Lost, RayPool
from qann_core.batch.tasks import Job
from qann_core.common.errors import ParameterError

FILES = 24


class WatchedPool(RayPool):
    """Counts the jobs that were lost."""

    lost = 0

    def wait(self) -> list[tuple[Job, Record | Lost]]:
        done = super().wait()
        WatchedPool.lost += sum(isinstance(outcome, Lost) for _, outcome in done)
        return done


@pytest.mark.slow
def test_a_machine_of_the_cluster_dies(tmp_path: Path, photo: np.ndarray) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
    from ray.cluster_utils import Cluster

    folder, out, straight = tmp_path / "photos", tmp_path / "out", tmp_path / "straight"
    folder.mkdir()
    for number in range(FILES):
        Image.fromarray(photo[:48, number : number + 64]).save(folder / f"{number:02}.png")
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    second = cluster.add_node(**node)
    cluster.wait_for_nodes()
    records: list[Record] = []

    def kill_one(record: Record | None, total: int) -> None:
        if record is not None:
            records.append(record)
            if len(records) == FILES // 3:
                cluster.remove_node(second, allow_graceful=False)

    task = Compression(levels=48)
    try:
        summary = run_batch(
            task,
            Store(folder),
            Store(out),
            progress=kill_one,
            make_pool=lambda work: WatchedPool(work, cluster.address),
        )
    finally:
        cluster.shutdown()
    assert (summary.done, summary.failed) == (FILES, [])
    assert WatchedPool.lost >= 1, "the machine had no work when it died"
    lines = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    assert len({json.loads(line)["path"] for line in lines}) == len(lines) == FILES

    run_batch(task, Store(folder), Store(straight), workers=1)
    names = sorted(path.name for path in straight.glob("*.qann"))
    assert len(names) == FILES
    for name in names:
        assert (out / name).read_bytes() == (straight / name).read_bytes()


def test_no_cluster_is_one_sentence(tmp_path: Path, photo: np.ndarray) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
    Image.fromarray(photo[:32, :32]).save(tmp_path / "a.png")
    with pytest.raises(ParameterError, match="No Ray cluster at nowhere"):
        run_batch(Compression(), Store(tmp_path), Store(tmp_path / "out"), ray="nowhere")
