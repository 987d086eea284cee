"""Facts that events tell, and the differences to what is stored: pure."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.audit_log.told_facts import take_event
from sparekey.core.audit_log.watched import (
    AGAIN,
    COUNTED_AGAIN,
    REMEMBERED,
    Difference,
    Fact,
    Facts,
    Named,
    Overlay,
    WatchedKind,
    at_present,
    differences,
    grant_key,
    is_over,
)
from sparekey.json_value import Json

TOKEN: Named = (WatchedKind.TOKEN, "t1")
AT = 1_800_000_000


class Book:
    """A `FactBook` in a variable."""

    def __init__(self) -> None:
        self.facts: dict[Named, Facts] = {}

    def find(self, named: Named) -> Facts | None:
        return self.facts.get(named)

    def put(self, named: Named, facts: Facts) -> None:
        self.facts[named] = facts

    def keys_of(self, kind: WatchedKind) -> list[str]:
        return [key for each, key in self.facts if each is kind]


def an_event(action: Action, *, result: str = "ok", at: int = AT, **detail: Json) -> AuditRow:
    return AuditRow(1, at * 1_000_000, "os:root", action, "a1", "t1", "d1", result, json.dumps(detail))


def told(*events: AuditRow) -> Book:
    book = Book()
    for event in events:
        take_event(book, event)
    return book


def facts_of(*events: AuditRow, named: Named = TOKEN) -> Facts:
    return told(*events).find(named) or {}


ADDED = an_event(Action.TOKEN_ADDED, step=10, expires=None)


def test_a_new_token_is_known_completely() -> None:
    assert facts_of(ADDED) == {
        "here": True,
        "account": "a1",
        "enabled": True,
        "lost": False,
        "expires": None,
        "offline_code_online": False,
        "pin_set_at": None,
        "pin_must_change": False,
        "access": None,
        "codes_left": None,
        "step": 10,
    }


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (an_event(Action.SIGN_IN_GRANTED, step=12), {"step": 12}),
        (an_event(Action.SIGN_IN_GRANTED, step=9), {"step": 10}),
        (an_event(Action.SIGN_IN_ASKED, ask="new-pin", step=12), {"step": 12}),
        (an_event(Action.SIGN_IN_ASKED, ask="next-tokencode", step=12), {"step": 10}),
        (an_event(Action.SIGN_IN_OFFLINE, step=12), {"step": 10}),  # only the device says so
        (an_event(Action.TOKEN_ADVANCED, step=12), {"step": 12}),
        (an_event(Action.TOKEN_RESYNCED, step=12), {"step": 12}),
        (an_event(Action.TOKEN_RESYNCED, result="wrong-passcode", step=12), {"step": 10}),
        (an_event(Action.TOKEN_DISABLED), {"enabled": False}),
        (an_event(Action.TOKEN_LOST), {"lost": True}),
        (an_event(Action.TOKEN_EXPIRY_SET, expires=AT), {"expires": AT}),
        (an_event(Action.TOKEN_PIN_SET, must_change=True), {"pin_set_at": AT, "pin_must_change": True}),
        (an_event(Action.TOKEN_PIN_FORCED), {"pin_must_change": True}),
        (an_event(Action.EMERGENCY_ONLINE, allowed=True), {"offline_code_online": True}),
        (an_event(Action.EMERGENCY_TEMPORARY, kind="one-time", codes=3), {"access": AT, "codes_left": 3}),
        (an_event(Action.EMERGENCY_TEMPORARY, kind="fixed", codes=1), {"access": AT, "codes_left": None}),
        (an_event(Action.EMERGENCY_USED, kind="one-time", left=1), {"codes_left": 1}),
        (an_event(Action.EMERGENCY_USED, kind="tokencode", version=2), {"codes_left": None}),
        (an_event(Action.TOKEN_UNASSIGNED), {"account": None, "enabled": False}),
        (an_event(Action.TOKEN_REPLACED), {"account": None, "enabled": False}),
        (an_event(Action.TOKEN_REMOVED), {"here": False}),
    ],
)
def test_an_event_changes_what_is_known(event: AuditRow, expected: Facts) -> None:
    found = facts_of(ADDED, event)
    assert {fact: found[fact] for fact in expected} == expected


def test_a_removed_token_is_only_known_to_be_gone() -> None:
    assert facts_of(ADDED, an_event(Action.TOKEN_REMOVED)) == {"here": False}


def test_an_event_of_an_older_release_makes_a_fact_unknown() -> None:
    found = facts_of(ADDED, an_event(Action.TOKEN_EXPIRY_SET), an_event(Action.TOKEN_ASSIGNED))
    assert not {"expires", "enabled", "pin_set_at", "pin_must_change"} & found.keys()
    assert differences(TOKEN, found, {"expires": 5, "enabled": False, "account": "a1", "step": 10}) == []


@pytest.mark.parametrize("detail", ["", "[]", "7", "{", "{}" * 2, "[" * 100_000])
def test_an_event_that_is_no_json_object_tells_nothing(detail: str) -> None:
    row = AuditRow(1, 0, "x", Action.SIGN_IN_GRANTED, "a1", "t1", None, "ok", detail)
    assert told(row).facts == {}


@pytest.mark.parametrize("step", ["12", None, [12], {"a": 1}, 1.5])
def test_a_step_of_another_type_tells_nothing(step: Json) -> None:
    assert facts_of(ADDED, an_event(Action.SIGN_IN_GRANTED, step=step))["step"] == 10


def test_a_removed_policy_puts_its_domains_back_on_the_default() -> None:
    book = told(
        an_event(Action.DOMAIN_ADDED, name="Sales", parent="SystemDomain"),
        an_event(Action.POLICY_ADDED, kind="token", name="Own"),
        an_event(Action.POLICY_ASSIGNED, kind="token", name="Own", domain="Sales"),
        an_event(Action.POLICY_REMOVED, kind="token", name="Own"),
    )
    assert book.find((WatchedKind.DOMAIN, "Sales")) == {"here": True, "parent": "SystemDomain", "token_policy": None}
    assert book.find((WatchedKind.POLICY, "token/Own")) == {"here": False}


def test_grants_of_users_and_of_clients_are_known_apart() -> None:
    client = AuditRow(2, 0, "x", Action.ROLE_GRANTED, None, None, None, "ok", '{"role":"r","domain":"d","client":"c1"}')
    book = told(an_event(Action.ROLE_GRANTED, role="r", domain="d"), client)
    assert {key for _, key in book.facts} == {grant_key("a1", "r", "d"), grant_key("c1", "r", "d")}


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"step": 10, "enabled": True}, []),
        ({"step": 11, "enabled": True}, []),  # accepts less: no roll back
        ({"step": 9, "enabled": True}, [("step", 10, 9)]),
        ({"step": "10", "enabled": True}, [("step", 10, "10")]),
        ({"step": 10, "enabled": b"x"}, [("enabled", True, "a bytes")]),
        ({"step": None, "enabled": False}, [("enabled", True, False), ("step", 10, None)]),
        ({}, []),
        (None, [("here", True, False)]),
    ],
)
def test_a_difference_names_fact_and_values(
    stored: dict[str, object] | None, expected: Sequence[tuple[str, Fact, Fact]]
) -> None:
    found = differences(TOKEN, {"here": True, "enabled": True, "step": 10}, stored)
    assert found == [Difference(*TOKEN, fact, logged, value) for fact, logged, value in expected]


def test_a_deleted_object_that_is_back_is_one_difference() -> None:
    assert differences(TOKEN, {"here": False, "enabled": True}, {"enabled": False}) == [
        Difference(*TOKEN, "here", False, True)
    ]
    assert differences(TOKEN, {"here": False}, None) == []
    assert differences(TOKEN, {"used": True}, None) == []  # what works once may vanish


def test_an_object_is_over_at_its_end() -> None:
    (named,) = told(an_event(Action.ADMIN_LINK_USED, link="l1")).facts
    facts = told(an_event(Action.ADMIN_LINK_USED, link="l1")).facts[named]
    assert not is_over(facts, AT + 3_600)  # as long as a link works
    assert is_over(facts, AT + 3 * 3_600)
    assert not is_over({"here": True}, AT)


def test_an_overlay_leaves_the_book_below_as_it_is() -> None:
    below = told(ADDED)
    overlay = Overlay(below)
    take_event(overlay, an_event(Action.TOKEN_LOST))
    assert (overlay.find(TOKEN) or {})["lost"] is True
    assert (below.find(TOKEN) or {})["lost"] is False
    assert overlay.written.keys() == {TOKEN}
    assert overlay.keys_of(WatchedKind.TOKEN) == ["t1"]


steps = st.lists(st.integers(0, 50), max_size=8)


@given(steps=steps, stored=st.integers(0, 50))
def test_s47_a_step_below_the_newest_accepted_one_is_a_difference(steps: list[int], stored: int) -> None:
    logged = facts_of(*(an_event(Action.TOKEN_ADVANCED, step=step) for step in steps))
    assert bool(differences(TOKEN, logged, {"step": stored})) == (stored < max(steps, default=0))


@given(steps=steps)
def test_s47_a_step_that_is_accepted_again_is_a_difference(steps: list[int]) -> None:
    logged = facts_of(*(an_event(Action.SIGN_IN_GRANTED, step=step) for step in steps))
    found = differences(TOKEN, logged, {"step": 50})
    rises = all(before < after for before, after in pairwise(steps))
    assert [each.fact for each in found] == ([] if rises else [AGAIN])


def test_s47_the_steps_of_a_sign_in_that_was_asked_are_one_success() -> None:
    asked = [an_event(Action.SIGN_IN_ASKED, ask=ask, step=12) for ask in ("new-pin", "confirm-pin")]
    success = an_event(Action.SIGN_IN_GRANTED, step=12)
    assert AGAIN not in facts_of(ADDED, *asked, success)
    assert facts_of(ADDED, *asked, success, success)[AGAIN] == 12


def user_facts(*events: AuditRow) -> Facts:
    return told(an_event(Action.USER_ADDED), *events).facts[WatchedKind.ACCOUNT, "a1"]


def changed(version: int, *, success: bool = False) -> AuditRow:
    """Return the event of a change of the counts of failures."""
    if success:
        return an_event(Action.SIGN_IN_GRANTED, counts_version=version, cleared=True)
    return an_event(Action.SIGN_IN_DENIED, result="wrong-passcode", counts_version=version)


def test_s47_a_user_begins_with_version_0_of_the_counts() -> None:
    assert user_facts()["counts_version"] == 0
    unchanged = (an_event(Action.SIGN_IN_GRANTED, step=1), an_event(Action.SIGN_IN_DENIED, result="locked"))
    assert user_facts(*unchanged)["counts_version"] == 0
    assert COUNTED_AGAIN not in user_facts(*unchanged)


@given(versions=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=6))
def test_s47_a_change_of_counts_that_does_not_follow_the_last_one_is_a_difference(
    versions: list[tuple[int, bool]],
) -> None:
    facts = user_facts(*(changed(version, success=success) for version, success in versions))
    follow = [version for version, _ in versions] == list(range(1, len(versions) + 1))
    assert (COUNTED_AGAIN in facts) is not follow
    assert facts["counts_version"] == (versions[-1][0] if versions else 0)


@pytest.mark.parametrize(("version", "again"), [(0, True), (1, True), (2, False)])
def test_s47_a_success_on_old_counts_is_a_difference(version: int, again: bool) -> None:
    detail: dict[str, Any] = {"counts_version": version} if version else {}
    facts = user_facts(changed(1), changed(2), an_event(Action.SIGN_IN_GRANTED, step=1, **detail))
    assert (COUNTED_AGAIN in facts) is again
    assert facts["counts_version"] == 2


def test_s47_unlocking_begins_a_new_row_of_versions() -> None:
    facts = user_facts(changed(1), an_event(Action.ACCOUNT_UNLOCKED, counts_version=777), changed(778))
    assert (facts["counts_version"], COUNTED_AGAIN in facts) == (778, False)


def test_events_of_an_older_release_say_nothing_of_counts() -> None:
    older = (an_event(Action.SIGN_IN_DENIED, result="wrong-passcode"), an_event(Action.ACCOUNT_UNLOCKED))
    assert user_facts(*older)["counts_version"] == 0
    assert (WatchedKind.ACCOUNT, "a1") not in told(*older, an_event(Action.SIGN_IN_GRANTED, step=1)).facts


def test_s47_a_refused_resync_counts_too() -> None:
    resynced = an_event(Action.TOKEN_RESYNCED, result="wrong-passcode", counts_version=1)
    assert user_facts(resynced)["counts_version"] == 1
    assert COUNTED_AGAIN in user_facts(resynced, resynced)


def test_a_step_that_was_accepted_again_is_forgotten() -> None:
    facts = facts_of(ADDED, an_event(Action.SIGN_IN_GRANTED, step=3))
    assert AGAIN in at_present(facts, AT + REMEMBERED - 1)
    assert AGAIN not in at_present(facts, AT + REMEMBERED)
