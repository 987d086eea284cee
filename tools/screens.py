"""Pictures of every page, light and dark, wide and narrow: `python -m tools.screens [WORD...]` (make screens).

Rules: the pages are those of the registry, on a server with something of everything; names of pictures follow the
paths, so that a page that is new or gone shows in `git status`; a picture of a page that shows a secret is of a server
that is thrown away.
"""

import argparse
import re
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from sparekey.server.console.site import CONSOLE
from tests.browser.furnished import furnish
from tests.browser.rig import a_site, launch, visitor
from tools.tree import ROOT

FOLDER = ROOT / "docs" / "screens"
LOOKS = {"light-1280": (False, 1280), "dark-1280": (True, 1280), "light-390": (False, 390), "dark-390": (True, 390)}


def name_of(path: str) -> str:
    """`console-tokens-serial` of `/console/tokens/{serial}`."""
    return re.sub(r"[^a-z]+", "-", path.lower()).strip("-")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.screens", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("words", nargs="*", metavar="WORD", help="only pages whose path holds one of these")
    parser.add_argument("--to", type=Path, default=FOLDER, help="the folder of the pictures")
    options = parser.parse_args()
    pages = [page for page in CONSOLE.pages if page.is_looked_at]
    pages = [page for page in pages if not options.words or any(word in page.path for word in options.words)]
    if not options.words and options.to.exists():
        shutil.rmtree(options.to)
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, a_site(Path(folder)) as site:
        furnished, browser = furnish(site), launch(playwright)
        for look, (dark, width) in LOOKS.items():
            visit = visitor(site, browser, dark=dark, width=width)
            visit.go(CONSOLE.sign_in)
            if not options.words:
                visit.page.screenshot(path=options.to / f"console-sign-in.{look}.png", full_page=True)
            visit.sign_in(furnished.admin)
            for page in pages:
                visit.go(furnished.address(page))
                visit.page.screenshot(path=options.to / f"{name_of(page.path)}.{look}.png", full_page=True)
            visit.context.close()
    print(f"screens: {len(LOOKS)} pictures of each of {len(pages)} pages in {options.to}")


if __name__ == "__main__":
    main()
