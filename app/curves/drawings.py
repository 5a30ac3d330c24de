"""Rate-distortion charts: those of ``qann_core.charts``, which the command draws with too."""

from __future__ import annotations

from qann_core.charts import MEASURES, png, rate_distortion, style

__all__ = ["MEASURES", "codec_label", "png", "rate_distortion"]


def codec_label(codec: str) -> str:
    """How a codec is called on charts and in tables."""
    return style(codec).label
