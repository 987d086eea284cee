"""One-time tokencodes that users create themselves, for a token that is lost or not at hand."""

from typing import Final

from sparekey.app.self_service import emergency_access as own_emergency
from sparekey.app.self_service import own as self_service
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.passkeys import get_session
from sparekey.server.web.visits import Visit

pages = Pages("/self-service/tokens")
SHOWN_SECONDS: Final = 900  # long enough to write the codes down


@pages.get("/{serial}/emergency", None)
def emergency(visit: Visit) -> Reply:
    serial = visit.path["serial"]
    it = own_emergency.look(visit.instance, get_session(visit), serial, now=visit.now)
    help_text = self_service.help_text(visit.instance, visit.actor)
    return visit.show(
        "self-service/own-emergency.html", serial=serial, it=it, codes=own_emergency.CODES, help_text=help_text
    )


@pages.post("/{serial}/emergency", None, again=emergency, fresh=True)
def give(visit: Visit) -> Reply:
    """Create the codes, and show them: only this reply contains them."""
    serial = visit.path["serial"]
    given = own_emergency.give(visit.instance, get_session(visit), serial, now=visit.now)
    return visit.show(
        "self-service/own-codes.html", secret=True, serial=serial, given=given, shown_seconds=SHOWN_SECONDS
    )


@pages.post("/{serial}/emergency/end", None, again=emergency)
def end(visit: Visit) -> Reply:
    serial = visit.path["serial"]
    own_emergency.end(visit.instance, get_session(visit), serial, now=visit.now)
    return Redirect(f"/self-service/tokens/{serial}/emergency", "The one-time tokencodes no longer work.")
