"""What is done to one file: an image to a .qann file, or back. The command for one file uses it
too."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from ..bitstream import HEADER_BYTES, MAX_METADATA, Kept, attach, detach, read_header
from ..common.errors import ParameterError, QannError, is_out_of_memory
from ..common.files import is_image_name
from ..common.limits import MAX_PAYLOAD, MAX_PIXELS, check_effort, check_levels, check_positive
from ..images import WRITTEN_EXTENSIONS, encode_image, read_image
from ..images.metadata import Metadata, save_options
from ..metrics import measured
from ..models import bundled_models, check_coder, model_by_id, resolve_folder
from .manifest import Record
from .store import Entry, Store

if TYPE_CHECKING:
    from ..codec import Codec, Latents


@dataclass(frozen=True, slots=True)
class Job:
    """One file to work on: its path, where the result goes, and what the listing said of it."""

    path: str
    output: str
    source: Entry


Facts = dict[str, Any]
"""What a task says of a file, by the names of ``Record``'s fields."""


@dataclass(frozen=True)
class Compression:
    """An image to a .qann file, at N = ``levels`` or at the first target that is not None.

    Attributes:
        model, coder, device, effort: as for ``Codec.load`` and ``Codec.pack``.
        bpp, psnr, ssimulacra2: targets, see ``search``.
        keep_metadata: keep EXIF and XMP in the file.
        measures: names of functions of ``metrics``, taken of the decoded image.
    """

    model: str = "default"
    coder: str | None = None
    device: str = "cpu"
    levels: int = 96
    bpp: float | None = None
    psnr: float | None = None
    ssimulacra2: float | None = None
    effort: int = 0
    keep_metadata: bool = False
    measures: tuple[str, ...] = ()

    verb: ClassVar[str] = "compress"
    written: ClassVar[tuple[str, ...]] = (".qann",)

    def check(self) -> None:
        """Raises QannError for options that no image could be compressed with; needs no torch."""
        for name, highest in (("bpp", math.inf), ("psnr", math.inf), ("ssimulacra2", 100)):
            target = getattr(self, name)
            if target is not None:
                check_positive(f"--{name}", target, highest)
        check_effort(self.effort)
        folder = resolve_folder(self.model)
        check_levels(self.levels)
        check_coder(folder, self.coder)

    def prepare(self) -> None:
        """Loads the networks, which are kept."""
        _codec(self.model, self.coder, self.device)

    @staticmethod
    def wants(name: str) -> bool:
        """Whether a file of this name is an image."""
        return is_image_name(name)

    def outputs(self, paths: list[str]) -> dict[str, str]:
        """A name for each file's output: its own and ``.qann``, so that none is another's."""
        return {path: f"{path}.qann" for path in paths}

    def run(self, source: Path | BinaryIO, output: str) -> tuple[bytes, Facts]:
        """Reads an image, returns its .qann file and what to say of it."""
        loaded = read_image(source)
        codec = _codec(self.model, self.coder, self.device)
        latents = codec.encode(loaded.pixels)
        data, levels = self._pack(codec, latents)
        height, width = loaded.pixels.shape[:2]
        facts: Facts = {"width": width, "height": height, "levels": levels}
        facts["bpp"] = round(8 * len(data) / (width * height), 5)
        facts["notices"] = loaded.notices
        if not codec.restores:
            facts["notices"] += ("This model has no restoration network.",)
        if self.measures:
            decoded = codec.decode(codec.unpack(data, MAX_PIXELS))
            values = measured(self.measures, loaded.pixels, decoded)
            facts["measures"] = {
                name: None if value is None or math.isinf(value) else round(value, 5)
                for name, value in values.items()
            }
        kept = self._kept(loaded.metadata)
        names = {"EXIF": kept.exif, "XMP": kept.xmp}
        facts["not_kept"] = tuple(n for n in loaded.metadata.names if not names.get(n))
        return attach(data, kept), facts

    def _kept(self, metadata: Metadata) -> Kept:
        """What of an image's metadata goes into the file."""
        if not self.keep_metadata:
            return Kept()
        # The pixels are upright, whatever the packet says.
        xmp = re.sub(rb"(tiff:Orientation(?:=[\"']|>))\d", rb"\g<1>1", metadata.xmp)
        return Kept(*(part if len(part) <= MAX_METADATA else b"" for part in (metadata.exif, xmp)))

    def _pack(self, codec: Codec, latents: Latents) -> tuple[bytes, int]:
        from ..search import levels_for_bpp, levels_for_quality

        if self.bpp is not None:
            return levels_for_bpp(codec, latents, self.bpp, self.effort)
        for measure, target in (("psnr", self.psnr), ("ssimulacra2", self.ssimulacra2)):
            if target is not None:
                return levels_for_quality(codec, latents, measure, target, self.effort)
        return codec.pack(latents, self.levels, effort=self.effort), self.levels


@dataclass(frozen=True)
class Decompression:
    """A .qann file to an image file.

    Attributes:
        model: what made the files, where that is not a bundled model.
        device: as for ``Codec.load``.
        restore: run the restoration network.
        extension: of the images, such as ``.png``; it chooses the format.
    """

    model: str | None = None
    device: str = "cpu"
    restore: bool = True
    extension: str = ".png"

    verb: ClassVar[str] = "decompress"
    written: ClassVar[tuple[str, ...]] = WRITTEN_EXTENSIONS

    def check(self) -> None:
        """Raises QannError for options that no file could be decompressed with."""
        if self.model is not None:
            resolve_folder(self.model)

    def prepare(self) -> None:
        """Loads the networks, where they are known before a file is."""
        if self.model is not None:
            _codec(self.model, None, self.device)

    @staticmethod
    def wants(name: str) -> bool:
        """Whether a file of this name is a .qann file."""
        return name.lower().endswith(".qann")

    def outputs(self, paths: list[str]) -> dict[str, str]:
        """A name for each file's output.

        ``photo.png.qann`` and ``photo.qann`` give ``photo.png``, and ``photo.jpg.qann`` gives
        ``photo.jpg.png``; where that is the name of several, each has its whole name and the
        extension.
        """
        whole = {path: path + self.extension for path in paths}
        stems = {path: path[: -len(".qann")] for path in paths}
        chosen = {p: s if s.lower().endswith(self.extension) else s + self.extension
                  for p, s in stems.items()}  # fmt: skip
        while True:
            owners = Counter(name.casefold() for name in chosen.values())
            clashes = {p for p, name in chosen.items() if owners[name.casefold()] > 1}
            if all(chosen[path] == whole[path] for path in clashes):
                return chosen
            chosen |= {path: whole[path] for path in clashes}

    def run(self, source: Path | BinaryIO, output: str) -> tuple[bytes, Facts]:
        """Reads a .qann file, returns an image file, in the format that ``output`` ends in."""
        packed = read_packed(source)
        header = read_header(packed)
        codec = _codec(self.model or model_by_id(header.model_id).name, None, self.device)
        pixels = codec.decode(codec.unpack(packed, MAX_PIXELS), self.restore)
        facts: Facts = {"width": header.width, "height": header.height}
        facts |= {"levels": header.levels, "bpp": round(header.bits_per_pixel, 5)}
        _, kept = detach(packed)
        options, lost = save_options(Path(output).suffix.lower(), kept.exif, kept.xmp)
        facts["not_kept"] = tuple(lost)
        return encode_image(output, pixels, options), facts


Task = Compression | Decompression


def digest(task: Task) -> str:
    """8 hexadecimal digits that name all options of a task and the weights that it names."""
    name = resolve_folder(task.model).name if task.model is not None else None
    ids = [info.id for info in bundled_models() if info.name == name]
    said = {"task": task.verb, **asdict(task), "ids": ids}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Work:
    """A task with the roots of its files: all that a worker needs, once."""

    task: Task
    source: Store
    target: Store
    options: str
    threads: int

    def prepare(self) -> None:
        """Sets the threads that PyTorch uses, and loads the networks."""
        import torch

        torch.set_num_threads(self.threads)
        self.task.prepare()

    def record(self, job: Job) -> Record:
        """A file's record before it is processed."""
        return Record(job.path, job.output, job.source.stamp, self.options, job.source.size)

    def __call__(self, job: Job) -> Record:
        """Does one file; every failure becomes its record's ``error``."""
        began = time.perf_counter()
        record = self.record(job)
        try:
            with self.source.open(job.path) as file:
                data, facts = self.task.run(file, job.output)
            self.target.write(job.output, data)
            record = replace(record, bytes_out=len(data), **facts)
        except QannError as error:
            record = record.failed(str(error).replace(f" {getattr(file, 'name', '')} ", " "))
        except OSError as error:
            record = record.failed(f"It cannot be read or written: {error.strerror or error}.")
        except Exception as error:  # one bad file never ends a batch
            if is_out_of_memory(error):
                record = record.failed("There is not enough memory for an image of this size.")
            else:
                record = record.failed(f"Unexpected {type(error).__name__}: {error}")
        return replace(record, seconds=round(time.perf_counter() - began, 4))


def read_packed(source: Path | BinaryIO) -> bytes:
    """The bytes of a .qann file; ParameterError where it is larger than any can be."""
    limit = HEADER_BYTES + MAX_PAYLOAD
    if isinstance(source, Path):
        with source.open("rb") as file:
            data = file.read(limit + 1)
    else:
        data = source.read(limit + 1)
    if len(data) > limit:
        raise ParameterError(f"The file is larger than a .qann file can be ({limit} bytes).")
    return data


def _codec(model: str, coder: str | None, device: str) -> Codec:
    from ..codec import cached_codec

    return cached_codec(model, coder, device)
