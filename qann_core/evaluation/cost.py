"""What codecs cost: time and memory of each in a process of its own, and the networks' arithmetic.

One process and one thread, pinned to one core where the system allows it, so that every library is
held to it. Each codec is measured at the setting whose mean rate is nearest to the main curve's
middle one.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images import read_image
from .peers import peer_by_name
from .points import RESTORED, Curve
from .runner import limit_threads
from .subjects import Subject

if TYPE_CHECKING:
    from ..codec import Codec
    from .results import Document

IMAGES = 4
"""How many images the cost is a mean over."""

_SIDE = 256
"""Side in pixels of the image that arithmetic is counted on; whole windows of attention fit in."""


def costs(
    document: Document,
    subjects: Sequence[Subject],
    images: Sequence[Path],
    progress: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """The cost of every peer and every restored curve.

    Args:
        document: of the evaluation, which says what rate a setting has.
        images: the first few of them are used.
        progress: called after each subject.

    Returns:
        For each curve: ``curve``, its name; ``setting`` and ``bpp``, where on the curve, and its
        mean rate there; ``encode_seconds`` and ``decode_seconds``, wall time for each megapixel;
        ``idle_megabytes``, memory of the process with the codec loaded, before its first image;
        ``peak_megabytes``, the most that it held; ``kilo_macs``, thousands of multiply-accumulates
        for each pixel, of all networks of this codec, None for others.
    """
    rows = {row["name"]: row["points"] for row in document["curves"]}
    own = [row["bpp"] for row in document["mean"]]
    found = []
    for subject in subjects:
        points = {
            curve: min(rows[curve.name], key=lambda p: abs(p["bpp"] - own[len(own) // 2]))
            for curve in subject.identities
            if curve.name in rows and curve.variant in ("", RESTORED)
        }
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, context, limit_threads, (1,)) as pool:
            found += pool.submit(_measure, subject, points, list(images[:IMAGES])).result()
        progress()
    return found


def _measure(
    subject: Subject, points: Mapping[Curve, Mapping[str, Any]], images: Sequence[Path]
) -> list[dict[str, Any]]:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    found = []
    for curve, point in points.items():
        encode, decode = _coding(subject, curve)
        idle = peak_megabytes()
        seconds, megapixels = np.zeros(2), 0.0
        for number, path in enumerate([images[0], *images]):  # the first one is not counted
            pixels = read_image(path).pixels
            started = time.perf_counter()
            data = encode(pixels, point["setting"])
            encoded = time.perf_counter()
            decode(data)
            if number:
                seconds += encoded - started, time.perf_counter() - encoded
                megapixels += pixels.shape[0] * pixels.shape[1] / 1e6
        encoding, decoding = (seconds / megapixels).tolist()
        macs = sum(kilo_macs(_codec(subject)).values()) if subject.model else None
        found.append({
            "curve": curve.name, "setting": point["setting"], "bpp": point["bpp"],
            "encode_seconds": encoding, "decode_seconds": decoding,
            "idle_megabytes": idle, "peak_megabytes": peak_megabytes(), "kilo_macs": macs,
        })  # fmt: skip
    return found


def _coding(
    subject: Subject, curve: Curve
) -> tuple[Callable[[np.ndarray, int], bytes], Callable[[bytes], np.ndarray]]:
    """How files of a curve are made, of pixels at a setting, and how they are opened."""
    if not subject.model:
        peer = peer_by_name(curve.codec)
        return peer.encode, peer.decode
    codec = _codec(subject)
    return (
        lambda pixels, n: codec.pack(codec.encode(pixels), n, curve.coder, curve.effort),
        lambda data: codec.decode(codec.unpack(data)),
    )


def _codec(subject: Subject) -> Codec:
    from ..codec import cached_codec

    return cached_codec(subject.model)


def kilo_macs(codec: Codec) -> dict[str, float]:
    """Thousands of multiply-accumulates for each pixel: of encoder, restoration and decoder.

    Counted on real calls: convolutions, linear layers and the products of attention. Additions,
    activations and the wavelet's lifting steps are left out, as usual.
    """
    import torch
    from torch.utils import flop_counter

    count: Any = flop_counter.sdpa_flop_count

    def attention(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
        return int(count(q, k, v))

    kernels = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
    pixels = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
    counts = {}

    def counted(part: str, work: Callable[..., Any], *arguments: Any) -> Any:
        with flop_counter.FlopCounterMode(display=False, custom_mapping=kernels) as counter:
            result = work(*arguments)
        counts[part] = counter.get_total_flops() / 2000 / _SIDE**2
        return result

    latents = counted("encoder", codec.encode, pixels)
    quantized = codec.quantize(latents, 96)
    restored = counted("restoration", codec.restore, quantized)
    counted("decoder", codec.synthesize, restored, _SIDE, _SIDE)
    return counts


def peak_megabytes() -> float:
    """The most memory that this process has held so far, in MB (10^6 bytes).

    From Linux's high-water mark where there is one: ``getrusage`` there counts what the process
    that started this one held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return int(found[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak if sys.platform == "darwin" else peak * 1024) / 1e6
