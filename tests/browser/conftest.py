"""A browser and a server for each module, a visitor for each test.

No browser outlives its module: Playwright keeps an event loop running on the thread, and other tests begin their own.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.rig import Site, Visitor, a_site, launch, visitor


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=20_000)  # the machine is shared
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    found = launch(playwright)
    yield found
    found.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Visitor]:
    found = visitor(site, browser)
    yield found
    found.context.close()
    assert found.complaints == []
