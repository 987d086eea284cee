"""The count in SQL is the count of core.policy.lockout, and no right passcode passes a lock."""

from hypothesis import given
from hypothesis import strategies as st

from sparekey.app.instance import Instance
from sparekey.app.people.users import unlock
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import FailureCount, LockoutPolicy
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Denied, Granted
from sparekey.storage.sign_in import statements as stored
from tests.builders import LIMIT, NOW, ROOT, a_user, account_row, denied, edit_policy, granted, submit


@given(
    gaps=st.lists(st.integers(0, 150), min_size=1, max_size=12),
    limit=st.integers(1, 6),
    within=st.integers(1, 6),
    unlock_after=st.integers(0, 3),
)
def test_sql_counts_as_the_pure_rule_does(
    shared_server: Instance, gaps: list[int], limit: int, within: int, unlock_after: int
) -> None:
    user = a_user(shared_server)
    policy, pure, now = LockoutPolicy(limit, within, unlock_after), FailureCount(), NOW
    guess = Denied(Reason.WRONG_PASSCODE, user.account_id, user.token_id, counted=True)
    for gap in gaps:
        now += gap
        was_locked, pure = pure.locked(now, policy), pure.after_failure(now, policy)
        with shared_server.database.write() as connection:
            became = stored.commit(connection, guess, now, policy)
        # Once locked, the answer says nothing of the guess.
        assert became == (Denied(Reason.LOCKED, user.account_id, user.token_id) if was_locked else guess)
        row = account_row(shared_server, user.login)
        assert FailureCount(row.failures, row.first_failure_at, row.locked_at) == pure


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


@given(repeats=st.integers(1, 8), later=st.integers(0, 29))
def test_a_repeat_is_counted_once_per_step(shared_server: Instance, repeats: int, later: int) -> None:
    user = a_user(shared_server)
    typed = user.typed(NOW)
    granted(submit(shared_server, user, NOW, typed))
    for _ in range(repeats):
        assert denied(submit(shared_server, user, NOW + later, typed)).reason is Reason.ALREADY_USED
    assert account_row(shared_server, user.login).failures == 1
    granted(submit(shared_server, user, NOW + 60))
