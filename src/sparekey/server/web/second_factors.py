"""Ask for a fresh second factor within a form, and keep the form meanwhile (S62).

The form comes back with its input. The passcode or the passkey is then sent together with it, so that users fill in a
form only once. The server stores nothing in the session.
"""

from typing import Final

from sparekey.app.sign_in.verification import SignInResult
from sparekey.core.sign_in.outcome import Asked, Granted
from sparekey.server.web.page_results import Shown
from sparekey.server.web.rendering import MARK_FIELD
from sparekey.server.web.site import Sessions, Site
from sparekey.server.web.visits import Visit

_PASSCODE_FIELD: Final = "second-factor"
_ANSWER_FIELD: Final = "second-factor-reply-to"
_PASSKEY_FIELD: Final = "second-factor-passkey"
_ASKED_FIELDS: Final = frozenset({_PASSCODE_FIELD, _ANSWER_FIELD, _PASSKEY_FIELD, MARK_FIELD})


def ask_for_second_factor(site: Site, visit: Visit) -> Shown | None:
    """Return None if the form has a correct second factor, else the page that asks for one and keeps the form."""
    verdict = _second_factor(site.sessions, visit)
    if verdict is not None and isinstance(verdict.outcome, Granted):
        return None
    said: dict[str, object] = {
        "kept": [pair for pair in visit.form.pairs if pair[0] not in _ASKED_FIELDS],
        "challenge": "",
        "reply_to": "",
        "wrong": verdict is not None,
        "target": visit.url,
        "passkey_challenge": _passkey_challenge(site.sessions, visit),
    }
    if verdict is not None and isinstance(verdict.outcome, Asked):
        name = verdict.reply_to.reveal() if verdict.reply_to else ""
        said |= {"challenge": verdict.outcome.text, "reply_to": name, "wrong": False}
    # the earlier input may contain a PIN
    return visit.show("second-factor.html", secret=True, **said)


def _second_factor(sessions: Sessions, visit: Visit) -> SignInResult | None:
    """Return the result of the passcode or the passkey that came with the form; None if neither came."""
    session, passcode = visit.session, visit.form.secret(_PASSCODE_FIELD)
    signed = visit.form.get(_PASSKEY_FIELD, "")
    if session is None:
        return None
    if signed and sessions.passkeys is not None and visit.place is not None:
        return sessions.passkeys.refresh(visit.instance, visit.address, visit.place, session, signed, visit.now)
    if not passcode:
        return None
    reply_to = visit.form.secret(_ANSWER_FIELD)
    return sessions.refresh(visit.instance, visit.address, session, passcode, reply_to, visit.now)


def _passkey_challenge(sessions: Sessions, visit: Visit) -> str:
    """Return the address of the challenge; "" if the visitor has no passkey for this place."""
    passkeys, session, place = sessions.passkeys, visit.session, visit.place
    if passkeys is None or session is None or place is None or not passkeys.known(visit.instance, place, session):
        return ""
    return passkeys.challenge
