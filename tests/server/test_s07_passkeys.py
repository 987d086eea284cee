"""S07 for passkeys: whatever is wrong, a refused one looks the same, and leaves at the floor."""

from collections.abc import Iterator

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.app.self_service.passkeys import entrance
from sparekey.app.sessions.passkey_sign_ins import ask_to_sign_in
from sparekey.core.audit_log.actions import Action
from sparekey.secret import Secret
from sparekey.storage.unit_of_work import Database
from tests.app.sessions.test_passkeys import a_passkey
from tests.authenticators import PLACE, Authenticator
from tests.builders import NOW, PIN, ROOT, User, a_user, an_instance, logged_events
from tests.server.interfaces import BROWSER, Interfaces, interfaces_of, make_administrator, run

FLOOR_MS = 150


@pytest.fixture
def floored(memory_database: Database) -> Iterator[Interfaces]:
    with interfaces_of(an_instance(memory_database), floor_ms=FLOOR_MS) as interfaces:
        yield interfaces


def holder(interfaces: Interfaces) -> tuple[User, Authenticator]:
    user = a_user(interfaces.instance, pin=PIN)
    make_administrator(interfaces.instance, user.login)
    return user, a_passkey(interfaces.instance, user)


def signed(interfaces: Interfaces, key: Authenticator, browser: Secret[str] = BROWSER) -> str:
    return key.get(ask_to_sign_in(interfaces.instance, PLACE, browser, NOW))


def attempts(interfaces: Interfaces) -> dict[str, str]:
    """Return the text that a browser shows, for every reason of a refusal."""
    instance = interfaces.instance
    disabled, disabled_key = holder(interfaces)
    demoted, demoted_key = holder(interfaces)
    _, good_key = holder(interfaces)
    users.set_enabled(instance, ROOT, disabled.login, enabled=False, now=NOW)
    roles.revoke(instance, ROOT, "auditor", HolderKind.USER, demoted.login, TOP_DOMAIN, now=NOW)
    used = signed(interfaces, good_key)
    run(interfaces.passkey(used))
    unverified = signed(interfaces, good_key)
    return {
        "unknown-passkey": signed(interfaces, Authenticator()),
        "account-disabled": signed(interfaces, disabled_key),
        "out-of-scope": signed(interfaces, demoted_key),
        "no-such-question": signed(interfaces, good_key, Secret("the cookie of another browser")),
        "wrong-passkey": unverified.replace("signature", "signatures"),
    }


def test_s07_every_refused_passkey_looks_the_same_and_leaves_at_the_floor(floored: Interfaces) -> None:
    replies = [run(floored.passkey(answer)) for answer in attempts(floored).values()]
    assert len({(reply.status, reply.headers, reply.body) for reply in replies}) == 1
    assert replies[0].json["result"] == "denied"
    assert min(reply.seconds for reply in replies) > FLOOR_MS / 1000 - 0.002


def test_s07_every_passkey_refused_at_self_service_looks_the_same_and_leaves_at_the_floor(floored: Interfaces) -> None:
    def signed_there(key: Authenticator, browser: Secret[str] = BROWSER) -> str:
        return key.get(ask_to_sign_in(floored.instance, PLACE, browser, NOW, entrance()))

    disabled, disabled_key = holder(floored)
    _, good_key = holder(floored)
    users.set_enabled(floored.instance, ROOT, disabled.login, enabled=False, now=NOW)
    tried = [
        signed_there(Authenticator()),
        signed_there(disabled_key),
        signed_there(good_key, Secret("the cookie of another browser")),
        signed(floored, good_key),
        signed_there(good_key).replace("signature", "signatures"),
        "",
    ]
    replies = [run(floored.self_service_passkey(answer)) for answer in tried]
    assert len({(reply.status, reply.headers, reply.body) for reply in replies}) == 1
    assert replies[0].json["result"] == "denied"
    assert min(reply.seconds for reply in replies) > FLOOR_MS / 1000 - 0.002
    assert run(floored.self_service_passkey(signed_there(good_key))).json["result"] == "granted"


def test_s07_the_audit_log_has_the_reason_of_a_refused_passkey(interfaces: Interfaces) -> None:
    tried = attempts(interfaces)
    before = len(logged_events(interfaces.instance, Action.SIGN_IN_DENIED))
    for answer in tried.values():
        run(interfaces.passkey(answer))
    found = [row.result for row in logged_events(interfaces.instance, Action.SIGN_IN_DENIED)][before:]
    assert sorted(found) == sorted(tried)  # that of the unknown passkey comes when its minute is over


def test_a_right_passkey_opens_the_console(interfaces: Interfaces) -> None:
    _, key = holder(interfaces)
    assert run(interfaces.passkey(signed(interfaces, key))).json["result"] == "granted"
