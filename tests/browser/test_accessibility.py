"""Every tab by the rules of axe-core, contrast of text among them: light, dark, at both sizes."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.browser

TABS = {
    "compare": "#picture",
    "curves": "#chart svg",
    "inside": "#part-image img",
    "open": "#qann-input",
}
"""What is waited for in each."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
def test_no_finding_is_serious(open_page, size, scheme):
    page = open_page(*size, query=f"?__theme={scheme}")
    serious = {}
    for tab, content in TABS.items():
        page.locator(f"#tab-{tab}-button").click()
        page.wait_for_selector(content)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        serious |= {
            (tab, rule["id"]): [node["target"] for node in rule["nodes"]]
            for rule in found
            if rule["impact"] in ("serious", "critical")
        }
    assert not serious
