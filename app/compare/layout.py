"""Tab "Compare": its components. The picture, N and the sides are HTML of our own."""

from __future__ import annotations

import json
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from qann_core.models import bundled_models

from ..choice import DEFAULT_CODER, DEFAULT_MODEL, OPENING, coder_choices, model_names
from ..examples import credits
from ..photos import PAGE_MEGAPIXELS
from . import cards, markup, words

CAMERA = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 960}}}
"""What a camera is asked for: as many pixels as are worked on in about a second."""

PHOTO_TYPES = ["image", ".heic", ".heif", ".avif", ".jxl"]
"""What the file chooser offers; browsers do not know the kind of all of them."""

_WISH = """
window.qannAsk = (wish, event) => {
  props.value = JSON.stringify(wish);
  if (event) trigger(event);
};
window.qannListen = () => trigger("click");
"""

_ANSWER = "watch('value', () => { window.qannAnswer?.(JSON.parse(props.value)); });"


@dataclass(frozen=True)
class CompareTab:
    """The components that events read or write.

    Attributes:
        wish, answer: what the browser asks for, and ``facts`` for it, as JSON; never seen.
    """

    visit: gr.State
    wish: gr.HTML
    answer: gr.HTML
    model: gr.Dropdown
    coder: gr.Radio
    optimise: gr.Checkbox
    upload: gr.File
    camera: gr.Image

    @property
    def shown(self) -> list[Component]:
        """What says what the browser shows, see ``events.setting_shown``."""
        return [self.wish, self.model, self.coder, self.optimise]


def build(visit: gr.State) -> CompareTab:
    """Lays the tab out."""
    gr.HTML(markup.hero(), elem_id="hero", apply_default_css=False)
    opening = json.dumps({"photo": OPENING.photo, "n": OPENING.levels})
    wish = gr.HTML(opening, html_template="", js_on_load=_WISH, visible="hidden", elem_id="wish")
    answer = gr.HTML("", html_template="", js_on_load=_ANSWER, visible="hidden", elem_id="answer")
    with gr.Row(elem_classes="more"):
        with gr.Column(min_width=300):
            upload, camera = _photos()
        with gr.Column(min_width=300):
            model, coder, optimise = _codec_settings()
            with gr.Accordion("What am I looking at?", open=False):
                gr.Markdown(words.EXPLANATION)
            with gr.Accordion("Whose photos are these?", open=False):
                gr.HTML(cards.credit_list(credits()))
    return CompareTab(visit, wish, answer, model, coder, optimise, upload, camera)


def _codec_settings() -> tuple[gr.Dropdown, gr.Radio, gr.Checkbox]:
    """Which model, which entropy coder, and whether the encoder takes its time."""
    names, coders = model_names(), coder_choices()
    with gr.Accordion("Codec settings", open=False, elem_id="codec-settings"):
        model = gr.Dropdown(
            [(words.TRAINED_FOR.get(name, name), name) for name in names],
            value=names[0] if DEFAULT_MODEL not in names else DEFAULT_MODEL, label="Trained for",
            info=words.MODEL_INFO, filterable=False, visible=len(names) > 1, elem_id="model",
        )  # fmt: skip
        coder = gr.Radio(
            coders, value=DEFAULT_CODER, label="Entropy coder", info=words.CODER_INFO,
            interactive=len(coders) > 1, elem_id="coder",
        )  # fmt: skip
        optimise = gr.Checkbox(
            label="Optimise the integers: slower, smaller", info=words.OPTIMISE_INFO,
            elem_id="optimise",
        )  # fmt: skip
        gr.HTML(cards.model_list(bundled_models()), elem_id="models")
    return model, coder, optimise


def _photos() -> tuple[gr.File, gr.Image]:
    upload = gr.File(
        label="Your photo", show_label=False, file_types=PHOTO_TYPES, height=52, elem_id="upload"
    )
    gr.HTML(
        f"<p class='quiet'>Your own photo: up to 30 MB; above {PAGE_MEGAPIXELS} megapixels it is "
        "scaled down. You can also drop or paste one anywhere on this page.</p>",
        elem_id="yours",
    )
    with gr.Accordion("Use the camera", open=False, elem_id="use-camera"):
        camera = gr.Image(
            sources=["webcam"], type="filepath", image_mode=None, show_label=False,
            label="Camera", buttons=[], elem_id="camera",
            webcam_options=gr.WebcamOptions(constraints=CAMERA),
        )  # fmt: skip
    return upload, camera
