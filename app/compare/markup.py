"""The HTML of the tab "Compare": the opening result stands in it, before any script has run."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from ..choice import slider_range
from ..examples import credits
from ..frames import opening, stops, thumbnail, version
from . import words
from .facts import SIDES

_CORNERS = (
    "<svg viewBox='0 0 16 16' aria-hidden='true'>"
    "<path d='M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4'/></svg>"
)
_ICONS = {"zoom-out": "−", "zoom-in": "+", "fullscreen": _CORNERS}
_TITLES = {"zoom-out": "Zoom out", "zoom-in": "Zoom in", "fullscreen": "Full screen"}


def viewer(name: str, left: dict[str, Any], right: dict[str, Any], split: float, label: str) -> str:
    """Two pictures with a divider; ``static/viewer.js`` brings it to life.

    Args:
        name: the element's id.
        left, right: "label", "note" and "url" of each side.
        split: where the divider stands, 0 to 100 per cent of the picture's width.
        label: what the two pictures show.
    """
    tools = "".join(
        f"<button type='button' data-do='{do}' title='{_TITLES[do]}' aria-label='{_TITLES[do]}'>"
        f"{icon}</button>"
        for do, icon in _ICONS.items()
    )
    # As viewer.js places them later, so that the page makes its point before scripts have come.
    clips = {"left": f"0 {100 - split}% 0 0", "right": f"0 0 0 {split}%"}
    pictures = "".join(
        f'<img class="{place}" src="{escape(side["url"])}" draggable="false" '
        f'style="clip-path: inset({clips[place]})" alt="{escape(side["label"] + ": " + label)}">'
        for place, side in (("left", left), ("right", right))
    )
    tags = "".join(
        f"<div class='tag {place}'><b>{escape(side['label'])}</b>"
        f"<span>{escape(side.get('note', ''))}</span></div>"
        for place, side in (("left", left), ("right", right))
    )
    return (
        f"<div class='viewer' id='{name}' data-split='{split}'><div class='pictures'>{pictures}"
        f"</div><div class='divider' style='left: {split}%' role='slider' tabindex='0' "
        f"aria-valuemin='0' aria-valuemax='100' aria-valuenow='{split:.0f}' "
        "aria-orientation='horizontal' "
        "aria-label='Divider between the two pictures'><span class='grip' aria-hidden='true'>"
        f"◂▸</span></div>{tags}<div class='tools'>{tools}</div>"
        "<div class='waiting' role='status'></div></div>"
    )


def hero() -> str:
    """The picture, N beneath it, the sides, and the figures."""
    found = opening()
    sides = {name: {"label": SIDES[name], **side} for name, side in found["sides"].items()}
    picture = viewer(
        "picture", sides["quantized"], sides["restored"], words.OPENING_SPLIT, found["source"]
    )
    facts = escape(json.dumps(found), quote=True)
    return (
        f"<div class='compare' data-facts=\"{facts}\" data-stops='{json.dumps(stops())}' "
        f"data-range='{json.dumps(slider_range())}' data-version='{version()}'>"
        f"<div class='main'>{picture}{_levels(found)}{_sides()}"
        f"<p class='quiet' id='source'>{escape(found['source'])}</p>"
        "<p class='lesson' id='lesson' aria-live='polite'>"
        f"{escape(words.LESSONS[0].text)}</p>{_code()}</div>"
        f"<div class='aside'>{_gallery()}{_lessons()}"
        f"<div id='verdict' data-levels='{found['n']}'>{found['cards']}</div>"
        "<div class='files'><a id='download-qann' class='button' download "
        f"href='{found['qann']}'>Download .qann</a><a id='download-png' class='button' download "
        f"href='{found['sides']['restored']['url']}'>Restored picture</a></div></div></div>"
    )


def _levels(found: dict[str, Any]) -> str:
    low, high = slider_range()
    marks = "".join(f"<option value='{n}' label='{n}'></option>" for n in words.MARKS)
    return (
        "<div class='levels'><label for='n-range'><b>N</b> distinct values</label>"
        f"<div class='track'><input type='range' id='n-range' min='0' max='1000' step='1' "
        f"aria-label='N, the number of distinct values' list='n-marks'>"
        f"<datalist id='n-marks'>{marks}</datalist>"
        "<div class='marks' aria-hidden='true'></div></div>"
        f"<input type='number' id='n-number' aria-label='N as a number' min='{low}' max='{high}' "
        f"value='{found['n']}'><output id='n-size'>{found['size']}</output>"
        "<details class='target'><summary>Target</summary><div><label>at most <input "
        "type='number' id='target-value' min='0' step='any' aria-label='Target size'></label>"
        "<select id='target-unit' aria-label='Unit of the target'><option value='kB'>kB</option>"
        "<option value='bpp'>bits per pixel</option></select>"
        "<button type='button' class='button' id='target-go'>Find N</button></div></details></div>"
        "<p id='message' role='status'></p>"
    )


def _sides() -> str:
    rows = ""
    for place, chosen in (("left", "quantized"), ("right", "restored")):
        chips = "".join(
            f"<button type='button' class='chip' data-side='{name}' "
            f"aria-pressed='{str(name == chosen).lower()}'>{label}<small></small></button>"
            for name, label in SIDES.items()
        )
        rows += (
            f"<div class='chips' data-place='{place}' role='group' "
            f"aria-label='{place.capitalize()} side'><span>{place.capitalize()}</span>{chips}</div>"
        )
    return (
        f"<div class='sides'>{rows}</div><div class='extras'>"
        "<button type='button' class='chip' id='errors' aria-pressed='false'>Show errors</button>"
        "<button type='button' class='chip' id='blind'>Blind test</button>"
        "<button type='button' class='chip' id='large' aria-pressed='false' hidden>Full size"
        "</button><button type='button' class='chip' id='share'>Copy link</button></div>"
        "<div id='blind-test' hidden></div>"
    )


def _code() -> str:
    parts = "".join(
        f"<div><pre class='{kind}' tabindex='0' aria-label='{label}'></pre>"
        f"<button type='button' class='chip' data-copy='{kind}'>Copy</button></div>"
        for kind, label in (("command", "The command"), ("python", "In Python"))
    )
    return (
        f"<details id='code'><summary>The same in a shell, and in Python</summary>{parts}</details>"
    )


def _gallery() -> str:
    pictures = "".join(
        f"<button type='button' data-photo='{credit.name}' "
        f"aria-pressed='{str(index == 0).lower()}'><img src='{thumbnail(credit.name)}' "
        f'alt="{escape(credit.title)}" title="{escape(credit.title)}"></button>'
        for index, credit in enumerate(credits())
    )
    return (
        f"<div id='gallery' role='group' aria-label='Example photos'>{pictures}</div>"
        "<button type='button' class='button' id='choose-own'>Your own photo</button>"
    )


def _lessons() -> str:
    buttons = "".join(
        f"<button type='button' class='chip' id='lesson-{number}' data-photo='{lesson.photo}' "
        f"data-n='{lesson.levels}' data-sides='{json.dumps(lesson.sides)}' "
        f'data-text="{escape(lesson.text)}">{escape(lesson.title)}</button>'
        for number, lesson in enumerate(words.LESSONS, 1)
    )
    return f"<div id='lessons' role='group' aria-label='Guided examples'>{buttons}</div>"
