"""Tab "Inside the codec": one article about the visitor's photo at the present N.

A part is computed when it comes near the window (``article.js``), and again there when N or the
photo has changed. What the parts share is made once (``app.inside.anatomy``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from qann_core.common.limits import MAX_LEVELS, MIN_LEVELS

from ..choice import MAX_SLIDER, slider_range, within
from ..compare import events as compare
from ..compare.layout import CompareTab
from ..session import Visit
from ..toasts import toasted
from . import cards, plates, restoration, words
from .anatomy import Anatomy, anatomy
from .prior import learned_prior
from .sensitivity import sensitivity
from .stages import assumptions
from .subbands import SUBBANDS

_HERE = Path(__file__).resolve().parent
NOTEBOOK = _HERE.parents[1] / "assets" / "tutorial.ipynb"
ARTICLE_JS = (_HERE / "article.js").read_text(encoding="utf-8")
TOY_JS = (_HERE / "toy.js").read_text(encoding="utf-8")

ONE_BY_ONE: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_id": "inside",
    "concurrency_limit": 1,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}
"""For events that open a result up: one at a time, and of those that wait only the last."""


@dataclass(frozen=True)
class Part:
    """One part of the article.

    Attributes:
        name: in the page; its element is ``part-name``.
        title: for people.
        render: the anatomy, and what was chosen in the part where it has a ``first`` choice, to
            HTML.
        tall: height in CSS pixels that is kept free for it.
        first: what is chosen at first; None where nothing can be.
        script: what its element runs when it is loaded.
    """

    name: str
    title: str
    render: Callable[..., str]
    tall: int = 420
    first: Any = None
    script: str = ARTICLE_JS

    def shown(self, visit: Visit, *choice: Any) -> str:
        """The part, marked with what it is of."""
        opened = _opened(visit)
        return _marked(opened, self.render(opened, *choice))


PARTS = (
    Part("image", "1 The photo", cards.image, 330),
    Part("latents", "2 Latents", cards.latents, 620, first=0),
    Part("sensitivity", "3 What the eye sees", sensitivity, 60),
    Part("levels", "4 N distinct values", cards.levels, 900, script=ARTICLE_JS + TOY_JS),
    Part("bytes", "5 Bytes", cards.packed, 460),
    Part("prior", "6 A coder that learned", learned_prior, 520),
    Part("restoration", "7 Restoration", restoration.restoration, 1100),
    Part("attention", "8 Where the network looks", restoration.attention, 560,
         first=(0.5, 0.5)),
    Part("synthesis", "9 A picture again", cards.synthesis, 700),
    Part("alternatives", "10 Other ways to keep few values", cards.alternatives, 420),
)  # fmt: skip


def _opened(visit: Visit) -> Anatomy:
    _, result = visit.present()
    return anatomy(visit, result.levels)


def _marked(opened: Anatomy, html: str) -> str:
    return f'<div data-key="{plates.attribute(opened.key)}">{html}</div>'


def build(visit: gr.State, tab: gr.Tab, other: CompareTab) -> None:
    """The tab's components and events; ``other`` is the Compare tab, which shares N."""
    with gr.Column(elem_id="inside"):
        with gr.Row(elem_id="inside-top"):
            now = gr.HTML(elem_id="inside-now", scale=2, min_width=150)
            levels = gr.Slider(
                MIN_LEVELS, MAX_SLIDER, step=1, label="N, the number of distinct values",
                buttons=[], elem_id="inside-levels", scale=3, min_width=190,
            )  # fmt: skip
        gr.Markdown(words.INTRO)
        for part in PARTS:
            _build_part(visit, part)
            if part.name == "restoration":
                _build_assumed(visit)
        gr.DownloadButton(
            "The same as a notebook", value=str(NOTEBOOK), size="sm", elem_id="notebook"
        )
    tab.select(
        toasted(enter), [visit, *other.shown], [now, levels], queue=False,
        api_visibility="private", show_progress="hidden", trigger_mode="always_last",
    )  # fmt: skip
    levels.release(toasted(move), [visit, levels], [now, other.answer], **compare.MOVE)


def enter(visit: Visit, *shown: Any) -> list[Any]:
    """The tab was opened: photo, model and N may have changed meanwhile."""
    photo, result = visit.present(compare.setting_shown(*shown))
    visit.inside_levels = result.levels
    low, high = slider_range(photo.choice.model)
    return [_now(visit), gr.update(minimum=low, maximum=high, value=result.levels)]


def move(visit: Visit, levels: int | None) -> Iterator[list[Any]]:
    """N was moved here: the small picture shows it, the Compare tab follows, and the parts do."""
    if levels == visit.inside_levels:  # a number field tells it once more when it loses the focus
        yield [gr.skip(), gr.skip()]
        return
    visit.inside_levels = levels
    photo, result = visit.present()
    for answer in compare.move(visit, within(levels, result.levels, photo.choice.model)):
        yield [gr.skip(), answer]
    yield [_now(visit), gr.skip()]


def _now(visit: Visit) -> str:
    _, result = visit.present()
    return _marked(_opened(visit), cards.now(result))


def _build_part(visit: gr.State, part: Part) -> None:
    gr.HTML(f"<h2>{part.title}</h2>", elem_classes="chapter-title")
    shown = _element(part.name, part.tall, part.script)
    if part.first is None:
        shown.input(toasted(part.shown), [visit], shown, **ONE_BY_ONE)
        return
    choice = gr.State(part.first)

    def select(visit: Visit, event: gr.SelectData) -> list[Any]:
        chosen = _valid(event.index)
        return [part.shown(visit, chosen), chosen]

    shown.input(toasted(part.shown), [visit, choice], shown, **ONE_BY_ONE)
    shown.select(toasted(select), [visit], [shown, choice], **ONE_BY_ONE)


def _element(name: str, tall: int, script: str) -> gr.HTML:
    """A part's element, as tall as the part will be: what follows does not come near too early."""
    waiting = f"<p class='quiet' style='height:{tall}px'>This part is on its way …</p>"
    return gr.HTML(waiting, elem_id=f"part-{name}", js_on_load=script, elem_classes="chapter")


def _valid(chosen: Any) -> Any:
    """What the browser says was chosen: a subband's number, or a point as shares."""
    if isinstance(chosen, list | tuple):
        across, down = (min(max(float(share), 0.0), 1.0) for share in chosen)
        return across, down
    return min(max(int(chosen), 0), len(SUBBANDS) - 1)


def _build_assumed(visit: gr.State) -> None:
    """The experiment with a wrong N, which has controls of its own."""
    gr.HTML("<h2>What if the network assumes a wrong N?</h2>", elem_classes="chapter-title")
    gr.HTML(plates.text(words.ASSUMED), elem_classes="chapter-text")
    with gr.Row(elem_classes="controls"):
        assumed = gr.Slider(
            MIN_LEVELS, MAX_LEVELS, value=24, step=1, label="Assumed N", buttons=[],
            elem_id="assumed-levels", scale=3, min_width=260,
        )  # fmt: skip
        every = gr.Button("Try several values", size="sm", min_width=130, elem_id="assume-nine")
    shown = _element("assumed", 440, ARTICLE_JS)

    def begin(visit: Visit) -> list[Any]:
        opened = _opened(visit)
        true = opened.levels
        low, *_, high = assumptions(true)
        slider = gr.update(minimum=low, maximum=high, value=true)
        return [slider, _marked(opened, restoration.assumed(opened, true))]

    def assume(visit: Visit, levels: int | None) -> str:
        opened = _opened(visit)
        true = opened.levels
        low, *_, high = assumptions(true)
        wanted = true if levels is None else min(max(levels, low), high)
        return _marked(opened, restoration.assumed(opened, wanted))

    def assume_every(visit: Visit) -> Iterator[list[Any]]:
        opened = _opened(visit)
        for levels in (*assumptions(opened.levels), opened.levels):
            yield [levels, _marked(opened, restoration.assumed(opened, levels))]

    shown.input(toasted(begin), [visit], [assumed, shown], **ONE_BY_ONE)
    assumed.release(toasted(assume), [visit, assumed], shown, **ONE_BY_ONE)
    every.click(toasted(assume_every), [visit], [assumed, shown], **ONE_BY_ONE)
