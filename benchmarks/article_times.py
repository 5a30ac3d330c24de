"""Seconds that each part of the tab "Inside the codec" takes at an N where it is first seen.

    python benchmarks/article_times.py [--photo NAME] [--moves K]

The latents are cached, as they are on the page, and the result of this N is there, as it is when
N was moved. Medians of K values of N. The parts are made in the order of the article, one after
the other, and what they share is made once: by the first that needs it. The page's own functions
run in this process, without a browser. Machines and their load differ: it is printed too.
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

from app.compress import compress_photo
from app.examples import example_photo
from app.inside.layout import PARTS, Part
from app.memory import give_freed_memory_back
from app.session import Visit


def seconds(part: Part, visit: Visit) -> float:
    """What a part takes."""
    started = time.perf_counter()
    part.shown(visit, *([] if part.first is None else [part.first]))
    return time.perf_counter() - started


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", default="brushes", help="an example photo's name")
    parser.add_argument("--moves", type=int, default=5)
    options = parser.parse_args()
    give_freed_memory_back()  # as app.py does
    photo = example_photo(options.photo)
    visit = Visit(photo, compress_photo(photo, 64))
    for part in PARTS:  # fonts, weights and caches
        seconds(part, visit)
    times: dict[str, list[float]] = {part.title: [] for part in PARTS}
    for move in range(options.moves):
        visit.result = compress_photo(photo, 40 + 320 * move // options.moves)
        for part in PARTS:
            times[part.title].append(seconds(part, visit))
    height, width = photo.pixels.shape[:2]
    print(f"{photo.name}, {width} x {height}, {options.moves} values of N, "
          f"load {os.getloadavg()[0]:.1f}, medians in seconds:")  # fmt: skip
    for title, taken in times.items():
        print(f"{title:32s} {statistics.median(taken):8.2f}")


if __name__ == "__main__":
    main()
