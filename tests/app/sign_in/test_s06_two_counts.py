"""S06: failures of administrators count apart at their own interfaces and everywhere else, and their locks end."""

from dataclasses import dataclass

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import admin_links, roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.app.reports.dashboard import show_dashboard
from sparekey.app.reports.why import explain
from sparekey.app.self_service import passkeys as own_passkeys
from sparekey.app.sessions import users as user_sessions
from sparekey.app.sessions.administrators import OpenedSession, find_session, open_session, refresh_second_factor
from sparekey.app.sessions.passkey_sign_ins import ask_to_sign_in, open_session_with_passkey
from sparekey.app.tokens.resync import resync
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import Conflict
from sparekey.core.explain.online import moment
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import InterfaceGroup
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Asked
from sparekey.secret import Secret
from tests.app.sessions.test_passkeys import a_chief, a_passkey
from tests.authenticators import PLACE, Authenticator
from tests.builders import (
    DAY,
    LIMIT,
    NOW,
    ROOT,
    User,
    a_device,
    a_user,
    account_row,
    denied,
    edit_policy,
    granted,
    logged_events,
    set_mail,
    submit,
)

ADDRESS, BROWSER, QUARTER = "192.0.2.7", Secret("a browser"), 15 * 60


@dataclass(frozen=True)
class Entrances:
    """The entrances of one server, and the number of wrong passcodes that lock."""

    server: Instance

    def console(self, user: User, now: int, typed: Secret[str] | None = None) -> OpenedSession:
        return open_session(
            self.server, ADDRESS, user.login, user.typed(now) if typed is None else typed, Secret(""), now
        )

    def fail_at_the_console(self, user: User, now: int, times: int = LIMIT) -> None:
        for _ in range(times):
            denied(self.console(user, now, user.wrong(now)).outcome)

    def fail_elsewhere(self, user: User, now: int, times: int = LIMIT) -> None:
        for _ in range(times):
            denied(submit(self.server, user, now, user.wrong(now)))


@pytest.fixture
def entrances(any_server: Instance) -> Entrances:
    return Entrances(any_server)


def test_s06_wrong_passcodes_elsewhere_lock_no_administrator_out_of_the_console(entrances: Entrances) -> None:
    """Login screens, sshd, VPN, self-service and resync share one count. None of it is seen at the console."""
    server, chief = entrances.server, a_chief(entrances.server)
    session = entrances.console(chief, NOW)
    wrong, later = chief.wrong(NOW), NOW + 60
    entrances.fail_elsewhere(chief, NOW, LIMIT - 3)
    denied(a_device(server).sign_in(chief, NOW, wrong).outcome)
    denied(user_sessions.open_session(server, ADDRESS, chief.login, wrong, Secret(""), NOW).outcome)
    pair = Secret("000000")
    assert resync(server, ROOT, chief.serial, pair, pair, now=NOW).refused is Reason.WRONG_PASSCODE
    row = account_row(server, chief.login)
    assert (row.failures, row.locked_at, row.admin_failures, row.admin_locked_at) == (LIMIT, NOW, 0, None)
    assert denied(submit(server, chief, later)).reason is Reason.LOCKED
    assert find_session(server, session.token, later) is not None
    assert find_session(server, entrances.console(chief, later).token, later) is not None


def test_s06_wrong_passcodes_at_the_console_lock_nobody_out_elsewhere(entrances: Entrances) -> None:
    server, chief = entrances.server, a_chief(entrances.server)
    session = entrances.console(chief, NOW)
    entrances.fail_at_the_console(chief, NOW)
    row = account_row(server, chief.login)
    assert (row.failures, row.locked_at, row.admin_failures, row.admin_locked_at) == (0, None, LIMIT, NOW)
    assert denied(entrances.console(chief, NOW + 60).outcome).reason is Reason.LOCKED
    assert find_session(server, session.token, NOW + 60) is None
    granted(submit(server, chief, NOW + 60))


def test_s06_a_second_factor_that_is_guessed_in_a_session_counts_at_the_console(entrances: Entrances) -> None:
    server, chief = entrances.server, a_chief(entrances.server)
    session = find_session(server, entrances.console(chief, NOW).token, NOW)
    assert session is not None
    for _ in range(LIMIT):
        refresh_second_factor(server, ADDRESS, session, chief.wrong(NOW), Secret(""), NOW)
    row = account_row(server, chief.login)
    assert (row.failures, row.admin_failures) == (0, LIMIT)
    verdict = refresh_second_factor(server, ADDRESS, session, chief.typed(NOW + 60), Secret(""), NOW + 60)
    assert denied(verdict.outcome).reason is Reason.LOCKED


@pytest.mark.parametrize("group", InterfaceGroup)
def test_s06_a_success_resets_the_count_of_its_own_interfaces(entrances: Entrances, group: InterfaceGroup) -> None:
    server, chief = entrances.server, a_chief(entrances.server)
    entrances.fail_at_the_console(chief, NOW, 2)
    entrances.fail_elsewhere(chief, NOW, 2)
    outcome = (
        entrances.console(chief, NOW + 60).outcome
        if group is InterfaceGroup.ADMINISTRATORS
        else submit(server, chief, NOW + 60)
    )
    granted(outcome)
    row = account_row(server, chief.login)
    failures = {each: row.count_at(each).without_success for each in InterfaceGroup}
    assert failures == {each: 0 if each is group else 2 for each in InterfaceGroup}


def test_s06_locks_of_an_administrator_end_and_double_until_only_a_person_ends_them(entrances: Entrances) -> None:
    edit_policy(entrances.server, {"most_failures": "25"}, kind=PolicyKind.LOCKOUT)
    chief = a_chief(entrances.server)
    set_mail(entrances.server, chief, "chief@example.org")
    now, lengths = NOW, []
    for _ in range(3):
        entrances.fail_elsewhere(chief, now, 25)
        until = account_row(entrances.server, chief.login).locked_until
        assert until is not None
        lengths.append(until - now)
        assert denied(submit(entrances.server, chief, until - 1)).reason is Reason.LOCKED
        now = until
    assert lengths == [QUARTER, 2 * QUARTER, 4 * QUARTER]
    entrances.fail_elsewhere(chief, now, 25)
    assert denied(submit(entrances.server, chief, now + 3650 * DAY)).reason is Reason.LOCKED
    granted(entrances.console(chief, now + 60).outcome)
    events = logged_events(entrances.server, Action.ACCOUNT_LOCKED)
    assert [('"interfaces":"elsewhere"' in event.detail, '"until":""' in event.detail) for event in events] == [
        (True, False),
        (True, False),
        (True, False),
        (True, True),
    ]
    (alarm,) = logged_events(entrances.server, Action.ALARM_ADMINISTRATOR_LOCKED)
    assert (alarm.account_id, '"failures":100' in alarm.detail) == (chief.account_id, True)
    assert users.unlock(entrances.server, ROOT, chief.login, now=now + 90)
    granted(submit(entrances.server, chief, now + 90))


def test_s06_after_a_lock_a_correct_code_of_an_administrator_needs_the_next_one(entrances: Entrances) -> None:
    """Else each lock that ends would give new guesses at one code."""
    chief = a_chief(entrances.server)
    entrances.fail_elsewhere(chief, NOW)
    assert isinstance(submit(entrances.server, chief, NOW + QUARTER), Asked)
    assert account_row(entrances.server, chief.login).locks == 1
    user = a_user(entrances.server)
    edit_policy(entrances.server, {"unlock_after_minutes": "15"}, kind=PolicyKind.LOCKOUT)
    entrances.fail_elsewhere(user, NOW)
    entrances.fail_elsewhere(user, NOW + QUARTER, 1)
    granted(submit(entrances.server, user, NOW + QUARTER))  # a user without a role: as before


def test_s06_unlocking_clears_both_counts(entrances: Entrances) -> None:
    server, chief = entrances.server, a_chief(entrances.server)
    entrances.fail_at_the_console(chief, NOW)
    entrances.fail_elsewhere(chief, NOW)
    assert users.unlock(server, ROOT, chief.login, now=NOW)
    assert not users.unlock(server, ROOT, chief.login, now=NOW)
    granted(submit(server, chief, NOW + 60))
    granted(entrances.console(chief, NOW + 90).outcome)
    assert {each: account_row(server, chief.login).count_at(each).locks for each in InterfaceGroup} == dict.fromkeys(
        InterfaceGroup, 0
    )


def test_s06_no_lock_shuts_out_a_passkey_or_its_session(entrances: Entrances) -> None:
    server, chief = entrances.server, a_chief(entrances.server)
    key = a_passkey(server, chief)

    def with_passkey(now: int) -> OpenedSession:
        return open_session_with_passkey(
            server, ADDRESS, PLACE, BROWSER, key.get(ask_to_sign_in(server, PLACE, BROWSER, now)), now
        )

    before = with_passkey(NOW + 60)
    entrances.fail_at_the_console(chief, NOW + 60)
    entrances.fail_elsewhere(chief, NOW + 60)
    assert denied(entrances.console(chief, NOW + 90).outcome).reason is Reason.LOCKED
    for opened in (before, with_passkey(NOW + 90)):
        session = find_session(server, opened.token, NOW + 90)
        assert session is not None
        # The lock still stands against passcodes, also inside this session.
        verdict = refresh_second_factor(server, ADDRESS, session, chief.typed(NOW + 90), Secret(""), NOW + 90)
        assert denied(verdict.outcome).reason is Reason.LOCKED
    assert account_row(server, chief.login).admin_failures == LIMIT


def test_s06_no_lock_shuts_a_passkey_out_of_self_service(entrances: Entrances) -> None:
    server, user = entrances.server, a_user(entrances.server, pin="4711ab")
    opened = user_sessions.open_session(server, ADDRESS, user.login, user.typed(NOW), Secret(""), NOW)
    session = user_sessions.find_session(server, opened.token, NOW)
    assert session is not None
    key = Authenticator()
    key_answer = key.create(own_passkeys.ask_for_registration(server, PLACE, session, NOW))
    own_passkeys.add_passkey(server, PLACE, session, "key", key_answer, NOW)
    entrances.fail_elsewhere(user, NOW)
    at = own_passkeys.entrance()
    answer = key.get(ask_to_sign_in(server, PLACE, BROWSER, NOW + 60, at))
    signed = open_session_with_passkey(server, ADDRESS, PLACE, BROWSER, answer, NOW + 60, at)
    assert user_sessions.find_session(server, signed.token, NOW + 60) is not None
    assert user_sessions.find_session(server, opened.token, NOW + 60) is None
    assert denied(submit(server, user, NOW + 60)).reason is Reason.LOCKED


def test_s06_a_role_gives_a_locked_user_no_end_of_the_lock(entrances: Entrances) -> None:
    server, user = entrances.server, a_user(entrances.server, pin="4711ab")
    entrances.fail_elsewhere(user, NOW)
    roles.grant(server, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, user.login, TOP_DOMAIN, now=NOW)
    assert denied(submit(server, user, NOW + 30 * DAY)).reason is Reason.LOCKED
    granted(entrances.console(user, NOW + 30 * DAY + 60).outcome)


def test_s06_a_revoked_role_that_is_granted_again_gives_no_attempt(entrances: Entrances) -> None:
    server, chief = entrances.server, a_chief(entrances.server)
    a_chief(server)  # one more, so that the role can be revoked
    entrances.fail_at_the_console(chief, NOW)
    entrances.fail_elsewhere(chief, NOW)
    roles.revoke(server, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, chief.login, TOP_DOMAIN, now=NOW)
    assert denied(submit(server, chief, NOW + QUARTER - 1)).reason is Reason.LOCKED
    roles.grant(server, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, chief.login, TOP_DOMAIN, now=NOW)
    assert denied(entrances.console(chief, NOW + QUARTER - 1).outcome).reason is Reason.LOCKED
    row = account_row(server, chief.login)
    assert {each: row.count_at(each).without_success for each in InterfaceGroup} == dict.fromkeys(InterfaceGroup, LIMIT)


def test_a_link_is_refused_for_a_lock_of_the_console_only(entrances: Entrances) -> None:
    server, chief = entrances.server, a_chief(entrances.server)
    entrances.fail_elsewhere(chief, NOW)
    assert admin_links.make_link(server, ROOT, chief.login, now=NOW).login == chief.login
    entrances.fail_at_the_console(chief, NOW)
    with pytest.raises(Conflict, match="is locked"):
        admin_links.make_link(server, ROOT, chief.login, now=NOW)


def test_pages_and_commands_say_which_lock_stands_and_until_when(entrances: Entrances) -> None:
    server, chief = entrances.server, a_chief(entrances.server)
    entrances.fail_at_the_console(chief, NOW)
    found = show_dashboard(server, ROOT, chief.login, now=NOW)
    assert found.console is not None
    assert (found.locked_since, found.console.locked_since, found.console.locked_until) == (None, NOW, NOW + QUARTER)
    assert (found.user.console_locked_until, found.user.locked, found.closed) == (NOW + QUARTER, False, None)
    assert found.user.is_locked(NOW)
    assert not found.user.is_locked(NOW + QUARTER)
    assert found.user.can_be_unlocked
    (line,) = [line for line in explain(server, ROOT, chief.login, now=NOW).lines if line.rule.endswith("the console")]
    assert (line.verdict, line.mend) == ("stops", f"sparekey user unlock {chief.login}")
    assert line.why == f"locked since {moment(NOW)}, until {moment(NOW + QUARTER)}; passkeys work in any case"
    (other,) = [line for line in explain(server, ROOT, chief.login, now=NOW).lines if line.rule == "not locked"]
    assert (other.verdict, other.why) == ("ok", f"0 of {LIMIT} failures in a row")
    later = explain(server, ROOT, chief.login, now=NOW + QUARTER).lines
    (line,) = [line for line in later if line.rule.endswith("the console")]
    assert (line.verdict, line.why) == (
        "ok",
        "5 of 5 failures in a row, 5 without a success; passkeys work in any case",
    )
    plain = a_user(server)
    assert show_dashboard(server, ROOT, plain.login, now=NOW).console is None
    assert not [line for line in explain(server, ROOT, plain.login, now=NOW).lines if "console" in line.rule]


@pytest.mark.parametrize("group", InterfaceGroup)
def test_a_user_with_either_lock_is_found_among_the_locked(entrances: Entrances, group: InterfaceGroup) -> None:
    server, chief = entrances.server, a_chief(entrances.server)
    (entrances.fail_at_the_console if group is InterfaceGroup.ADMINISTRATORS else entrances.fail_elsewhere)(chief, NOW)
    found = users.search_users(server, ROOT, users.UserSearch(state="locked"))
    assert [view.login for view in found] == [chief.login]


def test_a_user_without_a_role_is_locked_until_a_person_unlocks(entrances: Entrances) -> None:
    user = a_user(entrances.server)
    entrances.fail_elsewhere(user, NOW)
    assert denied(submit(entrances.server, user, NOW + 3650 * DAY)).reason is Reason.LOCKED
    (event,) = logged_events(entrances.server, Action.ACCOUNT_LOCKED)
    assert event.detail == "{}"
    assert denied(entrances.console(user, NOW).outcome).reason is Reason.OUT_OF_SCOPE
    assert account_row(entrances.server, user.login).admin_failures == 0
