"""Changes of the policy in force, each with the same confirmation: edit, assignment, removal, another default."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sparekey.app.instance import DEFAULT_POLICY, TOP_DOMAIN, Instance
from sparekey.app.people.domains import add_domain, list_domains, show_domain
from sparekey.app.policies import policies
from sparekey.app.policies.previews import Preview, preview_assignment, preview_default, preview_edit, preview_removal
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import ConfirmationNeeded, Conflict, NotAllowed, NotFound
from sparekey.core.permissions import Actor
from sparekey.core.policy.effects import Extent
from sparekey.core.policy.kinds import PolicyKind
from tests.app.administrators import an_administrator
from tests.app.test_changes_at_once import ROUNDS, at_once
from tests.builders import NOW, ROOT, Device, User, a_device, a_user, granted, logged_events

OFFLINE = PolicyKind.OFFLINE
Change = Callable[..., object]
Ask = Callable[..., Preview]

# Each puts a stricter policy in force in Sales: the set-up, the change, its preview; all with these arguments.
CHANGES: dict[str, tuple[Change | None, Change, Ask, tuple[Any, ...]]] = {
    "edit": (None, policies.set_fields, preview_edit, ("Usual", {"minimum_passcode_length": "12"})),
    "assignment": (None, policies.assign_policy, preview_assignment, ("Strict", "Sales")),
    "removal": (None, policies.remove_policy, preview_removal, ("Usual",)),
    "default": (policies.remove_policy, policies.make_default, preview_default, ("Strict",)),
}


@pytest.fixture
def holder(any_server: Instance) -> tuple[User, Device]:
    """A user of Sales, under the policy Usual, who has signed in on a device of the top domain."""
    add_domain(any_server, ROOT, "Sales", now=NOW)
    policies.add_policy(any_server, ROOT, OFFLINE, "Usual", {"protection_level": "light", "days": "2"}, now=NOW)
    policies.add_policy(any_server, ROOT, OFFLINE, "Strict", {"protection_level": "strong", "days": "1"}, now=NOW)
    policies.assign_policy(any_server, ROOT, OFFLINE, "Usual", "Sales", now=NOW)
    user, device = a_user(any_server, pin="4711", domain="Sales"), a_device(any_server)
    granted(device.sign_in(user, NOW).outcome)
    return user, device


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_that_discards_is_confirmed_and_renews(
    any_server: Instance, holder: tuple[User, Device], name: str
) -> None:
    user, device = holder
    before, change, ask, arguments = CHANGES[name]
    if before is not None:
        before(any_server, ROOT, OFFLINE, "Usual", confirmed=True, now=NOW)
    preview = ask(any_server, ROOT, OFFLINE, *arguments, now=NOW)
    assert (preview.discards, preview.effect.extent) == (True, Extent.ALL)
    assert preview.renewal is not None
    generation, assigned = device.sync_of(user, NOW).generation, list_domains(any_server, ROOT)
    with pytest.raises(ConfirmationNeeded, match="of 1 user on 1 device are discarded") as refused:
        change(any_server, ROOT, OFFLINE, *arguments, now=NOW)
    assert all(field in refused.value.message for field in preview.tightened)
    assert "`confirmed`" in refused.value.do
    assert "--yes" in refused.value.do
    assert (device.sync_of(user, NOW).generation, list_domains(any_server, ROOT)) == (generation, assigned)
    change(any_server, ROOT, OFFLINE, *arguments, confirmed=True, now=NOW)
    assert device.sync_of(user, NOW).generation == generation + 1
    (*_, row) = logged_events(
        any_server, Action.POLICY_SET, Action.POLICY_ASSIGNED, Action.POLICY_REMOVED, Action.POLICY_DEFAULT
    )
    assert json.loads(row.detail)["regenerated"] == 1


def test_an_edit_without_sealed_changes_discards_nothing(any_server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    same = {"protection_level": "light", "days": "2", "help_text": "555 0100"}
    policies.add_policy(any_server, ROOT, OFFLINE, "Same", same, now=NOW)
    before = device.sync_of(user, NOW)
    policies.assign_policy(any_server, ROOT, OFFLINE, "Same", "Sales", now=NOW)
    after = device.sync_of(user, NOW)
    assert (after.generation, after.keep, after.policy.help_text) == (before.generation, before.keep, "555 0100")


def test_an_assignment_with_another_lifetime_gives_codes_another_end(
    any_server: Instance, holder: tuple[User, Device]
) -> None:
    user, device = holder
    longer = {"protection_level": "light", "days": "2", "emergency_lifetime": "60"}
    policies.add_policy(any_server, ROOT, OFFLINE, "Longer", longer, now=NOW)
    policies.set_fields(any_server, ROOT, OFFLINE, DEFAULT_POLICY, {"emergency_lifetime": "60"}, now=NOW)
    device.contact(user, NOW)
    assert {name.kind for name in device.sync_of(user, NOW).wanted} == {"day"}
    policies.assign_policy(any_server, ROOT, OFFLINE, "Longer", "Sales", now=NOW)
    assert {"emergency-tokencode", "emergency-passcode"} < {name.kind for name in device.sync_of(user, NOW).wanted}


@pytest.mark.parametrize("kind", list(PolicyKind))
def test_any_policy_becomes_the_default_of_its_kind(any_server: Instance, kind: PolicyKind) -> None:
    add_domain(any_server, ROOT, "Sales", now=NOW)
    policies.add_policy(any_server, ROOT, kind, "Other", {}, now=NOW)
    policies.assign_policy(any_server, ROOT, kind, DEFAULT_POLICY, "Sales", now=NOW)
    assert preview_default(any_server, ROOT, kind, "Other", now=NOW).domains == 1
    policies.make_default(any_server, ROOT, kind, "Other", now=NOW)
    defaults = {view.name: view.is_default for view in policies.list_policies(any_server, ROOT, kind)}
    assert defaults == {"Default": False, "Other": True}
    in_force = {name: show_domain(any_server, ROOT, name).policies[kind] for name in (TOP_DOMAIN, "Sales")}
    assert in_force == {TOP_DOMAIN: "Other", "Sales": DEFAULT_POLICY}
    (row,) = logged_events(any_server, Action.POLICY_DEFAULT)
    details = json.loads(row.detail)
    assert (details["kind"], details["name"], details["before"]) == (kind, "Other", DEFAULT_POLICY)
    with pytest.raises(Conflict, match="already"):
        policies.make_default(any_server, ROOT, kind, "Other", now=NOW)
    with pytest.raises(NotAllowed, match="default policy cannot be removed"):
        policies.remove_policy(any_server, ROOT, kind, "Other", now=NOW)
    policies.remove_policy(any_server, ROOT, kind, DEFAULT_POLICY, now=NOW)
    assert show_domain(any_server, ROOT, "Sales").policies[kind] == "Other"


def test_choosing_the_default_policy_needs_rights_over_all_domains(any_server: Instance) -> None:
    add_domain(any_server, ROOT, "Sales", now=NOW)
    _, actor = an_administrator(any_server, ("domain administrator", "Sales"))
    assert isinstance(actor, Actor)
    with pytest.raises(NotAllowed):
        policies.make_default(any_server, actor, OFFLINE, DEFAULT_POLICY, now=NOW)
    with pytest.raises(NotFound):
        policies.make_default(any_server, ROOT, OFFLINE, "Nothing", now=NOW)


@pytest.mark.services
def test_there_is_always_one_default(any_server: Instance) -> None:
    """Two are chosen, and one of them is removed, at the same moment."""
    for round_number in range(ROUNDS):
        first, second = f"A{round_number}", f"B{round_number}"
        for name in (first, second):
            policies.add_policy(any_server, ROOT, OFFLINE, name, {}, now=NOW)
        at_once(
            lambda name=first: policies.make_default(any_server, ROOT, OFFLINE, name, now=NOW),  # type: ignore[misc]
            lambda name=second: policies.make_default(any_server, ROOT, OFFLINE, name, now=NOW),  # type: ignore[misc]
            lambda name=second: policies.remove_policy(any_server, ROOT, OFFLINE, name, now=NOW),  # type: ignore[misc]
        )
        found = policies.list_policies(any_server, ROOT, OFFLINE)
        assert sum(view.is_default for view in found) == 1, found
