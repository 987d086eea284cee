"""The URI that authenticator apps read from a QR code (Key Uri Format). It holds the seed, and so it is a Secret."""

import base64
from urllib.parse import quote, urlencode

from sparekey.secret import Secret


def key_uri(kind: str, seed: Secret[bytes], login: str, issuer: str, **parameters: str | int) -> Secret[str]:
    """`kind`: totp or hotp; `parameters`: algorithm, digits, and period in seconds or counter."""
    query = {
        "secret": base64.b32encode(seed.reveal()).decode().rstrip("="),
        "issuer": issuer,
        **{name: str(value) for name, value in parameters.items()},
    }
    # several apps read a plus as itself: a space is %20
    return Secret(f"otpauth://{kind}/{quote(issuer)}:{quote(login)}?{urlencode(query, quote_via=quote)}")
