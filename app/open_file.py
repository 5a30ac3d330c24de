"""Tab "Open a .qann file": a file back to a picture, with all that its header says."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from qann_core import ModelError, QannError
from qann_core.bitstream import HEADER_BYTES, Header, band_shapes, read_header
from qann_core.entropy import coder_by_id
from qann_core.models import model_by_id
from qann_core.quantization import step_for_levels

from . import cards, words
from .layout import zoom_buttons
from .models import codec_of
from .pictures import cache_file, lossless_bytes, png_bytes
from .toasts import toasted
from .visit import MAX_MEGAPIXELS


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


def _header_table(header: Header) -> str:
    try:
        model = f"{header.model_id} ({model_by_id(header.model_id).name})"
    except ModelError:
        model = f"{header.model_id} (not installed)"
    step = step_for_levels(header.levels)
    rows = [
        ("Container version", str(header.version), "which layout the file follows"),
        ("Size", f"{header.width} × {header.height}", "pixels"),
        ("N", str(header.levels), f"distinct values allowed; step {step:.1f}"),
        ("Coder", f"{header.coder_id} ({header.coder})", "packs the integers into bytes"),
        ("Model", model, "names the weights that can decode it"),
        ("Payload", f"{header.payload_bytes:,} bytes", "the packed integers"),
        ("File", f"{header.total_bytes:,} bytes", f"{header.bits_per_pixel:.3f} bits per pixel"),
    ]
    return cards.table(("Field", "Value", "Meaning"), rows, "Header of the file")


def bytes_by_part(data: bytes, header: Header) -> list[tuple[str, float]]:
    """Where the file's bytes go: header, then the subbands, coarse to fine."""
    shapes = band_shapes(header.height, header.width)
    coder = coder_by_id(header.coder_id)
    bands = coder.bytes_by_band(data[HEADER_BYTES:], shapes, header.levels)
    scales = len(shapes) - 1
    names = [f"Coarse picture, 1/{2**scales}"]
    names += [f"Details at 1/{2 ** (scales - level)}" for level in range(scales)]
    return [("Header", float(HEADER_BYTES)), *zip(names, bands, strict=True)]


def _parts_table(parts: list[tuple[str, float]]) -> str:
    total = sum(n_bytes for _, n_bytes in parts)
    lines = "".join(
        f"<div class='part'><span>{name}</span><progress max='{total:.0f}' "
        f"value='{n_bytes:.0f}' aria-label='{name}'></progress>"
        f"<span class='number'>{n_bytes:,.0f} B · {100 * n_bytes / total:.1f} %</span></div>"
        for name, n_bytes in parts
    )
    return f"<h3>Bytes by part</h3><div class='parts'>{lines}</div>"


def open_file(path: str | None) -> list[Any]:
    """A chosen file to its pictures and tables; a bad one gives a toast and changes nothing."""
    if path is None:
        return [gr.skip()] * 5
    data = Path(path).read_bytes()
    try:
        restored = decode_file(data)
        quantized = decode_file(data, restore=False)
    except QannError as error:
        gr.Warning(str(error), title="This file cannot be opened")
        return [*[gr.skip()] * 4, None]
    header = read_header(data)
    stem = Path(path).stem
    plain, extension = lossless_bytes(quantized)
    png = cache_file(png_bytes(restored), f"{stem}.png")
    return [
        (cache_file(plain, f"quantized.{extension}"), png),
        _header_table(header) + _parts_table(bytes_by_part(data, header)),
        "<div class='sides'><div class='side'><b>Quantized only</b>"
        f"<span>{escape(stem)}.qann</span>"
        f"</div><div class='side right'><b>Restored</b><span>the same file</span></div></div>",
        gr.update(value=png, interactive=True),
        None,
    ]


def build() -> None:
    """The tab's components and events."""
    gr.Markdown(words.OPEN_INTRO)
    with gr.Row(equal_height=False):
        with gr.Column(scale=7, min_width=320):
            file = gr.File(label="A .qann file", elem_id="qann-input", height=120)
            caption = gr.HTML(
                "<p class='quiet'>No file opened yet.</p>", elem_id="opened-sides", min_height=48
            )
            zoom_out, zoom_in = zoom_buttons("opened")
            picture = gr.ImageSlider(
                label="The file's picture: quantized only, restored", show_label=False,
                interactive=False, elem_id="opened", elem_classes="divided", height=420,
                buttons=[zoom_out, zoom_in, "fullscreen"],
            )  # fmt: skip
        with gr.Column(scale=4, min_width=320):
            about = gr.HTML(words.OPEN_HINT, elem_id="header-table")
            with gr.Row(elem_classes="downloads"):
                png_file = gr.DownloadButton("Restored PNG", interactive=False, size="sm")
    file.upload(
        toasted(open_file), [file], [picture, about, caption, png_file, file],
        api_visibility="private", concurrency_id="codec", concurrency_limit=1,
        show_progress="minimal", show_progress_on=[picture],
    )  # fmt: skip
