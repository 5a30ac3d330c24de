"""The tab "Rate-distortion" in a real browser: stored curves, the pointer, the keyboard, sweeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
VALUE = "document.querySelector('#sweep-status progress').value"


def curves(page):
    """The page at the tab, with its chart."""
    page.get_by_role("tab", name="Rate-distortion").click()
    page.wait_for_selector("#chart .rd")
    return page


def own(open_page, photo: Path):
    """The tab with a photo that has no curves yet."""
    page = open_page()
    page.set_input_files("#upload input[type=file]", photo)
    page.wait_for_selector("#source:has-text('leaves')")
    curves(page)
    page.wait_for_selector("#sweep-status :text('Not computed yet')")
    return page


def hover(page, name: str) -> str:
    """Moves the pointer onto the first point whose words begin so; returns what the chart says."""
    box = page.locator(f'.rd-plot button[aria-label^="{name}"]').first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = page.locator(".rd-tip")
    tip.wait_for()
    return tip.inner_text()


def test_gallery_photos_have_their_curves_at_once(open_page):
    page = open_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    curves(page)
    assert page.locator(".rd-plot polyline").count() >= 5
    page.wait_for_selector("#sweep-status :text('Complete')")
    assert not any("queue/join" in url for url in asked), "nothing waits for the queue"
    assert page.locator(".rd-plot .rd-ring").count() == 2


@pytest.mark.parametrize("measure", ["PSNR", "SSIM", "MS-SSIM", "SSIMULACRA 2"])
def test_every_measure_has_chart_table_and_ring(open_page, measure):
    page = curves(open_page())
    page.get_by_role("radio", name=measure, exact=True).check()
    page.wait_for_selector(f'#chart figure[aria-label^="Chart of {measure} over bits per pixel"]')
    assert page.locator(".rd-plot .rd-ring").count() == 2
    assert f"{measure} at" in page.locator("#bd-table").inner_text()
    assert page.locator("#bd-table tbody tr").count() >= 5


def test_the_pointer_learns_what_a_point_is(open_page):
    page = curves(open_page())
    said = hover(page, "QANN restored, N 54")
    assert "QANN restored, N 54" in said and " bits per pixel" in said
    assert re.search(r"\d (B|kB)", said) and "Choose: N = 54" in said
    assert re.match(r"(JPEG|WebP|AVIF).*, quality \d+\n", hover(page, "WebP"))


def test_a_click_sets_n_everywhere(open_page):
    page = curves(open_page())
    hover(page, "QANN restored, N 54")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector(".rd-now :text('N = 54')")
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_selector("#verdict[data-levels='54'][data-complete=true]")


def test_points_are_reached_and_chosen_by_keyboard(open_page):
    page = curves(open_page())
    page.locator(".rd-plot button[tabindex='0']").focus()
    words = "document.activeElement.ariaLabel"
    before = page.evaluate(words)
    page.keyboard.press("ArrowRight")
    after = page.evaluate(words)
    assert after != before and after.split(",")[0] == before.split(",")[0]
    assert page.locator(".rd-tip").inner_text() == after
    page.keyboard.press("ArrowUp")
    assert page.evaluate(words).split(",")[0] != before.split(",")[0]
    for _ in range(12):  # whichever codec comes first
        if page.evaluate(words).startswith("QANN restored"):
            break
        page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    chosen = int(re.search(r"Choose: N = (\d+)", page.evaluate(words)).group(1))
    page.keyboard.press("Enter")
    page.wait_for_selector(f".rd-now :text('N = {chosen}')")


def test_phone_and_dark_page_show_the_whole_chart(open_page):
    page = curves(open_page(390, 844, "?__theme=dark"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator(".rd-plot").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["width"] > 260


def test_curves_run_cancelled_and_finished(open_page, photo):
    page = own(open_page, photo)
    page.click("#sweep-start")
    page.wait_for_function(f"{VALUE} > 1")
    page.click("#sweep-cancel")
    page.wait_for_selector("#sweep-status :text('Cancelled')")
    kept = page.evaluate(VALUE)
    page.wait_for_timeout(1500)
    assert page.evaluate(VALUE) == kept
    page.click("#sweep-start")
    page.wait_for_selector("#sweep-status :text('Complete')", timeout=120_000)
    page.get_by_role("radio", name="PSNR", exact=True).check()
    page.wait_for_selector("#bd-table :text('%')")
    with page.expect_download() as event:
        page.get_by_text("Points as CSV").click()
    lines = Path(event.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + page.evaluate(VALUE)


def test_quantizers_switch(open_page, photo):
    page = own(open_page, photo)
    page.click("#sweep-start")
    page.wait_for_function(f"{VALUE} > 1")
    page.locator("#family label", has_text="Quantizers").click()
    page.wait_for_selector("#sweep-status :text('So far')")
    kept = page.evaluate(VALUE)
    page.wait_for_timeout(1500)
    assert page.evaluate(VALUE) == kept, "the sweep of the codecs has ended"
    page.click("#sweep-start")
    page.wait_for_selector("#sweep-status :text('Complete')", timeout=120_000)
    page.wait_for_selector("#bd-table :text('too small for SSIMULACRA 2')")
    page.get_by_role("radio", name="PSNR", exact=True).check()
    page.wait_for_selector("#bd-table :text('%')")
    table = page.locator("#bd-table").inner_text()
    assert "DAQ" in table and "N/2" in table and "JPEG" not in table
