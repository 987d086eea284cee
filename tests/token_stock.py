"""Unassigned tokens, as an import leaves them."""

import itertools
import secrets
from dataclasses import dataclass

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.tokens.imports import import_tokens
from sparekey.core.tokens import TOKEN_TYPES, OtpToken, Parameters
from sparekey.secret import Secret
from tests.builders import NOW, ROOT

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Stocked:
    """A token in the drawer."""

    serial: str
    otp: OtpToken


def a_stocked_token(
    instance: Instance,
    serial: str = "",
    *,
    type_name: str = "totp",
    digits: int = 6,
    pin: bool = True,
    domain: str = TOP_DOMAIN,
    now: int = NOW,
) -> Stocked:
    """Import a token: disabled, not assigned."""
    serial = serial or f"ST{next(_numbers):08d}"
    interval = 0 if type_name == "hotp" else 30
    seed = Secret(secrets.token_bytes(20))
    line = f"{serial},{type_name},{seed.reveal().hex()},{digits},{interval},{'yes' if pin else 'no'}"
    report = import_tokens(
        instance, ROOT, f"serial,type,seed,digits,interval,pin\n{line}\n".encode(), None, now=now, domain=domain
    )
    assert report.added == 1, report
    return Stocked(serial, TOKEN_TYPES[type_name].of(Parameters(seed, serial, digits, interval)))
