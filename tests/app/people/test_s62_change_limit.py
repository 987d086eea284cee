"""S62 for many users at once: one operator changes ten within an hour, and more with a fresh second factor."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import users
from sparekey.app.people.domains import add_domain
from sparekey.app.people.users import UserEdit, add_user
from sparekey.core.audit_log.actions import Action
from sparekey.core.change_limit import FREE_CHANGES, HOUR
from sparekey.core.errors import SecondFactorNeeded
from sparekey.core.permissions import Actor
from tests.builders import NOW, ROOT, account_row, logged_events

Change = Callable[[Instance, Actor, str, int], object]
CHANGES: dict[str, Change] = {
    "rename": lambda server, actor, login, now: users.edit_user(server, actor, login, UserEdit(f"{now}"), now=now),
    "expire": lambda server, actor, login, now: users.edit_user(
        server, actor, login, UserEdit(expires_at=now + 60), now=now
    ),
    "move": lambda server, actor, login, now: users.move_user(server, actor, login, "Sales", now=now),
    "disable": lambda server, actor, login, now: users.set_enabled(server, actor, login, enabled=False, now=now),
    "disable at once": lambda server, actor, login, now: users.set_enabled_at_once(
        server, actor, [login], enabled=False, now=now
    ),
}


def an_operator(name: str, fresh_until: int = NOW) -> Actor:
    """An administrator whose second factor is no longer fresh."""
    return replace(ROOT, name=f"user:{name}", fresh_until=fresh_until)


def some_users(server: Instance, number: int) -> list[str]:
    for each in range(number):
        add_user(server, ROOT, f"u{each:02}", TOP_DOMAIN, now=NOW)
    return [f"u{each:02}" for each in range(number)]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_s62_the_eleventh_user_in_an_hour_needs_a_fresh_second_factor(server: Instance, change: Change) -> None:
    add_domain(server, ROOT, "Sales", now=NOW)
    logins = some_users(server, FREE_CHANGES + 3)
    alice = an_operator("alice")
    for login in logins[:FREE_CHANGES]:
        change(server, alice, login, NOW)
    last = logins[FREE_CHANGES]
    before = account_row(server, last)
    with pytest.raises(SecondFactorNeeded):
        change(server, alice, last, NOW + HOUR - 1)
    assert account_row(server, last) == before
    change(server, an_operator("bob"), last, NOW)  # each operator for themselves
    change(server, replace(alice, fresh_until=NOW + 1), logins[FREE_CHANGES + 1], NOW)
    change(server, alice, logins[FREE_CHANGES + 2], NOW + HOUR)  # the first ones are an hour old


def test_s62_all_kinds_of_changes_count_together_and_those_that_change_nothing_do_not(server: Instance) -> None:
    add_domain(server, ROOT, "Sales", now=NOW)
    logins = some_users(server, FREE_CHANGES + 1)
    alice = an_operator("alice")
    kinds = [CHANGES["rename"], CHANGES["move"], CHANGES["disable"]]
    for number, login in enumerate(logins[:FREE_CHANGES]):
        kinds[number % 3](server, alice, login, NOW)
    for login in logins[2:FREE_CHANGES:3]:  # disabled already
        CHANGES["disable"](server, alice, login, NOW)
    for login in logins[1:FREE_CHANGES:3]:  # moved already
        CHANGES["move"](server, alice, login, NOW)
    for change in CHANGES.values():
        with pytest.raises(SecondFactorNeeded):
            change(server, alice, logins[FREE_CHANGES], NOW)


def test_s62_more_than_ten_at_once_need_it_at_once(server: Instance) -> None:
    logins = some_users(server, FREE_CHANGES + 1)
    with pytest.raises(SecondFactorNeeded):
        users.set_enabled_at_once(server, an_operator("alice"), logins, enabled=False, now=NOW)
    assert logged_events(server, Action.USER_DISABLED) == []
    fresh = an_operator("alice", NOW + 1)
    assert users.set_enabled_at_once(server, fresh, logins, enabled=False, now=NOW) == logins
    with pytest.raises(SecondFactorNeeded):  # those with a second factor count, too
        users.set_enabled_at_once(server, an_operator("alice"), logins[:1], enabled=True, now=NOW)


def test_root_and_programs_have_no_second_factor_to_give(server: Instance) -> None:
    logins = some_users(server, FREE_CHANGES + 1)
    for actor in (ROOT, replace(ROOT, name="client:crm")):
        for login in logins:
            CHANGES["rename"](server, actor, login, NOW)


def test_s62_parallel_changes_are_counted_one_after_the_other(any_server: Instance) -> None:
    logins = some_users(any_server, 2 * FREE_CHANGES)
    alice, together = an_operator("alice"), threading.Barrier(4)

    def change(some: list[str]) -> int:
        together.wait(30)
        done = 0
        for login in some:
            try:
                CHANGES["disable"](any_server, alice, login, NOW)
                done += 1
            except SecondFactorNeeded:
                continue
        return done

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(change, [logins[part::4] for part in range(4)])) == FREE_CHANGES
    assert len(logged_events(any_server, Action.USER_DISABLED)) == FREE_CHANGES
