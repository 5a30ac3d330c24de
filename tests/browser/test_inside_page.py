"""The tab "Inside the codec" in a real browser: the article, N, the toy, the wrong N, attention."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("image", "latents", "levels", "bytes", "prior", "restoration", "assumed", "attention",
         "synthesis", "alternatives")  # fmt: skip

pytestmark = pytest.mark.browser


def inside(open_page, photo: Path, *size: int):
    """The page with the small photo, at the tab."""
    page = open_page(*size)
    page.set_input_files("#upload input[type=file]", photo)
    page.wait_for_selector("#source:has-text('leaves')")
    page.wait_for_selector("#verdict[data-complete=true]")
    page.get_by_role("tab", name="Inside the codec").click()
    page.wait_for_selector("#part-image img")
    return page


def scroll_to(page, name: str):
    """Scrolls to a part and waits until it is of the present N."""
    page.locator(f"#part-{name}").scroll_into_view_if_needed()
    page.wait_for_function(
        "(name) => document.querySelector(`#part-${name} [data-key]`)?.dataset.key"
        " === document.querySelector('#inside-now [data-key]')?.dataset.key",
        arg=name,
    )
    return page.locator(f"#part-{name}")


def type_number(page, selector: str, value: int) -> None:
    number = page.locator(f"{selector} input[type=number]")
    number.fill(str(value))
    number.press("Enter")


def present_levels(page) -> int:
    return int(page.locator("#inside-levels input[type=number]").input_value())


def test_parts_are_made_when_they_are_scrolled_to_and_described(open_page, photo):
    page = inside(open_page, photo)
    assert page.locator("#part-alternatives img").count() == 0  # nobody came near it yet
    for name in PARTS:
        part = scroll_to(page, name)
        images = part.locator("img")
        assert images.count() > 0
        for index in range(images.count()):
            assert len(images.nth(index).get_attribute("alt")) > 8
    for link in page.locator(".part-text a").all():
        assert link.get_attribute("href").startswith("https://")


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_n_and_the_small_picture_stay_in_view(open_page, photo, size):
    page = inside(open_page, photo, *size)
    scroll_to(page, "bytes")
    for selector in ("#inside-now img", "#inside-levels input[type=range]"):
        box = page.locator(selector).bounding_box()
        assert 0 <= box["y"] < 0.25 * size[1], selector
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_the_part_in_view_and_the_compare_tab_follow_n(open_page, photo):
    page = inside(open_page, photo)
    part = scroll_to(page, "bytes")
    before = part.locator("img").first.get_attribute("src")
    type_number(page, "#inside-levels", 60)
    page.wait_for_selector("#inside-now :text('N = 60')")
    scroll_to(page, "bytes")
    assert part.locator("img").first.get_attribute("src") != before
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_selector("#verdict[data-levels='60']")
    assert page.locator("#n-number").input_value() == "60"
    type_number(page, ".levels >", 90)
    page.wait_for_selector("#verdict[data-levels='90']")
    page.get_by_role("tab", name="Inside the codec").click()
    page.wait_for_selector("#inside-now :text('N = 90')")
    assert present_levels(page) == 90


def test_the_toy_follows_n_without_the_server(open_page, photo):
    page = inside(open_page, photo)
    part = scroll_to(page, "levels")
    asked = []
    page.on("request", lambda r: None if "/frames/" in r.url else asked.append(r.url))

    def cells(name: str) -> list[str]:
        return part.locator(f"[data-row={name}] td").all_inner_texts()

    def drag(levels: int) -> None:
        page.evaluate(
            "(value) => { const range = document.querySelector('#inside-levels input[type=range]');"
            " range.value = value; range.dispatchEvent(new Event('input', {bubbles: true})); }",
            levels,
        )
        page.wait_for_selector(f".toy[data-shown='{levels}']")

    pixels = cells("pixels")
    assert len(pixels) == 16
    drag(400)
    fine = part.locator("[data-say=error]").inner_text(), cells("integers")
    assert all(abs(int(a) - int(b)) <= 6 for a, b in zip(pixels, cells("back"), strict=True))
    drag(24)
    coarse = part.locator("[data-say=error]").inner_text(), cells("integers")
    assert coarse[1].count("0") > fine[1].count("0")
    assert float(coarse[0].split()[0]) > float(fine[0].split()[0]) and "grey levels" in coarse[0]
    assert "44.3 grey levels" in part.locator("[data-say=step]").inner_text()  # 1020 / 23
    part.locator("[data-another]").click()
    assert cells("pixels") != pixels
    assert asked == []


def test_the_prior_follows_brotli(open_page, photo):
    page = inside(open_page, photo)
    part = scroll_to(page, "prior")
    assert part.locator("tbody tr").count() == 6
    assert f"at N = {present_levels(page)}" in part.locator(".part-number").inner_text()


def test_a_subband_is_chosen_in_the_picture_and_by_keyboard(open_page, photo):
    page = inside(open_page, photo)
    part = scroll_to(page, "latents")
    part.locator("button[title='HH 1/4 Y']").first.click()
    part.locator("[aria-label='Subband HH 1/4 Y'][role=group]").wait_for()
    part.locator("button[title='HL 1/2 Y']").first.press("Enter")
    part.locator("[aria-label='Subband HL 1/2 Y'][role=group]").wait_for()
    part.locator(".chips button", has_text="C2").press("Enter")
    part.locator("[aria-label='Subband HL 1/2 C2'][role=group]").wait_for()


def test_a_wrong_n_lowers_the_psnr(open_page, photo):
    page = inside(open_page, photo)
    part = scroll_to(page, "assumed")
    levels = present_levels(page)
    part.locator(f"[data-assumed='{levels}']").wait_for()
    psnr = "Number(document.querySelector('#part-assumed [data-psnr]').dataset.psnr)"
    truth = page.evaluate(psnr)
    type_number(page, "#assumed-levels", levels // 2)
    part.locator(f"[data-assumed='{levels // 2}']").wait_for()
    assert page.evaluate(psnr) < truth - 0.05
    assert f"{truth:.2f} dB" in part.inner_text()


def test_attention_follows_a_click_and_the_keyboard(open_page, photo):
    page = inside(open_page, photo)
    part = scroll_to(page, "attention")
    picture = part.locator(".point")
    box = picture.bounding_box()
    picture.click(position={"x": 3, "y": box["height"] - 3})
    part.locator("[data-place='0 11']").wait_for()
    part.locator(".point").press("ArrowRight")
    part.locator("[data-place='1 11']").wait_for()


def test_the_notebook_downloads(open_page, photo):
    page = inside(open_page, photo)
    with page.expect_download() as event:
        page.click("#notebook")
    assert event.value.suggested_filename == "tutorial.ipynb"
    stored = json.loads((ROOT / "assets" / "tutorial.ipynb").read_text(encoding="utf-8"))
    assert json.loads(Path(event.value.path()).read_text(encoding="utf-8")) == stored
