"""Numbers and tables as the text and HTML of every tab."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np


def size_text(n_bytes: int) -> str:
    """A length in bytes for people: exact below 10 000, else in kB (1000 bytes)."""
    if n_bytes < 10_000:
        return f"{n_bytes:,} B".replace(",", "\u202f")
    if n_bytes < 10_000_000:
        return f"{n_bytes / 1000:.1f} kB"
    return f"{n_bytes / 1e6:.2f} MB"


def decibels(value: float) -> str:
    """PSNR with its unit; equal pictures have no finite one."""
    return f"{value:.2f} dB" if np.isfinite(value) else "lossless"


def table(head: Iterable[str], rows: Iterable[Iterable[str]], label: str) -> str:
    """A small table; the cells are text, the first of each row names it."""
    heads = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    lines = ""
    for row in rows:
        first, *rest = (escape(cell) for cell in row)
        lines += f"<tr><th scope='row'>{first}</th>" + "".join(f"<td>{c}</td>" for c in rest)
        lines += "</tr>"
    return (
        f"<div class='scroll'><table class='figures' aria-label='{escape(label, quote=True)}'>"
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def per_cent(share: float) -> str:
    """A share from 0 to 1 for people, with three digits at most."""
    value = 100 * share
    return (
        f"{value:.0f} %" if value >= 99.95 else f"{value:.1f} %" if value >= 1 else f"{value:.2g} %"
    )


def count(number: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")
