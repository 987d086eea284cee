"""Cookies, and the mark that protects every form against other sites (S61).

Rules:
- Cookies have the `__Host-` prefix, so that no other host can set them.
- Browsers send them only over a secure connection, and only with requests from our own pages.
- Scripts cannot read them. The one exception is the time zone, which a script sets.
- The mark of a form is derived from the cookie of the session. Before the sign-in it is derived from the cookie of the
  browser.
- The mark is different each time, so that the compressed length of a page reveals nothing.
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
BROWSER: Final = "__Host-sparekey-browser"  # of a browser before the sign-in
SAID: Final = "__Host-sparekey-said"  # the message that the next page shows
ZONE: Final = "sparekey-zone"  # set by console.js
_MARK_BYTES: Final = 16


def set_cookie(response: Response, name: str, value: str) -> None:
    """Set a cookie until the browser is closed."""
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="strict")


def delete_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")


def new_browser() -> str:
    return secrets.token_urlsafe(_MARK_BYTES)


def base_of(cookies: Mapping[str, str], session: str) -> Secret[str]:
    """Return the secret from which the marks of a site with this session cookie are derived; "" if there is no
    cookie."""
    return Secret(cookies.get(session) or cookies.get(BROWSER) or "")


def new_mark(base: Secret[str]) -> str:
    """Return a mark for one form: 64 hex digits."""
    mask = secrets.token_bytes(_MARK_BYTES)
    return (mask + _xor(mask, _mark(base))).hex()


def is_mark(base: Secret[str], typed: str) -> bool:
    """Return True if the mark was made for this browser."""
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
