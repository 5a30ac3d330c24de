"""Tab "Compare": its components and where they stand. The picture first, its controls close."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from qann_core.evaluation.peers import available_peers
from qann_core.models import bundled_models

from ..choice import DEFAULT_CODER, DEFAULT_MODEL, coder_choices, model_names, slider_range
from ..examples import credits
from ..session import PAGE_MEGAPIXELS
from ..zoom import zoom_buttons
from . import cards, words
from .events import OPENING

CAMERA = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 960}}}
"""What a camera is asked for: as many pixels as are worked on in about a second."""


@dataclass(frozen=True)
class CompareTab:
    """The components that events read or write."""

    visit: gr.State
    captions: gr.HTML
    picture: gr.ImageSlider
    levels: gr.Slider
    model: gr.Dropdown
    coder: gr.Radio
    optimise: gr.Checkbox
    left: gr.Dropdown
    right: gr.Dropdown
    show_maps: gr.Checkbox
    verdict: gr.HTML
    closer: gr.HTML
    maps: gr.Plot
    source: gr.HTML
    lesson: gr.HTML
    lessons: tuple[gr.Button, ...]
    own: gr.UploadButton
    gallery: gr.Gallery
    upload: gr.File
    camera: gr.Image
    qann_file: gr.DownloadButton
    png_file: gr.DownloadButton


def build(visit: gr.State) -> CompareTab:
    """Lays the tab out."""
    with gr.Row(elem_classes="lessons"):
        lessons = tuple(
            gr.Button(lesson.title, size="sm", min_width=104, elem_id=f"lesson-{number}")
            for number, lesson in enumerate(words.LESSONS, 1)
        )
        own = gr.UploadButton(
            "Your own photo",
            file_types=["image"],
            size="sm",
            variant="primary",
            min_width=104,
            elem_id="own-photo",
        )
    with gr.Row(equal_height=False, elem_classes="bench"):
        with gr.Column(scale=7, min_width=320):
            captions = gr.HTML(elem_id="captions", min_height=44)
            picture = _picture()
            source = gr.HTML(elem_id="source", min_height=24)
            lesson = gr.HTML("", elem_id="lesson", min_height=52)
            closer = gr.HTML(elem_id="closer", min_height=180)
            show_maps = gr.Checkbox(
                label="Error maps: where each picture is wrong", elem_id="show-maps"
            )
            maps = gr.Plot(
                label="Error maps", show_label=False, visible=False, elem_id="maps", format="png"
            )
        with gr.Column(scale=4, min_width=320):
            levels, left, right = _controls()
            verdict = gr.HTML(elem_id="verdict", min_height=330)
            with gr.Row(elem_classes="downloads"):
                qann_file = gr.DownloadButton(
                    "Download .qann",
                    size="sm",
                    interactive=False,
                    min_width=100,
                    elem_id="download-qann",
                )
                png_file = gr.DownloadButton(
                    "Restored PNG",
                    size="sm",
                    interactive=False,
                    min_width=100,
                    elem_id="download-png",
                )
            model, coder, optimise = _codec_settings()
            gallery, upload, camera = _photos()
    with gr.Accordion("What am I looking at?", open=False):
        gr.Markdown(words.EXPLANATION)
    with gr.Accordion("Whose photos are these?", open=False):
        gr.HTML(cards.credit_list(credits()))
    return CompareTab(
        visit, captions, picture, levels, model, coder, optimise, left, right, show_maps, verdict,
        closer, maps, source, lesson, lessons, own, gallery, upload, camera, qann_file, png_file,
    )  # fmt: skip


def _picture() -> gr.ImageSlider:
    zoom_out, zoom_in = zoom_buttons("picture")
    return gr.ImageSlider(
        label="Two versions of the photo, with a divider",
        show_label=False,
        interactive=False,
        buttons=[zoom_out, zoom_in, "fullscreen"],
        elem_id="picture",
        elem_classes="divided",
        height=512,
    )


def _controls() -> tuple[gr.Slider, gr.Dropdown, gr.Dropdown]:
    levels = gr.Slider(
        *slider_range(),
        value=OPENING.levels,
        step=1,
        label="N, the number of distinct values",
        info=words.SLIDER_INFO,
        buttons=[],
        elem_id="levels",
    )
    known = {"original", "quantized", "restored", *(peer.name for peer in available_peers())}
    sides = [(label, name) for name, label in cards.SIDES.items() if name in known]
    with gr.Row(elem_classes="choices"):
        left = gr.Dropdown(
            sides, value="quantized", label="Left", min_width=120, elem_id="left",
            filterable=False,
        )  # fmt: skip
        right = gr.Dropdown(
            sides, value="restored", label="Right", min_width=120, elem_id="right",
            filterable=False,
        )  # fmt: skip
    return levels, left, right


def _codec_settings() -> tuple[gr.Dropdown, gr.Radio, gr.Checkbox]:
    """Which model, which entropy coder, and whether the encoder takes its time."""
    names, coders = model_names(), coder_choices()
    with gr.Accordion("Codec settings", open=False, elem_id="codec-settings"):
        model = gr.Dropdown(
            names, value=DEFAULT_MODEL, label="Model", info=words.MODEL_INFO, filterable=False,
            visible=len(names) > 1, elem_id="model",
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


def _photos() -> tuple[gr.Gallery, gr.File, gr.Image]:
    gr.Markdown("### Another photo", elem_id="another")
    gallery = gr.Gallery(
        [(str(credit.path), credit.subject) for credit in credits()],
        label="Example photos",
        show_label=False,
        columns=4,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id="gallery",
    )
    upload = gr.File(
        label="Your photo",
        show_label=False,
        file_types=["image"],
        height=116,
        elem_id="upload",
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
    return gallery, upload, camera
