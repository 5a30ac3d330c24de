"""Operating points, and their curves."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from ..common.errors import ParameterError
from .peers import peer_labels

QANN = "qann"
"""This codec, as ``Curve.codec``."""

QUANTIZED, RESTORED = "quantized", "restored"
"""Its variants: the decoder without and with the restoration network."""

VARIANT_LABELS = {
    RESTORED: "QANN restored",
    QUANTIZED: "QANN quantized only",
    "assumed-half": "QANN, N/2 assumed",
    "assumed-double": "QANN, 2N assumed",
    "daq": "DAQ, by distribution",
    "rq": "RQ, residual codes",
}


@dataclass(frozen=True)
class Curve:
    """What made a point, but for its setting.

    Attributes:
        codec: QANN, or a peer's name.
        variant: of this codec, a key of VARIANT_LABELS; the other fields are its own, too.
        coder: name of the entropy coder.
        model: name of the weights.
        effort: passes of optimised quantization.
    """

    codec: str
    variant: str = ""
    coder: str = ""
    model: str = ""
    effort: int = 0

    @property
    def kind(self) -> str:
        """What names its line where only one model, coder and effort are shown."""
        return self.variant or self.codec

    @property
    def name(self) -> str:
        """All that sets it apart, such as "qann-restored-brotli-default-8"; never parsed."""
        values = [str(getattr(self, field.name)) for field in fields(self)]
        return "-".join(value for value in values if value not in ("", "0"))


@dataclass(frozen=True)
class Point:
    """One operating point.

    Attributes:
        curve: what made it.
        setting: N (the number of levels), or the peer's quality.
        bpp: bits per pixel of the whole file.
        n_bytes: length of the whole file.
        values: the measures that were taken, by name; None where one is not defined, infinity for
            the PSNR of an image that came out as it was.
    """

    curve: Curve
    setting: int
    bpp: float
    n_bytes: int
    values: dict[str, float | None]

    @property
    def kind(self) -> str:
        """See ``Curve``."""
        return self.curve.kind


def curve_of(kind: str) -> Curve:
    """The curve of a kind, without model, coder and effort."""
    return Curve(QANN, kind) if kind in VARIANT_LABELS else Curve(kind)


def kind_label(kind: str) -> str:
    """How to call a curve of a kind, see ``Curve``."""
    return VARIANT_LABELS.get(kind) or peer_labels().get(kind, kind)


def labels(curves: Iterable[Curve]) -> dict[Curve, str]:
    """How to call the curves on one chart or table: only what sets them apart is mentioned."""
    curves = list(dict.fromkeys(curves))
    own = [curve for curve in curves if curve.codec == QANN]
    several = {
        f: len({getattr(curve, f) for curve in own}) > 1 for f in ("model", "coder", "effort")
    }
    named = {}
    for curve in curves:
        words = []
        if curve.codec == QANN:
            words = [curve.model] if several["model"] else []
            if several["coder"] and curve.variant not in ("daq", "rq"):
                words.append(curve.coder)
            words += [f"effort {curve.effort}"] if several["effort"] and curve.effort else []
        named[curve] = ", ".join([kind_label(curve.kind), *words])
    return named


def assumed(variant: str, levels: int, least: int, most: int) -> int:
    """The N that the network is given instead of ``levels``, within the limits of N."""
    factors = {"assumed-half": 0.5, "assumed-double": 2.0}
    if variant not in factors:
        raise ParameterError(f"There is no variant {variant!r} that assumes another N.")
    return min(max(round(levels * factors[variant]), least), most)
