"""Rate-distortion sweeps and whole evaluations: results as plain data.

Nothing here draws. Sweeps are generators, so that a caller can show each point as it comes and
stop between two of them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .deltas import bd_rate
from .evaluation.peers import Peer
from .metrics import (
    MS_SSIM_MIN_SIDE,
    SSIMULACRA2_MIN_SIDE,
    bits_per_pixel,
    ms_ssim,
    psnr,
    ssim,
    ssimulacra2,
)

if TYPE_CHECKING:
    from .codec import Codec

QUANTIZED = "quantized"
RESTORED = "restored"
"""Codec names of the points of this codec: without and with the restoration network."""


class LossyCodec(Protocol):
    """What a sweep needs of the codec: encoding once, then packing at many numbers of levels."""

    def encode(self, pixels: np.ndarray, /) -> Any:
        """uint8 (H, W, 3) to latents."""

    def pack(self, latents: Any, levels: int, /) -> bytes:
        """Latents to a file's bytes at N = ``levels`` values."""

    def unpack(self, data: bytes, /) -> Any:
        """A file's bytes to quantized latents."""

    def decode(self, quantized: Any, /, *, restore: bool) -> np.ndarray:
        """Quantized latents to uint8 (H, W, 3), with or without the restoration network."""


@dataclass(frozen=True)
class Point:
    """One operating point.

    Attributes:
        codec: "quantized", "restored", or a peer's name.
        setting: N (the number of levels), or the peer's quality.
        bpp: bits per pixel of the whole file.
        n_bytes: length of the whole file.
        psnr: dB, over RGB; infinity when lossless.
        ssim: at most 1.
        ms_ssim: at most 1; None where a side is too short for it.
        ssimulacra2: at most 100; None where it was not asked for.
        encode_seconds, decode_seconds: wall time from pixels to file and back; None if unknown.
    """

    codec: str
    setting: int
    bpp: float
    n_bytes: int
    psnr: float
    ssim: float
    ms_ssim: float | None = None
    ssimulacra2: float | None = None
    encode_seconds: float | None = field(default=None, compare=False)
    decode_seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Evaluation:
    """All points of an evaluation; means and deltas are derived from them.

    Attributes:
        per_image: for each image, in order, its name and all its points.
    """

    per_image: tuple[tuple[str, tuple[Point, ...]], ...]

    def codecs(self) -> tuple[str, ...]:
        """Names of the codecs that have points, in order of first appearance."""
        return tuple(dict.fromkeys(p.codec for _, points in self.per_image for p in points))

    def mean_curve(self, codec: str) -> tuple[Point, ...]:
        """Mean over the images of every measure at each setting, by increasing setting.

        ``n_bytes`` is the mean rounded; a measure that is None for any image is None.
        """
        groups: dict[int, list[Point]] = {}
        for _, points in self.per_image:
            for point in points:
                if point.codec == codec:
                    groups.setdefault(point.setting, []).append(point)
        return tuple(_mean_point(groups[setting]) for setting in sorted(groups))

    def bd_rate_psnr(self, codec: str) -> dict[str, float | None]:
        """BD-rate in per cent of a codec's mean curve against each peer's mean curve."""
        rates, values = _curve(self.mean_curve(codec))
        return {
            peer: bd_rate(*_curve(self.mean_curve(peer)), rates, values)
            for peer in self.codecs()
            if peer not in (QUANTIZED, RESTORED)
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON; an infinite PSNR becomes None."""
        quantized = _curve(self.mean_curve(QUANTIZED))
        restored = _curve(self.mean_curve(RESTORED))
        peers = [name for name in self.codecs() if name not in (QUANTIZED, RESTORED)]
        return _finite({
            "images": len(self.per_image),
            "mean": level_rows([*self.mean_curve(QUANTIZED), *self.mean_curve(RESTORED)]),
            "per_image": [
                {"image": name, **row}
                for name, points in self.per_image for row in level_rows(points)
            ],
            "bd_rate_psnr": self.bd_rate_psnr(RESTORED),
            "bd_rate_psnr_quantized": self.bd_rate_psnr(QUANTIZED),
            "bd_rate_psnr_restoration": bd_rate(*quantized, *restored),
            "peers": {name: [_peer_row(p) for p in self.mean_curve(name)] for name in peers},
        })  # fmt: skip

    def to_json(self) -> str:
        """``to_dict`` as indented JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """One line a point, of every image and codec."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["image", *(field.name for field in fields(Point))])
        for name, points in self.per_image:
            writer.writerows([name, *asdict(point).values()] for point in points)
        return buffer.getvalue()

    def to_table(self) -> str:
        """The mean curve and the BD-rates as Markdown, readable as plain text too."""
        lines = [
            "|   N |    bpp | PSNR quantized, dB | PSNR restored, dB | SSIM quantized"
            " | SSIM restored |",
            "|----:|-------:|-------------------:|------------------:|---------------:"
            "|--------------:|",
        ]
        for q, r in zip(self.mean_curve(QUANTIZED), self.mean_curve(RESTORED), strict=True):
            lines.append(
                f"| {q.setting:3d} | {q.bpp:6.3f} | {q.psnr:18.2f} | {r.psnr:17.2f}"
                f" | {q.ssim:14.4f} | {r.ssim:13.4f} |"
            )
        quantized = self.bd_rate_psnr(QUANTIZED)
        rows = [
            f"| {peer:9} | {_percent(quantized[peer]):>12} | {_percent(restored):>11} |"
            for peer, restored in self.bd_rate_psnr(RESTORED).items()
        ]
        if rows:
            lines += ["", "| BD-rate   | quantized, % | restored, % |"]
            lines += ["|-----------|-------------:|------------:|", *rows]
        return "\n".join(lines) + "\n"


def sweep_codec(
    codec: LossyCodec,
    pixels: np.ndarray,
    levels_list: Iterable[int],
    extra: Collection[str] = (),
) -> Iterator[Point]:
    """Points of this codec, two for each N: "quantized", then "restored", from the same file.

    The image is encoded once, when the first point is asked for; its time counts in each point.
    ``extra``: see ``measure``.
    """
    latents, encoding = timed(codec.encode, pixels)
    for levels in levels_list:
        data, packing = timed(codec.pack, latents, levels)
        quantized, unpacking = timed(codec.unpack, data)
        for name in (QUANTIZED, RESTORED):
            decoded, decoding = timed(codec.decode, quantized, restore=name == RESTORED)
            seconds = (encoding + packing, unpacking + decoding)
            yield measure(name, levels, len(data), pixels, decoded, extra, seconds)


def sweep_effort(
    codec: Codec,
    pixels: np.ndarray,
    levels_list: Iterable[int],
    effort: int,
    extra: Collection[str] = (),
) -> Iterator[Point]:
    """Restored points with optimised quantization, named by the entropy coder, one each for each N.

    The integers are chosen once for all coders; that time counts in each point, as the encoder's.

    Args:
        effort: passes, see ``Codec.quantize``.
        extra: see ``measure``.
    """
    latents, encoding = timed(codec.encode, pixels)
    for levels in levels_list:
        integers, choosing = timed(codec.quantize, latents, levels, effort)
        for coder in codec.coders:
            data, packing = timed(codec.pack_integers, integers, coder)
            quantized, unpacking = timed(codec.unpack, data)
            decoded, decoding = timed(codec.decode, quantized)
            seconds = (encoding + choosing + packing, unpacking + decoding)
            yield measure(coder, levels, len(data), pixels, decoded, extra, seconds)


def sweep_peer(
    peer: Peer,
    pixels: np.ndarray,
    qualities: Iterable[int] | None = None,
    extra: Collection[str] = (),
) -> Iterator[Point]:
    """Points of a peer, one for each quality; by default those of ``peer.sweep``.

    ``extra``: see ``measure``.
    """
    for quality in peer.sweep if qualities is None else qualities:
        data, encoding = timed(peer.encode, pixels, quality)
        decoded, decoding = timed(peer.decode, data)
        yield measure(peer.name, quality, len(data), pixels, decoded, extra, (encoding, decoding))


def timed(work: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, float]:
    """What the call returns, and its wall time in seconds."""
    started = time.perf_counter()
    result = work(*arguments, **options)
    return result, time.perf_counter() - started


def evaluate(
    codec: LossyCodec,
    images: Iterable[tuple[str, np.ndarray]],
    levels: Sequence[int],
    peers: Sequence[Peer] = (),
    progress: Callable[[str, Point], None] | None = None,
) -> Evaluation:
    """Sweeps this codec and the peers, at their fixed qualities, over all images.

    Args:
        images: names and pixels, uint8 (H, W, 3); taken one at a time.
        levels: the values of N.
        progress: called with the image's name and the point after each point.
    """
    per_image = []
    for name, pixels in images:
        points = []
        sweeps = [sweep_codec(codec, pixels, levels)]
        sweeps += [sweep_peer(peer, pixels) for peer in peers]
        for sweep in sweeps:
            for point in sweep:
                points.append(point)
                if progress is not None:
                    progress(name, point)
        per_image.append((name, tuple(points)))
    return Evaluation(tuple(per_image))


def measure(
    codec: str,
    setting: int,
    n_bytes: int,
    pixels: np.ndarray,
    decoded: np.ndarray,
    extra: Collection[str] = (),
    seconds: tuple[float | None, float | None] = (None, None),
) -> Point:
    """The point of a file of ``n_bytes`` that decodes to ``decoded``.

    Args:
        pixels, decoded: uint8 (H, W, 3).
        extra: slow measures to take as well; there is one, "ssimulacra2".
        seconds: what encoding and decoding took.
    """
    height, width = pixels.shape[:2]
    defined = min(height, width) >= MS_SSIM_MIN_SIDE
    scored = "ssimulacra2" in extra and min(height, width) >= SSIMULACRA2_MIN_SIDE
    return Point(
        codec=codec,
        setting=setting,
        bpp=bits_per_pixel(n_bytes, height, width),
        n_bytes=n_bytes,
        psnr=psnr(pixels, decoded),
        ssim=ssim(pixels, decoded),
        ms_ssim=ms_ssim(pixels, decoded) if defined else None,
        ssimulacra2=ssimulacra2(pixels, decoded) if scored else None,
        encode_seconds=seconds[0],
        decode_seconds=seconds[1],
    )


def _mean_point(points: Sequence[Point]) -> Point:
    def mean(name: str) -> float | None:
        values = [getattr(point, name) for point in points]
        return None if None in values else float(np.mean(values))

    optional = ("ms_ssim", "ssimulacra2", "encode_seconds", "decode_seconds")
    return Point(
        codec=points[0].codec,
        setting=points[0].setting,
        bpp=float(np.mean([point.bpp for point in points])),
        n_bytes=round(float(np.mean([point.n_bytes for point in points]))),
        psnr=float(np.mean([point.psnr for point in points])),
        ssim=float(np.mean([point.ssim for point in points])),
        **{name: mean(name) for name in optional},
    )


def _curve(points: Iterable[Point]) -> tuple[list[float], list[float]]:
    points = list(points)
    return [point.bpp for point in points], [point.psnr for point in points]


def level_rows(points: Iterable[Point]) -> list[dict[str, Any]]:
    """This codec's points as one row for each N: quantized and restored side by side."""
    rows: dict[int, dict[str, Any]] = {}
    for point in points:
        if point.codec in (QUANTIZED, RESTORED):
            row = rows.setdefault(
                point.setting,
                {"levels": point.setting, "bpp": point.bpp, "n_bytes": point.n_bytes},
            )
            row[f"psnr_{point.codec}"] = point.psnr
            row[f"ssim_{point.codec}"] = point.ssim
            row[f"ms_ssim_{point.codec}"] = point.ms_ssim
    return list(rows.values())


def _peer_row(point: Point) -> dict[str, Any]:
    return {
        "quality": point.setting,
        "bpp": point.bpp,
        "n_bytes": point.n_bytes,
        "psnr": point.psnr,
        "ssim": point.ssim,
        "ms_ssim": point.ms_ssim,
    }


def _finite(value: Any) -> Any:
    """The same nested value with None for each number that JSON cannot say."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:+.1f}"
