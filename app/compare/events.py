"""Tab "Compare": choose a photo, slide N, see quantized against restored. Its events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from qann_core import QannError

from ..choice import (
    DEFAULT_CODER,
    Choice,
    check_choice,
    codec_of,
    coder_choices,
    slider_range,
    within,
)
from ..compress import Result, compress_photo, peer_at_same_bytes
from ..examples import credits, example_photo
from ..pictures import cache_file, lossless_bytes
from ..session import PAGE_MEGAPIXELS, Photo, Visit, read_photo
from ..toasts import tell, toasted
from . import cards, drawings
from .words import LESSONS

if TYPE_CHECKING:
    from .layout import CompareTab

OPENING = LESSONS[0]
"""The page opens with the first lesson's photo and N."""

Update = list[Any]
View = tuple[str, str, bool]
"""What is on both sides of the divider, and whether error maps are shown."""


@cache
def opening() -> tuple[Photo, Result]:
    """What the page opens with, computed once for the process; visits get copies."""
    photo = example_photo(OPENING.photo)
    return photo, compress_photo(photo, OPENING.levels)


def side_file(side: str, photo: Photo, result: Result) -> tuple[bytes, str]:
    """The picture that one side of the divider shows, as a lossless file, and its extension."""
    if side == "quantized":
        return result.quantized_file
    if side == "original":
        return lossless_bytes(photo.pixels)
    return lossless_bytes(peer_at_same_bytes(photo, result, side).pixels)


def show(visit: Visit, left: str, right: str, with_maps: bool) -> Update:
    """All that shows the visit's result, in one update, for the outputs of ``result_outputs``."""
    photo, result = visit.present()
    stem = f"{photo.name}-N{result.levels}"
    restored_png = cache_file(result.restored_png, f"{stem}.png")

    def shown(side: str) -> str:
        if side == "restored":
            return restored_png
        data, extension = side_file(side, photo, result)
        return cache_file(data, f"{side}.{extension}")

    pair = (shown(left), shown(right))
    maps = _maps(photo, result) if with_maps else gr.update(value=None, visible=False)
    return [
        visit,
        cards.captions(left, right, photo, result),
        pair,
        cards.verdict(photo, result),
        cards.closer(photo, result),
        maps,
        gr.update(value=cache_file(result.data, f"{stem}.qann"), interactive=True),
        gr.update(value=restored_png, interactive=True),
    ]


def _maps(photo: Photo, result: Result) -> dict[str, Any]:
    figure = drawings.error_maps(photo.pixels, result.quantized, result.restored)
    return gr.update(value=figure, visible=True)


def arrive(
    visit: Visit, photo: Photo, levels: int | None, choice: Choice, view: View, lesson: str = ""
) -> Update:
    """Takes a new photo in: the result at N, and the inputs ready for the next photo."""
    photo.use(choice)
    result = compress_photo(photo, within(levels, OPENING.levels, choice.model))
    visit.take(photo, result)
    tell(photo.notices)
    return [*show(visit, *view), *_welcome(photo, result.levels, lesson)]


def _welcome(photo: Photo, levels: int, lesson: str) -> Update:
    return [None, None, cards.source(photo, credits()), cards.lesson(lesson), levels]


def open_page(visit: Visit, left: str, right: str, with_maps: bool) -> Update:
    """The first look: an example that was compressed once for all visitors."""
    photo, result = opening()
    photo = replace(photo, points=[], jpeg={})
    visit.take(photo, replace(result, peers={}))
    update = show(visit, left, right, with_maps)
    return [*update, *_welcome(photo, OPENING.levels, OPENING.text)]


def slide(
    visit: Visit, levels: int | None, model: str, coder: str, optimise: bool, *view: Any
) -> Update:
    """N was moved: quantize, pack, restore, decode, measure; the encoder does not run again."""
    photo, result = visit.present()
    choice = check_choice(model, coder, optimise)
    wanted = within(levels, result.levels, model)
    if (wanted, choice) == (result.levels, result.choice):
        return gr.skip()
    photo.use(choice)
    visit.result = compress_photo(photo, wanted)
    return show(visit, *view)


def change_model(
    visit: Visit, levels: int | None, model: str, coder: str, optimise: bool, *view: Any
) -> Update:
    """Another model: the photo is encoded anew; N and the rest stay where that model has them."""
    choices = coder_choices(model)
    coder = coder if coder in dict(choices).values() else DEFAULT_CODER
    able = codec_of(model).max_effort > 0
    update = slide(visit, levels, model, coder, optimise and able, *view)
    low, high = slider_range(model)
    if not isinstance(update, list):
        update = [update] * N_RESULT_OUTPUTS
    _, result = visit.present()
    return [
        *update,
        gr.update(minimum=low, maximum=high, value=result.levels),
        gr.update(choices=choices, value=coder, interactive=len(choices) > 1),
        gr.update(value=optimise and able, interactive=able),
    ]


def bring(
    path: str | None, visit: Visit, levels: int | None, model: str, coder: str, optimise: bool,
    *view: Any, name: str = "",
) -> Update:  # fmt: skip
    """A file was uploaded, dropped or pasted; it is called ``name``, or as the file is.

    A file that cannot be used leaves all as it was, but empties the inputs for another try.
    """
    if path is None:
        return gr.skip()
    try:
        photo = read_photo(path, name or Path(path).stem, PAGE_MEGAPIXELS)
        return arrive(visit, photo, levels, check_choice(model, coder, optimise), view)
    except QannError as error:
        gr.Warning(str(error), title="This file cannot be used")
        return [*[gr.skip()] * N_RESULT_OUTPUTS, None, None, *[gr.skip()] * 3]


def snap(path: str | None, *settings: Any) -> Update:
    """The camera took a picture."""
    return bring(path, *settings, name="camera")


def pick(
    visit: Visit, levels: int | None, model: str, coder: str, optimise: bool, left: str,
    right: str, with_maps: bool, choice: gr.SelectData,
) -> Update:  # fmt: skip
    """A photo of the gallery was chosen."""
    photo, view = example_photo(credits()[int(choice.index)].name), (left, right, with_maps)
    return arrive(visit, photo, levels, check_choice(model, coder, optimise), view)


def start_lesson(number: int) -> Callable[..., Update]:
    """The listener that sets a lesson's photo, N and both sides."""
    lesson = LESSONS[number]

    def start(
        visit: Visit, levels: int | None, model: str, coder: str, optimise: bool, *view: Any
    ) -> Update:
        photo, choice = example_photo(lesson.photo), check_choice(model, coder, optimise)
        return arrive(visit, photo, lesson.levels, choice, view, lesson.text)

    return start


N_RESULT_OUTPUTS = 8
"""How many outputs ``show`` writes."""


def result_outputs(tab: CompareTab) -> list[Any]:
    """The components that ``show`` writes."""
    return [tab.visit, tab.captions, tab.picture, tab.verdict, tab.closer, tab.maps,
            tab.qann_file, tab.png_file]  # fmt: skip


def wire(demo: gr.Blocks, tab: CompareTab) -> None:
    """Connects the tab's events.

    Results are made one at a time, since each uses every core. Of the moves made meanwhile only
    the last is done. No event of the page is an endpoint: those are in ``app.api``.
    """
    view = [tab.left, tab.right, tab.show_maps]
    shown = result_outputs(tab)
    arrival = [*shown, tab.upload, tab.camera, tab.source, tab.lesson, tab.levels]
    options: dict[str, Any] = {
        "api_visibility": "private",
        "concurrency_id": "codec",
        "concurrency_limit": 1,
        "show_progress": "minimal",
        "show_progress_on": [tab.picture],
        "trigger_mode": "always_last",
    }
    demo.load(
        open_page, [tab.visit, *view], arrival, api_visibility="private", show_progress="hidden"
    )
    settings = [tab.visit, tab.levels, tab.model, tab.coder, tab.optimise, *view]
    moves = [tab.levels.release, tab.coder.input, tab.optimise.input]
    gr.on(moves, toasted(slide), settings, shown, **options)
    modelled = [*shown, tab.levels, tab.coder, tab.optimise]
    tab.model.input(toasted(change_model), settings, modelled, **options)
    changed = [tab.left.input, tab.right.input, tab.show_maps.input]
    gr.on(changed, toasted(show), [tab.visit, *view], shown, **options)
    tab.upload.upload(toasted(bring), [tab.upload, *settings], arrival, **options)
    tab.own.upload(toasted(bring), [tab.own, *settings], arrival, **options)
    tab.camera.input(toasted(snap), [tab.camera, *settings], arrival, **options)
    tab.gallery.select(toasted(pick), settings, arrival, **options)
    for number, button in enumerate(tab.lessons):
        button.click(toasted(start_lesson(number)), settings, arrival, **options)
