"""The stored count is the count of core.policy.lockout, and no right passcode passes a lock."""

from hypothesis import given
from hypothesis import strategies as st

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.people.users import unlock
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import FailureCount, InterfaceGroup, LockoutPolicy
from sparekey.core.reasons import Method, Reason
from sparekey.core.sign_in.outcome import Asked, Denied, Granted
from sparekey.storage import tables
from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.sign_in import statements as stored
from tests.builders import LIMIT, NOW, ROOT, User, a_user, account_row, denied, edit_policy, granted, submit
from tests.properties.examples import few_examples

# Seconds between two attempts: some within a policy's time, some longer than the longest lock.
GAPS = st.one_of(st.integers(0, 150), st.sampled_from([899, 900, 901, 1800, 3600, 86_399, 86_400]))
TURNS = st.tuples(
    GAPS, st.sampled_from(InterfaceGroup), st.sampled_from(["guess", "guess", "guess", "role", "success"])
)


@few_examples
@given(
    turns=st.lists(TURNS, min_size=1, max_size=16),
    limit=st.integers(1, 6),
    within=st.integers(1, 6),
    unlock_after=st.integers(0, 3),
    spent=st.sampled_from([0, 96]),
)
def test_s06_stored_counts_follow_the_pure_rule(
    shared_server: Instance,
    turns: list[tuple[int, InterfaceGroup, str]],
    limit: int,
    within: int,
    unlock_after: int,
    spent: int,
) -> None:
    """Each group has its own count, and a role that comes and goes is seen by the write itself."""
    user, step, holds_a_role = a_user(shared_server), NOW // 30, False
    pure = {group: FailureCount(without_success=spent) for group in InterfaceGroup}
    set_counts(shared_server, user, without_success=spent, admin_without_success=spent)
    policy, now = LockoutPolicy(limit, within, unlock_after), NOW
    guess = Denied(Reason.WRONG_PASSCODE, user.account_id, user.token_id, counted=True)
    locked = Denied(Reason.LOCKED, user.account_id, user.token_id)
    for gap, group, turn in turns:
        now += gap
        was_locked = pure[group].locked(now, policy)
        if turn == "role":
            holds_a_role = not holds_a_role
            change = roles.grant if holds_a_role else roles.revoke
            change(shared_server, ROOT, "help desk", HolderKind.USER, user.login, TOP_DOMAIN, now=now)
        elif turn == "guess":
            pure[group] = pure[group].after_failure(now, policy, holds_a_role=holds_a_role)
            with shared_server.database.write() as connection:
                became = stored.commit(connection, guess, now, policy, group)
            # Once locked, the answer says nothing of the guess.
            assert became == (locked if was_locked else guess)
        else:
            step += 1
            success = Granted(user.account_id, user.login, Method.TOKENCODE, user.token_id, step)
            pure[group] = pure[group] if was_locked else FailureCount()
            with shared_server.database.write() as connection:
                became = stored.commit(connection, success, now, policy, group)
            assert became == (locked if was_locked else success)
        row = account_row(shared_server, user.login)
        assert {each: row.count_at(each) for each in InterfaceGroup} == pure


def set_counts(server: Instance, user: User, **values: int) -> None:
    with server.database.write() as connection:
        update_rows(connection, tables.account, [tables.account.c.id == user.account_id], values)


@few_examples
@given(
    failures=st.integers(0, 4), locks=st.integers(0, 2), group=st.sampled_from(InterfaceGroup), after=st.integers(0, 4)
)
def test_s06_the_next_code_is_asked_for_by_the_stored_count(
    shared_server: Instance, failures: int, locks: int, group: InterfaceGroup, after: int
) -> None:
    user = a_user(shared_server)
    prefix = "admin_" if group is InterfaceGroup.ADMINISTRATORS else ""
    set_counts(shared_server, user, **{f"{prefix}failures": failures, f"{prefix}locks": locks})
    right = Granted(user.account_id, user.login, Method.TOKENCODE, user.token_id, NOW // 30, asks_after=after)
    with shared_server.database.write() as connection:
        became = stored.commit(connection, right, NOW, LockoutPolicy(), group)
    expected: type = Asked if FailureCount(failures, locks=locks).asks_next(after) else Granted
    assert isinstance(became, expected)


@few_examples
@given(wrong=st.integers(0, 7), gap=st.integers(0, 60))
def test_a_locked_account_is_not_granted_until_it_is_unlocked(shared_server: Instance, wrong: int, gap: int) -> None:
    edit_policy(shared_server, {"next_tokencode_after": "0"}, kind=PolicyKind.TOKEN)
    user, now = a_user(shared_server), NOW
    for _ in range(wrong):
        submit(shared_server, user, now, user.wrong(now))
        now += gap
    outcome = submit(shared_server, user, now)
    if wrong < LIMIT:
        granted(outcome)
        assert account_row(shared_server, user.login).failures == 0
    else:
        assert denied(outcome).reason is Reason.LOCKED
        assert unlock(shared_server, ROOT, user.login, now=now)
        assert isinstance(submit(shared_server, user, now), Granted)


@few_examples
@given(repeats=st.integers(1, 8), later=st.integers(0, 29))
def test_a_repeat_is_counted_once_per_step(shared_server: Instance, repeats: int, later: int) -> None:
    user = a_user(shared_server)
    typed = user.typed(NOW)
    granted(submit(shared_server, user, NOW, typed))
    for _ in range(repeats):
        assert denied(submit(shared_server, user, NOW + later, typed)).reason is Reason.ALREADY_USED
    assert account_row(shared_server, user.login).failures == 1
    granted(submit(shared_server, user, NOW + 60))
