"""The tab "Inside the codec" in a real browser: every stage, N, the lie, the notebook."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAGES = {
    "1 Image": "#stage-image",
    "2 Latents": "#nested",
    "3 Diversity": "#stage-diversity",
    "4 Brotli": "#stage-brotli",
    "5 QANN": "#attention",
    "6 Image again": "#stage-synthesis",
    "Three roads": "#stage-roads",
}


def inside(open_page, photo: Path, *size: int):
    """The page with the small photo, at the tab."""
    page = open_page(*size)
    page.set_input_files("#upload input[type=file]", photo)
    page.wait_for_selector("#source :text('leaves')")
    page.get_by_role("tab", name="Inside the codec").click()
    page.wait_for_selector("#stage-image img")
    return page


def open_stage(page, title: str) -> str:
    """Opens a stage; returns its first picture's address."""
    page.get_by_role("tab", name=title, exact=True).click()
    picture = page.locator(f"{STAGES[title]} img").first
    picture.wait_for()
    return picture.get_attribute("src")


def wait_for_another(page, selector: str, old: str) -> None:
    page.wait_for_function(
        "([selector, old]) => { const image = document.querySelector(selector);"
        " return image && image.getAttribute('src') !== old; }",
        arg=[f"{selector} img", old],
    )


def type_number(page, selector: str, value: int) -> None:
    number = page.locator(f"{selector} input[type=number]")
    number.fill(str(value))
    number.press("Enter")


def test_every_stage_opens_with_described_pictures(open_page, photo):
    page = inside(open_page, photo)
    assert page.locator("#stage-brotli img").count() == 0  # nobody opened it yet
    for title, selector in STAGES.items():
        open_stage(page, title)
        images = page.locator(f"{selector} img")
        for index in range(images.count()):
            assert len(images.nth(index).get_attribute("alt")) > 8
    for link in page.locator(".stage-text a").all():
        assert link.get_attribute("href").startswith("https://")


@pytest.mark.parametrize("title", ["3 Diversity", "4 Brotli", "6 Image again"])
def test_a_stage_follows_n_and_so_does_the_compare_tab(open_page, photo, title):
    page = inside(open_page, photo)
    before = open_stage(page, title)
    type_number(page, "#inside-levels", 60)
    wait_for_another(page, STAGES[title], before)
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_selector("#verdict .cards[data-levels='60']")
    assert page.locator("#levels input[type=number]").input_value() == "60"
    type_number(page, "#levels", 90)
    page.wait_for_selector("#verdict .cards[data-levels='90']")
    page.get_by_role("tab", name="Inside the codec").click()
    page.wait_for_function(
        "document.querySelector('#inside-levels input[type=number]').value == 90"
    )


def test_a_stage_clicked_while_the_tab_is_entered_is_of_the_present_n(open_page, photo):
    page = inside(open_page, photo)
    before = open_stage(page, "3 Diversity")
    open_stage(page, "1 Image")
    page.get_by_role("tab", name="Compare").click()
    type_number(page, "#levels", 60)
    page.wait_for_selector("#verdict .cards[data-levels='60']")
    held = []  # the answers, so that the tab's own slider does not follow N yet
    page.route("**/queue/data**", lambda route: held.append(route))
    for name in ("Inside the codec", "3 Diversity"):
        with page.expect_request("**/queue/join**"):
            page.get_by_role("tab", name=name, exact=True).click()
    for route in held:
        route.continue_()
    wait_for_another(page, STAGES["3 Diversity"], before)
    page.wait_for_function(
        "document.querySelector('#inside-levels input[type=number]').value == 60"
    )


def test_the_prior_follows_brotli_and_n(open_page, photo):
    page = inside(open_page, photo)
    assert page.locator("#prior img").count() == 0
    open_stage(page, "4 Brotli")
    picture = page.locator("#prior img")
    picture.wait_for()
    assert "expected" in picture.get_attribute("alt")
    assert page.locator("#prior tbody tr").count() == 6
    old = picture.get_attribute("src")
    type_number(page, "#inside-levels", 60)
    wait_for_another(page, "#prior", old)
    assert "at N = 60" in page.locator("#prior .stage-number").inner_text()


def test_a_subband_is_chosen_in_the_picture_and_by_keyboard(open_page, photo):
    page = inside(open_page, photo)
    open_stage(page, "2 Latents")
    page.locator("#nested button[title='HH 1/4 Y']").first.click()
    page.wait_for_selector("#subband-facts [aria-label='Subband HH 1/4 Y']")
    button = page.locator("#nested button[title='HL 1/2 Y']").first
    button.press("Enter")
    page.wait_for_selector("#subband-facts [aria-label='Subband HL 1/2 Y']")
    assert page.locator("#subband input").input_value() == "HL 1/2 Y"
    page.locator("#subband input").fill("LL 1/16 C2")
    page.locator("#subband input").press("Enter")
    page.wait_for_selector("#subband-facts [aria-label='Subband LL 1/16 C2']")


def test_a_lie_lowers_the_psnr(open_page, photo):
    page = inside(open_page, photo)
    open_stage(page, "5 QANN")
    levels = int(page.locator("#inside-levels input[type=number]").input_value())
    page.wait_for_selector(f"#lie [data-told='{levels}']")
    psnr = "Number(document.querySelector('#lie [data-psnr]').dataset.psnr)"
    truth = page.evaluate(psnr)
    told = levels // 4
    type_number(page, "#told-levels", told)
    page.wait_for_selector(f"#lie [data-told='{told}']")
    assert page.evaluate(psnr) < truth - 0.05
    assert f"{truth:.2f} dB" in page.locator("#lie").inner_text()


def test_attention_follows_a_click_and_numbers(open_page, photo):
    page = inside(open_page, photo)
    old = open_stage(page, "5 QANN")
    box = page.locator("#attention img").bounding_box()
    page.locator("#attention img").click(position={"x": 3, "y": box["height"] - 3})
    wait_for_another(page, "#attention", old)
    assert page.locator("#column input").input_value() == "0"
    assert page.locator("#row input").input_value() == "11"
    old = page.locator("#attention img").get_attribute("src")
    page.locator("#column input").fill("9")
    wait_for_another(page, "#attention", old)


def test_the_notebook_downloads(open_page, photo):
    page = inside(open_page, photo)
    with page.expect_download() as event:
        page.click("#notebook")
    assert event.value.suggested_filename == "tutorial.ipynb"
    stored = json.loads((ROOT / "assets" / "tutorial.ipynb").read_text(encoding="utf-8"))
    assert json.loads(Path(event.value.path()).read_text(encoding="utf-8")) == stored


def test_phone_shows_every_stage_without_scrolling_sideways(open_page, photo):
    page = inside(open_page, photo, 390, 844)
    for title in STAGES:
        open_stage(page, title)
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, title
