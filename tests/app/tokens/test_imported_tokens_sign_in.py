"""Imported tokens work: their codes sign in, once each, and days are sealed for them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people.users import add_user
from sparekey.app.sign_in.verification import sign_in
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens.imports import import_tokens
from sparekey.app.tokens.tokens import set_pin
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Outcome
from sparekey.core.tokens import SecurId
from sparekey.secret import Secret
from tests.builders import NOW, PIN, REST, ROOT, User, a_filled_device, denied, granted, token_row
from tools import oathtool, stoken
from tools.token_files import csv_file, pskc_file, sdtid_file, tokens

Shows = Callable[[int], str]


def a_token_of(instance: Instance, data: bytes, serial: str) -> str:
    """Import a token, assign it to a new user with a PIN, and return the account's id."""
    assert import_tokens(instance, ROOT, data, None, now=NOW).added == 1
    account_id = add_user(instance, ROOT, "alice", TOP_DOMAIN, now=NOW)
    token_lifecycle.assign(instance, ROOT, serial, "alice", now=NOW)
    set_pin(instance, ROOT, serial, Secret(PIN), now=NOW)
    return account_id


def typed(instance: Instance, code: str, now: int) -> Outcome:
    return sign_in(instance, REST, "alice", Secret(PIN + code), now).outcome


@pytest.mark.services
@pytest.mark.parametrize(("digits", "interval"), [(6, 60), (8, 60), (6, 30), (8, 30)])
def test_a_token_that_stoken_issued_signs_in(digits: int, interval: int, tmp_path: Path, server: Instance) -> None:
    file = stoken.issue(tmp_path, digits=digits, interval=interval)
    a_token_of(server, file.read_bytes(), "000123456789")
    for at in (NOW, NOW + 60, NOW + 86_400):
        code = stoken.tokencode(file, at)
        granted(typed(server, code, at))
        assert denied(typed(server, code, at)).reason is Reason.ALREADY_USED


@pytest.mark.services
@pytest.mark.parametrize("make", [csv_file, pskc_file])
def test_an_imported_token_agrees_with_oathtool(make: Callable[..., bytes], server: Instance) -> None:
    (made,) = tokens(1)
    a_token_of(server, make([made]), made.serial)
    for at in (NOW, NOW + 60):
        code = oathtool.totp(made.seed.hex(), digits=6, interval=30, algorithm="sha1", at=at)
        granted(typed(server, code, at))


@pytest.mark.services
def test_an_event_based_token_goes_on_from_the_counter_in_the_file(server: Instance) -> None:
    seed = tokens(1)[0].seed.hex()
    a_token_of(server, f"serial,type,seed,counter\nH1,hotp,{seed},42\n".encode(), "H1")
    assert denied(typed(server, oathtool.hotp(seed, digits=6, counter=41), NOW)).reason is Reason.ALREADY_USED
    for counter in (42, 43, 50):
        granted(typed(server, oathtool.hotp(seed, digits=6, counter=counter), NOW))
    assert token_row(server, "H1").last_step == 50


def test_days_of_a_securid_type_token_are_kept_on_a_device(server: Instance) -> None:
    (made,) = tokens(1, seed_bytes=16)
    account_id = a_token_of(server, sdtid_file([made]), made.serial)
    token = SecurId(Secret(made.seed), made.serial)
    user = User("alice", account_id, made.serial, token_row(server, made.serial).id, token, PIN)  # type: ignore[arg-type] # its codes are all that is asked of it
    device = a_filled_device(server, user)
    assert {kind for _, kind, token_id, _ in device.held if token_id == user.token_id} >= {"day"}
