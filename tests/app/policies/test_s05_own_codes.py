"""S05: the online emergency codes that users made themselves end when policy leaves them to the help desk again."""

import json
from collections.abc import Callable

import pytest

from sparekey.app.emergency.online import Terms, give_fixed
from sparekey.app.instance import DEFAULT_POLICY, TOP_DOMAIN, Instance
from sparekey.app.people import users
from sparekey.app.people.domains import add_domain
from sparekey.app.policies import policies
from sparekey.app.policies.previews import preview_assignment, preview_edit
from sparekey.app.self_service import emergency_access as own_emergency
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import ConfirmationNeeded
from sparekey.core.policy.kinds import PolicyKind
from tests.app.self_service.test_emergency_access import DAYS, LATER, a_passkey, has_codes, held, signed_in
from tests.app.test_changes_at_once import ROUNDS, at_once
from tests.builders import CALLED_BACK, NOW, PIN, ROOT, User, a_user, edit_policy, logged_events

TOKEN = PolicyKind.TOKEN
OFF = {"own_emergency_days": "0"}

CHANGES: dict[str, Callable[[Instance, bool], object]] = {
    "edit": lambda it, sure: policies.set_fields(it, ROOT, TOKEN, DEFAULT_POLICY, OFF, confirmed=sure, now=LATER),
    "assignment": lambda it, sure: policies.assign_policy(
        it, ROOT, TOKEN, "Desk only", TOP_DOMAIN, confirmed=sure, now=LATER
    ),
    "default": lambda it, sure: policies.make_default(it, ROOT, TOKEN, "Desk only", confirmed=sure, now=LATER),
}


@pytest.fixture
def alice(any_server: Instance) -> User:
    """Create Alice, whose policy lets her make codes; the policy "Desk only" does not."""
    edit_policy(any_server, {"own_emergency_days": str(DAYS)}, kind=TOKEN)
    policies.add_policy(any_server, ROOT, TOKEN, "Desk only", OFF, now=NOW)
    return a_user(any_server, "alice", pin=PIN)


def make_codes(server: Instance, user: User) -> None:
    session = held(server, signed_in(server, a_passkey(server, user)), LATER)
    own_emergency.give(server, session, user.serial, now=LATER)


@pytest.mark.parametrize("name", CHANGES)
def test_s05_codes_end_when_policy_leaves_them_to_the_help_desk(any_server: Instance, alice: User, name: str) -> None:
    make_codes(any_server, alice)
    with pytest.raises(ConfirmationNeeded, match="that 1 user made themselves end at once"):
        CHANGES[name](any_server, False)
    assert has_codes(any_server, alice)
    CHANGES[name](any_server, True)
    assert not has_codes(any_server, alice)
    (row,) = logged_events(any_server, Action.EMERGENCY_ENDED)
    assert (row.account_id, row.token_id) == (alice.account_id, alice.token_id)
    assert "help desk" in json.loads(row.detail)["why"]


def test_s05_codes_end_when_the_policy_that_allows_them_is_removed(any_server: Instance, alice: User) -> None:
    policies.add_policy(any_server, ROOT, TOKEN, "Own", {"own_emergency_days": "5"}, now=NOW)
    policies.assign_policy(any_server, ROOT, TOKEN, "Own", TOP_DOMAIN, now=NOW)
    edit_policy(any_server, OFF, kind=TOKEN)
    make_codes(any_server, alice)
    policies.remove_policy(any_server, ROOT, TOKEN, "Own", confirmed=True, now=LATER)
    assert not has_codes(any_server, alice)


def test_s05_codes_end_with_a_move_to_a_domain_that_allows_none(any_server: Instance, alice: User) -> None:
    for name in ("Sales", "Support"):
        add_domain(any_server, ROOT, name, now=NOW)
    policies.assign_policy(any_server, ROOT, TOKEN, "Desk only", "Sales", now=NOW)
    make_codes(any_server, alice)
    users.move_user(any_server, ROOT, "alice", "Support", now=LATER)
    assert has_codes(any_server, alice)
    users.move_user(any_server, ROOT, "alice", "Sales", now=LATER)
    assert not has_codes(any_server, alice)


def test_the_preview_counts_the_users_whose_codes_end(any_server: Instance, alice: User) -> None:
    add_domain(any_server, ROOT, "Sales", now=NOW)
    bob = a_user(any_server, "bob", pin=PIN, domain="Sales")
    for user in (alice, bob):
        make_codes(any_server, user)
    assert preview_edit(any_server, ROOT, TOKEN, DEFAULT_POLICY, OFF, now=LATER).own_codes == 2
    assigned = preview_assignment(any_server, ROOT, TOKEN, "Desk only", "Sales", now=LATER)
    assert (assigned.own_codes, assigned.discards, assigned.touches_devices) == (1, True, False)
    fewer = preview_edit(any_server, ROOT, TOKEN, DEFAULT_POLICY, {"own_emergency_days": "1"}, now=LATER)
    assert (fewer.own_codes, fewer.discards) == (0, False)
    policies.assign_policy(any_server, ROOT, TOKEN, "Desk only", "Sales", confirmed=True, now=LATER)
    assert (has_codes(any_server, alice), has_codes(any_server, bob)) == (True, False)


def test_codes_of_the_help_desk_stay(any_server: Instance, alice: User) -> None:
    give_fixed(any_server, ROOT, alice.serial, Terms(), CALLED_BACK, now=LATER)
    CHANGES["edit"](any_server, False)
    assert has_codes(any_server, alice)


def test_s05_no_codes_are_made_while_policy_forbids_them(any_server: Instance, alice: User) -> None:
    """At the same moment: they are refused, or made before and ended with the edit."""
    key = a_passkey(any_server, alice)
    for _ in range(ROUNDS):
        edit_policy(any_server, {"own_emergency_days": str(DAYS)}, kind=TOKEN, now=LATER)
        session = held(any_server, signed_in(any_server, key), LATER)
        at_once(
            lambda: own_emergency.give(any_server, session, alice.serial, now=LATER),  # noqa: B023 -- ends before
            lambda: CHANGES["edit"](any_server, True),
        )
        assert not has_codes(any_server, alice)
