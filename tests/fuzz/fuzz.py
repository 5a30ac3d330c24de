"""A fuzzer of .qann files that knows their structure; see ``python tests/fuzz/fuzz.py --help``.

It starts from a corpus of small files of every coder, made here. A mutant has fields of the header,
bytes of the payload or symbols inside of the Brotli stream changed; then lengths and checksum are
made right again, so that it gets past them. Whatever a file holds, reading and decoding it gives
integers within the bounds of N and a picture of the stated size, or a BitstreamError or ModelError,
within SECONDS and MEGABYTES.
"""

from __future__ import annotations

import argparse
import random
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import brotli
import numpy as np
import torch

from qann_core import Codec, bitstream
from qann_core.bitstream import Kept, attach
from qann_core.coding.registry import CODER_NAMES
from qann_core.coding.symbols import Source, varint
from qann_core.coding.weights import Prior, cached_prior
from qann_core.common.errors import BitstreamError, ModelError
from qann_core.common.shapes import integer_range, pyramid_shapes
from qann_core.networks.restoration import QannUNet
from qann_core.networks.vae import WaveletVAE
from qann_core.quantization import QuantizedLatents

SECONDS, MEGABYTES = 2.0, 300
MAX_PIXELS = 512 * 512
"""What the reader is allowed; mutants may state any size."""

MODEL = "0123abcd"
TINY_PRIOR = Path(__file__).resolve().parents[1] / "golden" / "tiny-quarters"
_HEADER = bitstream.HEADER_BYTES

Shapes = Callable[[int, int], tuple[tuple[int, int, int], ...]]


def one_band(height: int, width: int) -> tuple[tuple[int, int, int], ...]:
    """Shapes of a VAE of one latent tensor: 4 channels at 1/8."""
    return ((4, -(-height // 8), -(-width // 8)),)


@dataclass(frozen=True)
class Seed:
    """A file to mutate, and the shapes that its model's latents have."""

    data: bytes
    shapes: Shapes


def corpus(prior: Prior) -> list[Seed]:
    """Small files of every coder: all zeros, sparse, dense, smooth, one pixel, with metadata.

    Few of the prior, which takes five times as long as Brotli.
    """
    numbers = np.random.default_rng(0)
    seeds = []
    pictures = ((1, 1, 16, 1.0), (20, 12, 64, 0.1), (9, 17, 512, 0.9), (24, 24, 96, 0.0),
                (33, 10, 17, 0.4))  # fmt: skip
    for height, width, levels, density in pictures:
        for coder, shapes_of in (
            ("brotli", pyramid_shapes), ("brotli", one_band), ("prior", pyramid_shapes)
        ):  # fmt: skip
            if coder == "prior" and density in (0.0, 0.4, 1.0):
                continue
            low, high = integer_range(levels)
            bands = []
            for shape in shapes_of(height, width):
                band = numbers.integers(low, high + 1, shape) // numbers.choice([1, 4, 16])
                bands.append(np.where(numbers.random(shape) < density, band, 0).astype(np.int32))
            latents = QuantizedLatents(tuple(bands), levels, height, width, MODEL)
            given = prior if coder == "prior" else None
            seeds.append(Seed(bitstream.pack(latents, coder, given, shapes_of), shapes_of))
    seeds.append(Seed(attach(seeds[3].data, Kept(b"II*\0exif", b"<xmp/>")), seeds[3].shapes))
    return seeds


def mutant(seed: bytes, other: bytes, chance: random.Random) -> bytes:
    """A file like ``seed``, with parts of ``other`` at times, and lengths and checksum right."""
    header, payload = bytearray(seed[:_HEADER]), bytearray(seed[_HEADER:])
    if chance.random() < 0.3:
        _mutate_header(header, chance)
    inside = chance.random() < 0.4
    if inside:
        payload = _mutate_symbols(bytes(header), payload, chance)
    if not inside or chance.random() < 0.3 or header + payload == seed:
        for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
            payload = _mutate_bytes(payload, other[_HEADER:], chance)
    if chance.random() < 0.95 and seed[4] == 1:
        struct.pack_into("<I", header, 16, len(payload))
    if chance.random() < 0.98:
        struct.pack_into("<I", header, 20, zlib.crc32(payload, zlib.crc32(header[:20])))
    return bytes(header + payload)


def _mutate_header(header: bytearray, chance: random.Random) -> None:
    part = chance.choice(("coder", "levels", "size", "version", "any"))
    if part == "coder":
        header[5] = chance.choice((*CODER_NAMES, 0, 3, 255))
    elif part == "levels":
        struct.pack_into("<H", header, 10, chance.choice((0, 15, 16, 17, 31, 512, 513, 65535)))
    elif part == "size":
        sizes = (0, 1, 15, 16, 17, 100, 512, 4096, 65535)
        struct.pack_into("<HH", header, 12, chance.choice(sizes), chance.choice(sizes))
    elif part == "version":
        header[4] = chance.choice((0, 1, 2, 3))
    else:
        header[chance.randrange(20)] = chance.randrange(256)


_KINDS = ("flip", "set", "number", "cut", "drop", "repeat", "zero", "ones", "splice")
_NUMBERS = (0, 1, 2, 127, 128, 255, 4095, 65535, 65536, 2**20 - 1, 2**28 - 1, 2**35 - 1)


def _mutate_bytes(payload: bytearray, other: bytes, chance: random.Random) -> bytearray:
    place = chance.randrange(len(payload) + 1)
    end = min(len(payload), place + chance.choice((1, 2, 4, 8, 64)))
    kind = chance.choice(_KINDS)
    if kind == "flip" and place < len(payload):
        payload[place] ^= 1 << chance.randrange(8)
    elif kind == "set" and place < len(payload):
        payload[place] = chance.randrange(256)
    elif kind == "number":
        payload[place:end] = varint(chance.choice(_NUMBERS))
    elif kind == "cut":
        del payload[place:]
    elif kind == "drop":
        del payload[place:end]
    elif kind == "repeat":
        payload[place:place] = payload[place:end] * chance.choice((1, 3, 100))
    elif kind in ("zero", "ones"):
        payload[place:end] = (b"\0" if kind == "zero" else b"\xff") * (end - place)
    elif kind == "splice":
        start = chance.randrange(len(other) + 1)
        payload[place:end] = other[start : start + 64]
    return payload


def _mutate_symbols(header: bytes, payload: bytearray, chance: random.Random) -> bytearray:
    """Changes symbols inside of the Brotli stream of a wavelet model's payload, if it is one."""
    if header[5] != 1:
        return payload
    try:
        source = Source(bytes(payload))
        flags = np.unpackbits(source.take(5))
        for _ in range(int(flags[:3].sum())):
            source.varint()
        for _ in range(8):
            if source.varint():
                source.varint()
        source.varint()
        before = source.position
        length = source.varint()
        start = source.position
        symbols = bytearray(brotli.decompress(source.take(length).tobytes()))
    except (BitstreamError, brotli.error):
        return payload
    for _ in range(chance.choice((1, 1, 4))):
        symbols = _mutate_bytes(symbols, bytes(symbols), chance)
    stream = brotli.compress(bytes(symbols), quality=1)
    fresh = payload[:before] + varint(len(stream)) + stream + payload[start + length :]
    return bytearray(fresh)


def tiny_codec() -> Codec:
    """Untrained networks with a few features: fast, and as strict about shapes as real ones."""
    torch.manual_seed(0)
    vae = WaveletVAE((4, 4, 4, 4), (0, 0), (4, 4, 4, 4), (0, 0)).eval()
    qann = QannUNet(widths=(8, 8, 8, 8), blocks_up=1, embedding_channels=8, attention_heads=2)
    return Codec(vae, qann.eval(), MODEL)


@dataclass(frozen=True)
class Checked:
    """One mutant: its coder, its kind, and the CPU time in seconds of unpack and decode.

    The kind is an error's name, "integers" that no wavelet VAE decodes, or "picture".
    """

    coder: str
    kind: str
    seconds: dict[str, float]


@dataclass
class Outcome:
    """What became of the mutants.

    Attributes:
        kinds: how many, by coder and kind.
        seconds, slowest: CPU time in all and at most, by coder and step.
        megabytes: the peak of memory over the idle process.
    """

    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest: dict[tuple[str, str], float] = field(default_factory=dict)
    megabytes: float = 0.0

    @property
    def total(self) -> int:
        """Number of mutants."""
        return sum(self.kinds.values())

    def add(self, checked: Checked) -> None:
        """Counts one more mutant."""
        self.kinds[checked.coder, checked.kind] += 1
        for step, taken in checked.seconds.items():
            key = checked.coder, step
            self.seconds[key] += taken
            self.slowest[key] = max(self.slowest.get(key, 0.0), taken)

    def __str__(self) -> str:
        lines = [f"{self.total} mutants, {self.megabytes:.0f} MB over idle at most"]
        for coder in sorted({coder for coder, _ in self.kinds}):
            kinds = {kind: count for (of, kind), count in sorted(self.kinds.items()) if of == coder}
            lines.append(f"  {coder}: {sum(kinds.values())} mutants, {kinds}")
            for (of, step), slowest in sorted(self.slowest.items()):
                if of == coder:
                    seconds = self.seconds[of, step]
                    lines.append(f"    {step}: {seconds:.0f} s in all, slowest {slowest:.2f} s")
        return "\n".join(lines)


def check(data: bytes, shapes: Shapes, prior: Prior, codec: Codec) -> Checked:
    """Reads and decodes one file. What a file must not cause is raised."""
    coder, started = CODER_NAMES.get(data[5], "no coder"), time.process_time()
    try:
        quantized = bitstream.unpack(data, prior, MAX_PIXELS, shapes)
    except (BitstreamError, ModelError) as error:
        if "\n" in str(error):
            raise AssertionError(f"not one sentence: {error!r}") from error
        return Checked(coder, type(error).__name__, {"unpack": time.process_time() - started})
    seconds = {"unpack": time.process_time() - started}
    low, high = integer_range(quantized.levels)
    wanted = shapes(quantized.height, quantized.width)
    if tuple(band.shape for band in quantized.bands) != wanted:
        raise AssertionError("bands of other shapes")
    if any(band.min() < low or band.max() > high for band in quantized.bands):
        raise AssertionError("integers that N does not allow")
    if shapes is not pyramid_shapes or quantized.model_id != MODEL:
        return Checked(coder, "integers", seconds)
    started = time.process_time()
    picture = codec.decode(quantized)
    seconds["decode"] = time.process_time() - started
    if picture.shape != (quantized.height, quantized.width, 3):
        raise AssertionError("a picture of another size")
    return Checked(coder, "picture", seconds)


def peak_megabytes() -> float:
    """The most memory that this process ever held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def run(seconds: float, start: int = 0, seeds: int | None = None) -> Iterator[Outcome]:
    """Mutants until the time is up; yields the outcome so far after each.

    Args:
        start: number of the first mutant, by which it can be made again.
        seeds: at most so many mutants.

    Raises:
        AssertionError: for an exception, a result, a time or memory that is not allowed; names the
            mutant's number and holds its bytes in hexadecimal digits.
    """
    prior, codec = cached_prior(TINY_PRIOR), tiny_codec()
    files = corpus(prior)
    outcome = Outcome()
    for seed in files:
        check(seed.data, seed.shapes, prior, codec)
    idle = peak_megabytes()
    until, number = time.monotonic() + seconds, start
    while time.monotonic() < until and (seeds is None or number < start + seeds):
        chance = random.Random(number)
        seed, other = chance.choice(files), chance.choice(files)
        data = mutant(seed.data, other.data, chance)
        shapes = (other if chance.random() < 0.05 else seed).shapes  # also another VAE's
        try:
            checked = check(data, shapes, prior, codec)
            if max(checked.seconds.values()) > SECONDS:  # unless it was the machine
                checked = check(data, shapes, prior, codec)
        except Exception as error:
            raise AssertionError(f"mutant {number}: {error!r}; {data.hex()}") from error
        outcome.add(checked)
        outcome.megabytes = peak_megabytes() - idle
        if outcome.megabytes > MEGABYTES or max(checked.seconds.values()) > SECONDS:
            raise AssertionError(
                f"mutant {number}: {checked}, {outcome.megabytes:.0f} MB; {data.hex()}"
            )
        yield outcome
        number += 1


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--start", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--count", type=int, help="at most so many mutants")
    options = parser.parse_args()
    print(f"mutants from number {options.start} on")
    for outcome in run(60 * options.minutes, options.start, options.count):
        if outcome.total % 50_000 == 0:
            print(outcome, flush=True)
    print(outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
