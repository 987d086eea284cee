"""S06: guesses that are decided at the same moment get no further than guesses one by one."""

import pytest

from sparekey.app.instance import Instance
from sparekey.app.sign_in.verification import SignInInterface, SignInResult, find_snapshot, lockout_of, save_effects
from sparekey.core.reasons import ChallengeKind
from sparekey.core.sign_in.authenticate import decide
from sparekey.core.sign_in.outcome import Asked, Granted, Outcome
from sparekey.secret import Secret
from sparekey.storage.sign_in import statements as stored
from tests.builders import NOW, PIN, User, a_user, account_row

INTERFACE = SignInInterface("client:portal")


def decided(server: Instance, user: User, typed: Secret[str]) -> Outcome:
    """Decide on the text by the present snapshot, without counting."""
    text, snapshot = find_snapshot(server, INTERFACE, user.login, typed, NOW)
    return decide(text, snapshot, NOW)


def counted(server: Instance, user: User, outcome: Outcome) -> SignInResult:
    """Settle the outcome, so that it counts."""
    _, snapshot = find_snapshot(server, INTERFACE, user.login, user.typed(NOW), NOW)
    with server.database.write() as connection:
        outcome = stored.commit(connection, outcome, NOW, lockout_of(snapshot))
        return save_effects(connection, server, INTERFACE, outcome, NOW, None)


@pytest.mark.parametrize("wrong", [2, 3])
def test_s06_guesses_at_once_do_not_pass_by_the_next_tokencode(any_server: Instance, wrong: int) -> None:
    user = a_user(any_server, pin=PIN)
    outcomes = [decided(any_server, user, user.wrong(NOW)) for _ in range(wrong)]
    right = decided(any_server, user, user.typed(NOW))
    assert isinstance(right, Granted)
    for outcome in outcomes:
        counted(any_server, user, outcome)
    with any_server.database.write_at_once() as connection:
        row: dict[str, str | int | None] = {
            "at": 0,
            "actor": "x",
            "action": "x",
            "account_id": None,
            "token_id": None,
            "device_id": None,
            "result": "ok",
            "detail": "{}",
        }
        assert not stored.accept_at_once(connection, right, NOW, row)
    verdict = counted(any_server, user, right)
    if wrong < 3:
        assert isinstance(verdict.outcome, Granted)
        return
    assert isinstance(verdict.outcome, Asked)
    assert verdict.outcome.ask is ChallengeKind.NEXT_TOKENCODE
    assert verdict.reply_to
    assert account_row(any_server, user.login).failures == wrong
