"""Tab "Open a file": a file back to a picture, with all that its header says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from qann_core import QannError
from qann_core.bitstream import read_header
from qann_core.models import model_by_id

from .. import cores
from ..choice import codec_of
from ..compare.markup import viewer
from ..frames import folder, opening
from ..markup import size_text
from ..photos import MAX_MEGAPIXELS
from ..pictures import cache_file, lossless_bytes, png_bytes
from .cards import bytes_by_part, header_table, parts_table


def decode_file(data: bytes, restore: bool = True) -> np.ndarray:
    """The picture in a .qann file, with the bundled model that made it.

    Raises:
        QannError: when it is no such file, is damaged, needs a newer version or other weights,
            or is larger than this page serves.
    """
    header = read_header(data)
    if header.width * header.height > MAX_MEGAPIXELS * 1e6:
        raise QannError(
            f"The picture is {header.width} × {header.height} pixels; this page opens up to "
            f"{MAX_MEGAPIXELS} megapixels. The command `qann decompress` has no such limit."
        )
    codec = codec_of(model_by_id(header.model_id).name)
    return codec.decode(codec.unpack(data), restore)


def open_file(path: str | None) -> list[Any]:
    """A chosen file to its pictures and tables; a bad one gives a toast and changes nothing."""
    if path is None:
        return [gr.skip()] * 4
    data = Path(path).read_bytes()
    try:
        restored, quantized = cores.run(lambda: _pictures(data))
    except QannError as error:
        gr.Warning(str(error), title="This file cannot be opened")
        return [*[gr.skip()] * 3, None]
    header = read_header(data)
    stem = Path(path).stem
    plain, extension = lossless_bytes(quantized)
    png = cache_file(png_bytes(restored), f"{stem}.png")
    size = size_text(len(data))
    return [
        viewer(
            "opened",
            _side("Quantized only", cache_file(plain, f"quantized.{extension}"), size),
            _side("Restored", png, f"the same {size}"),
            50,
            stem,
        ),
        header_table(header) + parts_table(bytes_by_part(data, header)),
        gr.update(value=png, visible=True),
        None,
    ]


def _pictures(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """With and without restoration."""
    cores.take()
    return decode_file(data), decode_file(data, restore=False)


def open_sample() -> list[Any]:
    """The file of the page's opening result."""
    return open_file(str(folder() / opening()["qann"].removeprefix("frames/")))


def _side(label: str, path: str, note: str) -> dict[str, str]:
    return {"label": label, "url": f"gradio_api/file={path}", "note": note}
