"""Many visitors with own photos at once: how long their moves take, and the server's memory.

    python benchmarks/visitors.py [--visitors K] [--moves M] [--width W --height H]

Starts ``app.py`` and speaks to it as the page's script does: each visitor uploads a photo and then
chooses other values of N, among the slider's, each once the last answer has come. A full queue is
asked again after a second, as the page does. Medians depend on the load, which is printed too.
"""

import argparse
import asyncio
import io
import itertools
import json
import os
import random
import re
import statistics
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from page_latency import demo
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
REST_SECONDS = 15
"""After so long the server has given memory back that it does not use."""

PHOTO = ROOT / "assets" / "examples" / "stream.jpg"


class Visitor:
    """One session of the page."""

    def __init__(self, client: httpx.AsyncClient, config: dict[str, Any], stops: list[int]) -> None:
        self.client = client
        self.stops = stops
        self.session = uuid.uuid4().hex
        self.ids = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
        self.dependencies = config["dependencies"]
        self.asked_again = 0
        self.failures: list[str] = []

    async def upload(self, photo: bytes) -> dict[str, Any]:
        """Sends a photo; the data of a file component."""
        files = {"files": ("photo.png", photo, "image/png")}
        answer = await self.client.post("/gradio_api/upload", files=files)
        path = answer.json()[0]
        return {"path": path, "orig_name": "photo.png", "meta": {"_type": "gradio.FileData"}}

    async def event(self, component: str, trigger: str, *values: Any) -> tuple[float, float]:
        """Fires an event; seconds until the first part of the answer and until all of it."""
        return await self.follow(self._number(component, trigger), *values)

    async def follow(self, number: int, *values: Any) -> tuple[float, float]:
        """The same of an event by its number."""
        body = {"data": values, "fn_index": number, "session_hash": self.session}
        started = time.perf_counter()
        while (await self.client.post("/gradio_api/queue/join", json=body)).status_code == 503:
            self.asked_again += 1
            await asyncio.sleep(random.uniform(1.5, 3))
        first = None
        query = {"session_hash": self.session}
        async with self.client.stream("GET", "/gradio_api/queue/data", params=query) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line.removeprefix("data:")) if line else {"msg": ""}
                crowded = "crowded" in str(message.get("output"))  # says only that others wait
                if message["msg"] == "process_generating" and first is None and not crowded:
                    first = time.perf_counter() - started
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        self.failures.append(str(message["output"]))
                    break
        whole = time.perf_counter() - started
        return first or whole, whole

    def _number(self, component: str, trigger: str) -> int:
        """Which event of the page it is."""
        target = [self.ids[component], trigger]
        return next(i for i, d in enumerate(self.dependencies) if target in d["targets"])

    async def bring(self, file: dict[str, Any], *settings: Any) -> tuple[float, float]:
        """The page takes an uploaded file; seconds as of ``event``."""
        number = self._number("upload", "upload")
        body = {"data": [file, None], "fn_index": number, "session_hash": self.session}
        (await self.client.post("/gradio_api/run/predict", json=body)).raise_for_status()
        after = next(i for i, d in enumerate(self.dependencies) if d["trigger_after"] == number)
        return await self.follow(after, *settings)

    async def visit(self, photo: bytes, moves: int) -> list[tuple[float, float]]:
        """An upload and some moves; what each took."""
        file = await self.upload(photo)
        levels = itertools.cycle(self.stops[4:-4:3])
        settings = [None, self.wish(next(levels)), "default", "brotli", False]
        times = [await self.bring(file, *settings)]
        for _ in range(moves):
            settings[1] = self.wish(next(levels))
            times.append(await self.event("wish", "input", *settings))
        return times

    @staticmethod
    def wish(levels: int) -> str:
        """An own photo at N, without other codecs."""
        return json.dumps({"photo": "own", "n": levels, "peers": [], "serial": 1})


async def measure(url: str, options: argparse.Namespace) -> None:
    """All visitors at once; prints what they saw."""
    with Image.open(PHOTO) as image:
        pixels = np.asarray(image.convert("RGB").resize((options.width, options.height)))
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
        config = (await client.get("/config")).json()
        stops = re.findall(r"data-stops=[^\[]+(\[[\d, ]+\])", (await client.get("/")).text)
        visitors = [Visitor(client, config, json.loads(stops[0])) for _ in range(options.visitors)]
        visits = []
        for number, visitor in enumerate(visitors):
            buffer = io.BytesIO()
            Image.fromarray(np.roll(pixels, number, 1)).save(buffer, "PNG")
            visits.append(visitor.visit(buffer.getvalue(), options.moves))
        results = await asyncio.gather(*visits)
    failures = [failure for visitor in visitors for failure in visitor.failures]
    print(f"{options.visitors} visitors with photos of {options.width}x{options.height}, "
          f"{sum(map(len, results))} answers, {len(failures)} failures, "
          f"{sum(v.asked_again for v in visitors)} times asked again, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    for failure in failures[:5]:
        print(failure)
    for name, which in (("first part", 0), ("all", 1)):
        seconds = sorted(times[which] for result in results for times in result)
        print(f"{name}: median {statistics.median(seconds):.1f} s, "
              f"p95 {seconds[int(0.95 * (len(seconds) - 1))]:.1f} s")  # fmt: skip


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--moves", type=int, default=3)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=384)
    options = parser.parse_args()
    with demo() as (url, process):
        asyncio.run(measure(url, options))
        status = Path(f"/proc/{process}/status")
        if status.exists():
            ticks = status.with_name("stat").read_text().rsplit(")", 1)[1].split()[11:13]
            seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
            now, most = memory(status)
            time.sleep(REST_SECONDS)
            print(f"server: {now:.0f} MB, {REST_SECONDS} s later {memory(status)[0]:.0f} MB, at "
                  f"most {most:.0f} MB, {seconds:.0f} s of processor time")  # fmt: skip


def memory(status: Path) -> tuple[float, float]:
    """Resident memory of a process in millions of bytes: now, and at most so far."""
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    now, most = (int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    return now, most


if __name__ == "__main__":
    main()
