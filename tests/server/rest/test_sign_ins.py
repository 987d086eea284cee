"""POST /v1/sign-ins: callers, users in scope, and answers to malformed requests."""

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.app.people.domains import add_domain
from sparekey.app.sessions.clients import add_client, revoke_client
from sparekey.core.audit_log.actions import Action
from sparekey.secret import Secret
from sparekey.server.application import create_application
from sparekey.server.work import WorkPool
from tests.builders import NOW, ROOT, a_user, an_instance, logged_events
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, interfaces_of, is_granted, run
from tests.shared_statements import open_copy


def test_a_right_passcode_is_granted_once(interfaces: Interfaces) -> None:
    alice = a_user(interfaces.instance, "alice", pin="4711")
    passcode = alice.typed(NOW).reveal()
    first, second = run(_twice(interfaces, "alice", passcode))
    nothing_asked = {"misread": [], "ask": "", "text": "", "reply_to": ""}
    assert first.json == {"result": "granted", "user": "alice", "method": "tokencode"} | nothing_asked
    assert second.json == {"result": "denied", "user": "", "method": ""} | nothing_asked
    assert [row.result for row in logged_events(interfaces.instance, Action.SIGN_IN_DENIED)] == ["already-used"]


async def _twice(interfaces: Interfaces, user: str, passcode: str) -> tuple[Reply, Reply]:
    return await interfaces.rest(user, passcode), await interfaces.rest(user, passcode)


def test_every_bad_key_gets_the_same_answer(interfaces: Interfaces) -> None:
    alice = a_user(interfaces.instance)
    instance = interfaces.instance
    revoked = add_client(instance, ROOT, "revoked", now=NOW)
    revoke_client(instance, ROOT, "revoked", now=NOW)
    keys = {
        "unknown": Secret("spk_unknown"),
        "revoked": revoked,
        "expired": add_client(instance, ROOT, "expired", expires_at=NOW, now=NOW - 1),
        "elsewhere": add_client(instance, ROOT, "elsewhere", addresses="198.51.100.0/24,2001:db8::/32", now=NOW),
        "empty": Secret(""),
        "odd": Secret("\xe4\xf6"),
    }
    passcode = alice.typed(NOW).reveal()
    replies = {name: run(interfaces.rest(alice.login, passcode, key)) for name, key in keys.items()}
    replies["none"] = run(ask(interfaces.app, "POST", "/v1/sign-ins", b"{}"))
    assert {reply.status for reply in replies.values()} == {401}
    assert len({reply.body for reply in replies.values()}) == 1
    assert is_granted(run(interfaces.rest(alice.login, passcode)))


def test_a_client_asks_only_for_its_own_domain(interfaces: Interfaces) -> None:
    add_domain(interfaces.instance, ROOT, "Sales", now=NOW)
    add_domain(interfaces.instance, ROOT, "Sales abroad", "Sales", now=NOW)
    key = add_client(interfaces.instance, ROOT, "crm", "Sales", now=NOW)
    inside, below = a_user(interfaces.instance, domain="Sales"), a_user(interfaces.instance, domain="Sales abroad")
    outside = a_user(interfaces.instance)
    granted = [
        is_granted(run(interfaces.rest(user.login, user.typed(NOW).reveal(), key))) for user in (inside, below, outside)
    ]
    assert granted == [True, True, False]


def test_a_client_may_be_bound_to_addresses(interfaces: Interfaces) -> None:
    alice = a_user(interfaces.instance)
    key = add_client(interfaces.instance, ROOT, "there", addresses="198.51.100.0/24", now=NOW)
    there = run(interfaces.rest(alice.login, alice.typed(NOW).reveal(), key, address="198.51.100.9"))
    assert is_granted(there)


@pytest.mark.parametrize("announced", [True, False])
def test_a_large_body_is_not_read(interfaces: Interfaces, *, announced: bool) -> None:
    reply = run(interfaces.rest("alice", "x" * 20_000, announced=announced))
    assert (reply.status, reply.error) == (413, "too-large")


def test_a_misread_group_is_named_for_every_user(interfaces: Interfaces) -> None:
    a_user(interfaces.instance, "alice", pin="4711")
    replies = [run(interfaces.rest(user, "4711 AAAAA-ZZZZZ")) for user in ("alice", "nobody")]
    assert replies[0].body == replies[1].body
    assert replies[0].json["misread"] == [1, 2]


def test_requests_over_the_limit_are_rejected_without_a_decision(interfaces: Interfaces) -> None:
    alice = a_user(interfaces.instance)
    service = replace(interfaces.service, sign_ins=WorkPool("narrow", 1, 1))
    crowded = replace(interfaces, service=service, app=create_application(service))

    gate = threading.Event()

    async def crowd() -> list[Reply]:
        held = [asyncio.ensure_future(service.sign_ins.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        replies = [await crowded.rest(alice.login, alice.typed(NOW).reveal()) for _ in range(3)]
        gate.set()
        await asyncio.gather(*held)
        return [*replies, await crowded.rest(alice.login, alice.typed(NOW).reveal())]

    *turned_away, last = run(crowd())
    service.sign_ins.close()
    assert [reply.status for reply in turned_away] == [429] * 3
    assert all((b"retry-after", b"1") in reply.headers for reply in turned_away)
    assert is_granted(last)


BODIES = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"user":"alice"}',
    b'{"user":1,"passcode":"x"}',
    b'{"user":"a","passcode":"b","more":1}',
    b'{"user":"a","user":"a","passcode":"b"}',
    b"\xff\xfe",
    b"[" * 15_000,
    b'{"user":"a","passcode":' + b"1" * 9_000 + b"}",
)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_bad_body_is_refused_in_words(interfaces: Interfaces, body: bytes) -> None:
    reply = run(
        ask(interfaces.app, "POST", "/v1/sign-ins", body, {"Authorization": f"Bearer {interfaces.key.reveal()}"})
    )
    assert (reply.status, reply.error) == (400, "bad-request")
    assert set(reply.json) == {"error", "message", "do"}


@given(user=st.text(max_size=200), passcode=st.text(max_size=200))
def test_no_typed_text_breaks_the_interface(sqlite_with_tables: Path, user: str, passcode: str) -> None:
    database = open_copy(sqlite_with_tables)
    with interfaces_of(an_instance(database, policy={})) as interfaces:
        reply = run(interfaces.rest(user, passcode))
        assert reply.status == 200
        assert reply.json["result"] == "denied"
        assert [
            row for row in logged_events(interfaces.instance, Action.SIGN_IN_DENIED) if row.result == "internal-error"
        ] == []
    database.close()


def test_an_unknown_path_is_an_error_of_the_same_shape(interfaces: Interfaces) -> None:
    for method, path in (("GET", "/x"), ("GET", "/v1/sign-ins"), ("DELETE", "/health"), ("POST", "/agent/v1/nothing")):
        reply = run(ask(interfaces.app, method, path))
        assert reply.status in (404, 405)
        assert reply.error == "no-such-route"


def test_health_and_description(interfaces: Interfaces) -> None:
    assert run(ask(interfaces.app, "GET", "/health")).json == {"status": "ok"}
    assert run(ask(interfaces.app, "GET", "/ready")).json == {"status": "ok"}
    described = run(ask(interfaces.app, "GET", "/openapi.json")).json
    assert described["openapi"].startswith("3.")
    sign_in = described["paths"]["/v1/sign-ins"]["post"]
    assert set(sign_in["requestBody"]["content"]["application/json"]["schema"]["properties"]) == {
        "user",
        "passcode",
        "reply_to",
    }
    assert {"/agent/v1/sync", "/agent/v1/units", "/agent/v1/enrol"} <= set(described["paths"])
    assert "422" not in json.dumps(described)
