"""One browser for all tests here, a server for each module, a visitor for each test.

No browser outlives these tests: Playwright keeps an event loop running on the thread, and other tests begin their own.
So that it is started once, they run one after the other (`tests.order`).
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.rig import Site, Visitor, a_site, launch, visitor

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class _Started:
    playwright: Playwright
    browser: Browser


_started: list[_Started] = []  # one, or none
_ending = ExitStack()


def _is_here(item: pytest.Item | None) -> bool:
    return item is not None and item.path.is_relative_to(_HERE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    yield
    if not _is_here(nextitem):
        _started.clear()
        _ending.close()


def _start() -> _Started:
    if not _started:
        expect.set_options(timeout=20_000)  # the machine is shared
        playwright = _ending.enter_context(sync_playwright())
        browser = launch(playwright)
        _ending.callback(browser.close)
        _started.append(_Started(playwright, browser))
    return _started[0]


@pytest.fixture(scope="module")
def playwright() -> Playwright:
    return _start().playwright


@pytest.fixture(scope="module")
def browser() -> Browser:
    return _start().browser


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
