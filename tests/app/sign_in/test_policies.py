"""The lockout and token policy in force is that of the user's security domain, at once, at every interface."""

from collections.abc import Mapping

import pytest

from sparekey.app.instance import Instance
from sparekey.app.people.domains import add_domain
from sparekey.app.people.users import move_user
from sparekey.app.policies.policies import add_policy, assign_policy
from sparekey.app.tokens.resync import resync
from sparekey.app.tokens.tokens import set_pin
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import ChallengeKind, Reason
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from tests.builders import (
    DAY,
    NOW,
    PIN,
    ROOT,
    User,
    a_device,
    a_user,
    account_row,
    denied,
    edit_policy,
    granted,
    logged_events,
    submit,
)
from tests.challenges import asked, begin

LOCKOUT, TOKEN = PolicyKind.LOCKOUT, PolicyKind.TOKEN


@pytest.fixture
def sales(any_server: Instance) -> Instance:
    """Return a server with a domain Sales that has its own policies, equal to the default ones so far."""
    add_domain(any_server, ROOT, "Sales", now=NOW)
    for kind in (LOCKOUT, TOKEN):
        add_policy(any_server, ROOT, kind, "strict", {}, now=NOW)
        assign_policy(any_server, ROOT, kind, "strict", "Sales", now=NOW)
    return any_server


def edit(server: Instance, kind: PolicyKind, fields: Mapping[str, str]) -> None:
    edit_policy(server, fields, "strict", kind=kind)


def fails(server: Instance, user: User, times: int, now: int = NOW) -> None:
    for _ in range(times):
        denied(submit(server, user, now, user.wrong(now)))


def locked(server: Instance, user: User) -> bool:
    return account_row(server, user.login).locked_at is not None


def test_s06_the_limit_is_that_of_the_users_domain(sales: Instance) -> None:
    edit(sales, LOCKOUT, {"most_failures": "2"})
    edit(sales, TOKEN, {"next_tokencode_after": "0"})
    inside, outside = a_user(sales, domain="Sales"), a_user(sales)
    for user in (inside, outside):
        fails(sales, user, 2)
    assert (locked(sales, inside), locked(sales, outside)) == (True, False)
    assert denied(submit(sales, inside, NOW)).reason is Reason.LOCKED
    granted(submit(sales, outside, NOW))


def test_s06_all_interfaces_and_methods_count_together(sales: Instance) -> None:
    edit(sales, LOCKOUT, {"most_failures": "4"})
    user = a_user(sales, pin=PIN, domain="Sales")
    device = a_device(sales)
    fails(sales, user, 1)
    denied(device.sign_in(user, NOW, user.wrong(NOW)).outcome)
    denied(submit(sales, user, NOW, Secret(PIN + "0123456789"[:6])))
    assert not locked(sales, user)
    wrong = Secret("000000")
    assert resync(sales, ROOT, user.serial, wrong, wrong, now=NOW).refused is Reason.WRONG_PASSCODE
    assert locked(sales, user)
    assert len(logged_events(sales, Action.ACCOUNT_LOCKED)) == 1


@pytest.mark.parametrize(("gap", "locks"), [(599, True), (600, False)])
def test_failures_count_together_within_the_time_of_the_domain(sales: Instance, gap: int, locks: bool) -> None:
    edit(sales, LOCKOUT, {"most_failures": "2", "within_minutes": "10"})
    user = a_user(sales, domain="Sales")
    fails(sales, user, 1)
    fails(sales, user, 1, NOW + gap)
    assert locked(sales, user) is locks
    assert account_row(sales, user.login).failures == (2 if locks else 1)


def test_a_lock_ends_after_the_time_of_the_domain(sales: Instance) -> None:
    edit(sales, LOCKOUT, {"most_failures": "2", "unlock_after_minutes": "10"})
    edit(sales, TOKEN, {"next_tokencode_after": "0"})
    user = a_user(sales, domain="Sales")
    fails(sales, user, 2)
    assert denied(submit(sales, user, NOW + 599)).reason is Reason.LOCKED
    granted(submit(sales, user, NOW + 600))
    assert (account_row(sales, user.login).failures, locked(sales, user)) == (0, False)


def test_counting_restarts_after_a_lock_has_ended(sales: Instance) -> None:
    edit(sales, LOCKOUT, {"most_failures": "2", "unlock_after_minutes": "10"})
    user = a_user(sales, domain="Sales")
    fails(sales, user, 2)
    fails(sales, user, 1, NOW + 600)
    row = account_row(sales, user.login)
    assert (row.failures, row.first_failure_at, row.locked_at) == (1, NOW + 600, None)
    fails(sales, user, 1, NOW + 601)
    assert locked(sales, user)


def test_without_such_a_time_a_lock_never_ends(sales: Instance) -> None:
    edit(sales, LOCKOUT, {"most_failures": "2"})
    user = a_user(sales, domain="Sales")
    fails(sales, user, 2)
    assert denied(submit(sales, user, NOW + 3650 * DAY)).reason is Reason.LOCKED


def test_a_moved_user_gets_the_new_policies_at_once(sales: Instance) -> None:
    edit(sales, LOCKOUT, {"most_failures": "3"})
    user = a_user(sales)
    fails(sales, user, 2)
    move_user(sales, ROOT, user.login, "Sales", now=NOW)
    fails(sales, user, 1)
    assert locked(sales, user)


def test_the_domain_s_policy_decides_when_the_next_tokencode_is_required(sales: Instance) -> None:
    edit(sales, TOKEN, {"next_tokencode_after": "1"})
    inside, outside = a_user(sales, domain="Sales"), a_user(sales)
    for user in (inside, outside):
        fails(sales, user, 1)
    asked(begin(sales, inside), ChallengeKind.NEXT_TOKENCODE)
    granted(submit(sales, outside, NOW))


@pytest.mark.parametrize("window", [0, 1, 2])
def test_s04_the_window_is_that_of_the_domain(sales: Instance, window: int) -> None:
    edit(sales, TOKEN, {"code_window": str(window), "next_tokencode_after": "0"})
    edit(sales, LOCKOUT, {"most_failures": "25"})
    for steps in range(-3, 4):
        user = a_user(sales, domain="Sales")
        assert isinstance(submit(sales, user, NOW, ahead=30 * steps), Granted) is (abs(steps) <= window)


def test_a_pin_follows_the_domain_s_policy(sales: Instance) -> None:
    edit(sales, TOKEN, {"pin_minimum": "6", "blocked_words": "summer24"})
    inside, outside = a_user(sales, with_pin=True, domain="Sales"), a_user(sales, with_pin=True)
    for pin in ("47ab", "Summer24"):
        with pytest.raises(BadInput):
            set_pin(sales, ROOT, inside.serial, Secret(pin), now=NOW)
        set_pin(sales, ROOT, outside.serial, Secret(pin), now=NOW)


def test_a_pin_that_is_too_old_in_the_domain_is_renewed(sales: Instance) -> None:
    edit(sales, TOKEN, {"pin_lifetime": "30"})
    inside, outside = a_user(sales, pin=PIN, domain="Sales"), a_user(sales, pin=PIN)
    later = NOW + 30 * DAY
    asked(begin(sales, inside, later), ChallengeKind.NEW_PIN)
    granted(submit(sales, outside, later))


def test_a_double_click_is_counted_once_under_any_policy(sales: Instance) -> None:
    edit(sales, LOCKOUT, {"most_failures": "2"})
    user = a_user(sales, domain="Sales")
    typed = user.typed(NOW)
    granted(submit(sales, user, NOW, typed))
    for _ in range(5):
        assert denied(submit(sales, user, NOW, typed)).reason is Reason.ALREADY_USED
    assert (account_row(sales, user.login).failures, locked(sales, user)) == (1, False)
