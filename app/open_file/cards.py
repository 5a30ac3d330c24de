"""What a .qann file is made of, as tables: its header, and its bytes by part."""

from __future__ import annotations

from qann_core import ModelError
from qann_core.bitstream import HEADER_BYTES, Header
from qann_core.coding.registry import coder_by_name
from qann_core.models import model_by_id
from qann_core.quantization import step_for_levels

from ..choice import codec_of
from ..markup import table


def header_table(header: Header) -> str:
    try:
        model = f"{header.model_id} ({model_by_id(header.model_id).name})"
    except ModelError:
        model = f"{header.model_id} (not installed)"
    step = f"; step {step_for_levels(header.levels):.1f}"
    rows = [
        ("Container version", str(header.version), "which layout the file follows"),
        ("Size", f"{header.width} × {header.height}", "pixels"),
        ("N", str(header.levels), f"distinct values allowed{step}"),
        ("Coder", f"{header.coder_id} ({header.coder})", "packs the integers into bytes"),
        ("Model", model, "names the weights that can decode it"),
        ("Payload", f"{header.payload_bytes:,} bytes", "the packed integers"),
        ("File", f"{header.total_bytes:,} bytes", f"{header.bits_per_pixel:.3f} bits per pixel"),
    ]
    return table(("Field", "Value", "Meaning"), rows, "Header of the file")


def bytes_by_part(data: bytes, header: Header) -> list[tuple[str, float]]:
    """Where the file's bytes go: header, the latents' bands, coarse to fine, and metadata."""
    codec = codec_of(model_by_id(header.model_id).name)
    shapes = codec.vae.band_shapes(header.height, header.width)
    coder = coder_by_name(header.coder, codec.prior if header.coder == "prior" else None)
    payload = data[HEADER_BYTES : HEADER_BYTES + header.payload_bytes]
    bands = coder.bytes_by_band(payload, shapes, header.levels)
    scales = len(shapes) - 1
    names = [f"Coarse picture, 1/{2**scales}" if scales else "Latents"]
    names += [f"Details at 1/{2 ** (scales - level)}" for level in range(scales)]
    parts = [("Header", float(HEADER_BYTES)), *zip(names, bands, strict=True)]
    return [*parts, ("Metadata", header.metadata_bytes)] if header.metadata_bytes else parts


def parts_table(parts: list[tuple[str, float]]) -> str:
    total = sum(n_bytes for _, n_bytes in parts)
    lines = "".join(
        f"<div class='part'><span>{name}</span><progress max='{total:.0f}' "
        f"value='{n_bytes:.0f}' aria-label='{name}'></progress>"
        f"<span class='number'>{n_bytes:,.0f} B · {100 * n_bytes / total:.1f} %</span></div>"
        for name, n_bytes in parts
    )
    return f"<h3>Bytes by part</h3><div class='parts'>{lines}</div>"
