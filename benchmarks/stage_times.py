"""Seconds that each stage of the tab "Inside the codec" takes at an N where it is first seen.

    python benchmarks/stage_times.py [--photo NAME] [--moves K]

The latents are cached, as they are on the page. Two cases, medians of K values of N: *opened*, a
stage is clicked on after the Compare tab has shown that N, and *moved*, N is moved on the tab
itself, whose open stage is drawn first. The page's own functions run in this process, without a
browser: what they give to it is all that a stage needs. What follows on a stage already drawn
(other compressors, the learned prior, the roads' pictures) is not counted. Machines and their load
differ: it is printed too.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

# As app.py has it, before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import gradio as gr

from app.compress import compress_photo
from app.examples import credits, example_photo
from app.inside import layout as inside
from app.inside import words as inside_words
from app.inside.anatomy import anatomy
from app.session import Visit
from qann_core.memory import keep_freed_memory


def seconds(stage: inside.Stage, visit: Visit, levels: int) -> float:
    """What a stage takes whose visit has not seen this N on the tab before."""
    visit.anatomy = None
    inputs = [component.value for component in stage.inputs]
    started = time.perf_counter()
    stage.render(anatomy(visit, levels), *inputs)
    return time.perf_counter() - started


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", default="brushes", help="an example photo's name")
    parser.add_argument("--moves", type=int, default=5)
    options = parser.parse_args()
    keep_freed_memory()  # as app.py does
    photo = example_photo(options.photo)
    with gr.Blocks():
        _, stages = inside.build_stages(gr.State())
    times: dict[str, tuple[list[float], list[float]]] = {}
    visit = Visit(photo, compress_photo(photo, 64))
    for stage in stages:  # fonts, weights and caches
        seconds(stage, visit, 64)
    for move in range(options.moves):
        levels = 40 + 320 * move // options.moves
        other, same = compress_photo(photo, levels + 1), compress_photo(photo, levels)
        for title, stage in zip(inside_words.STAGES, stages, strict=True):
            visit.result = other
            moved = seconds(stage, visit, levels)
            visit.result = same
            opened = seconds(stage, visit, levels)
            kept = times.setdefault(title, ([], []))
            kept[0].append(opened)
            kept[1].append(moved)
    height, width = photo.pixels.shape[:2]
    credit = next(credit for credit in credits() if credit.name == photo.name)
    print(f"{credit.file}, {width} x {height}, {options.moves} values of N, "
          f"load {os.getloadavg()[0]:.1f}, medians in seconds:")  # fmt: skip
    print(f"{'':14s} {'opened':>8s} {'moved':>8s}")
    for title, kept in times.items():
        opened, moved = map(statistics.median, kept)
        print(f"{title:14s} {opened:8.2f} {moved:8.2f}")


if __name__ == "__main__":
    main()
