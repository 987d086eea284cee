"""Replies to a sign-in, the same for both consoles."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from sparekey.app.sessions.administrators import OpenedSession
from sparekey.core.sign_in.outcome import Asked, Denied, Granted
from sparekey.passcode import misread_words
from sparekey.server.web.replies import Redirect, Shown
from sparekey.server.web.responses import respond
from sparekey.server.web.site import Site
from sparekey.server.web.visits import Visit


def answered(
    site: Site, request: Request, visit: Visit, judged: OpenedSession | Denied, page: Callable[..., Shown], refusal: str
) -> Response:
    """Return a redirect to the page that the visitor wanted, or the sign-in page again with a question or the text of
    every refusal."""
    outcome = judged.verdict.outcome if isinstance(judged, OpenedSession) else judged
    match outcome:
        case Granted() if isinstance(judged, OpenedSession):
            to = way_back(visit.form.get("to", ""), site.home)
            return respond(site, request, visit, Redirect(to, session=judged.token))
        case Asked() if isinstance(judged, OpenedSession):
            name = judged.verdict.reply_to.reveal() if judged.verdict.reply_to else ""
            return respond(site, request, visit, page(question=outcome.text, reply_to=name))
        case Denied() if outcome.misread:
            refusal = f"{misread_words(outcome.misread)}. Nothing was counted: type it once more."
    return respond(site, request, visit, page(refused=refusal))


def way_back(to: str, home: str) -> str:
    """Return the page that the visitor wanted, if it belongs to the site with this `home`."""
    ours = to.startswith(home) and to[len(home) : len(home) + 1] in ("", "/", "?", "#")
    return to if ours and "\\" not in to and to.isprintable() else home
