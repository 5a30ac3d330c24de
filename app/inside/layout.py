"""Tab "Inside the codec": every stage made visible, on the visitor's photo, at the present N.

Only the stage that is open is computed; what the stages share is made once (``app.anatomy``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from qann_core.limits import MIN_LEVELS

from ..choice import MAX_SLIDER, slider_range, within
from ..compare.events import OPENING, result_outputs, slide
from ..compare.layout import CompareTab
from ..session import Visit
from ..toasts import toasted
from . import cards as shown
from . import plates, words
from .anatomy import SUBBANDS, Anatomy, anatomy
from .prior import learned_prior
from .stages import clearest_subband, lies

NOTEBOOK = Path(__file__).resolve().parents[2] / "assets" / "tutorial.ipynb"
_NAMES = [(subband.name, index) for index, subband in enumerate(SUBBANDS)]
_CLEAREST = -1
_EVENTS: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_id": "codec",
    "concurrency_limit": 1,
    "show_progress": "minimal",
    "trigger_mode": "always_last",
}


@dataclass(frozen=True)
class Stage:
    """One stage: what it reads and writes, and how its outputs come about.

    Attributes:
        render: the anatomy and the values of ``inputs`` to the values of ``outputs``.
    """

    inputs: list[Any]
    outputs: list[Any]
    render: Callable[..., list[Any]]

    def listener(self, render: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """A listener for (visit, *inputs), rendering all of it or with ``render``."""
        chosen = render or self.render

        def listen(visit: Visit, *inputs: Any) -> Any:
            return chosen(_opened(visit), *inputs)

        return toasted(listen)


def _levels(visit: Visit) -> int:
    """The present N. The slider may lag behind it while the tab is being entered."""
    _, result = visit.present()
    return result.levels if visit.wanted is None else visit.wanted


def _opened(visit: Visit) -> Anatomy:
    return anatomy(visit, _levels(visit))


def build(visit: gr.State, tab: gr.Tab, other: CompareTab) -> None:
    """The tab's components and events; ``other`` is the Compare tab, which shares N."""
    gr.Markdown(words.INTRO, elem_id="inside-intro")
    with gr.Row(elem_classes="controls"):
        levels = gr.Slider(
            MIN_LEVELS, MAX_SLIDER, value=OPENING.levels, step=1,
            label="N, the number of distinct values", buttons=[], elem_id="inside-levels",
            scale=4, min_width=280,
        )  # fmt: skip
        gr.DownloadButton(
            "The same as a notebook", value=str(NOTEBOOK), size="sm", min_width=180,
            elem_id="notebook",
        )  # fmt: skip
    with gr.Tabs(elem_id="stages", overflow_behavior="wrap"):
        tabs, built = build_stages(visit)
    _wire(visit, tab, other, levels, tabs, Walk(built))


def build_stages(visit: gr.State) -> tuple[list[gr.Tab], list[Stage]]:
    """A tab for each stage, in the order of the walk, and what it shows."""
    tabs: list[gr.Tab] = []
    built: list[Stage] = []
    builders = (_image, _latents, _diversity, _brotli, _restoration, _synthesis, _roads)
    for number, (title, builder) in enumerate(zip(words.STAGES, builders, strict=True)):
        with gr.Tab(title, id=number, elem_id=f"stage-{number}") as stage_tab:
            built.append(builder(visit))
        tabs.append(stage_tab)
    return tabs, built


@dataclass(frozen=True)
class Walk:
    """All stages, of which one is open: listeners that draw it."""

    stages: list[Stage]

    @property
    def inputs(self) -> list[Any]:
        """What all stages read."""
        return [component for stage in self.stages for component in stage.inputs]

    @property
    def outputs(self) -> list[Any]:
        """What all stages write."""
        return [component for stage in self.stages for component in stage.outputs]

    def draw(self, visit: Visit, number: int, *values: Any) -> list[Any]:
        """The open stage's outputs; the others' stay as they are."""
        update: list[Any] = []
        for index, stage in enumerate(self.stages):
            own, values = values[: len(stage.inputs)], values[len(stage.inputs) :]
            if index == number:
                update += stage.render(_opened(visit), *own)
            else:
                update += [gr.skip()] * len(stage.outputs)
        return update

    def enter(self, visit: Visit, number: int, *values: Any) -> list[Any]:
        """The tab was opened: N and photo may have changed meanwhile."""
        photo, _ = visit.present()
        low, high = slider_range(photo.choice.model)
        slider = gr.update(minimum=low, maximum=high, value=_levels(visit))
        return [slider, *self.draw(visit, number, *values)]

    def choose(self, number: int) -> Callable[..., list[Any]]:
        """The listener that opens a stage."""

        def chosen(visit: Visit, *values: Any) -> list[Any]:
            return [number, *self.stages[number].render(_opened(visit), *values)]

        return chosen

    def move(self, visit: Visit, levels: int | None, number: int, *values: Any) -> list[Any]:
        """N was moved here: the open stage; the Compare tab is to follow."""
        photo, _ = visit.present()
        present = _levels(visit)
        moved = within(levels, present, photo.choice.model)
        if moved == present:  # the number field reports a release when it is left, too
            return [gr.skip()] * len(self.outputs)
        visit.wanted = moved
        return self.draw(visit, number, *values)


def _follow(visit: Visit, *view: Any) -> Any:
    """The Compare tab at the N that was chosen here."""
    photo, result = visit.present()
    wanted, visit.wanted = visit.wanted, None
    if wanted is None or wanted == result.levels:
        return gr.skip()
    choice = photo.choice
    update = slide(visit, wanted, choice.model, choice.coder, choice.effort > 0, *view)
    return [*update, wanted]


def _wire(
    visit: gr.State, tab: gr.Tab, other: CompareTab, levels: gr.Slider, tabs: list[gr.Tab],
    walk: Walk,
) -> None:  # fmt: skip
    """The open stage follows the tabs and N; N is the Compare tab's too."""
    present = gr.State(0)
    inputs, outputs = walk.inputs, walk.outputs
    tab.select(toasted(walk.enter), [visit, present, *inputs], [levels, *outputs], **_EVENTS)
    moving = levels.release(
        toasted(walk.move), [visit, levels, present, *inputs], outputs, **_EVENTS
    )
    view = [other.left, other.right, other.show_maps]
    moving.then(
        toasted(_follow), [visit, *view], [*result_outputs(other), other.levels],
        **_EVENTS | {"show_progress": "hidden"},
    )  # fmt: skip
    for number, (stage_tab, stage) in enumerate(zip(tabs, walk.stages, strict=True)):
        stage_tab.select(
            toasted(walk.choose(number)), [visit, *stage.inputs], [present, *stage.outputs],
            **_EVENTS,
        )  # fmt: skip


def _html(name: str, height: int) -> gr.HTML:
    return gr.HTML(elem_id=name, min_height=height, elem_classes="stage")


def _image(visit: gr.State) -> Stage:
    return Stage([], [_html("stage-image", 420)], lambda opened: [shown.image(opened)])


def _brotli(visit: gr.State) -> Stage:
    head = _html("stage-brotli-head", 110)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            body = _html("stage-brotli", 360)
        with gr.Column(scale=1, min_width=280):
            others = _html("packings", 360)
    prior = _html("prior", 360)
    _afterwards(visit, body, others, shown.other_packings)
    _afterwards(visit, body, prior, learned_prior)
    render = _together(shown.brotli_head, shown.brotli)
    return Stage([], [head, body], render)


def _together(*parts: Callable[[Anatomy], str]) -> Callable[[Anatomy], list[Any]]:
    return lambda opened: [part(opened) for part in parts]


def _afterwards(
    visit: gr.State, first: gr.HTML, second: gr.HTML,
    render: Callable[[Anatomy], str],
) -> None:  # fmt: skip
    """What takes longer than a stage may: made when the rest of the stage is on screen."""

    def listen(visit: Visit) -> str:
        return render(_opened(visit))

    first.change(toasted(listen), [visit], second, **_EVENTS)


def _synthesis(visit: gr.State) -> Stage:
    return Stage([], [_html("stage-synthesis", 600)], lambda opened: [shown.synthesis(opened)])


def _roads(visit: gr.State) -> Stage:
    head, body = _html("stage-roads-head", 110), _html("stage-roads", 420)
    _afterwards(visit, head, body, shown.roads)
    return Stage([], [head], _together(shown.roads_head))


def _latents(visit: gr.State) -> Stage:
    head = _html("stage-latents", 110)
    with gr.Row(elem_classes="chooser"):
        subband = gr.Dropdown(
            _NAMES, value=0, label="Subband", elem_id="subband", min_width=240,
            info="Or choose one in the pictures.",
        )  # fmt: skip
        facts = gr.HTML(elem_id="subband-facts", min_height=92, scale=3, elem_classes="stage")
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            pictures = gr.HTML(
                elem_id="nested", min_height=300, js_on_load=plates.HOT, elem_classes="stage"
            )
        with gr.Column(scale=1, min_width=280):
            residual = _html("stage-residual", 300)

    def change(opened: Anatomy, index: int) -> list[Any]:
        chosen = SUBBANDS[index]
        return [shown.latents_pictures(opened, chosen), shown.latents_facts(opened, chosen)]

    def render(opened: Anatomy, index: int) -> list[Any]:
        unchanged = [shown.latents_head(opened), shown.latents_residual(opened)]
        return [*unchanged, *change(opened, index)]

    def select(visit: Visit, choice: gr.SelectData) -> list[Any]:
        index = min(max(int(choice.index), 0), len(SUBBANDS) - 1)
        return [*change(_opened(visit), index), index]

    stage = Stage([subband], [head, residual, pictures, facts], render)
    subband.input(stage.listener(change), [visit, subband], [pictures, facts], **_EVENTS)
    pictures.select(toasted(select), [visit], [pictures, facts, subband], **_EVENTS)
    return stage


def _diversity(visit: gr.State) -> Stage:
    head = _html("stage-diversity-head", 110)
    subband = gr.Dropdown(
        [("The clearest at this N", _CLEAREST), *_NAMES], value=_CLEAREST, label="Subband",
        elem_id="diversity-subband",
    )  # fmt: skip
    body = _html("stage-diversity", 900)

    def change(opened: Anatomy, index: int) -> str:
        chosen = clearest_subband(opened) if index == _CLEAREST else SUBBANDS[index]
        return shown.diversity(opened, chosen)

    def render(opened: Anatomy, index: int) -> list[Any]:
        with ThreadPoolExecutor(1) as beside:
            restoring = beside.submit(lambda: opened.restored)
            head = shown.diversity_head(opened)
            restoring.result()
        return [head, change(opened, index)]

    stage = Stage([subband], [head, body], render)
    subband.input(stage.listener(change), [visit, subband], body, **_EVENTS)
    return stage


def _restoration(visit: gr.State) -> Stage:
    body = _html("stage-qann", 900)
    with gr.Row():
        with gr.Column(min_width=320):
            gr.HTML(plates.heading("Lie to the network", words.LIE), elem_classes="stage")
            with gr.Row(elem_classes="controls"):
                told = gr.Slider(
                    4, 400, value=96, step=1, label="N that the network is told", buttons=[],
                    elem_id="told-levels", scale=3, min_width=300,
                )  # fmt: skip
                ask = gr.Button("Tell it nine", size="sm", min_width=110, elem_id="tell-nine")
            lied = _html("lie", 360)
        with gr.Column(min_width=320):
            gr.HTML(plates.heading("Attention", words.ATTENTION), elem_classes="stage")
            with gr.Row():
                column = gr.Number(-1, label="Column", precision=0, min_width=90, elem_id="column")
                row = gr.Number(-1, label="Row", precision=0, min_width=90, elem_id="row")
            seen = gr.HTML(elem_id="attention", min_height=240, js_on_load=plates.POINT)

    def attend(opened: Anatomy, column: int | None, row: int | None) -> list[Any]:
        height, width = opened.quantized.bands[0].shape[1:]
        column, row = _position(column, width), _position(row, height)
        return [shown.attention_picture(opened, column, row), column, row]

    def render(opened: Anatomy) -> list[Any]:
        true = opened.levels
        slider = gr.update(minimum=max(2, true // 4), maximum=4 * true, value=true)
        return [shown.restoration(opened), slider, shown.lie(opened, true)]

    def point(visit: Visit, choice: gr.SelectData) -> list[Any]:
        opened = _opened(visit)
        height, width = opened.photo.pixels.shape[:2]
        across, down = (min(max(float(share), 0.0), 1.0) for share in choice.index)
        return attend(opened, int(across * (width - 1)) // 16, int(down * (height - 1)) // 16)

    def tell(opened: Anatomy, told: int | None) -> str:
        true = opened.levels
        return shown.lie(opened, true if told is None else min(max(told, 2), 4 * true))

    def tell_nine(visit: Visit) -> Iterator[str]:
        opened = _opened(visit)
        for told in lies(opened.levels):
            opened.psnr_told(told)
            yield shown.lie(opened, told)
        yield shown.lie(opened, opened.levels)

    stage = Stage([], [body, told, lied], render)
    ask.click(toasted(tell_nine), [visit], lied, **_EVENTS)
    told.release(stage.listener(tell), [visit, told], lied, **_EVENTS)
    gr.on(  # at first when the rest of the stage is on screen
        [body.change, column.input, row.input], stage.listener(attend), [visit, column, row],
        [seen, column, row], **_EVENTS,
    )  # fmt: skip
    seen.select(toasted(point), [visit], [seen, column, row], **_EVENTS)
    return stage


def _position(wanted: int | None, length: int) -> int:
    """A place in a row of ``length``; where none was chosen yet, one amid the middle window."""
    if wanted is None or wanted < 0:
        wanted = length // 2 // 16 * 16 + 8
    return min(int(wanted), length - 1)
