"""Every page in a real browser: nothing keeps people out (axe-core, WCAG 2.2 A and AA), nothing stored runs (S61)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from sparekey.server.console.site import CONSOLE
from tests.browser.furnished import Furnished, Names, furnish
from tests.browser.rig import Visitor, a_site, visitor
from tools.counts import Count

pytestmark = pytest.mark.services

AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
LOOKED_AT = [page for page in CONSOLE.pages if page.is_looked_at]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    with a_site(tmp_path_factory.mktemp("furnished")) as site:
        yield furnish(site)


def violations(visit: Visitor) -> list[str]:
    """What axe-core finds on the page as it stands."""
    visit.page.evaluate(AXE)
    found = visit.page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", _TAGS)
    return [
        f"{visit.page.url}: {each['id']}: {node['html'][:160]}: {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)], ids=["light and wide", "dark and narrow"])
def test_nothing_on_any_page_keeps_people_out(furnished: Furnished, browser: Browser, dark: bool, width: int) -> None:
    visit = visitor(furnished.site, browser, dark=dark, width=width)
    visit.go("/console/sign-in")
    found = violations(visit)
    visit.sign_in(furnished.admin)
    for page in LOOKED_AT:
        visit.go(furnished.address(page))
        assert visit.page.locator("h1").count() == 1, f"{page.path} has not exactly one heading"
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{page.path} is too wide"
        found += violations(visit)
    visit.context.close()
    assert (found, visit.complaints) == ([], [])


PAYLOADS = (
    "<script>window.ran=1</script>", "\"><img src=x onerror=window.ran=1>", "'><svg onload=window.ran=1>",
    "</title><script>window.ran=1</script>", "javascript:window.ran=1", "{{7*7}}${7*7}<%=7*7%>",
    "\" autofocus onfocus=window.ran=1 x=\"", "' onmouseover=window.ran=1 x='",
    "</textarea><script>window.ran=1</script>", "<iframe srcdoc='<script>parent.ran=1</script>'>",
    "<a href=javascript:window.ran=1>x</a>", "<base href=//x.example/>",
    "<meta http-equiv=refresh content=0;url=//x.example>", "<form action=//x.example><input name=mark>",
    "<style>*{display:none}</style>", "<math><mtext></p><script>window.ran=1</script>",
    "--><script>window.ran=1</script>", "<details open ontoggle=window.ran=1>",
    "<div hx-get=//x.example hx-trigger=load>", "\\u003cscript\\u003ewindow.ran=1",
)  # fmt: skip


def test_s61_no_text_that_somebody_stored_runs(tmp_path: Path, browser: Browser, count: Count) -> None:
    """A payload in every field that takes one, looked at on every page; every list holds all of them."""
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
        places = [furnish(site, names) for names in named[: count(small=3, full=len(PAYLOADS))]]
        visit = visitor(site, browser)
        visit.sign_in(places[0].admin)
        for address in dict.fromkeys(place.address(page) for place in places for page in LOOKED_AT):
            visit.go(address)
            assert visit.page.evaluate("window.ran") is None, address
            assert visit.page.url == site.url + address
            assert visit.page.locator("h1").count() == 1, address
        visit.context.close()
        assert visit.complaints == []
