"""The tab "Compare": it opens with its point made, dragging needs no server, sides, links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
STOPS = (32, 40, 49)
LEFT, RIGHT = (f"document.querySelector('#picture img.{side}')" for side in ("left", "right"))

pytestmark = pytest.mark.browser

_FILL = f"""
from app.examples import example_photo
from app.frames import add_peers, frame, place_of, write_index
photo = example_photo("astronaut")
for levels in {STOPS}:
    frame(photo, levels)
    add_peers(photo, levels)
write_index(place_of(photo))
"""


@pytest.fixture(scope="module")
def made_ahead(demo_url, frames_folder) -> None:
    """Some results of the opening photo, as the background process makes them."""
    environment = os.environ | {"QANN_PAGE_CACHE": str(frames_folder), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", _FILL], cwd=ROOT, env=environment, check=True)


def with_frames(open_page, *size: int, query: str = ""):
    """The page as soon as it knows of what was made ahead."""
    page = open_page(*size, query=query)
    page.wait_for_function(f"{list(STOPS)}.every((n) => qann.compare.frames[n]?.sides.avif)")
    return page


def is_calm(page) -> None:
    page.wait_for_selector("#picture[aria-busy]", state="detached")


def watch_queue(page) -> list[str]:
    """Addresses of requests to Gradio's queue from now on."""
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "/queue/" in r.url else None)
    return asked


def drag_to(page, n: int) -> None:
    """Drags the slider from where it is to N, with the mouse."""
    box = page.locator("#n-range").bounding_box()
    position = "(n) => qann.compare.levels.position(n) / 1000"
    thumb, y = 16, box["y"] + box["height"] / 2

    def x(value: int) -> float:
        return box["x"] + thumb / 2 + page.evaluate(position, value) * (box["width"] - thumb)

    page.mouse.move(x(int(page.locator("#n-number").input_value())), y)
    page.mouse.down()
    page.mouse.move(x(n), y, steps=6)


def test_the_opening_stands_in_the_page_itself(demo_url):
    with urllib.request.urlopen(demo_url) as answer:
        html = answer.read().decode()
    (address,) = set(re.findall(r"frames/\w+/astronaut/40/[\w-]+-restored\.webp", html))
    assert "dB" in html and "bits per pixel" in html
    with urllib.request.urlopen(f"{demo_url}/{address}") as picture:
        assert picture.headers["content-type"] == "image/webp" and len(picture.read()) > 10_000


def test_both_sides_are_seen_before_scripts_come(browser, demo_url):
    page = browser.new_page()
    page.route("**/qann/main.js", lambda route: route.abort())
    page.goto(demo_url)
    page.wait_for_function(f"{RIGHT}?.naturalWidth && {LEFT}.naturalWidth")
    left, right = (f"getComputedStyle({image}).clipPath" for image in (LEFT, RIGHT))
    split = page.evaluate("document.querySelector('#picture').dataset.split")
    assert page.evaluate(right) == f"inset(0px 0px 0px {split}%)"
    assert page.evaluate(left) == f"inset(0px {100 - float(split)}% 0px 0px)"
    page.close()


def test_a_link_to_the_page_has_a_card_of_its_own(demo_url):
    with urllib.request.urlopen(demo_url) as answer:
        html = answer.read().decode()
    said = dict(re.findall(r'<meta property="((?:og|twitter):\w+)" content="([^"]*)"', html))
    assert said["og:title"].startswith("QANN") and "slider" in said["og:description"]
    assert html.count("og:title") == 1 and "gradio.app" not in html.split("<script")[0]
    with urllib.request.urlopen(said["og:image"]) as answer:
        assert Image.open(answer).size == (1200, 630)


def test_opens_without_the_queue_and_the_picture_is_the_hero(browser, demo_url):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    asked, sizes = watch_queue(page), []
    page.on("requestfinished", lambda r: sizes.append(r.sizes()["responseBodySize"]))
    page.goto(demo_url)
    page.wait_for_function(
        "[...document.querySelectorAll('#picture img')].every((i) => i.complete)"
    )
    page.wait_for_function("window.qann?.compare")
    box = page.locator("#picture").bounding_box()
    assert box["width"] * box["height"] > 0.33 * 1440 * 900
    slider = page.locator("#n-range").bounding_box()
    assert 0 < slider["y"] - box["y"] - box["height"] < 40
    assert slider["y"] + slider["height"] < 900
    assert asked == []
    assert sum(sizes) < 2_500_000
    for place, name in (("left", "Quantized only"), ("right", "Restored")):
        tag = page.locator(f"#picture .tag.{place}")
        assert name in tag.inner_text() and "dB" in tag.inner_text()
    page.close()


def test_dragging_swaps_pictures_in_without_the_server(open_page, made_ahead):
    page = with_frames(open_page)
    asked = watch_queue(page)
    drag_to(page, 49)
    page.wait_for_function(
        "/astronaut.49.*moving/.test(document.querySelector('#picture img').src)"
    )
    assert page.locator("#n-number").input_value() == "49"
    page.mouse.up()
    page.wait_for_function(f"/49.quantized.webp/.test({LEFT}.src)")
    is_calm(page)
    assert page.locator("#verdict").get_attribute("data-levels") == "49"
    drag_to(page, 32)
    page.mouse.up()
    page.wait_for_function(f"/32.quantized.webp/.test({LEFT}.src)")
    is_calm(page)
    assert asked == []


def test_an_own_photo_is_made_ahead_and_forgotten(open_page, photo, frames_folder):
    page = open_page()
    page.set_input_files("#upload input[type=file]", photo)
    page.wait_for_selector("#source:has-text('leaves')")
    stops = page.evaluate("qann.compare.levels.stops")
    ready = "(n) => qann.compare.state.photo === 'own' && qann.compare.frames[n]"
    page.wait_for_function(ready, arg=stops[8])
    asked = watch_queue(page)
    drag_to(page, stops[8])
    page.wait_for_function(f"/own-.*.{stops[8]}.quantized-moving.webp/.test({LEFT}.src)")
    page.mouse.up()
    page.wait_for_function(f"/own-.*.{stops[8]}.quantized.webp/.test({LEFT}.src)")
    is_calm(page)
    assert page.locator("#verdict").get_attribute("data-levels") == str(stops[8])
    assert page.evaluate(f"{LEFT}.naturalWidth") == 256
    assert asked == []
    page.locator(".chip[data-side=jpeg]").first.click()  # this the server is asked for
    page.wait_for_function(f"/{stops[8]}-jpeg.jpg/.test({LEFT}.src)")
    drag_to(page, stops[0])
    page.mouse.up()
    page.wait_for_selector(f"#verdict[data-levels='{stops[0]}']")
    page.wait_for_function(f"/{stops[0]}-jpeg.jpg/.test({LEFT}.src)")
    (folder,) = frames_folder.glob("*/" + page.evaluate("qann.compare.folder.split('/').at(-1)"))
    page.set_input_files("#upload input[type=file]", photo)  # another takes its place
    page.wait_for_function("(old) => qann.compare.folder && qann.compare.folder !== old",
                           arg=f"frames/{folder.parent.name}/{folder.name}")  # fmt: skip
    for _ in range(300):
        if not folder.exists():
            break
        time.sleep(0.2)
    assert not folder.exists()


def test_another_tab_follows_what_was_dragged(open_page, made_ahead):
    page = with_frames(open_page)
    drag_to(page, 32)
    page.mouse.up()
    page.wait_for_selector("#verdict[data-levels='32']")
    page.get_by_role("tab", name="Inside the codec").click()
    page.wait_for_selector("#part-image img")
    page.wait_for_function(
        "document.querySelector('#inside-levels input[type=number]').value == 32"
    )


def test_number_outside_the_range_is_said(open_page):
    page = open_page()
    page.locator("#n-number").fill("5")
    page.locator("#n-number").press("Enter")
    assert "from 16 to 400" in page.locator("#message").inner_text()
    page.wait_for_selector("#verdict[data-levels='16'][data-complete=true]")


def test_target_in_kilobytes(open_page, photo):
    page = open_page()
    page.set_input_files("#upload input[type=file]", photo)
    page.wait_for_selector("#source:has-text('leaves')")
    page.locator(".target summary").click()
    page.locator("#target-value").fill("5")
    page.locator("#target-go").click()
    page.wait_for_function(
        "(({bytes, complete}) => bytes <= 5000 && bytes > 4800 && complete === 'true')"
        "(document.querySelector('#verdict').dataset)"
    )


def test_sides_are_one_tap_away(open_page, made_ahead):
    page = with_frames(open_page)
    asked = watch_queue(page)
    page.locator("[data-place=left] [data-side=avif]").click()
    page.wait_for_function(f"/avif$/.test({LEFT}.src)")
    assert "AVIF" in page.locator("#picture .tag.left").inner_text()
    assert "smallest" in page.locator("[data-place=left] [data-side=webp]").inner_text()
    page.locator("[data-place=left] [data-side=original]").click()
    page.wait_for_function(
        "/photos.astronaut/.test(document.querySelector('#picture img.left').src)"
    )
    page.locator("#errors").click()
    page.wait_for_function(f"/^blob:/.test({RIGHT}.src)")
    assert asked == []


def test_lesson_of_two_models_at_the_same_bytes(open_page):
    page = open_page()
    page.locator("#lesson-4").click()
    page.wait_for_selector("#picture .tag.left:has-text('Squared error')", timeout=60_000)
    page.wait_for_function(f"/-psnr.webp/.test({LEFT}.src)")
    assert "squared error" in page.locator("#lesson").inner_text()
    notes = [page.locator(f"#picture .tag.{place}").inner_text() for place in ("left", "right")]
    decibels = [float(re.search(r"([\d.]+) dB", note)[1]) for note in notes]
    assert decibels[0] > decibels[1], "that model is the better one by its own measure"
    page.locator("#lesson-2").click()
    page.wait_for_selector("#picture .tag.left:has-text('Quantized only')")


def test_blind_test_names_nothing_before_the_choice(open_page, made_ahead):
    page = with_frames(open_page)
    page.locator("#blind").click()
    tags = page.locator("#picture .tag")
    assert [tags.nth(i).locator("b").inner_text() for i in (0, 1)] == ["A", "B"]
    shown = page.locator("#picture").inner_text() + page.locator("#blind-test").inner_text()
    assert not re.search("QANN|AVIF|JPEG|WebP", shown)
    page.get_by_role("button", name="A is better").click()
    said = page.locator("#blind-test").inner_text()
    assert re.search(r"[01] of 1 against (AVIF|JPEG|WebP)", said) and "QANN" in said
    page.get_by_role("button", name="Back to the comparison").click()
    page.wait_for_function("document.querySelector('.tag b').textContent === 'Quantized only'")


def test_the_wheel_scrolls_the_page_unless_ctrl_is_held_or_the_picture_was_clicked(open_page):
    page = open_page(1440, 700)
    box = page.locator("#picture").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.wheel(0, 120)
    page.wait_for_function("window.scrollY > 60")
    scale = "qann.compare.viewer.scale"
    assert page.evaluate("qann.compare.viewer.zoom") == 0
    before = page.evaluate(scale)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    page.wait_for_function(f"{scale} > {before}")
    top = page.evaluate("window.scrollY")
    page.mouse.down()
    page.mouse.up()
    before = page.evaluate(scale)
    page.mouse.wheel(0, -120)
    page.wait_for_function(f"{scale} > {before}")
    assert page.evaluate("window.scrollY") == top


def test_divider_by_mouse_and_by_keyboard(open_page):
    page = open_page()
    divider = page.locator("#picture .divider")
    now = "Number(document.querySelector('#picture .divider').ariaValueNow)"
    page.wait_for_function(f"{LEFT}.naturalWidth")
    assert 42 <= page.evaluate(now) <= 45, "it runs through the face"
    box = page.locator("#picture").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 100, steps=3)
    page.mouse.up()
    assert page.evaluate(now) == pytest.approx(75, abs=1)
    divider.press("ArrowLeft")
    assert page.evaluate(now) == pytest.approx(73, abs=1)
    divider.press("+")
    assert page.evaluate("qann.compare.viewer.zoom") > 0


def test_phone_picture_scrolls_the_page_and_comes_into_view(open_page):
    page = open_page(390, 844)
    assert (
        page.evaluate("getComputedStyle(document.querySelector('#picture')).touchAction") == "pan-y"
    )
    page.locator("#gallery button").nth(3).scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, document.querySelector('#gallery').offsetTop)")
    page.locator("#gallery [data-photo=facade]").click()
    page.wait_for_function(
        "(({top}) => top >= -2 && top < 200)"
        "(document.querySelector('#picture').getBoundingClientRect())"
    )
    page.wait_for_selector("#source:has-text('Grey')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_nothing_moves_by_itself_for_those_who_ask_for_it(open_page):
    page = open_page()
    slowest = (
        "Math.max(...[...document.querySelectorAll('.gradio-container *')].flatMap((element) => "
        "['transitionDuration', 'animationDuration'].map((name) => "
        "parseFloat(getComputedStyle(element)[name]) || 0)))"
    )
    assert page.evaluate(slowest) > 0.1
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(slowest) < 0.001


def test_link_to_photo_n_and_sides(open_page, made_ahead):
    page = with_frames(open_page, query="?photo=astronaut&n=49&left=original&right=jpeg")
    page.wait_for_selector("#verdict[data-levels='49']")
    page.wait_for_function(f"/jpg$/.test({RIGHT}.src)")
    assert "Original" in page.locator("#picture .tag.left").inner_text()
    page = open_page(query="?tab=inside&photo=nothing")
    page.wait_for_selector("#tab-inside-button[aria-selected=true]")
    assert "no photo called" in page.locator("#message").text_content()


def test_a_full_queue_is_waited_for_and_said(open_page):
    page = open_page()
    open_page.expected = ("503",)
    full = [True]
    page.route(
        "**/queue/join**",
        lambda route: route.fulfill(status=503, body="{}") if full[0] else route.continue_(),
    )
    page.locator("#n-number").fill("333")
    page.locator("#n-number").press("Enter")
    page.wait_for_selector("#picture .waiting:has-text('Many visitors at once')")
    full[0] = False
    page.wait_for_selector("#verdict[data-levels='333'][data-complete=true]")
    assert page.locator("#picture .waiting").text_content() == ""
    assert page.locator("[data-testid=toast-body]").count() == 0


def test_commands_are_those_of_the_present_setting(open_page):
    page = open_page()
    page.locator("#code summary").click()
    assert "astronaut.jpg photo.qann --levels 40" in page.locator("#code .command").inner_text()
    page.locator("#n-number").fill("55")
    page.locator("#n-number").press("Enter")
    page.wait_for_selector("#verdict[data-levels='55'][data-complete=true]")
    assert "--levels 55" in page.locator("#code .command").inner_text()
    assert "codec.quantize(latents, 55)" in page.locator("#code .python").inner_text()
