"""Preparation: try a passcode, and see what would happen if the token were lost now."""

from typing import Final

from sparekey.app.self_service import own as self_service
from sparekey.app.self_service.own import Tried
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Denied
from sparekey.server.selfservice import words
from sparekey.server.web.page_results import Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/self-service")
_USED: Final = (Reason.ALREADY_USED, Reason.USED_ON_DEVICE)


@pages.get("/passcode", None)
def passcode(visit: Visit) -> Reply:
    return _page(visit, None)


@pages.post("/passcode", None, again=passcode)
def try_passcode(visit: Visit) -> Reply:
    """Try a passcode. It counts like any sign-in, so that an open session cannot be used for guessing."""
    typed = visit.form.secret("passcode")
    return _page(visit, self_service.try_out(visit.instance, visit.actor, visit.address, typed, now=visit.now))


@pages.get("/emergency", None)
def emergency(visit: Visit) -> Reply:
    own = self_service.look(visit.instance, visit.actor, now=visit.now)
    return visit.show("self-service/emergency.html", own=own, say=words)


def _page(visit: Visit, tried: Tried | None) -> Reply:
    used = tried is not None and isinstance(tried.outcome, Denied) and tried.outcome.reason in _USED
    return visit.show("self-service/passcode.html", tried=tried, used=used, say=words)
