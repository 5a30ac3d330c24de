"""The benchmark's document -> Markdown: the tables that README and the stored report show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..rate_distortion import QUANTIZED, RESTORED
from .results import IN_DECIBELS, MEASURES

Document = dict[str, Any]


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


def levels_table(document: Document) -> str:
    """This codec at each N: rate (with each entropy coder) and quality, means over the images."""
    others = [c for c in _of_group(document, "codec") if c["name"].startswith(f"{RESTORED}-")]
    measures = [m for m in document["measures"] if f"{m}_{RESTORED}" in document["mean"][0]]
    head = ["N", "bpp", *(f"bpp,{c['label'].partition(',')[2]}" for c in others)]
    unit = {"psnr": ", dB"}
    head += [f"{MEASURES[m]} {kind}{unit.get(m, '')}" for m in measures
             for kind in (QUANTIZED, RESTORED)]  # fmt: skip
    rows = []
    for index, row in enumerate(document["mean"]):
        rates = [row["bpp"], *(c["points"][index]["bpp"] for c in others)]
        cells = [str(row["levels"]), *(f"{rate:.3f}" for rate in rates)]
        for m in measures:
            cells += [_number(row[f"{m}_{kind}"], m) for kind in (QUANTIZED, RESTORED)]
        rows.append(cells)
    return markdown_table(head, rows)


def gains_table(document: Document) -> str:
    """What restoration adds at each N: on the mean, and on the image that it helps least."""
    rows = []
    for row in document["mean"]:
        each = [
            image["psnr_restored"] - image["psnr_quantized"]
            for image in document["per_image"]
            if image["levels"] == row["levels"]
        ]
        quantized, restored = row["psnr_quantized"], row["psnr_restored"]
        rows.append([
            str(row["levels"]), f"{row['bpp']:.3f}", f"{quantized:.2f}", f"{restored:.2f}",
            _signed(restored - quantized, 2), _signed(min(each), 2),
        ])  # fmt: skip
    head = ["N", "bits per pixel", "PSNR quantized, dB", "PSNR restored, dB", "gain, dB",
            "least gain of an image, dB"]  # fmt: skip
    return markdown_table(head, rows)


def models_table(document: Document) -> str:
    """The main model beside others at the same N, all with the default entropy coder."""
    main, *others = _models(document)
    same = [model for model in others if _settings(model) == _settings(main)]
    head = ["N"]
    for curve, _ in (main, *same):
        name = curve["name"].removeprefix(RESTORED).removeprefix("-") or "this model"
        head += [f"{name}: bpp", "restored, dB", "gain, dB"]
    rows = [
        [str(setting), *(cell for model in (main, *same) for cell in _rate_and_gain(model, index))]
        for index, setting in enumerate(_settings(main))
    ]
    return markdown_table(head, rows)


def tensor_table(document: Document) -> str:
    """Models of one latent tensor, which have N of their own."""
    main, *others = _models(document)
    rows = []
    for model in (m for m in others if _settings(m) != _settings(main)):
        name = model[0]["name"].removeprefix(f"{RESTORED}-")
        for index, setting in enumerate(_settings(model)):
            bpp, restored, gain = _rate_and_gain(model, index)
            quantized = f"{model[1]['points'][index]['psnr']:.2f}"
            rows.append([name, str(setting), bpp, quantized, restored, gain])
    head = ["model", "N", "bits per pixel", "PSNR quantized, dB", "PSNR restored, dB", "gain, dB"]
    return markdown_table(head, rows, left=1)


def deltas_table(document: Document) -> str:
    """BD-rate of each of this codec's curves (columns) against every other codec (rows)."""
    own = _of_group(document, "codec")
    measures = " / ".join(MEASURES[m] for m in document["measures"])
    rows = []
    for label, row in _anchors(document):
        if all(
            (row[c].get(m) or {}).get("bd_rate") is None for c in row for m in document["measures"]
        ):
            continue  # a codec of another range of quality
        cells = [label]
        for curve in own:
            found = row.get(curve["name"])
            cells.append(
                "" if found is None else " / ".join(
                    _percent((found.get(m) or {}).get("bd_rate")) for m in document["measures"]
                )
            )  # fmt: skip
        rows.append(cells)
    head = [f"BD-rate, %, in {measures}, of", *(curve["label"] for curve in own)]
    return markdown_table(head, rows, left=1)


def spread_table(document: Document, curve: str = RESTORED) -> str:
    """One of this codec's curves against each codec: whole set, and how images differ.

    BD-quality is in dB, for SSIMULACRA 2 in its points.
    """
    head = ["against", "measure", "BD-rate, %", "BD-quality", "images", "mean of images, %",
            "least", "most", "deviation"]  # fmt: skip
    rows = []
    for label, row in _anchors(document):
        for measure in document["measures"]:
            delta = row.get(curve, {}).get(measure)
            if delta is None:
                continue
            each = delta.get("per_image")
            values = [each[key] for key in ("mean", "least", "most")] if each else [None] * 3
            rows.append([
                label, MEASURES[measure], _percent(delta["bd_rate"]),
                _signed(delta["bd_quality"], 2), str(each["images"]) if each else "",
                *(_percent(value) if each else "" for value in values),
                f"{each['deviation']:.1f}" if each else "",
            ])  # fmt: skip
    return markdown_table(head, rows, left=2)


def cost_table(document: Document) -> str:
    """Time an image and memory of each codec's process, means over all its points."""
    head = ["codec", "software", "encode, ms", "decode, ms", "peak memory, MB", "of it before, MB"]
    rows = [
        [
            curve["label"],
            curve["software"],
            _milliseconds(curve["encode_seconds"]),
            _milliseconds(curve["decode_seconds"]),
            str(curve["peak_megabytes"]),
            str(curve["idle_megabytes"]),
        ]
        for curve in document["curves"]
    ]
    return markdown_table(head, rows, left=2)


TABLES = {
    "levels": levels_table,
    "gains": gains_table,
    "deltas": deltas_table,
    "models": models_table,
    "tensor": tensor_table,
    "cost": cost_table,
}
"""Tables that a text can hold, by the name in its markers, see ``fill_in``."""


def fill_in(text: str, document: Document) -> str:
    """The text with each table between ``<!-- NAME table -->`` and ``<!-- end -->`` made anew."""

    def table(found: re.Match[str]) -> str:
        return f"{found[1]}\n{TABLES[found[2]](document)}<!-- end -->"

    names = "|".join(TABLES)
    return re.sub(rf"(<!-- ({names}) table -->)\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def report(document: Document, name: str, charts: Sequence[str]) -> str:
    """The whole report as Markdown, beside the charts' files."""
    pictures = "\n".join(f"![{chart}]({chart})" for chart in charts)
    published = document["published"]
    notes = [
        f"Means over {document['images']} images, real file bytes. BD-rate is Bjontegaard's (PCHIP)"
        " of the mean curves over the range that both share: per cent of bytes more (+) or fewer"
        " (-) than the codec in the row at the same quality; n/a where they share too little."
        + "".join(f" {MEASURES[m]} counts as -10 log10(1 - m)." for m in document["measures"]
                  if m in IN_DECIBELS),
        "Time is the mean wall time of an image, memory the process's and the part of it that it"
        f" held before its first image: one process a codec, threads: {document['threads']},"
        f" {document['processor']}.",
    ]  # fmt: skip
    if published:
        notes.append(f"Codecs in italics were not run: their points are published by {published}.")
    parts = [
        f"# Benchmark: {name}", *notes, pictures, levels_table(document), deltas_table(document),
        "## From image to image", "Restored against each codec: the deltas of the mean curves"
        " (quality in dB, SSIMULACRA 2 in points), and the BD-rates of single images.",
        spread_table(document), "## Time and memory",
        cost_table(document),
    ]  # fmt: skip
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _anchors(document: Document) -> list[tuple[str, dict[str, Any]]]:
    """Label of each codec to compare with, and the deltas against it by curve."""
    labels = {curve["name"]: curve["label"] for curve in document["curves"]}
    rows: dict[str, dict[str, Any]] = {}
    for delta in document["deltas"]:
        anchor = delta["anchor"]
        label = f"*{anchor}*" if delta.get("published") else labels[anchor]
        rows.setdefault(label, {})[delta["curve"]] = delta
    own = {curve["label"] for curve in _of_group(document, "codec")}
    return sorted(rows.items(), key=lambda item: item[0] in own)


def _models(document: Document) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each model's curves with its default coder, restored and quantized; the main one first."""
    curves = {curve["name"]: curve for curve in document["curves"]}
    return [
        (curve, curves[QUANTIZED + name.removeprefix(RESTORED)])
        for name, curve in curves.items()
        if name.startswith(RESTORED) and "coder" not in curve["label"]
    ]


def _settings(model: tuple[dict[str, Any], dict[str, Any]]) -> list[int]:
    return [point["setting"] for point in model[0]["points"]]


def _rate_and_gain(model: tuple[dict[str, Any], dict[str, Any]], index: int) -> tuple[str, ...]:
    """Bits per pixel, PSNR restored, and what restoration gained."""
    restored, quantized = (curve["points"][index] for curve in model)
    gain = restored["psnr"] - quantized["psnr"]
    return f"{restored['bpp']:.3f}", f"{restored['psnr']:.2f}", _signed(gain, 2)


def _of_group(document: Document, group: str) -> list[dict[str, Any]]:
    return [curve for curve in document["curves"] if curve["group"] == group]


def _number(value: float | None, measure: str) -> str:
    decimals = 4 if measure in IN_DECIBELS else 2
    return "n/a" if value is None else f"{value:.{decimals}f}"


def _percent(value: float | None) -> str:
    return _signed(value, 1)


def _signed(value: float | None, decimals: int) -> str:
    return "n/a" if value is None else f"{value:+.{decimals}f}"


def _milliseconds(seconds: float | None) -> str:
    return "n/a" if seconds is None else f"{1000 * seconds:.0f}"
