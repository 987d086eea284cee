"""A token of the user: set a new PIN, resync it, or report it lost."""

from sparekey.app.self_service import own as self_service
from sparekey.core.errors import BadInput
from sparekey.core.reasons import Reason
from sparekey.server.selfservice import words
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.passkeys import get_session
from sparekey.server.web.visits import Visit

pages = Pages("/self-service/tokens")
_HOME, _SIGN_IN = "/self-service", "/self-service/sign-in"


@pages.get("/{serial}/pin", None)
def pin(visit: Visit) -> Reply:
    return _page(visit, "pin")


@pages.post("/{serial}/pin", None, again=pin, fresh=True)
def change_pin(visit: Visit) -> Reply:
    """Change the PIN. Raises BadInput if the two PINs differ.

    This needs a passcode from the last ten minutes, so that an open session is not enough.
    """
    new, again = visit.form.secret("new"), visit.form.secret("again")
    if new.reveal() != again.reveal():
        raise BadInput("the two PINs are different", "type the same PIN twice")
    self_service.change_pin(visit.instance, get_session(visit), _serial(visit), new, now=visit.now)
    return Redirect(_HOME, "Your PIN was changed. Your devices accept the old PIN offline until their next contact.")


@pages.get("/{serial}/resynchronise", None)
def resynchronise(visit: Visit) -> Reply:
    return _page(visit, "resynchronise")


@pages.post("/{serial}/resynchronise", None, again=resynchronise)
def set_right(visit: Visit) -> Reply:
    first, second = visit.form.secret("first"), visit.form.secret("second")
    found = self_service.resynchronise(visit.instance, get_session(visit), _serial(visit), first, second, now=visit.now)
    if found.refused is Reason.LOCKED:
        return Redirect(_SIGN_IN)
    if found.refused is not None:
        raise BadInput(
            "these are not two consecutive codes of this token; this counts as a failed sign-in",
            "wait for two fresh codes; if that fails too, call the help desk",
        )
    return Redirect(_HOME, f"Your token {found.serial} is resynchronised. Wait for its next code before you sign in.")


@pages.get("/{serial}/lost", None)
def lost(visit: Visit) -> Reply:
    return _page(visit, "lost")


@pages.post("/{serial}/lost", None, again=lost)
def report_lost(visit: Visit) -> Reply:
    serial = _serial(visit)
    own = self_service.look(visit.instance, visit.actor, now=visit.now)
    self_service.report_lost(visit.instance, get_session(visit), serial, now=visit.now)
    others = [token.serial for token in own.tokens if token.serial != serial and token.works(visit.now)]
    still = "".join(f"Your token {other} still works. " for other in others)
    desk = f"the help desk ({own.help_text})" if own.help_text else "the help desk"
    return Redirect(
        _SIGN_IN,
        f"Your token {serial} is reported lost. Its codes are rejected, and you are signed out "
        f"everywhere. {still}To sign in without a token, use a passkey here, or call {desk} for an emergency code.",
        signs_out=True,
    )


def _page(visit: Visit, name: str) -> Reply:
    own = self_service.look(visit.instance, visit.actor, now=visit.now)
    return visit.show(f"self-service/{name}.html", own=own, token=own.token(_serial(visit)), say=words)


def _serial(visit: Visit) -> str:
    return visit.path["serial"]
