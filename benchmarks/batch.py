"""Throughput of a batch, where its time goes, and what limits a million photos on 100 machines.

    python benchmarks/batch.py FOLDER [--count 200] [--repeats 3] [--levels N] [--model NAME]

Cuts ``--count`` crops of 784 x 512 pixels (0.4 megapixels) out of the folder's photos and writes
them as JPEG into a temporary folder. Then, in the same run and in turn, ``--repeats`` times: the
batch with one worker of one thread, with one worker of all cores, and with what a batch takes by
itself; AVIF at speed 6 and JPEG XL at effort 7 through Pillow, on one thread, of the size that the
batch's files have on average. Prints Markdown tables of medians. Run it with nothing beside it.

The simulation takes the seconds measured here; what a machine alone cannot show (latency of an
object store, requests that it takes a second) are options whose defaults are stated beside it.
"""

import argparse
import heapq
import io
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from qann_core.batch import Compression, Store, run_batch
from qann_core.batch.manifest import Manifest, Record
from qann_core.batch.pools import LocalPool, Lost, Pool, cores, results
from qann_core.batch.tasks import Job, Work
from qann_core.common.files import find_images
from qann_core.evaluation.tables import markdown_table

SIDES = (784, 512)
MEGAPIXELS = SIDES[0] * SIDES[1] / 1e6


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of photos; those of 784 x 512 or more are used")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--levels", type=int, default=96)
    parser.add_argument("--model", default="default")
    parser.add_argument("--photos", type=int, default=1_000_000, help="of the simulation")
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--machine-cores", type=int, default=16)
    parser.add_argument("--store-latency", type=float, default=0.05, help="seconds a request")
    parser.add_argument("--boot", type=float, default=60.0, help="seconds until a machine works")
    options = parser.parse_args()
    task = Compression(model=options.model, levels=options.levels)
    with tempfile.TemporaryDirectory() as temporary:
        photos = Path(temporary, "photos")
        make_crops(options.folder, photos, options.count)
        rates = throughput(task, photos, Path(temporary), options.repeats)
        steps = seconds_of_steps(task, photos)
        overheads = seconds_of_overheads(Path(temporary))
    overheads["start of a worker"] = rates.pop("start of a worker")
    table("Seconds per megapixel", {name: f"{value:.3f}" for name, value in rates.items()})
    ratio = rates["1 worker, 1 thread"] / rates["default"]
    print(f"\nThe default is {ratio:.2f} times as fast as one worker of one thread.\n")
    total = sum(steps.values())
    shares = {name: f"{1000 * s:.1f} ms, {s / total:.1%}" for name, s in steps.items()}
    table("Of one photo, one thread", shares)
    print()
    table("Overheads", {name: f"{1000 * s:.3f} ms" for name, s in overheads.items()})
    print()
    table(
        f"{options.photos} photos, {options.machines} machines of {options.machine_cores} cores",
        simulation(options, total, overheads),
    )


def table(title: str, rows: dict[str, str]) -> None:
    """Prints a table of two columns."""
    print(markdown_table([title, ""], [[name, value] for name, value in rows.items()]))


def make_crops(folder: Path, out: Path, count: int) -> None:
    """Writes ``count`` crops of the folder's larger photos."""
    out.mkdir()
    draw, made = random.Random(0), 0
    width, height = SIDES
    large = [path for path in find_images([folder]) if fits(path)]
    if not large:
        raise SystemExit(f"{folder} has no photo of {width} x {height} pixels or more.")
    while made < count:
        with Image.open(large[made % len(large)]) as image:
            left = draw.randint(0, image.width - width)
            top = draw.randint(0, image.height - height)
            crop = image.convert("RGB").crop((left, top, left + width, top + height))
        crop.save(out / f"{made:04}.jpg", quality=92)
        made += 1


def fits(path: Path) -> bool:
    """Whether a photo is large enough; only its header is read."""
    with Image.open(path) as image:
        return image.width >= SIDES[0] and image.height >= SIDES[1]


def throughput(task: Compression, photos: Path, folder: Path, repeats: int) -> dict[str, float]:
    """Medians of seconds per megapixel, and of the seconds until the first worker works."""
    shapes: dict[str, Callable[[Work], Pool] | None] = {
        "1 worker, 1 thread": lambda work: LocalPool(replace(work, threads=1), 1),
        "1 worker, all cores": lambda work: LocalPool(replace(work, threads=cores()), 1),
        "default": None,
    }
    images = [path.read_bytes() for path in sorted(photos.iterdir())]
    seconds: dict[str, list[float]] = {}
    for repeat in range(repeats):
        for number, (name, make_pool) in enumerate(shapes.items()):
            out = folder / f"out-{repeat}-{number}"
            took, first = timed_batch(task, photos, out, make_pool)
            seconds.setdefault(name, []).append(took / (len(images) * MEGAPIXELS))
            seconds.setdefault("start of a worker", []).append(first)
        sizes = [path.stat().st_size for path in out.glob("*.qann")]
        for name, encode in peers(statistics.mean(sizes), images[0]).items():
            began = time.perf_counter()
            for data in images:
                encode(data)
            took = time.perf_counter() - began
            seconds.setdefault(name, []).append(took / (len(images) * MEGAPIXELS))
    return {name: statistics.median(values) for name, values in seconds.items()}


def timed_batch(
    task: Compression, photos: Path, out: Path, make_pool: Callable[[Work], Pool] | None
) -> tuple[float, float]:
    """Seconds of a whole batch, start-up included, and of that start-up alone: until the first
    record came, less the time that this file took."""
    began = time.perf_counter()
    first: list[float] = []

    def note(record: Record | None, total: int) -> None:
        if record is not None and not first:
            first.append(time.perf_counter() - began - record.seconds)

    summary = run_batch(task, Store(photos), Store(out), progress=note, make_pool=make_pool)
    assert not summary.failed, summary.failed
    return time.perf_counter() - began, first[0]


def peers(size: float, sample: bytes) -> dict[str, Callable[[bytes], bytes]]:
    """AVIF and JPEG XL on one thread, at the quality that gives the sample about ``size`` bytes."""

    def saver(format_name: str, quality: int, **options: object) -> Callable[[bytes], bytes]:
        def encode(data: bytes) -> bytes:
            buffer = io.BytesIO()
            with Image.open(io.BytesIO(data)) as image:
                image.save(buffer, format_name, quality=quality, **options)
            return buffer.getvalue()

        return encode

    found = {}
    for name, format_name, options in (
        ("AVIF, speed 6", "AVIF", {"speed": 6, "max_threads": 1}),
        ("JPEG XL, effort 7", "JXL", {"effort": 7, "num_threads": 1}),
    ):
        if format_name == "JXL":
            try:
                import pillow_jxl  # noqa: F401 - registers the format
            except ImportError:
                continue
        choices = [saver(format_name, quality, **options) for quality in range(30, 96, 13)]
        found[name] = min(choices, key=lambda encode: abs(len(encode(sample)) - size))
    return found


def seconds_of_steps(task: Compression, photos: Path) -> dict[str, float]:
    """Mean seconds of the processor for each step of one photo, in this process, on one thread."""
    import torch

    from qann_core import Codec, read_image

    torch.set_num_threads(1)
    codec = Codec.load(task.model)
    paths = sorted(photos.iterdir())[:20]
    codec.pack(codec.encode(read_image(paths[0]).pixels), task.levels)
    steps = dict.fromkeys(("read", "encode", "quantize", "pack", "write"), 0.0)
    for path in paths:
        marks = [time.process_time()]
        pixels = read_image(path).pixels
        marks.append(time.process_time())
        latents = codec.encode(pixels)
        marks.append(time.process_time())
        quantized = codec.quantize(latents, task.levels)
        marks.append(time.process_time())
        data = codec.pack_integers(quantized)
        marks.append(time.process_time())
        Store(photos.parent).write("step.qann", data)
        marks.append(time.process_time())
        for name, (start, end) in zip(steps, pairwise(marks), strict=True):
            steps[name] += (end - start) / len(paths)
    return steps


class IdlePool:
    """Gives every job back at once: what is left is the parent's own work."""

    capacity = 64

    def __init__(self, work: Work) -> None:
        self.work, self.jobs = work, list[Job]()

    def submit(self, job: Job) -> None:
        """Takes one more job."""
        self.jobs.append(job)

    def wait(self) -> list[tuple[Job, Record | Lost]]:
        """All jobs."""
        done, self.jobs = self.jobs, []
        return [(job, replace(self.work.record(job), bytes_out=1)) for job in done]

    def close(self) -> None:
        """Nothing to end."""


def seconds_of_overheads(folder: Path, count: int = 20_000) -> dict[str, float]:
    """Seconds a file of the parent's work: listing, planning and the record."""
    store = Store(folder / "many")
    store.prepare()
    for number in range(count // 10):
        (folder / "many" / f"{number}.jpg").touch()
    began = time.perf_counter()
    files = store.list(Compression.wants)
    listing = (time.perf_counter() - began) / len(files)
    work = Work(Compression(), store, store, "0" * 8, 1)
    entry = next(iter(files.values()))
    jobs = [Job(f"a/b/photo-{n}.jpg", f"a/b/photo-{n}.jpg.qann", entry) for n in range(count)]
    manifest = Manifest(store)
    manifest.start({})
    began = time.perf_counter()
    for _, record in results(IdlePool(work), jobs):
        manifest.add(record)
    manifest.close()
    recording = (time.perf_counter() - began) / count
    began = time.perf_counter()
    Manifest(store)
    reading = (time.perf_counter() - began) / count
    return {
        "listing, a file": listing,
        "recording, a file": recording,
        "reading the record, a file": reading,
        **ray_overhead(),
    }


def ray_overhead(count: int = 2000) -> dict[str, float]:
    """Seconds that a job costs the process that gives it to Ray, where Ray is installed."""
    try:
        import ray
    except ImportError:
        return {}
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    nothing: Any = ray.remote(num_cpus=1, max_retries=0)(lambda: 0)
    ray.get(nothing.remote())
    began = time.perf_counter()
    waiting: list[Any] = []
    for _ in range(count):
        waiting.append(nothing.remote())
        if len(waiting) == 64:
            ray.get(waiting.pop(0))
    ray.get(waiting)
    took = time.perf_counter() - began
    ray.shutdown()
    return {"giving a job to Ray": took / count}


def simulation(
    options: argparse.Namespace, photo: float, overheads: dict[str, float]
) -> dict[str, str]:
    """Workers that start late, fetch, work and store; one parent that hands out and records."""
    workers = options.machines * options.machine_cores
    start = options.boot + overheads["start of a worker"]
    turn = overheads["recording, a file"] + overheads.get("giving a job to Ray", 0.0)
    listing = options.photos * overheads["listing, a file"]
    service = photo + 2 * options.store_latency
    done = parent_and_workers(options.photos, workers, start, service, turn)
    computing = options.photos * photo / workers
    return {
        "computing alone": f"{computing:.0f} s",
        "simulated, with all of the below": f"{listing + done:.0f} s",
        "listing, before the first job": f"{listing:.0f} s",
        "start of machine and worker": f"{start:.0f} s",
        "object store, per worker in all": f"{done_by(options, workers):.0f} s",
        "the parent's own work in all": f"{options.photos * turn:.0f} s",
        "requests a second to the store": f"{2 * options.photos / done:.0f}",
        "most workers that one parent feeds": f"{service / turn:.0f} of {workers}",
    }


def done_by(options: argparse.Namespace, workers: int) -> float:
    """Seconds that each worker waits for the store over the whole run."""
    return float(2 * options.store_latency * options.photos / workers)


def parent_and_workers(
    photos: int, workers: int, start: float, service: float, turn: float
) -> float:
    """Seconds until the last photo is done: each worker has two jobs at a time, and the parent,
    which does one thing at a time, takes ``turn`` seconds for each."""
    draw = random.Random(0)
    ready = [(start * draw.uniform(0.8, 1.2), number) for number in range(workers)]
    heapq.heapify(ready)
    parent = last = 0.0
    for _ in range(photos):
        at, number = heapq.heappop(ready)
        # The next job waits beside the worker; only a parent that lags behind holds it up.
        parent = max(parent, at - service) + turn
        end = max(at, parent) + service * draw.uniform(0.7, 1.3)
        last = max(last, end)
        heapq.heappush(ready, (end, number))
    return last


if __name__ == "__main__":
    main()
