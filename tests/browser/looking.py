"""Looking at a page as axe-core does (WCAG 2.2 A and AA): light and wide, then dark and narrow with all unfolded, and
at the first menu on it."""

from pathlib import Path

from tests.browser.rig import Visitor

AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]},
    "resultTypes": ["violations"],
    "preload": False,  # no rule of these asks for it
}
_UNFOLD = """async () => {
  await new Promise(requestAnimationFrame); // the page hears first that its size changed
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  document.getAnimations().forEach((each) => each.finish());
}"""
_OPEN_MENU = """() => {
  const menu = document.querySelector("[popover].menu");
  menu?.showPopover();
  return Boolean(menu);
}"""


def faults_of(visit: Visitor, *, headings: int = 1) -> list[str]:
    """Return the faults of the current page, in both colour schemes. Leave the visitor with the first one."""
    page = visit.page
    found = [] if page.locator("h1").count() == headings else [f"{page.url} has not exactly {headings} first heading"]
    page.evaluate(AXE)
    found += _violations(visit, "light and wide")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 900})
    page.evaluate(_UNFOLD)
    if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
        found.append(f"{page.url} is wider than a telephone")
    found += _violations(visit, "dark and narrow")
    if page.evaluate(_OPEN_MENU):
        found += _violations(visit, "a menu", "[popover].menu:popover-open")
    page.evaluate("document.querySelector('[popover].menu:popover-open')?.hidePopover()")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    return found


def _violations(visit: Visitor, look: str, part: str = "html") -> list[str]:
    found = visit.page.evaluate("([part, rules]) => axe.run(part, rules)", [part, _RULES])
    return [
        f"{visit.page.url} ({look}): {each['id']}: {node['html'][:160]}: {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
