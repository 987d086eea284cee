"""S06: no answer leaves before its count is committed, and after the limit no answer depends on the guess."""

import asyncio

from sqlalchemy import text

from sparekey.app.people.users import unlock
from sparekey.core.audit_log.actions import Action
from sparekey.storage.unit_of_work import Database
from tests.builders import NOW, PIN, ROOT, User, a_device, a_token, a_user, account_row, an_instance, logged_events
from tests.server.asgi import Reply
from tests.server.interfaces import Interfaces, at_devices, interfaces_of, is_granted, make_administrator, run

GUESSES = 200
LIMIT = 5


def wrong_codes(user: User, count: int) -> list[str]:
    """Return different wrong codes after the right PIN."""
    near = {user.totp.code(step) for step in range(user.step(NOW) - 3, user.step(NOW) + 4)}
    return [user.pin + code for number in range(count + 7) if (code := f"{number:06d}") not in near][:count]


def test_s06_at_most_the_limit_of_answers_depends_on_the_guess(any_interfaces: Interfaces) -> None:
    alice, sign_in = a_user(any_interfaces.instance, pin=PIN), at_devices(any_interfaces, GUESSES // 2)
    make_administrator(any_interfaces.instance, alice.login)

    async def guess_at_once() -> list[Reply]:
        guesses = wrong_codes(alice, GUESSES)
        return await asyncio.gather(
            *(any_interfaces.session(alice.login, guess) for guess in guesses[:20]),  # more at once are turned away
            *(any_interfaces.self_service(alice.login, guess) for guess in guesses[20:60]),
            *(any_interfaces.rest(alice.login, guess) for guess in guesses[60::2]),
            *(sign_in(alice.login, guess) for guess in guesses[61::2]),
        )

    replies = run(guess_at_once())
    assert not any(is_granted(reply) for reply in replies)
    rows = logged_events(any_interfaces.instance, Action.SIGN_IN_DENIED)
    counted = [row for row in rows if row.result == "wrong-passcode"]
    # An administrator has one count at the session interface, and one at all others.
    assert len(counted) == 2 * LIMIT
    assert len([row for row in counted if row.actor.startswith("rest:")]) == LIMIT
    assert {row.result for row in rows} == {"wrong-passcode", "locked"}
    assert len([row for row in rows if row.result == "locked"]) == GUESSES - 2 * LIMIT
    assert len(logged_events(any_interfaces.instance, Action.ACCOUNT_LOCKED)) == 2
    for interface in (any_interfaces.rest, any_interfaces.session):
        assert not is_granted(run(interface(alice.login, alice.typed(NOW).reveal())))


def test_s06_after_the_limit_the_right_code_is_not_revealed(interfaces: Interfaces) -> None:
    alice = a_user(interfaces.instance)
    for guess in wrong_codes(alice, LIMIT):
        run(interfaces.rest(alice.login, guess))
    right, wrong = (
        run(interfaces.rest(alice.login, alice.typed(NOW).reveal())),
        run(interfaces.rest(alice.login, "000000")),
    )
    assert right.body == wrong.body
    assert unlock(interfaces.instance, ROOT, alice.login, now=NOW)
    assert is_granted(run(interfaces.rest(alice.login, alice.typed(NOW).reveal())))


def test_s06_failures_of_all_tokens_and_interfaces_count_together(interfaces: Interfaces) -> None:
    one, device = a_user(interfaces.instance), a_device(interfaces.instance)
    make_administrator(interfaces.instance, one.login)
    other = a_token(interfaces.instance, one.login, one.account_id)
    guesses = wrong_codes(one, 6)
    run(interfaces.self_service(one.login, guesses[0]))
    run(interfaces.rest(one.login, guesses[1]))
    run(interfaces.sign_in(device, one.login, guesses[2]))
    run(interfaces.console(one.login, guesses[3]))
    run(interfaces.session(one.login, guesses[4]))
    row = account_row(interfaces.instance, one.login)
    assert (row.failures, row.admin_failures) == (3, 2)
    run(interfaces.rest(one.login, "no passcode"))
    assert account_row(interfaces.instance, one.login).failures == 3  # no guess was tested
    for guess in (*wrong_codes(other, 1), guesses[5]):
        run(interfaces.rest(one.login, guess))
    row = account_row(interfaces.instance, one.login)
    assert (row.locked_at, row.admin_locked_at) == (NOW, None)


def test_s06_a_rolled_back_count_gives_no_answer_that_depends_on_the_guess(memory_database: Database) -> None:
    instance = an_instance(memory_database)
    with interfaces_of(instance) as interfaces:
        alice = a_user(instance)
        right = alice.typed(NOW).reveal()
        _break_audit(memory_database)
        replies = [run(interfaces.rest(alice.login, typed)) for typed in (right, *wrong_codes(alice, 9))]
        _mend_audit(memory_database)
        assert len({(reply.status, reply.body) for reply in replies}) == 1
        assert not is_granted(replies[0])
        assert account_row(instance, alice.login).failures == 0
        assert is_granted(run(interfaces.rest(alice.login, right)))  # its step was rolled back as well


def _break_audit(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            text("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no audit'); END")
        )


def _mend_audit(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("DROP TRIGGER broken"))
