"""Pictures of every page, light and dark, wide and narrow: `python -m tools.screens [WORD...]` (make screens).

Rules: the pages are those of both registries, and those that only a form leads to; the server has an example of
everything and is thrown away, and with it every code and key in a picture; names of pictures follow the paths; each
page is loaded once and taken four times. Look at the pictures, and do not commit them: they differ each time.
"""

import argparse
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from sparekey.app.devices import invitations
from sparekey.app.emergency import online as online_emergency
from sparekey.app.people.admin_links import make_link
from sparekey.clock import now as clock_now
from sparekey.server.console.site import CONSOLE
from sparekey.server.selfservice.site import SELF_SERVICE
from tests.browser.furnished import Furnished, Names, furnish
from tests.browser.rig import Visitor, a_site, launch, visitor
from tests.builders import ROOT
from tools.tree import ROOT as TREE

FOLDER: Final = TREE / "docs" / "screens"
LOOKS: Final = {
    f"{'dark' if dark else 'light'}-{width}": (dark, width) for width in (1280, 390) for dark in (False, True)
}
_HEIGHT: Final = 900
# What is long where there is room for little.
LONG: Final = Names(
    "maximiliane.von-und-zu-hohenstein",
    "Maximiliane Freifrau von und zu Hohenstein-Wallersdorf",
    "Sales and Customer Relations, Upper Austria",
    "laptop-maximiliane-hohenstein-0231",
    "customer-relations-portal",
    "help desk of the night shift",
    "Travelling salespeople",
    "called back at the number on file, knows her manager",
)

Shot = tuple[str, Callable[[], object]]  # the name of a picture, and what leads there


def name_of(path: str) -> str:
    """`console-tokens-serial` of `/console/tokens/{serial}`."""
    return re.sub(r"[^a-z]+", "-", path.lower()).strip("-")


def shots(furnished: Furnished, visit: Visitor, own: Visitor) -> Iterator[Shot]:
    """Every page in the order of a visit; `own`: the user at self-service."""
    yield from _before_signing_in(furnished, visit, own)
    visit.sign_in(furnished.admin)
    asked = _asked(furnished)
    for page in CONSOLE.pages:
        if page.is_opened_by_address:
            yield name_of(page.path), partial(visit.go, furnished.address(page) + asked.get(page.path, ""))
    yield from _beyond_the_registry(furnished, visit)
    # her token works again
    online_emergency.end(furnished.site.instance, ROOT, furnished.alice.serial, now=clock_now())
    own.sign_in(furnished.alice, "/self-service")
    for page in SELF_SERVICE.pages:
        if page.is_opened_by_address:
            yield name_of(page.path), partial(own.go, furnished.address(page))


def _asked(furnished: Furnished) -> dict[str, str]:
    """Return the query of each page that is empty without one."""
    instance, now = furnished.site.instance, clock_now()
    invitations.invite(instance, ROOT, "office-17", now=now)
    (open_one,) = invitations.list_invitations(instance, ROOT, now=now)
    held = {"kind": "client", "holder": furnished.names["clients/name"], "domain": furnished.names["domains/name"]}
    return {
        "/console/devices:withdraw": f"?invitation={open_one.id}",
        "/console/roles/{name}/revoke": f"?{urlencode(held)}",
    }


def _before_signing_in(furnished: Furnished, visit: Visitor, own: Visitor) -> Iterator[Shot]:
    yield "console-sign-in", lambda: visit.go(CONSOLE.sign_in)
    yield "self-service-sign-in", lambda: own.go(SELF_SERVICE.sign_in)
    link = make_link(furnished.site.instance, ROOT, now=clock_now())
    yield "console-welcome", lambda: visit.go("/console/welcome")

    def choose() -> None:
        visit.page.get_by_label("Code of the link").fill(link.code.reveal())
        visit.page.get_by_role("button", name="Continue").click()

    def set_up() -> None:
        visit.page.get_by_label("User name").last.fill("newcomer")
        for label in ("PIN", "Repeat the PIN"):
            visit.page.get_by_label(label, exact=True).fill("4711")
        visit.page.get_by_role("button", name="Set up").click()

    yield "console-welcome-choose", choose
    yield "console-welcome-token", set_up


def _beyond_the_registry(furnished: Furnished, visit: Visitor) -> Iterator[Shot]:
    """Yield the pages that only a form leads to, and the error pages."""
    token = f"/console/tokens/{furnished.alice.serial}"

    def show_code() -> None:
        page = visit.go(f"{token}/emergency")
        page.get_by_label("How the caller was identified").fill("called back")
        page.get_by_role("button", name="Show the code on this device").click()

    def before_a_policy_is_saved() -> None:
        page = visit.go("/console/policies/offline/Default/edit")
        page.get_by_label("Protection level").select_option("strong")
        page.get_by_label("Emergency code lifetime").fill("7")
        page.get_by_role("button", name="Save").click()

    def added_token() -> None:
        visit.go(f"/console/new-token?user={furnished.alice.login}")
        visit.page.get_by_role("button", name="Add and show QR code").click()

    def a_menu() -> None:
        visit.go("/console/tokens").get_by_role("button", name=furnished.alice.serial).click()

    yield "console-tokens-serial-emergency-shown", show_code
    yield "console-policies-offline", lambda: visit.go("/console/policies/offline/Default")
    yield "console-policies-offline-edit", lambda: visit.go("/console/policies/offline/Default/edit")
    yield "console-policies-offline-confirm", before_a_policy_is_saved
    yield (
        "console-policies-effective-shown",
        lambda: visit.go(f"/console/policies:effective?user={furnished.alice.login}"),
    )
    yield "console-new-token-added", added_token
    yield "console-tokens-menu", a_menu
    yield "console-search-found", lambda: visit.go(f"/console/search?for={furnished.alice.login[:4]}")
    yield "console-audit-nothing", lambda: visit.go("/console/audit?user=nobody")
    yield "console-not-there", lambda: visit.go("/console/users/nobody")


def take(visit: Visitor, folder: Path, name: str) -> None:
    """The page as it stands, in every look."""
    for look, (dark, width) in LOOKS.items():
        visit.page.set_viewport_size({"width": width, "height": _HEIGHT})
        visit.page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        visit.page.screenshot(full_page=True, path=folder / f"{name}.{look}.png")
    visit.page.set_viewport_size({"width": LOOKS["light-1280"][1], "height": _HEIGHT})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.screens", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("words", nargs="*", metavar="WORD", help="only pages whose name holds one of these")
    parser.add_argument("--to", type=Path, default=FOLDER, help="the folder of the pictures")
    parser.add_argument("--long", action="store_true", help="everything has a long name")
    options = parser.parse_args()
    if not options.words and options.to.exists():
        shutil.rmtree(options.to)
    options.to.mkdir(parents=True, exist_ok=True)
    taken = 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, a_site(Path(folder)) as site:
        furnished, browser = furnish(site, LONG if options.long else Names()), launch(playwright)
        visit, own = visitor(site, browser), visitor(site, browser)
        for name, lead in shots(furnished, visit, own):
            whose = own if name.startswith("self-service") else visit
            if options.words and not any(word in name for word in options.words):
                if name.startswith("console-welcome"):
                    lead()  # one leads to the next
                continue
            lead()
            take(whose, options.to, name)
            taken += 1
            print(f"{taken:3} {name}", flush=True)
        browser.close()
    size = sum(each.stat().st_size for each in options.to.iterdir())
    print(f"screens: {len(LOOKS)} pictures of each of {taken} pages in {options.to}, {size / 2**20:.1f} MB together")


if __name__ == "__main__":
    main()
