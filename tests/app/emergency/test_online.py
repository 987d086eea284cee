"""Online emergency access: its conditions, its codes at each interface, its audit events, its end."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from sparekey.app.emergency.offline import history
from sparekey.app.emergency.online import (
    MOST_CODES,
    GivenAccess,
    Terms,
    access_of,
    end,
    end_for_token,
    give_fixed,
    give_one_time,
)
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import Instance
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.people.users import unlock
from sparekey.app.tokens.tokens import set_enabled, set_lost
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.emergency.online import EmergencyKind, IfAvailable
from sparekey.core.errors import BadInput, NotAllowed, NotFound
from sparekey.core.permissions import Actor, Grant, Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import Method, Reason
from sparekey.core.sign_in.outcome import Denied, Granted
from sparekey.secret import Secret
from sparekey.storage.tokens.tokens import Token
from sparekey.storage.unit_of_work import Database
from tests.app.test_secrets_at_rest import everything_stored, spellings
from tests.builders import (
    CALLED_BACK,
    DAY,
    NOW,
    PIN,
    ROOT,
    User,
    a_token,
    a_user,
    account_row,
    an_instance,
    denied,
    edit_policy,
    granted,
    logged_events,
    set_end,
    submit,
    token_row,
)
from tools.counts import Count

SUBMITS = 64
FOR_EVER = Terms(None)


def codes_of(given: GivenAccess) -> list[str]:
    return [code.reveal() for code in given.codes]


def fixed(server: Instance, user: User, rule: IfAvailable = IfAvailable.DENY, days: int | None = 7) -> str:
    """The code, as the help desk reads it out."""
    return codes_of(give_fixed(server, ROOT, user.serial, Terms(days, rule), CALLED_BACK, now=NOW))[0]


def one_time(server: Instance, user: User, count: int, terms: Terms = Terms()) -> list[str]:
    return codes_of(give_one_time(server, ROOT, user.serial, count, terms, CALLED_BACK, now=NOW))


def enter(server: Instance, user: User, code: str, now: int = NOW) -> Granted | Denied:
    """Return the outcome of the user's PIN, if there is one, with this code."""
    outcome = submit(server, user, now, Secret(user.pin + code))
    assert isinstance(outcome, Granted | Denied)
    return outcome


# The codes at an interface


def test_a_fixed_code_works_again_and_again_until_it_expires(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    code = fixed(any_server, user, days=1)
    for now in (NOW, NOW + 1, NOW + DAY - 1):
        outcome = granted(enter(any_server, user, code, now))
        assert (outcome.method, outcome.token_id) == (Method.ONLINE_EMERGENCY, user.token_id)
    assert denied(enter(any_server, user, code, NOW + DAY)).reason is Reason.EMERGENCY_ENDED


def test_access_without_an_expiry_lasts(server: Instance) -> None:
    user = a_user(server)
    code = fixed(server, user, days=None)
    granted(enter(server, user, code, NOW + 1000 * DAY))


def test_each_code_of_a_set_works_once(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    codes = one_time(any_server, user, 3)
    for code in codes:
        granted(enter(any_server, user, code))
        assert denied(enter(any_server, user, code)).reason is Reason.WRONG_PASSCODE
    assert account_row(any_server, user.login).failures == 1


@pytest.fixture
def pair(database: Database) -> Instance:
    return an_instance(database)


def test_s01_of_64_submits_of_one_one_time_code_one_is_accepted(pair: Instance, count: Count) -> None:
    edit_policy(pair, {"most_failures": "25"}, kind=PolicyKind.LOCKOUT)
    edit_policy(pair, {"showings_warn": "1000", "showings_limit": "1000"})
    user = a_user(pair)
    rounds = count(small=5, full=200)
    with ThreadPoolExecutor(SUBMITS) as pool:
        for number in range(rounds):
            code, spare = one_time(pair, user, 2)
            start = threading.Barrier(SUBMITS)

            def one(_: int, code: str = code, start: threading.Barrier = start) -> Granted | Denied:
                start.wait(timeout=60)
                return enter(pair, user, code)

            outcomes = list(pool.map(one, range(SUBMITS)))
            accepted = [outcome for outcome in outcomes if isinstance(outcome, Granted)]
            assert len(accepted) == 1, f"round {number}"
            view = access_of(pair, ROOT, user.serial, now=NOW)
            assert view is not None
            assert (view.codes, view.left) == (2, 1)
            _unlock(pair, user)
            granted(enter(pair, user, spare))


def _unlock(server: Instance, user: User) -> None:
    if account_row(server, user.login).failures:
        unlock(server, ROOT, user.login, now=NOW)


def test_s06_wrong_codes_of_every_kind_count_together_and_lock_every_way_in(server: Instance) -> None:
    edit_policy(server, {"most_failures": "4"}, kind=PolicyKind.LOCKOUT)
    user = a_user(server, pin=PIN)
    code = fixed(server, user, IfAvailable.END)
    for number in (1, 2):
        assert denied(enter(server, user, "AAAAAAAA")).counted
        assert account_row(server, user.login).failures == number
    denied(submit(server, user, NOW, user.wrong(NOW)))
    denied(submit(server, user, NOW, Secret("4712zzzz" + code)))
    assert account_row(server, user.login).locked_at == NOW
    assert denied(enter(server, user, code)).reason is Reason.LOCKED
    assert denied(submit(server, user, NOW)).reason is Reason.LOCKED


def test_a_success_with_a_code_clears_the_count(server: Instance) -> None:
    user = a_user(server)
    code = fixed(server, user)
    denied(enter(server, user, "AAAAAAAA"))
    granted(enter(server, user, code))
    assert account_row(server, user.login).failures == 0


def test_s05_a_token_that_is_disabled_or_expired_later_falls_back_to_nothing(server: Instance) -> None:
    user, code = _with_code(server)
    set_enabled(server, ROOT, user.serial, enabled=False, now=NOW)
    assert denied(enter(server, user, code)).reason is Reason.TOKEN_DISABLED
    user, code = _with_code(server)
    set_end(server, user, token=NOW + 1)
    assert denied(enter(server, user, code, NOW + 1)).reason is Reason.TOKEN_EXPIRED
    user, code = _with_code(server)
    set_user_enabled(server, ROOT, user.login, enabled=False, now=NOW)
    assert denied(enter(server, user, code)).reason is Reason.ACCOUNT_DISABLED


def _with_code(server: Instance) -> tuple[User, str]:
    user = a_user(server)
    return user, fixed(server, user)


def test_the_code_of_one_token_does_not_work_for_another_person(server: Instance) -> None:
    user, code = _with_code(server)
    other, _ = _with_code(server)
    assert denied(enter(server, other, code)).reason is Reason.WRONG_PASSCODE
    granted(enter(server, user, code))


# Conditions of access


def refused(server: Instance, user: User, now: int = NOW) -> str:
    with pytest.raises(NotAllowed) as told:
        give_fixed(server, ROOT, user.serial, Terms(), CALLED_BACK, now=now)
    assert access_of(server, ROOT, user.serial, now=now) is None
    assert told.value.do
    return told.value.message


def test_s05_a_disabled_or_expired_token_gets_no_access(server: Instance) -> None:
    user = a_user(server)
    set_end(server, user, token=NOW)
    assert "has expired" in refused(server, user)
    set_end(server, user, token=NOW + 1)
    set_enabled(server, ROOT, user.serial, enabled=False, now=NOW)
    assert "disabled" in refused(server, user)


def test_a_disabled_or_expired_user_gets_no_access(server: Instance) -> None:
    user = a_user(server)
    set_end(server, user, account=NOW)
    assert "account has expired" in refused(server, user)
    set_end(server, user, account=NOW + 1)
    set_user_enabled(server, ROOT, user.login, enabled=False, now=NOW)
    assert "user is disabled" in refused(server, user)


def test_a_token_whose_pin_is_not_set_gets_no_access(server: Instance) -> None:
    assert "no PIN yet" in refused(server, a_user(server, with_pin=True))


def test_an_unknown_token_gets_no_access(server: Instance) -> None:
    with pytest.raises(NotFound):
        give_fixed(server, ROOT, "nothing", Terms(), CALLED_BACK, now=NOW)


@pytest.mark.parametrize("days", [0, -1, 366])
def test_a_lifetime_is_1_to_365_days(server: Instance, days: int) -> None:
    with pytest.raises(BadInput, match="the lifetime must be"):
        give_fixed(server, ROOT, a_user(server).serial, Terms(days), CALLED_BACK, now=NOW)


@pytest.mark.parametrize("number", [0, -1, MOST_CODES + 1])
def test_a_set_has_1_to_50_codes(server: Instance, number: int) -> None:
    with pytest.raises(BadInput, match="the number of tokencodes must be"):
        give_one_time(server, ROOT, a_user(server).serial, number, Terms(), CALLED_BACK, now=NOW)


def test_after_a_lifetime_that_never_ends_is_refused(server: Instance) -> None:
    with pytest.raises(BadInput, match="never be accepted again"):
        give_fixed(server, ROOT, a_user(server).serial, Terms(None, IfAvailable.AFTER_LIFETIME), CALLED_BACK, now=NOW)


def test_access_lasts_no_longer_than_the_token(server: Instance) -> None:
    user = a_user(server)
    set_end(server, user, token=NOW + 100)
    assert give_fixed(server, ROOT, user.serial, FOR_EVER, CALLED_BACK, now=NOW).expires_at == NOW + 100


def test_access_needs_its_permission(server: Instance) -> None:
    user, code = _with_code(server)
    help_desk = Actor("user:h", (Grant(frozenset({Permission.EMERGENCY_VIEW}), None),))
    assert access_of(server, help_desk, user.serial, now=NOW) is not None
    with pytest.raises(NotAllowed, match=r"emergency\.temporary"):
        give_fixed(server, help_desk, user.serial, Terms(), CALLED_BACK, now=NOW)
    with pytest.raises(NotAllowed, match=r"emergency\.temporary"):
        end(server, help_desk, user.serial, now=NOW)
    granted(enter(server, user, code))


def test_codes_are_made_from_the_policy_s_alphabet(server: Instance) -> None:
    edit_policy(server, {"emergency_alphabet": "digits"}, kind=PolicyKind.TOKEN)
    user = a_user(server)
    codes = one_time(server, user, MOST_CODES)
    assert len(set(codes)) == MOST_CODES
    assert all(code.isdigit() and len(code) == 8 for code in codes)
    granted(enter(server, user, codes[-1]))


def test_a_code_can_be_spelled(server: Instance) -> None:
    given = give_one_time(server, ROOT, a_user(server).serial, 2, Terms(), CALLED_BACK, now=NOW)
    for code, words in zip(given.codes, given.spelling(), strict=True):
        assert len(words) == 8
        assert all(word[0].upper() == letter for word, letter in zip(words, code.reveal(), strict=True) if letter > "9")


# State and end of access


def test_s41_codes_are_in_the_database_only_encrypted(any_server: Instance, tmp_path: Path) -> None:
    user = a_user(any_server, pin=PIN)
    codes = [fixed(any_server, user)]
    stored = everything_stored(any_server, tmp_path)
    codes += one_time(any_server, a_user(any_server), 5)
    stored += everything_stored(any_server, tmp_path)
    granted(enter(any_server, user, codes[0]))
    stored += everything_stored(any_server, tmp_path)
    for code in codes:
        for spelling in spellings(code.encode()):
            assert spelling not in stored


def test_the_view_shows_the_number_of_codes_left_and_no_code(server: Instance) -> None:
    user = a_user(server)
    assert access_of(server, ROOT, user.serial, now=NOW) is None
    codes = one_time(server, user, 3)
    granted(enter(server, user, codes[1], NOW + 5))
    view = access_of(server, ROOT, user.serial, now=NOW + 7 * DAY - 1)
    assert view is not None
    assert (view.kind, view.codes, view.left, view.last_used_at) == (EmergencyKind.ONE_TIME, 3, 2, NOW + 5)
    assert (view.given_at, view.given_by, view.expires_at, view.ended) == (NOW, "os:root", NOW + 7 * DAY, False)
    assert not any(code in repr(view) for code in codes)
    view = access_of(server, ROOT, user.serial, now=NOW + 7 * DAY)
    assert view is not None
    assert view.ended
    code = fixed(server, user)
    granted(enter(server, user, code))
    view = access_of(server, ROOT, user.serial, now=NOW)
    assert view is not None
    assert (view.kind, view.codes, view.left) == (EmergencyKind.FIXED, 1, 1)


def test_new_access_ends_the_former(server: Instance) -> None:
    user = a_user(server)
    first = fixed(server, user)
    given = give_one_time(server, ROOT, user.serial, 2, Terms(), CALLED_BACK, now=NOW)
    assert given.replaced
    assert denied(enter(server, user, first)).reason is Reason.WRONG_PASSCODE
    granted(enter(server, user, codes_of(given)[0]))


def test_an_operator_ends_it_and_the_token_works_again(any_server: Instance) -> None:
    user = a_user(any_server)
    code = fixed(any_server, user)
    assert denied(submit(any_server, user, NOW)).reason is Reason.TOKEN_IN_EMERGENCY
    end(any_server, ROOT, user.serial, now=NOW)
    granted(submit(any_server, user, NOW))
    assert isinstance(enter(any_server, user, code), Denied)
    with pytest.raises(NotFound, match="no online emergency access"):
        end(any_server, ROOT, user.serial, now=NOW)


def test_access_ends_in_the_transaction_that_changes_the_token(server: Instance) -> None:
    user, code = _with_code(server)
    row = token_row(server, user.serial)
    with pytest.raises(RuntimeError):
        _end_and_fail(server, row)
    granted(enter(server, user, code))
    with server.database.write() as connection:
        assert end_for_token(connection, ROOT, row, "the token was removed", now=NOW)
        assert not end_for_token(connection, ROOT, row, "the token was removed", now=NOW)
    assert isinstance(enter(server, user, code), Denied)
    (ended,) = logged_events(server, Action.EMERGENCY_ENDED)
    assert json.loads(ended.detail)["why"] == "the token was removed"


def _end_and_fail(server: Instance, row: Token) -> None:
    with server.database.write() as connection:
        assert end_for_token(connection, ROOT, row, "the token was removed", now=NOW)
        raise RuntimeError


RULES = {
    # rule, after how many days: whether the token's own code is accepted
    (IfAvailable.DENY, 0): False,
    (IfAvailable.DENY, 8): False,
    (IfAvailable.END, 0): True,
    (IfAvailable.END, 8): True,
    (IfAvailable.AFTER_LIFETIME, 0): False,
    (IfAvailable.AFTER_LIFETIME, 8): True,
}


@pytest.mark.parametrize(("rule", "days"), RULES)
def test_the_lost_token_is_found(server: Instance, rule: IfAvailable, days: int) -> None:
    user, later = a_user(server), NOW + days * DAY
    set_lost(server, ROOT, user.serial, lost=True, now=NOW)
    code = fixed(server, user, rule)
    granted(enter(server, user, code))
    assert denied(submit(server, user, NOW)).reason is Reason.TOKEN_LOST
    set_lost(server, ROOT, user.serial, lost=False, now=later)
    outcome = submit(server, user, later)
    if RULES[rule, days]:
        assert granted(outcome).ends_emergency
        assert access_of(server, ROOT, user.serial, now=later) is None
        assert isinstance(enter(server, user, code, later), Denied)
        (ended,) = logged_events(server, Action.EMERGENCY_ENDED)
        assert json.loads(ended.detail)["why"] == "the token is available"
    else:
        assert denied(outcome).reason is Reason.TOKEN_IN_EMERGENCY
        assert access_of(server, ROOT, user.serial, now=later) is not None
        assert logged_events(server, Action.EMERGENCY_ENDED) == []


def test_another_token_of_the_user_ends_nothing(server: Instance) -> None:
    user = a_user(server)
    spare = a_token(server, user.login, user.account_id)
    code = fixed(server, user, IfAvailable.END)
    assert not granted(submit(server, spare, NOW)).ends_emergency
    granted(enter(server, user, code))


# In the audit log


def test_s42_access_and_uses_are_logged_without_codes(server: Instance) -> None:
    user = a_user(server)
    codes = one_time(server, user, 2, FOR_EVER)
    granted(enter(server, user, codes[0]))
    (given,) = logged_events(server, Action.EMERGENCY_TEMPORARY)
    assert (given.actor, given.result, given.account_id, given.token_id) == (
        "os:root",
        OK,
        user.account_id,
        user.token_id,
    )
    assert json.loads(given.detail) == {
        "serial": user.serial,
        "kind": "one-time",
        "codes": 2,
        "if_available": "deny",
        "expires": None,
        "caller": "call back",
        "note": "",
        "ticket": "",
    }
    (used,) = logged_events(server, Action.EMERGENCY_USED)
    assert json.loads(used.detail) == {"kind": "one-time", "left": 1, "operator": "os:root"}
    end(server, ROOT, user.serial, now=NOW)
    rows = logged_events(server)
    assert not any(code in row.detail for code in codes for row in rows)
    actions = [row.action for row in history(server, ROOT, CodeKind.TOKENCODE, user.serial)]
    assert actions == ["emergency.ended", "emergency.used", "emergency.temporary"]


@pytest.mark.parametrize("caller", ["", "  ", "two\nlines", "x" * 201])
def test_s42_nothing_is_given_without_saying_how_the_caller_was_identified(server: Instance, caller: str) -> None:
    user = a_user(server)
    with pytest.raises(BadInput):
        give_fixed(server, ROOT, user.serial, Terms(), Showing(caller), now=NOW)
    with pytest.raises(BadInput):
        give_one_time(server, ROOT, user.serial, 2, Terms(), Showing(caller), now=NOW)
    assert logged_events(server, Action.EMERGENCY_TEMPORARY) == []
    give_fixed(server, ROOT, user.serial, Terms(), Showing("at the desk", "left it at home", "T-7"), now=NOW)
    (row,) = history(server, ROOT, CodeKind.TOKENCODE, user.serial)
    assert (
        json.loads(row.detail).items() >= {"caller": "at the desk", "note": "left it at home", "ticket": "T-7"}.items()
    )


def test_s42_without_the_audit_log_no_access_is_given_or_used_up(server: Instance) -> None:
    user = a_user(server)
    (code,) = one_time(server, user, 1)
    _refuse_audit_rows(server)
    with pytest.raises(Exception, match="no room"):
        enter(server, user, code)
    with pytest.raises(Exception, match="no room"):
        fixed(server, user)
    with pytest.raises(Exception, match="no room"):
        end(server, ROOT, user.serial, now=NOW)
    view = access_of(server, ROOT, user.serial, now=NOW)
    assert view is not None
    assert (view.kind, view.left) == (EmergencyKind.ONE_TIME, 1)


def _refuse_audit_rows(server: Instance) -> None:
    with server.database.write() as connection:
        connection.execute(text("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END"))
