"""Every page in a real browser: nothing keeps people out (axe-core, WCAG 2.2 A and AA), nothing stored runs (S61)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from sparekey.server.console.site import CONSOLE
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web.site import Site as Pages
from tests.browser.furnished import Furnished, Names, furnish
from tests.browser.looking import faults_of
from tests.browser.rig import Visitor, a_site, visitor
from tools.counts import Count

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    with a_site(tmp_path_factory.mktemp("furnished")) as site:
        yield furnish(site)


def addresses(place: Furnished, pages: Pages) -> list[str]:
    """Return the addresses of all pages that a browser can open directly."""
    return [place.address(page) for page in pages.pages if page.is_opened_by_address]


def sign_in_everywhere(visit: Visitor, place: Furnished) -> None:
    """Sign in at the console as an administrator who sees everything, or at self-service as Alice."""
    visit.sign_in(place.admin)
    visit.sign_in(place.with_another, SELF_SERVICE.home)


@pytest.mark.parametrize("pages", [CONSOLE, SELF_SERVICE], ids=lambda pages: pages.name)
def test_every_page_is_accessible(furnished: Furnished, browser: Browser, pages: Pages) -> None:
    visit = visitor(furnished.site, browser)
    visit.go(pages.sign_in)
    found = faults_of(visit)
    visit.sign_in(furnished.admin if pages is CONSOLE else furnished.with_another, pages.home)
    for address in addresses(furnished, pages):
        visit.go(address)
        found += faults_of(visit)
    visit.context.close()
    assert (found, visit.complaints) == ([], [])


PAYLOADS = (
    # the first one gets out of whatever it stands in
    "'\"></title></textarea><script>window.ran=1</script>",
    "<script>window.ran=1</script>",
    '"><img src=x onerror=window.ran=1>',
    "'><svg onload=window.ran=1>",
    "</title><script>window.ran=1</script>",
    "javascript:window.ran=1",
    "{{7*7}}${7*7}<%=7*7%>",
    '" autofocus onfocus=window.ran=1 x="',
    "' onmouseover=window.ran=1 x='",
    "</textarea><script>window.ran=1</script>",
    "<iframe srcdoc='<script>parent.ran=1</script>'>",
    "<a href=javascript:window.ran=1>x</a>",
    "<base href=//x.example/>",
    "<meta http-equiv=refresh content=0;url=//x.example>",
    "<form action=//x.example><input name=mark>",
    "<style>*{display:none}</style>",
    "<math><mtext></p><script>window.ran=1</script>",
    "--><script>window.ran=1</script>",
    "<details open ontoggle=window.ran=1>",
    "<div hx-get=//x.example hx-trigger=load>",
    "\\u003cscript\\u003ewindow.ran=1",
)


def test_s61_stored_text_is_never_run(tmp_path: Path, browser: Browser, count: Count) -> None:
    """Put a payload into every field that takes one, and read every page; every list holds all of them."""
    with a_site(tmp_path) as site:
        named = [
            Names(
                login=f"user{number}",
                name=text,
                domain=text,
                device=text,
                client=text,
                role=text,
                policy=text,
                said=text,
            )
            for number, text in enumerate(PAYLOADS)
        ]
        places = [furnish(site, names) for names in named[: count(small=1, full=len(PAYLOADS))]]
        visit = visitor(site, browser)
        sign_in_everywhere(visit, places[0])
        found = [address for place in places for address in addresses(place, CONSOLE)]
        for address in dict.fromkeys([*found, *addresses(places[0], SELF_SERVICE)]):
            visit.go(address)
            assert visit.page.evaluate("window.ran") is None, address
            assert visit.page.url == site.url + address
            assert visit.page.locator("h1").count() == 1, address
        visit.context.close()
        assert visit.complaints == []
