"""The document of an evaluation -> Markdown: its tables, and the report."""

from collections.abc import Sequence
from typing import Any

from .measures import MEASURES
from .points import QANN, QUANTIZED, RESTORED
from .results import Document

Row = dict[str, Any]

SHORT_MEASURES = ("psnr", "ssimulacra2")
"""What the models were trained for, and what a short table has room for."""


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 0) -> str:
    """A Markdown table, padded to be readable as text; the first ``left`` columns are words."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (w + 2)) if i < left else ("-" * (w + 1) + ":") for i, w in enumerate(widths)]
    return "\n".join([line(head), f"|{'|'.join(rule)}|", *map(line, rows)]) + "\n"


def levels_table(document: Document, measures: Sequence[str] | None = None) -> str:
    """The main curve at each N: rate (with each entropy coder) and quality, means over images.

    Args:
        measures: those shown where they were taken; by default all.
    """
    mean = document["mean"]
    columns = [_column("N", mean, "levels", "d"), _column("bpp", mean, "bpp", ".3f")]
    for curve in _same(document, "model", "effort", variant=RESTORED):
        if curve["coder"] != document["main"]["coder"]:
            columns.append(_column(f"bpp, {curve['coder']}", curve["points"], "bpp", ".3f"))
    for m in (m for m in document["measures"] if measures is None or m in measures):
        columns += [
            _column(f"{_titled(m)} {kind}", mean, f"{m}_{kind}", f".{MEASURES[m].decimals}f")
            for kind in (QUANTIZED, RESTORED)
        ]
    return _of_columns(columns)


def gains_table(document: Document) -> str:
    """What restoration adds at each N: on the mean, and on the image that it helps least."""
    fields = ("model", "coder", "effort")
    pair = [_same(document, *fields, variant=v)[:1] for v in (QUANTIZED, RESTORED)]
    before, after = (curves[0]["points"] if curves else [] for curves in pair)
    columns = [_column("N", after, "setting", "d"), _column("bits per pixel", after, "bpp", ".3f")]
    for m in (m for m in SHORT_MEASURES if m in document["measures"]):
        known = [(a[m], b[m]) for a, b in zip(before, after, strict=True)]
        gains = [{"gain": None if None in both else both[1] - both[0]} for both in known]
        columns += [
            _column(f"{_titled(m)} quantized", before, m, ".2f"),
            _column("restored", after, m, ".2f"),
            _column("gain", gains, "gain", "+.2f"),
            _column("least gain of an image", after, f"{m}_least_gain", "+.2f"),
        ]
    return _of_columns(columns)


def models_table(document: Document) -> str:
    """The models beside each other at the same N, all with the main coder and effort."""
    columns = [_column("N", document["mean"], "levels", "d")]
    for curve in _same(document, "coder", "effort", variant=RESTORED):
        points = curve["points"]
        columns.append(_column(f"{curve['model']}: bpp", points, "bpp", ".3f"))
        shown = [m for m in SHORT_MEASURES if m in document["measures"]]
        columns += [_column(_titled(m), points, m, ".2f") for m in shown]
    return _of_columns(columns)


def peers_table(document: Document, smallest: bool = False) -> str:
    """BD-rate of the main curve against each peer, a column a measure.

    Args:
        smallest: of the main model's smallest files instead: last coder and most effort.
    """
    curves = _same(document, "model", variant=RESTORED)[-1:] if smallest else _main(document)
    return _deltas_of(document, curves)


def deltas_table(document: Document) -> str:
    """BD-rate of each of this codec's restored curves against each peer, a column a measure."""
    restored = [c for c in document["curves"] if c["variant"] == RESTORED]
    return _deltas_of(document, restored, others=True)


def spread_table(document: Document) -> str:
    """The main curve against each codec: whole set, and how images differ."""
    head = ["against", "measure", "BD-rate, %", "BD-quality", "images", "mean of images, %",
            "least", "most", "deviation"]  # fmt: skip
    rows = []
    for delta in document["deltas"]:
        if delta["curve"] not in [curve["name"] for curve in _main(document)]:
            continue
        for m in (m for m in document["measures"] if m in delta):
            found = delta[m]
            each = found.get("spread")
            values = [each[key] for key in ("mean", "least", "most")] if each else []
            rows.append([
                _anchor(document, delta), MEASURES[m].label, _shown(found["bd_rate"], "+.1f"),
                _shown(found["bd_quality"], "+.2f"), str(each["images"]) if each else "",
                *([_shown(value, "+.1f") for value in values] or [""] * 3),
                f"{each['deviation']:.1f}" if each else "",
            ])  # fmt: skip
    return markdown_table(head, rows, left=2)


def cost_table(document: Document) -> str:
    """Time a megapixel and memory of each codec at about the same rate, where it was measured."""
    head = ["codec", "setting", "bpp", "encode, s/MP", "decode, s/MP", "peak memory, MB",
            "of it before, MB", "kMAC per pixel"]  # fmt: skip
    labels = {curve["name"]: curve["label"] for curve in document["curves"]}
    forms = {"setting": "d", "bpp": ".3f", "encode_seconds": ".2f", "decode_seconds": ".2f",
             "peak_megabytes": ".0f", "idle_megabytes": ".0f", "kilo_macs": ".0f"}  # fmt: skip
    rows = [
        [labels.get(c["curve"], c["curve"]), *(_shown(c[key], form) for key, form in forms.items())]
        for c in document.get("cost", ())
    ]
    return markdown_table(head, rows, left=1)


def report(document: Document, name: str, charts: Sequence[str]) -> str:
    """The whole report as Markdown, beside the charts' files."""
    parts = [f"# Rate and distortion: {name}", *_notes(document)]
    parts += [f"![{chart}]({chart})" for chart in charts]
    parts += [levels_table(document), gains_table(document), models_table(document)]
    parts += ["## BD-rate, %", deltas_table(document), "## From image to image",
              "The main curve: deltas of the mean curves, and the BD-rates of single images.",
              spread_table(document)]  # fmt: skip
    if document.get("cost"):
        parts += ["## Time and memory", cost_table(document)]
    software = {curve["codec"]: curve["software"] for curve in document["curves"]}
    models = {c["model"]: c["software"] for c in document["curves"] if c["codec"] == QANN}
    versions = {**{k: v for k, v in software.items() if k != QANN}, **models}
    parts.append("Software: " + "; ".join(f"{k}: {v}" for k, v in versions.items()) + ".")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def counted(document: Document) -> str:
    """How many images the means are over, such as "23 of 24 images"."""
    images, found = document["images"], document["found"]
    fewer = [
        f"{MEASURES[m].label}: {count}"
        for m, count in document["counts"].items() if count != images
    ]  # fmt: skip
    return f"{images} of {found} images" + (f" ({', '.join(fewer)})" if fewer else "")


def unfinished(document: Document) -> list[str]:
    """Curves that were measured on fewer images than the main one, with how many."""
    return [
        f"{curve['label']}: {curve['images']} images only"
        for curve in document["curves"]
        if curve["images"] < document["images"]
    ]


def _notes(document: Document) -> list[str]:
    notes = [
        f"Means over {counted(document)}, real file bytes. BD-rate is Bjontegaard's (PCHIP) of the"
        " mean curves over the range that both share: per cent of bytes more (+) or fewer (-) than"
        " the other codec at the same quality; n/a where they share too little. SSIM and MS-SSIM"
        " count as -10 log10(1 - m). Butteraugli is a distance: less is better."
    ]
    if document["published"]:
        notes.append(
            "Codecs in italics were not run: their points are published by "
            f"{document['published']}."
        )
    notes += [f"- not finished: {curve}" for curve in unfinished(document)]
    for one in document["left_out"]:
        notes.append(f"- left out: {one['image']} {one['subject']}: {one['reason']}".strip())
    return notes


def _main(document: Document) -> list[Row]:
    """The main curve; nothing where nothing was measured."""
    return _same(document, "model", "coder", "effort", variant=RESTORED)


def _same(document: Document, *fields: str, variant: str) -> list[Row]:
    """Curves of this codec that agree with the main one in some fields, in order."""
    main = document["main"]
    return [
        curve
        for curve in document["curves"]
        if curve["codec"] == QANN and curve["variant"] == variant
        and all(curve[field] == main[field] for field in fields)
    ]  # fmt: skip


def _deltas_of(document: Document, curves: Sequence[Row], others: bool = False) -> str:
    names = {curve["name"]: curve["label"] for curve in curves}
    codecs = {curve["name"]: curve["codec"] for curve in document["curves"]}
    rows = [
        [names[delta["curve"]], _anchor(document, delta),
         *(_shown((delta.get(m) or {}).get("bd_rate"), "+.1f") for m in document["measures"])]
        for delta in document["deltas"]
        if delta["curve"] in names and (others or codecs.get(delta["anchor"], QANN) != QANN)
    ]  # fmt: skip
    head = ["BD-rate, %, of", "against", *(MEASURES[m].label for m in document["measures"])]
    if len(curves) == 1:
        rows = [row[1:] for row in rows]
        head = [f"BD-rate, %: {curves[0]['label']} against", *head[2:]]
    return markdown_table(head, rows, left=len(head) - len(document["measures"]))


def _anchor(document: Document, delta: Row) -> str:
    if delta.get("published"):
        return f"*{delta['anchor']}*"
    labels = {curve["name"]: curve["label"] for curve in document["curves"]}
    return str(labels[delta["anchor"]])


def _titled(measure: str) -> str:
    return MEASURES[measure].label + (", dB," if measure == "psnr" else "")


def _column(head: str, rows: Sequence[Row], key: str, form: str) -> list[str]:
    """A heading, and one value of each row."""
    return [head, *(_shown(row[key], form) for row in rows)]


def _of_columns(columns: Sequence[Sequence[str]]) -> str:
    head, *rows = zip(*columns, strict=True)
    return markdown_table(head, rows)


def _shown(value: float | None, form: str) -> str:
    if value is None:
        return "n/a"
    text = format(value, form)
    return format(abs(value), form) if float(text) == 0 else text  # no "-0.0"
