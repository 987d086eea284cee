"""Error replies: a page at the addresses of pages, JSON elsewhere.

Rules:
- An error page contains nothing from the request and no form. It sets no cookie and has the headers of every page
  (S61).
- It uses neither database nor clock, so that it works if these fail.
- It says what happened, what to do and where to go next, unless that would lead to the same error.
- If the page itself fails, JSON is sent.
"""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sparekey.core.errors import Conflict
from sparekey.secret import Secret
from sparekey.server.errors import HttpFailure, log_unforeseen
from sparekey.server.json_replies import error_answer
from sparekey.server.paths import sent_path
from sparekey.server.service import Service
from sparekey.server.web.page_results import Shown
from sparekey.server.web.rendering import page_response
from sparekey.server.web.site import Site
from sparekey.server.web.visits import Visit

_PROGRAMS: Final = ("/v1/", "/agent/", "/assets/", "/health", "/ready", "/openapi.json")
# the texts for programs do not help a user at a screen
_WORDS: Final = {
    ("no-such-route", 404): ("this page does not exist", "check the address, or start at the home page"),
    ("no-such-route", 405): ("this address only accepts forms", "start at the home page"),
    ("failed", 500): ("an internal error occurred", "reload the page in a moment"),
}
_LEADS_HERE_AGAIN: Final = frozenset({"unknown-host", "not-from-here"})


class Failures:
    """The error replies of one service. `sites`: the sites of pages; the last one is the default."""

    def __init__(self, service: Service, sites: Sequence[Site]) -> None:
        self._service: Final = service
        self._sites: Final = sites

    def answer(self, request: Request, failure: HttpFailure) -> Response:
        """Return the reply for an error. Never raises."""
        site = self._site_of(sent_path(request.scope), request.headers.get("accept", ""))
        if site is not None:
            try:
                return self._page(site, failure)
            except Exception as error:  # noqa: BLE001 -- if the page fails, JSON is sent
                log_unforeseen(error)
        return error_answer(failure.status, failure.reply, failure.headers)

    def _site_of(self, path: str, accepted: str) -> Site | None:
        """Return the site of the page, or None for JSON."""
        if path.startswith(_PROGRAMS) or asks_for_json(accepted):
            return None
        for site in self._sites:
            if path == site.home or path.startswith(f"{site.home}/"):
                return site
        return self._sites[-1] if path == "/" or "text/html" in accepted else None

    def _page(self, site: Site, failure: HttpFailure) -> Response:
        reply = failure.reply
        said = Conflict(*_WORDS.get((reply.error, failure.status), (reply.message, reply.do)))
        given: dict[str, object] = {"failure": said, "leads_here_again": reply.error in _LEADS_HERE_AGAIN}
        frame = {"site": site, "navigation": [], "said": "", "error": None}
        shown = Shown("failed.html", given, failure.status)
        nobody = Visit(self._service.instance, self._service.settings, now=0, url="")
        response = page_response(shown, nobody, frame, Secret(""), gzipped=False)
        response.headers.update(failure.headers or {})
        return response


def asks_for_json(accepted: str) -> bool:
    """Return True if one of our scripts sent the request."""
    return accepted.partition(",")[0].partition(";")[0].strip() == "application/json"
