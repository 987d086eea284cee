"""One tokencode, one success: on two instances, through every interface, at the same moment (S01)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.sessions import users as user_sessions
from sparekey.app.sessions.administrators import open_session
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Denied, Granted, Outcome
from sparekey.secret import Secret
from sparekey.storage.unit_of_work import Database
from tests.builders import (
    NOW,
    PIN,
    REST,
    ROOT,
    User,
    a_device,
    a_user,
    account_row,
    an_instance,
    elsewhere,
    granted,
    submit,
    token_row,
)
from tests.shared_statements import open_database
from tools.counts import Count

SUBMITS = 64
Submit = Callable[[int], Outcome]


@pytest.fixture
def instances(database: Database, database_url: str) -> Iterator[tuple[Instance, Instance]]:
    """Yield two instances on one database, each with its own connections."""
    first = an_instance(database)
    second = elsewhere(first, open_database(database_url), "two")
    yield first, second
    second.database.close()


def interfaces(instances: tuple[Instance, Instance], user: User) -> list[Submit]:
    """Return every interface of each instance, as functions of the time at which the right code is submitted."""
    if user.pin:  # a token without a PIN works at no administrators' interface, nor for them at self-service
        roles.grant(instances[0], ROOT, "auditor", HolderKind.USER, user.login, TOP_DOMAIN, now=NOW)
    device = a_device(instances[0])

    def agent(instance: Instance) -> Submit:
        here = replace(device, instance=instance)
        return lambda now: here.sign_in(user, now).outcome

    def rest(instance: Instance) -> Submit:
        return lambda now: submit(instance, user, now, interface=REST)

    def session(instance: Instance) -> Submit:
        return lambda now: open_session(instance, "192.0.2.7", user.login, user.typed(now), Secret(""), now).outcome

    def self_service(instance: Instance) -> Submit:
        return lambda now: (
            user_sessions.open_session(instance, "192.0.2.7", user.login, user.typed(now), Secret(""), now).outcome
        )

    opened = (agent, rest, self_service, *((session,) if user.pin else ()))
    return [interface(instance) for instance in instances for interface in opened]


def submit_at_once(pool: ThreadPoolExecutor, ways: list[Submit], now: int) -> list[Outcome]:
    """Release all submits of one round together."""
    start = threading.Barrier(SUBMITS)

    def one(number: int) -> Outcome:
        start.wait(timeout=30)
        return ways[number % len(ways)](now)

    return list(pool.map(one, range(SUBMITS)))


def test_s01_of_64_submits_of_one_code_one_is_accepted(instances: tuple[Instance, Instance], count: Count) -> None:
    play(instances, a_user(instances[0]), count(small=20, full=1000))


def test_s01_a_code_with_a_pin_is_accepted_once_at_administrators_interfaces_too(
    instances: tuple[Instance, Instance], count: Count
) -> None:
    """Fewer rounds: each submit takes the hash of a PIN."""
    play(instances, a_user(instances[0], pin=PIN), count(small=1, full=30))


def play(instances: tuple[Instance, Instance], user: User, rounds: int) -> None:
    """Submit so many codes, each at every interface of both instances at once."""
    ways = interfaces(instances, user)
    with ThreadPoolExecutor(SUBMITS) as pool:
        for number in range(rounds):
            now = NOW + 30 * number
            outcomes = submit_at_once(pool, ways, now)
            accepted = [outcome for outcome in outcomes if isinstance(outcome, Granted)]
            assert len(accepted) == 1, f"round {number}"
            assert accepted[0].step == user.step(now)
            refused = {outcome.reason for outcome in outcomes if isinstance(outcome, Denied)}
            assert refused == {Reason.ALREADY_USED}
            account = account_row(instances[0], user.login)
            assert account.locked_at is None
            assert account.failures <= 1  # a repeat is counted at most once per step
    granted(submit(instances[0], user, NOW + 30 * rounds))


def test_s01_a_code_used_at_one_interface_is_refused_at_every_other(instances: tuple[Instance, Instance]) -> None:
    user = a_user(instances[0], pin=PIN)
    ways = interfaces(instances, user)
    for number, first in enumerate(ways):
        now = NOW + 30 * number
        granted(first(now))
        for way in ways:
            refused = way(now)
            assert isinstance(refused, Denied)
            assert refused.reason is Reason.ALREADY_USED
        assert token_row(instances[0], user.serial).last_step == user.step(now)
    # A repeat counts once a step. The last success, at the session interface, cleared no failure of other interfaces.
    row = account_row(instances[0], user.login)
    assert (row.failures, row.admin_failures) == (2, 0)
