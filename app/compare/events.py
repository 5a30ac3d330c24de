"""Tab "Compare": what the server does for it.

The browser shows what was made ahead (``app.frames``) by itself. All else it asks for with a wish:
a photo, N or a target, and the sides wanted. The answer is ``facts`` as JSON, sent as they become
known: the quantized picture and the bytes first.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from qann_core import ParameterError, QannError

from .. import cores
from ..choice import (
    DEFAULT_CHOICE,
    DEFAULT_CODER,
    OPENING,
    OWN,
    Choice,
    Setting,
    check_choice,
    codec_of,
    coder_choices,
    slider_range,
    within,
)
from ..compress import Draft, Result, compress_in_steps, judge, levels_at_bytes
from ..filler import filler
from ..frames import address, own_place, stops
from ..photos import PAGE_MEGAPIXELS, Photo, read_photo
from ..pictures import cache_file
from ..session import Visit
from ..toasts import tell, toasted
from .facts import PEERS, facts

if TYPE_CHECKING:
    from .layout import CompareTab


AT_ONCE = 30
"""How many answers wait for their parts at a time, each in a thread of its own."""

MOVE: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_id": "compare",
    "concurrency_limit": AT_ONCE,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}
"""For events whose answer is this tab's: ``cores`` makes it part by part. Of a visitor's moves made
meanwhile only the last is done."""

_unasked = itertools.count(-1, -1)
"""Serials of answers that the browser did not ask for with a wish, and takes until it asks."""


@dataclass(frozen=True)
class Wish:
    """What the browser asks for.

    Attributes:
        photo: an example's name, or OWN.
        levels: N, where there is no target.
        large: whether an own photo is worked on at its full size.
        peers: other codecs that are looked at.
        bytes: the file's length at most, from which N follows; None where N is given.
        serial: given back with the answer, so that the browser knows what it answers.
    """

    photo: str
    levels: int
    large: bool
    peers: tuple[str, ...]
    bytes: float | None
    serial: int

    @staticmethod
    def parse(text: str) -> Wish:
        """A wish from the browser's JSON.

        Raises:
            ParameterError: when it is none; the page never sends such.
        """
        try:
            raw = json.loads(text)
            wanted = raw.get("bytes")
            return Wish(
                str(raw["photo"]),
                int(raw["n"]),
                bool(raw.get("large")),
                tuple(name for name in PEERS if name in raw.get("peers", ())),
                None if wanted is None else float(wanted),
                int(raw.get("serial", 0)),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ParameterError("The page sent something that is no wish.") from error


def answer(
    visit: Visit, wish_text: str, model: str, coder: str, optimise: bool
) -> Iterator[str | Any]:
    """A wish's answer, in up to four parts: draft, result, eye's measure, other codecs."""
    wish = Wish.parse(wish_text)
    try:
        yield from _answer(visit, wish, check_choice(model, coder, optimise))
    except QannError as error:
        yield _failed(wish.serial, str(error))


def _answer(visit: Visit, wish: Wish, choice: Choice) -> Iterator[str]:
    if cores.crowded():
        yield json.dumps({"serial": wish.serial, "crowded": True, "sent": time.time()})
    with visit.alone():
        yield from _parts(visit, wish, choice)


def _parts(visit: Visit, wish: Wish, choice: Choice) -> Iterator[str]:
    """The parts, until the browser has told of a newer wish."""
    newest = max(visit.newest, wish.serial)
    for part in _all_parts(visit, wish, choice):
        yield part
        if visit.newest > newest:
            return


def _all_parts(visit: Visit, wish: Wish, choice: Choice) -> Iterator[str]:
    levels = within(wish.levels, OPENING.levels, choice.model)
    photo = visit.photo_of(Setting(wish.photo, levels, wish.large, choice))
    note = ""
    if wish.bytes is not None:
        levels, note = _levels_for(photo, wish.bytes)
    setting = Setting(wish.photo, levels, wish.large, choice)
    shown = visit.at(photo, levels)
    if shown is None:
        for step in compress_in_steps(photo, levels):
            visit.photo, visit.result, visit.noted = photo, None, setting
            if isinstance(step, Result):
                shown = step
                visit.take(photo, step)
            yield _told(visit, photo, step, wish, note)
    assert shown is not None
    visit.take(photo, shown)
    if not shown.judged and not _judged_ahead(visit, shown):
        judge(photo, shown)
    yield _told(visit, photo, shown, wish, note)
    for count in range(1, len(wish.peers) + 1):
        yield _told(visit, photo, shown, wish, note, wish.peers[:count])


def _failed(serial: int, message: str) -> str:
    told = {"serial": serial, "failed": True, "message": message, "sent": time.time()}
    return json.dumps(told)


def _told(
    visit: Visit, photo: Photo, draft: Draft, wish: Wish, note: str, peers: tuple[str, ...] = ()
) -> str:
    found = facts(photo, draft, _link, peers) | {
        "serial": wish.serial,
        "message": note,
        "large": wish.large,
        "has_large": visit.own_large is not visit.own,
        "frames": _made_ahead(visit, photo),
        "sent": time.time(),  # the same answer twice is an answer twice
    }
    return json.dumps(found)


def _judged_ahead(visit: Visit, result: Result) -> bool:
    """Whether SSIM and SSIMULACRA 2, a third of the time, are left to results made ahead.

    Only while other work waits.
    """
    return cores.crowded() and result.levels in stops() and bool(_made_ahead(visit, visit.photo))


def _made_ahead(visit: Visit, photo: Photo | None) -> str | None:
    """Where the browser finds results of a visitor's photo that are made ahead, if they are."""
    if photo and photo is visit.own and photo.choice == DEFAULT_CHOICE and filler.make(photo):
        return address(own_place(photo.key))
    return None


def _link(data: bytes, name: str) -> str:
    return f"gradio_api/file={cache_file(data, name)}"


def _levels_for(photo: Photo, n_bytes: float) -> tuple[int, str]:
    """The largest N whose file has at most so many bytes, and a word where that says little."""
    levels, data = cores.run(lambda: levels_at_bytes(photo, n_bytes, photo.choice))
    if len(data) > n_bytes:
        return levels, f"This photo cannot become that small; N = {levels} makes the smallest file."
    if levels == slider_range(photo.choice.model)[1]:
        return levels, f"N = {levels} is the largest on this page."
    return levels, ""


def change_choice(
    visit: Visit, wish_text: str, model: str, coder: str, optimise: bool
) -> Iterator[list[Any]]:
    """Another model, coder or effort: what the model does not have is set back, and said."""
    choices = coder_choices(model)
    known = dict((value, label) for label, value in choices)
    if coder not in known:
        gr.Info(f"Model {model} has no learned prior; {known[DEFAULT_CODER]} packs its integers.")
        coder = DEFAULT_CODER
    able = codec_of(model).max_effort > 0
    controls = [
        gr.update(choices=choices, value=coder, interactive=len(choices) > 1),
        gr.update(value=optimise and able, interactive=able),
    ]
    for part in answer(visit, wish_text, model, coder, optimise and able):
        yield [part, *controls]
        controls = [gr.skip(), gr.skip()]


def take_upload(path: str | None, visit: Visit) -> None:
    """A file was uploaded, dropped or pasted: the component is cleared at once for the next one."""
    if path is not None:
        visit.incoming = path, _stem(path)


def take_snapshot(path: str | None, visit: Visit) -> None:
    """The camera took a picture."""
    if path is not None:
        visit.incoming = path, "camera"


def bring(
    visit: Visit, wish_text: str, model: str, coder: str, optimise: bool
) -> Iterator[str | Any]:
    """The file that came in last becomes the visitor's own photo."""
    wish = Wish.parse(wish_text)
    wish = Wish(OWN, wish.levels, False, wish.peers, None, next(_unasked))
    with visit.alone():
        if visit.incoming is None:  # an event before this one has done it
            yield gr.skip()
            return
        incoming, visit.incoming = visit.incoming, None
        try:
            tell(cores.run(lambda: _take_in(visit, *incoming)))
        except QannError as error:
            gr.Warning(str(error), title="This file cannot be used")
            yield _failed(wish.serial, "")
            return
        yield from _parts(visit, wish, check_choice(model, coder, optimise))


def _take_in(visit: Visit, path: str, name: str) -> list[str]:
    """Reads the visitor's photo; what was changed on the way in."""
    photo = read_photo(path, name, PAGE_MEGAPIXELS)
    visit.bring(photo)
    assert visit.own is not None
    if visit.own is photo:
        return list(photo.notices)
    height, width = visit.own.pixels.shape[:2]
    return [
        *photo.notices,
        f"Shown at {width} × {height} pixels so that answers come quickly; “Full size” below the "
        "picture works on all of it.",
    ]


def _stem(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]


def setting_shown(wish_text: str, model: str, coder: str, optimise: bool) -> Setting:
    """What the browser shows, maybe from files made ahead, when another tab is opened."""
    wish = Wish.parse(wish_text)
    return Setting(wish.photo, wish.levels, wish.large, check_choice(model, coder, optimise))


def move(visit: Visit, levels: int | None) -> Iterator[str | Any]:
    """Another tab chose N, or none: the same photo there, as an answer for this tab."""
    photo, result = visit.present()
    if levels is None or levels == result.levels:
        yield gr.skip()
        return
    setting = visit.setting_of(photo, result)
    wish = Wish(setting.photo, levels, setting.large, (), None, next(_unasked))
    yield from _answer(visit, wish, setting.choice)


def hear(visit: Visit, wish_text: str) -> None:
    """The browser tells of a wish that waits for the one before, or that needs no answer because
    it is made ahead: the visitor is still there, and what was wished before can end."""
    visit.used = time.monotonic()
    visit.newest = Wish.parse(wish_text).serial


def wire(tab: CompareTab) -> None:
    """Connects the tab's events. No event of the page is an endpoint: those are in ``app.api``."""
    settings = [tab.visit, *tab.shown]
    tab.wish.input(toasted(answer), settings, tab.answer, **MOVE)
    tab.wish.submit(
        toasted(hear), [tab.visit, tab.wish], None, api_visibility="private", queue=False
    )
    # Does nothing, but has the client listen again: static/waiting.js.
    tab.wish.click(
        lambda: None, api_visibility="private", concurrency_limit=None, trigger_mode="multiple"
    )
    chosen = [tab.model.input, tab.coder.input, tab.optimise.input]
    gr.on(
        chosen, toasted(change_choice), settings, [tab.answer, tab.coder, tab.optimise],
        js="(...values) => { window.qann.compare.changes(); return values; }", **MOVE,
    )  # fmt: skip
    for place, came, take in (
        (tab.upload, tab.upload.upload, take_upload),
        (tab.camera, tab.camera.input, take_snapshot),
    ):
        taken = came(
            take, [place, tab.visit], place, api_visibility="private", queue=False,
            show_progress="hidden", trigger_mode="multiple",
        )  # fmt: skip
        taken.then(toasted(bring), settings, tab.answer, **MOVE)
