"""What visitors do in an order that nobody planned: nothing that is shown is false then."""

from __future__ import annotations

import pytest
from PIL import Image

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, photo):
    """A photo that takes a moment."""
    path = tmp_path_factory.mktemp("large") / "meadow.png"
    with Image.open(photo) as image:
        image.resize((1600, 1200)).save(path)
    return path


def upload(page, path, name: str) -> None:
    page.set_input_files("#upload input[type=file]", path)
    page.wait_for_selector(f"#source:has-text('{name}')")


def type_n(page, n: int | str) -> None:
    page.locator("#n-number").fill(str(n))
    page.locator("#n-number").press("Enter")


def test_what_is_still_missing_is_neither_shown_nor_offered(open_page, large):
    page = open_page()
    page.set_input_files("#upload input[type=file]", large)
    page.wait_for_selector("#picture .waiting:has-text('Working')")
    page.wait_for_function(
        """() => {
          const right = document.querySelector('#picture img.right').classList;
          const { complete } = document.querySelector('#verdict').dataset;
          const link = document.querySelector('#download-png');
          const note = document.querySelector('#picture .tag.right span').textContent;
          return complete === 'false' && right.contains('gone') && !link.href && note === '…';
        }"""
    )
    page.wait_for_selector("#verdict[data-complete=true]")
    page.wait_for_function("!document.querySelector('#picture :is(img.gone, img.lacking)')")
    assert page.locator("#download-png").get_attribute("href").endswith("restored.webp")
    assert "the same file" in page.locator("#picture .tag.right").inner_text()
    assert page.locator("#picture .waiting").text_content() == ""


@pytest.mark.parametrize("tab", ["inside", "curves"])
def test_a_link_to_a_tab_shows_its_photo_and_n_there(open_page, tab):
    page = open_page(query=f"?tab={tab}&photo=rocket&n=75")
    if tab == "inside":
        page.wait_for_selector("#inside-now :text('N = 75')")
        page.wait_for_function(
            "document.querySelector('#inside-levels input[type=number]').value == 75"
        )
    else:
        page.wait_for_selector("#chart :text('N = 75')", state="attached")
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_selector("#verdict[data-levels='75']")
    assert "rocket" in page.url and "tab=" not in page.url
    assert "Falcon" in page.locator("#source").inner_text()


def test_a_blind_test_begins_by_itself_and_ends_with_its_picture(open_page, photo):
    page = open_page()
    upload(page, photo, "leaves")
    type_n(page, 140)
    page.wait_for_selector("#verdict[data-levels='140'][data-complete=true]")
    page.locator("#blind").click()
    page.wait_for_selector("#blind-test:has-text('the same bytes')")
    size = page.locator("#picture .tag.left").inner_text()
    type_n(page, 300)
    page.wait_for_selector("#blind-test", state="hidden")
    page.wait_for_selector("#verdict[data-levels='300'][data-complete=true]")
    page.wait_for_selector("#picture .tag.left:has-text('dB')")
    assert "at most" in size and "at most" not in page.locator("#picture .tag.left").inner_text()


def test_sentences_go_when_they_are_no_longer_true(open_page):
    page = open_page()
    assert "N = 40" in page.locator("#lesson").inner_text()
    type_n(page, 99999)
    assert "400 is taken" in page.locator("#message").inner_text()
    page.wait_for_selector("#verdict[data-levels='400'][data-complete=true]")
    assert "400 is taken" in page.locator("#message").inner_text()
    assert page.locator("#lesson").text_content() == ""
    type_n(page, 41)
    assert page.locator("#message").inner_text() == ""
    page.locator("#lesson-2").click()
    page.wait_for_selector("#lesson:has-text('N = 65')")
    page.locator(".chips[data-place=left] .chip[data-side=original]").click()
    assert page.locator("#lesson").text_content() == ""


def test_an_effort_shows_that_it_is_working(open_page, photo):
    page = open_page()
    upload(page, photo, "leaves")
    page.wait_for_selector("#verdict[data-complete=true]")
    page.locator("#codec-settings button").first.click()
    page.locator("#optimise input").check()
    page.wait_for_selector("#picture .waiting:has-text('Working')")
    page.wait_for_selector("#verdict[data-effort='4'][data-complete=true]")
    assert page.locator("#picture .waiting").text_content() == ""


def test_a_newer_wish_ends_the_answer_before_it(open_page, large):
    page = open_page()
    upload(page, large, "meadow")
    page.wait_for_selector("#verdict[data-complete=true]")
    page.locator("#large").click()  # all of its pixels: some seconds
    page.wait_for_selector("#picture .waiting:has-text('Working')")
    page.locator("#large").click()
    page.wait_for_selector("#large[aria-pressed=false]")
    type_n(page, 77)
    page.wait_for_selector("#verdict[data-levels='77'][data-complete=true]")
    assert page.locator("#large").get_attribute("aria-pressed") == "false"
    assert page.locator("[data-testid=toast-body]").count() == 0


@pytest.mark.parametrize(("typed", "taken"), [(5, 16), (99999, 400), ("", 40)])
def test_n_out_of_range_is_said_on_the_tab_inside(open_page, typed, taken):
    page = open_page(query="?tab=inside")
    page.wait_for_selector("#inside-now :text('N = 40')")
    number = page.locator("#inside-levels input[type=number]")
    number.fill(str(typed))
    number.press("Enter")
    said = number.evaluate("(field) => field.validationMessage")
    assert said == f"N is a whole number from 16 to 400 here; {taken} is taken."
    page.wait_for_selector(f"#inside-now :text('N = {taken}')")
    page.wait_for_function(
        "(n) => document.querySelector('#inside-levels input[type=number]').value == n", arg=taken
    )
    assert page.locator("[data-testid=toast-body]").count() == 0


def test_a_target_can_be_set_on_a_phone(open_page):
    page = open_page(390, 844)
    page.locator(".target summary").click()
    for part in ("#target-value", "#target-unit", "#target-go"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390, part


def test_a_file_that_is_too_long_is_refused_in_our_words(open_page, tmp_path):
    (tmp_path / "long.png").write_bytes(bytes(31_000_000))
    page = open_page()
    page.set_input_files("#upload input[type=file]", tmp_path / "long.png")
    page.wait_for_selector("#message:has-text('31 MB; the page takes up to 30 MB')")
    assert page.locator("[data-testid=toast-body]").count() == 0


def test_a_link_says_in_words_what_it_names_in_vain(open_page):
    page = open_page(query="?photo=nosuch&left=nosuch&n=abc")
    said = page.locator("#message").text_content()
    assert "no photo called “nosuch”" in said and "no side called “nosuch”" in said
    assert "whole number from 16 to 400" in said
