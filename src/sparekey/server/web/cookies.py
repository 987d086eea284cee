"""Cookies and the mark that every form carries, so that no other site can send it (S61).

Rules: cookies have the `__Host-` prefix, so that no other host can set them, are sent only over a secure connection and
only with requests from our own pages, and no script reads them, but for the time zone, which a script sets; the mark of
a form is derived from the cookie of the session, or of the browser before there is one, and looks different each time,
so that its compressed length tells nothing.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from sparekey.secret import Secret

SESSION: Final = "__Host-sparekey"  # a session of an administrator
SELF_SERVICE: Final = "__Host-sparekey-self"  # a session of a user
BROWSER: Final = "__Host-sparekey-browser"  # before anybody signed in
SAID: Final = "__Host-sparekey-said"  # what was done, for the next page to say
ZONE: Final = "sparekey-zone"  # set by console.js
_MARK_BYTES: Final = 16


def set_cookie(response: Response, name: str, value: str) -> None:
    """Until the browser is closed."""
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="strict")


def delete_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")


def new_browser() -> str:
    return secrets.token_urlsafe(_MARK_BYTES)


def base_of(cookies: Mapping[str, str], session: str) -> Secret[str]:
    """What the marks of a site are derived from, whose sessions have this cookie; "": there is neither cookie."""
    return Secret(cookies.get(session) or cookies.get(BROWSER) or "")


def new_mark(base: Secret[str]) -> str:
    """For one form: 64 hex digits."""
    mask = secrets.token_bytes(_MARK_BYTES)
    return (mask + _xor(mask, _mark(base))).hex()


def is_mark(base: Secret[str], typed: str) -> bool:
    """Whether this mark was made for this browser."""
    try:
        sent = bytes.fromhex(typed)
    except ValueError:
        return False
    if not base.reveal() or len(sent) != 2 * _MARK_BYTES:
        return False
    return hmac.compare_digest(_xor(sent[:_MARK_BYTES], sent[_MARK_BYTES:]), _mark(base))


def _mark(base: Secret[str]) -> bytes:
    return hashlib.sha256(b"sparekey/1/form" + base.reveal().encode(errors="surrogatepass")).digest()[:_MARK_BYTES]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
