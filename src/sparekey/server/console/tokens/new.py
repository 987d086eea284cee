"""Add a token for a user and hand over its key, as a QR code or a file that is shown only once."""

import base64
from typing import Final

import segno

from sparekey.app.tokens import tokens
from sparekey.app.tokens.tokens import ISSUER, AddedToken, NewToken
from sparekey.core.permissions import Permission
from sparekey.server.console.tokens.tokens import address_of
from sparekey.server.web.page_results import Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console/new-token")
_SIDE: Final = 6  # pixels of a square of the QR code
_IN_FOUR: Final = 4  # characters of a key that are typed at a time


@pages.get("", Permission.TOKEN_ASSIGN)
def new_token(visit: Visit) -> Reply:
    """Return the form; `user` gets the token."""
    asked = visit.form if visit.error else visit.query
    return visit.show("tokens/new.html", asked=asked)


@pages.post("", Permission.TOKEN_ASSIGN, again=new_token, fresh=True)
def add_token(visit: Visit) -> Reply:
    """Add the token, and show its key: only this reply contains it."""
    form = visit.form
    login, until = form.text("user", "User name", needed=True), form.day("until", "Last day", visit.zone)
    wish = NewToken(
        digits=form.number("digits", "Digits", 6, 8, 6),
        interval=form.number("interval", "A new code every", 30, 60, 30),
        algorithm=form.get("algorithm") or "sha1",
        with_pin=form.get("with-pin", "yes") == "yes",
        serial=form.text("serial"),
        expires_at=None if until is None else until + 1,
        type=form.get("type") or "totp",
    )
    made = tokens.add_token(visit.instance, visit.actor, login, wish, now=visit.now)
    return visit.show("tokens/added.html", secret=True, login=login, with_pin=wish.with_pin, **handed_over(made, login))


def handed_over(made: AddedToken, login: str) -> dict[str, object]:
    """Return the key for the page: image and file are embedded, so that no other address serves the key."""
    uri = made.otpauth(login, ISSUER).reveal()
    key = base64.b32encode(made.parameters.seed.reveal()).decode().rstrip("=")
    return {
        "serial": made.serial,
        "here": address_of(made.serial),
        "kind": made.type,
        "parameters": made.parameters,
        "picture": segno.make(uri, error="m").png_data_uri(scale=_SIDE, border=4),
        "file": "data:application/octet-stream;base64," + base64.b64encode(f"{uri}\n".encode()).decode(),
        "key": [key[start : start + _IN_FOUR] for start in range(0, len(key), _IN_FOUR)],
    }
