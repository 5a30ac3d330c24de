"""The page in rough use: a camera, dropped files, a slow line, double clicks, bursts of moves."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qann_core import Codec, read_image

pytestmark = pytest.mark.browser

CARDS = "#verdict"


def bring(page, photo: Path) -> None:
    page.set_input_files("#upload input[type=file]", photo)
    page.wait_for_selector("#source:has-text('leaves')")
    page.wait_for_selector("#picture[aria-busy]", state="detached")


def type_levels(page, levels: int) -> None:
    page.locator("#n-number").fill(str(levels))
    page.locator("#n-number").press("Enter")


def drop(page, selector: str, name: str, data: bytes, kind: str = "") -> None:
    """Drops a file on an element, as a browser tells it."""
    page.evaluate(
        """([selector, name, data, type]) => {
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], name, { type }));
          for (const kind of ["dragenter", "dragover", "drop"]) {
            const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
            document.querySelector(selector).dispatchEvent(event);
            if (kind !== "dragenter" && !event.defaultPrevented)
              throw new Error("the browser would leave the page for the file");
          }
        }""",
        [selector, name, base64.b64encode(data).decode(), kind],
    )


def test_camera_takes_a_picture(open_page):
    page = open_page()
    page.get_by_text("Use the camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    page.get_by_label("capture photo").click()
    page.wait_for_selector("#source:has-text('camera')")
    page.wait_for_function(
        "/camera.*restored/.test(document.querySelectorAll('#picture img')[1].src)"
    )
    url = page.locator("#picture img").nth(1).evaluate("(image) => image.src")
    shown = np.array(Image.open(io.BytesIO(page.request.get(url).body())).convert("RGB"))
    assert shown.shape[0] * shown.shape[1] <= 1280 * 960
    red, green, blue = shown.reshape(-1, 3).mean(0)
    assert green > 2 * max(red, blue), "Chromium's camera without a camera shows green"
    page.get_by_text("Click to Access Webcam").wait_for()  # for another one


def test_files_dropped_on_the_upload_and_anywhere_else(open_page, photo):
    page = open_page()
    small = io.BytesIO()
    Image.open(photo).resize((80, 60)).save(small, "PNG")
    for place in ("#upload button", "#picture", "#verdict"):
        name = "on-" + place.split()[0].strip("#")
        drop(page, place, f"{name}.png", small.getvalue(), "image/png")
        page.wait_for_selector(f"#source:has-text('{name}')")
    page.get_by_role("tab", name="Inside the codec").click()
    page.wait_for_selector("#part-image img")
    drop(page, "#part-image", "inside.png", small.getvalue(), "image/png")
    page.locator("#source:has-text('inside')").wait_for()  # visible: its tab has opened


def test_dropped_qann_file_opens_in_its_tab(open_page, photo):
    page = open_page()
    codec = Codec.load()
    data = codec.pack(codec.encode(read_image(photo).pixels), 60)
    drop(page, "#picture", "leaves.qann", data)
    page.wait_for_selector("#opened .pictures img")
    assert page.locator("#header-table").get_by_text("256 × 192").is_visible()


def test_on_a_slow_line_old_pictures_do_not_pass_for_new_ones(open_page, photo):
    page = open_page()
    bring(page, photo)
    slow, held = [True], []
    page.route("**/file=**", lambda route: held.append(route) if slow else route.continue_())
    number = page.locator("#n-number")
    number.fill("70")
    number.press("Enter")
    page.wait_for_selector(f"{CARDS}[data-levels='70']")
    page.wait_for_selector("#picture[aria-busy=true]")
    page.wait_for_function("getComputedStyle(document.querySelector('#picture img')).opacity < 0.5")
    slow.clear()  # a browser has six connections: more requests come once these go on
    for route in held:
        route.continue_()
    page.wait_for_selector("#picture[aria-busy]", state="detached")
    assert "N70-restored.webp" in page.locator("#picture img").nth(1).get_attribute("src")
    assert page.evaluate("getComputedStyle(document.querySelector('#picture img')).opacity") == "1"


def test_of_a_burst_of_moves_the_last_one_stays(open_page, photo):
    page = open_page()
    bring(page, photo)
    box = page.locator("#n-range").bounding_box()
    y = box["y"] + box["height"] / 2
    for share in (0.1, 0.6, 0.3, 0.8, 0.2, 0.9, 0.5):
        page.mouse.move(box["x"] + box["width"] / 2, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * share, y, steps=2)
        page.mouse.up()
    last = page.locator("#n-number").input_value()
    page.wait_for_selector(f"{CARDS}[data-levels='{last}']")
    page.wait_for_selector("#picture[aria-busy]", state="detached")
    page.wait_for_timeout(1000)
    assert page.locator(CARDS).get_attribute("data-levels") == last
    assert page.locator("#n-number").input_value() == last
    assert f"-N{last}-restored" in page.locator("#picture img").nth(1).get_attribute("src")


def test_double_clicks_do_no_harm(open_page, photo):
    page = open_page()
    page.locator("#lesson-2").dblclick()
    page.wait_for_selector("#source:has-text('page of text')")
    page.wait_for_selector(f"{CARDS}[data-levels='65']")
    bring(page, photo)
    page.locator("#errors").dblclick()
    page.get_by_role("tab", name="Rate-distortion").click()
    page.wait_for_selector("#sweep-status :text('Not computed yet')")
    page.locator("#sweep-start").dblclick()
    page.wait_for_function("document.querySelector('#sweep-status progress').value > 1")
    page.locator("#sweep-cancel").dblclick()
    page.wait_for_selector("#sweep-status :text('Cancelled')")
    value = "document.querySelector('#sweep-status progress').value"
    kept = page.evaluate(value)
    page.wait_for_timeout(1500)
    assert page.evaluate(value) == kept, "no second sweep goes on"
    assert page.locator("[data-testid=toast-body]").count() == 0


# Holds back the end of the stream of answers until ``letClose`` is called.
_SLOW_END = """
const plain = window.fetch.bind(window);
window.fetch = async (input, init) => {
  const answer = await plain(input, init);
  if (!String(input?.url ?? input).includes("/queue/data")) return answer;
  const slow = new TransformStream({ async transform(text, to) {
    for (const message of text.split(/(?<=\\n\\n)/)) {
      if (message.includes("close_stream")) await new Promise((go) => { window.letClose = go; });
      to.enqueue(message);
    }
  }});
  const body = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(slow);
  return new Response(body.pipeThrough(new TextEncoderStream()), answer);
};
"""


def test_a_move_made_as_the_last_answer_ends_is_answered(open_page):
    page = open_page()
    page.add_init_script(_SLOW_END)
    page.reload()
    page.wait_for_function("window.qannAsk && window.qann?.compare")
    type_levels(page, 61)
    page.wait_for_selector(f"{CARDS}[data-levels='61'][data-complete=true]")
    page.wait_for_function("Boolean(window.letClose)")
    with page.expect_response("**/queue/join**") as taken:
        type_levels(page, 62)
    assert taken.value.ok
    page.wait_for_timeout(200)
    page.evaluate("letClose()")
    page.wait_for_selector(f"{CARDS}[data-levels='62'][data-complete=true]")
