"""Replies to a sign-in, the same for both consoles."""

import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from sparekey.app.sessions.administrators import OpenedSession
from sparekey.app.sign_in.verification import SignInResult
from sparekey.core.sign_in.outcome import Asked, Denied, Granted
from sparekey.passcode import misread_words
from sparekey.server.paths import is_path, is_text
from sparekey.server.web.page_results import Redirect, Shown
from sparekey.server.web.responses import respond
from sparekey.server.web.site import Site
from sparekey.server.web.visits import Visit


def answered(
    site: Site, request: Request, visit: Visit, result: SignInResult, page: Callable[..., Shown], refusal: str
) -> Response:
    """Return a redirect to the page that the visitor wanted, or the sign-in page again with a challenge or the text of
    every refusal."""
    outcome = result.outcome
    match outcome:
        case Granted() if isinstance(result, OpenedSession):
            to = way_back(visit.form.get("to", ""), site.home)
            return respond(site, request, visit, Redirect(to, session=result.token))
        case Asked():
            name = result.reply_to.reveal() if result.reply_to else ""
            return respond(site, request, visit, page(challenge=outcome.text, reply_to=name))
        case Denied() if outcome.misread:
            refusal = f"{misread_words(outcome.misread)}. Nothing was counted: type it once more."
    return respond(site, request, visit, page(refused=refusal))


def way_back(to: str, home: str) -> str:
    """Return the page that the visitor wanted, if it belongs to the site with this `home`.

    A path with `.` or `..` parts, in any spelling, does not: browsers resolve it to an address elsewhere.
    """
    path = re.split(r"[?#]", to, maxsplit=1)[0]
    ours = path == home or path.startswith(f"{home}/")
    return to if ours and is_path(path) and is_text(path) and "\\" not in to and to.isprintable() else home
