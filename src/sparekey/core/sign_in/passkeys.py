"""Passkeys (WebAuthn): the options for the browser, and the verification of its answers. Pure.

Rules:
- A passkey counts as two factors because its authenticator confirms that it has verified its owner by a PIN or a finger
  (user verification). An answer without that flag is refused.
- The browser finds the passkey, without a typed login. So an attacker cannot learn which users have one.
- Host and origin are those of the page. The signature covers them, so an answer for another page is refused.
- The server does not ask for the model of the authenticator: it would reveal hardware of users and decide nothing.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

LIFETIME: Final = 120  # seconds that a challenge waits for its answer
LONGEST_ANSWER: Final = 16_384
_NAME: Final = "Sparekey"


class BadPasskey(ValueError):
    """The answer is malformed or wrong. The cause of the exception may contain data from an attacker."""


@dataclass(frozen=True)
class RelyingParty:
    """The address of the page. Passkeys are bound to `host`; `origins` are the origins that a browser may report."""

    host: str
    origins: tuple[str, ...]


@dataclass(frozen=True)
class NewPasskey:
    """A passkey that an authenticator has made."""

    credential_id: bytes
    public_key: bytes  # COSE
    sign_count: int


@dataclass(frozen=True)
class Answer:
    """The parsed but unverified answer of a browser. `owner`: the account_id, if the authenticator gave it."""

    text: str
    credential_id: bytes
    challenge: bytes
    owner: str | None = None


def registration_options(
    place: RelyingParty, challenge: bytes, account_id: str, login: str, known: Sequence[bytes] = ()
) -> str:
    """Return JSON for `navigator.credentials.create`. `known`: passkeys that the user has already."""
    webauthn, structs = _library()
    options = webauthn.generate_registration_options(
        rp_id=place.host,
        rp_name=_NAME,
        user_id=account_id.encode(),
        user_name=login,
        challenge=challenge,
        timeout=LIFETIME * 1_000,
        attestation=structs.AttestationConveyancePreference.NONE,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=credential_id) for credential_id in known],
    )
    return str(webauthn.options_to_json(options))


def sign_in_options(place: RelyingParty, challenge: bytes, known: Sequence[bytes] = ()) -> str:
    """Return JSON for `navigator.credentials.get`. `known`: the accepted passkeys; without them, any for this host."""
    webauthn, structs = _library()
    options = webauthn.generate_authentication_options(
        rp_id=place.host,
        challenge=challenge,
        timeout=LIFETIME * 1_000,
        allow_credentials=[structs.PublicKeyCredentialDescriptor(id=credential_id) for credential_id in known],
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return str(webauthn.options_to_json(options))


def read_answer(text: str) -> Answer:
    """Parse the answer of a browser. Raises BadPasskey if it is malformed."""
    from webauthn import base64url_to_bytes  # noqa: PLC0415 -- slow to load

    try:
        if len(text) > LONGEST_ANSWER:
            raise BadPasskey("the answer is too long")
        value = json.loads(text)
        response = value["response"]
        client_data = json.loads(base64url_to_bytes(response["clientDataJSON"]))
        owner = response.get("userHandle")
        return Answer(
            text,
            base64url_to_bytes(value["rawId"]),
            base64url_to_bytes(client_data["challenge"]),
            base64url_to_bytes(owner).decode() if owner else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadPasskey("this is no answer of a browser") from error


def verify_registration(place: RelyingParty, answer: Answer) -> NewPasskey:
    """Return the passkey that was made for this challenge. Raises BadPasskey."""
    webauthn, _ = _library()
    verified = _verified(
        webauthn.verify_registration_response,
        credential=answer.text,
        expected_challenge=answer.challenge,
        expected_rp_id=place.host,
        expected_origin=list(place.origins),
        require_user_verification=True,
    )
    return NewPasskey(verified.credential_id, verified.credential_public_key, verified.sign_count)


def verify_sign_in(place: RelyingParty, answer: Answer, public_key: bytes) -> int:
    """Verify the signature and return the use count that the authenticator reports. Raises BadPasskey."""
    webauthn, _ = _library()
    verified = _verified(
        webauthn.verify_authentication_response,
        credential=answer.text,
        expected_challenge=answer.challenge,
        expected_rp_id=place.host,
        expected_origin=list(place.origins),
        credential_public_key=public_key,
        credential_current_sign_count=0,  # `is_copied` checks the count
        require_user_verification=True,
    )
    return int(verified.new_sign_count)


def is_copied(before: int, count: int) -> bool:
    """Return True if the use count did not rise: two authenticators have the passkey. Some never count: always 0."""
    return (before > 0 or count > 0) and count <= before


# Any: the library is loaded late, so that its types are not known here.
def _verified(verify: Callable[..., Any], **given: object) -> Any:
    try:
        return verify(**given)
    except Exception as error:  # S09: refuse whatever is wrong with data from outside
        raise BadPasskey("the passkey's answer is not right") from error


def _library() -> tuple[ModuleType, ModuleType]:
    """Load the library on first use: most processes that import this module never verify a passkey."""
    import webauthn  # noqa: PLC0415 -- slow to load
    from webauthn.helpers import structs  # noqa: PLC0415 -- slow to load

    return webauthn, structs
