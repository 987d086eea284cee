"""A device of the user: report it stolen."""

from sparekey.app.self_service import own as self_service
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.passkeys import get_session
from sparekey.server.web.visits import Visit

pages = Pages("/self-service/devices")


@pages.get("/{device}/stolen", None)
def stolen(visit: Visit) -> Reply:
    own = self_service.look(visit.instance, visit.actor, now=visit.now)
    return visit.show("self-service/stolen.html", own=own, device=own.device(visit.path["device"]))


@pages.post("/{device}/stolen", None, again=stolen, fresh=True)
def report_stolen(visit: Visit) -> Reply:
    """Report a device stolen. Needs a passcode from the last ten minutes, because it cannot be undone."""
    self_service.report_stolen(visit.instance, get_session(visit), visit.path["device"], now=visit.now)
    return Redirect(
        "/self-service/sign-in",
        "The device is reported stolen. It is blocked, your data and codes on it have ended, "
        "and you are signed out everywhere. You must choose a new PIN at your next sign-in. Tell the help desk, too.",
        signs_out=True,
    )
