"""The URI that authenticator apps read from a QR code (Key Uri Format). It contains the seed, so it is a Secret."""

import base64
from urllib.parse import quote, urlencode

from sparekey.secret import Secret


def key_uri(kind: str, seed: Secret[bytes], login: str, issuer: str, **parameters: str | int) -> Secret[str]:
    """Return the URI. `kind`: totp or hotp; `parameters`: algorithm, digits, and period in seconds or counter."""
    query = {
        "secret": base64.b32encode(seed.reveal()).decode().rstrip("="),
        "issuer": issuer,
        **{name: str(value) for name, value in parameters.items()},
    }
    # a space must be %20, because several apps do not read a plus as a space
    return Secret(f"otpauth://{kind}/{quote(issuer)}:{quote(login)}?{urlencode(query, quote_via=quote)}")
