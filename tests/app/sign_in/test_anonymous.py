"""Refused sign-ins of unknown names: committed at once, and one audit event for each source and minute."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from sparekey.app.instance import Instance
from sparekey.app.sessions.administrators import open_session
from sparekey.app.sign_in.anonymous import MINUTE, log_refusals, whole_minutes
from sparekey.app.sign_in.verification import SignInInterface, sign_in
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.networks import SourcePrefixes
from sparekey.core.reasons import Reason
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.audit_log import events as audit_events
from tests.builders import NOW, a_device, a_user, denied

START = whole_minutes(NOW)
GUESS = Secret("123456")
MOST = 100  # events of a minute


def refused(server: Instance, actor: str, now: int, login: str = "nobody", typed: Secret[str] = GUESS) -> None:
    denied(sign_in(server, SignInInterface(actor), login, typed, now).outcome)


def events(server: Instance) -> list[AuditRow]:
    """Return the events of refusals that are in the log now, oldest first."""
    with server.database.read() as connection:
        wanted = audit_events.AuditFilter(actions=(Action.SIGN_IN_DENIED,))
        return list(reversed(audit_events.list_rows(connection, wanted, limit=1_000)))


def waiting(server: Instance) -> int:
    with server.database.read() as connection:
        return connection.execute(select(func.count()).select_from(tables.anonymous_refusal)).scalar_one()


def counts(server: Instance) -> list[tuple[str, int]]:
    return [(event.actor, json.loads(event.detail)["count"]) for event in events(server)]


def test_s80_a_source_has_one_event_a_minute_however_often_it_tries(any_server: Instance) -> None:
    for second in range(MINUTE):
        refused(any_server, "rest:192.0.2.7", START + second)
    refused(any_server, "rest:192.0.2.7", START + 3, typed=Secret("?"))
    refused(any_server, "rest:192.0.2.7", START + MINUTE)
    assert (events(any_server), waiting(any_server)) == ([], MINUTE + 2)
    log_refusals(any_server.database, whole_minutes(START + MINUTE - 1))
    assert events(any_server) == []  # the minute is not over
    log_refusals(any_server.database, whole_minutes(START + MINUTE + 5))
    (event,) = events(any_server)
    assert (event.actor, event.result, event.account_id, event.device_id) == (
        "rest:192.0.2.7",
        "unknown-user",
        None,
        None,
    )
    assert event.at == (START + MINUTE - 1) * 10**6
    assert json.loads(event.detail) == {
        "count": MINUTE + 1,
        "since": START,
        "reasons": {"not-a-passcode": 1, "unknown-user": MINUTE},
    }
    log_refusals(any_server.database, START + MINUTE + 1)  # at the end of the server, not only whole minutes
    assert [count for _, count in counts(any_server)] == [MINUTE + 1, 1]
    assert waiting(any_server) == 0
    log_refusals(any_server.database, START + 2 * MINUTE)
    assert len(events(any_server)) == 2


def test_s80_the_count_of_a_refusal_is_committed_before_its_answer(server: Instance) -> None:
    """A server that is killed after the answer has lost nothing: the row waits for the next one."""
    refused(server, "rest:192.0.2.7", START)
    assert waiting(server) == 1


def test_s80_several_minutes_are_logged_one_by_one(any_server: Instance) -> None:
    for minute in (0, 1, 5):
        refused(any_server, "client:c1", START + minute * MINUTE)
        refused(any_server, "client:c2", START + minute * MINUTE + 1)
    log_refusals(any_server.database, START + 10 * MINUTE)
    assert counts(any_server) == [("client:c1", 1), ("client:c2", 1)] * 3


def test_s80_many_sources_share_the_last_event_of_a_minute(server: Instance) -> None:
    for number in range(MOST + 30):
        for _ in range(2 if number >= 30 else 1):
            refused(server, f"rest:2001:db8:0:{number:x}::1", START)
    log_refusals(server.database, START + MINUTE)
    found = events(server)
    assert len(found) == MOST + 1
    assert {count for _, count in counts(server)[:-1]} == {2}
    rest = json.loads(found[-1].detail)
    assert (found[-1].actor, rest["count"], rest["sources"]) == ("system", 30, 30)


def test_the_addresses_of_one_client_are_one_source(server: Instance) -> None:
    for host in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"):
        refused(server, f"self:{host}", START)
    refused(server, "self:2001:db8:1:3::1", START)
    refused(server, "rest:::ffff:192.0.2.7", START)
    refused(server, "rest:192.0.2.7", START)
    log_refusals(server.database, START + MINUTE)
    assert sorted(counts(server)) == [
        ("rest:192.0.2.7", 2),
        ("self:2001:db8:1:2::/64", 2),
        ("self:2001:db8:1:3::/64", 1),
    ]


def test_the_settings_say_which_addresses_are_one_source(server: Instance) -> None:
    configured = replace(server, source_prefixes=SourcePrefixes(24, 128))
    for actor in ("rest:192.0.2.7", "rest:192.0.2.8", "self:2001:db8::1", "self:2001:db8::2", "rest:unix"):
        refused(configured, actor, START)
    log_refusals(server.database, START + MINUTE)
    assert sorted(counts(server)) == [
        ("rest:192.0.2.0/24", 2),
        ("rest:unix", 1),
        ("self:2001:db8::1", 1),
        ("self:2001:db8::2", 1),
    ]


def test_a_device_is_a_source_of_its_own(server: Instance) -> None:
    device = a_device(server)
    denied(
        sign_in(server, SignInInterface(f"device:{device.device_id}", device.device_id), "nobody", GUESS, NOW).outcome
    )
    log_refusals(server.database, NOW + MINUTE)
    (event,) = events(server)
    assert (event.actor, event.device_id) == (f"device:{device.device_id}", device.device_id)


def test_the_most_frequent_reason_is_the_result(server: Instance) -> None:
    user = a_user(server)
    for _ in range(2):
        denied(open_session(server, "192.0.2.7", user.login, GUESS, Secret(""), START).outcome)
    denied(open_session(server, "192.0.2.7", "nobody", Secret("?"), Secret(""), START).outcome)
    log_refusals(server.database, START + MINUTE)
    (event,) = events(server)
    assert (event.result, event.account_id) == (Reason.OUT_OF_SCOPE, None)
    assert json.loads(event.detail)["reasons"] == {"out-of-scope": 2, "not-a-passcode": 1}


@pytest.mark.parametrize("login", ["nobody", "no body", "\x00"])
def test_s07_the_refusal_of_an_unknown_name_writes_as_that_of_a_known_one_does(server: Instance, login: str) -> None:
    """One insert and one commit each, so that a busy database delays both alike."""
    user = a_user(server)
    for _ in range(5):
        denied(sign_in(server, SignInInterface("rest:192.0.2.7"), user.login, user.wrong(NOW), NOW).outcome)
    before = len(events(server))
    denied(sign_in(server, SignInInterface("rest:192.0.2.7"), user.login, GUESS, NOW).outcome)  # locked
    refused(server, "rest:192.0.2.7", NOW, login)
    assert (len(events(server)) - before, waiting(server)) == (1, 1)
