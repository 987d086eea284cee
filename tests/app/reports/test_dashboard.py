"""The dashboard of a user: in agreement with `why` and the reports, with recent activity, in scope."""

import pytest

from sparekey.app.devices.contents import look_into
from sparekey.app.instance import Instance
from sparekey.app.lookup import ELSEWHERE
from sparekey.app.offline.sync import save_contact
from sparekey.app.people import users
from sparekey.app.reports.dashboard import ACTIVITY, Dashboard, list_activity, show_dashboard
from sparekey.app.reports.reports import readiness
from sparekey.app.reports.why import explain
from sparekey.app.tokens import tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, NotAllowed, NotFound
from sparekey.core.explain.online import RuleResult, Side
from sparekey.core.offline.self_report import SelfReport
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Actor, Grant, Permission
from sparekey.core.reasons import Reason
from tests.app.administrators import a_full_device, add_tree, an_administrator
from tests.builders import (
    NOW,
    ROOT,
    a_device,
    a_filled_device,
    a_token,
    a_user,
    account_row,
    denied,
    edit_policy,
    logged_events,
    submit,
)

PIN = "4711abcd"


def seen(server: Instance, login: str, actor: Actor = ROOT, now: int = NOW) -> Dashboard:
    return show_dashboard(server, actor, login, now=now)


def test_the_dashboard_lists_working_ways_with_their_expiry(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    a_filled_device(any_server, user, "laptop")
    found = seen(any_server, user.login)
    assert (found.closed, found.locked_since) == (None, None)
    assert found.ways == (f"PIN and tokencode of {user.serial}",)
    (token,), (device,) = found.tokens, found.devices
    assert (token.serial, token.pin_set, token.refused) == (user.serial, True, None)
    assert (device.name, device.problem, device.stale) == ("laptop", "", False)
    assert [(each.kind, each.serial) for each in device.codes] == [
        ("emergency tokencode", user.serial),
        ("emergency passcode", ""),
    ]
    (row,) = readiness(any_server, ROOT, now=NOW)
    assert device.data is not None
    assert device.data.until == row.assessment.data_until
    assert {each.until for each in device.codes} == {
        row.assessment.emergency_tokencode_until,
        row.assessment.emergency_passcode_until,
    }


def test_recent_activity_has_the_reason_of_each_refusal(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    for second in range(5):
        denied(submit(any_server, user, NOW + second, user.wrong(NOW)))
    denied(submit(any_server, user, NOW + 9))
    found = seen(any_server, user.login, now=NOW + 10)
    assert (found.closed, found.locked_since, found.ways) == (Reason.LOCKED, NOW + 4, ())
    said = [(row.action, row.result) for row in found.activity]
    assert said[:3] == [
        (Action.SIGN_IN_DENIED, Reason.LOCKED),
        (Action.ACCOUNT_LOCKED, "ok"),
        (Action.SIGN_IN_DENIED, Reason.WRONG_PASSCODE),
    ]
    earlier = list_activity(any_server, ROOT, user.login, limit=2, before=found.activity[2].id)
    assert [row.result for row in earlier] == [Reason.WRONG_PASSCODE] * 2


def test_obstacles_to_offline_data_are_named(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    a_filled_device(server, user)
    tokens.set_lost(server, ROOT, user.serial, lost=True, now=NOW)
    (device,), (token,) = seen(server, user.login).devices, seen(server, user.login).tokens
    assert token.refused is Reason.TOKEN_LOST
    assert device.stale
    assert "lost" in device.problem
    # the device does not know yet: it accepts the token until its next contact, and keeps the emergency codes after it
    assert device.data is not None
    assert device.ends == (device.data,)
    assert len(device.codes) == 2
    assert device.data not in device.opens  # the user has it no more


@pytest.mark.parametrize("what", ["no PIN", "disabled user", "policy"])
def test_all_pages_agree_on_data_held_until_the_next_contact(server: Instance, what: str) -> None:
    user = a_user(server, pin=PIN)
    a_filled_device(server, user, "laptop")
    match what:
        case "no PIN":
            tokens.clear_pin(server, ROOT, user.serial, now=NOW)
        case "disabled user":
            users.set_enabled(server, ROOT, user.login, enabled=False, now=NOW)
        case _:
            edit_policy(server, {"minimum_passcode_length": "16"})
    (device,) = seen(server, user.login).devices
    (on_device,) = look_into(server, ROOT, "laptop", now=NOW).users
    assert device.data is not None
    assert device.data.until == on_device.ends_at
    held = {(each.serial, each.version, each.not_after) for each in on_device.codes}
    assert {(each.serial, each.version, each.until) for each in device.codes} == held
    gone = {each.kind for each in device.ends}
    assert gone == {"tokencode", "emergency tokencode"} | ({"emergency passcode"} if what == "disabled user" else set())
    lines = {line.rule: line for line in explain(server, ROOT, user.login, now=NOW).lines if line.side is Side.OFFLINE}
    assert all(each.words in lines["until its next contact"].why for each in device.ends)
    if what != "disabled user":
        assert lines["emergency tokencode"].verdict is RuleResult.WAITS
        assert "at its next contact" in lines["emergency tokencode"].why
    (row,) = readiness(server, ROOT, now=NOW)
    # without its PIN the user gets in with the passcode, which stays; as policy wants it, not after the contact
    assert row.assessment.passing is (what == "policy")


def test_permanent_data_end_at_no_contact(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    a_filled_device(server, user)
    (device,), (row,) = seen(server, user.login).devices, readiness(server, ROOT, now=NOW)
    assert (device.ends, row.assessment.passing) == ((), False)
    rules = {line.rule for line in explain(server, ROOT, user.login, now=NOW).lines}
    assert "until its next contact" not in rules


def test_a_locked_user_keeps_the_codes_and_loses_the_tokencode(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user)
    for second in range(5):
        denied(submit(server, user, NOW + second, user.wrong(NOW)))
    (before,) = seen(server, user.login, now=NOW + 9).devices
    assert [each.kind for each in before.ends] == ["tokencode"]
    row = device.row
    with server.database.write() as connection:
        save_contact(connection, row, SelfReport(hardware_bound=False), now=NOW + 10)
    (after,) = seen(server, user.login, now=NOW + 11).devices
    assert (after.data, after.ends, len(after.codes)) == (None, (), 2)


def test_a_token_whose_pin_is_to_be_chosen_works(server: Instance) -> None:
    user = a_user(server, with_pin=True)
    (token,) = seen(server, user.login).tokens
    assert (token.pin_set, token.pin_asked, token.refused) == (False, True, None)


def test_recent_activity_has_no_alarm_and_no_session() -> None:
    kinds = {action.partition(".")[0] for action in ACTIVITY}
    assert kinds >= {"sign-in", "account", "user", "token", "emergency", "approval", "device"}
    assert not kinds & {"alarm", "alarms", "session", "unit"}
    assert all(not action.is_alarm for action in ACTIVITY)


def test_s63_a_user_elsewhere_has_no_dashboard(server: Instance) -> None:
    add_tree(server)
    user = a_user(server, "alice", domain="Bern")
    _, actor = an_administrator(server, ("help desk", "Support"))
    with pytest.raises(NotFound, match="there is no user 'alice'"):
        seen(server, user.login, actor)
    with pytest.raises(NotFound, match="there is no user 'alice'"):
        list_activity(server, actor, user.login)


def test_s63_a_device_elsewhere_has_no_name_there(server: Instance) -> None:
    add_tree(server)
    user = a_user(server, pin=PIN, domain="Bern")
    a_full_device(server, user, "topsecret")  # in the top domain
    _, actor = an_administrator(server, ("help desk", "Sales"))
    found = seen(server, user.login, actor)
    (device,) = found.devices
    assert (device.name, device.device_id) == (ELSEWHERE, "")
    assert device.data is not None
    assert "topsecret" not in repr(found)


def test_tokens_are_listed_only_with_the_permission(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    a_filled_device(server, user)
    reader = Actor("user:x", (Grant(frozenset({Permission.USER_VIEW}), None),))
    found = seen(server, user.login, reader)
    assert (found.tokens, found.devices, found.ways) == ((), (), ())
    assert (found.roles, found.passkeys) == ((), 0)


def test_several_users_at_once(any_server: Instance) -> None:
    logins = [a_user(any_server, name).login for name in ("carol", "alice", "bob")]
    users.set_enabled(any_server, ROOT, "bob", enabled=False, now=NOW)
    changed = users.set_enabled_at_once(any_server, ROOT, logins, enabled=False, now=NOW)
    assert changed == ["alice", "carol"]
    assert len(logged_events(any_server, Action.USER_DISABLED)) == 3
    assert users.set_enabled_at_once(any_server, ROOT, logins, enabled=True, now=NOW) == ["alice", "bob", "carol"]
    assert users.unlock_at_once(any_server, ROOT, logins, now=NOW) == []
    with pytest.raises(BadInput, match="more than 200"):
        users.unlock_at_once(any_server, ROOT, [str(number) for number in range(201)], now=NOW)


def test_s63_several_users_are_changed_together_or_not_at_all(server: Instance) -> None:
    """An administrator above sees the name of the refused device; one of another domain gets "not found"."""
    add_tree(server)
    boss, _ = an_administrator(server, (SUPER_ADMINISTRATOR, "SystemDomain"), login="boss", domain="Sales")
    a_user(server, "alice", domain="Sales")
    a_user(server, "zoe", domain="Support")
    _, actor = an_administrator(server, ("domain administrator", "Sales"))
    with pytest.raises(NotAllowed, match="boss: this user has rights"):
        users.set_enabled_at_once(server, actor, ["alice", boss.login], enabled=False, now=NOW)
    with pytest.raises(NotFound, match="no user 'zoe'"):
        users.set_enabled_at_once(server, actor, ["alice", "zoe"], enabled=False, now=NOW)
    assert account_row(server, "alice").enabled


def test_two_tokens_on_one_device(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    device = a_device(server, "laptop")
    other = a_token(server, user.login, user.account_id, pin=PIN)
    device.sign_in(user, NOW)
    device.contact(user, NOW)
    found = seen(server, user.login)
    assert {token.serial for token in found.tokens} == {user.serial, other.serial}
    assert {each.serial for each in found.devices[0].opens} == {user.serial, ""}
