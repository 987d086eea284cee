"""Offline policies as administrators handle them, and the effects of an edit on data of devices."""

from dataclasses import fields

import pytest

from sparekey.app.instance import DEFAULT_POLICY, TOP_DOMAIN, Instance
from sparekey.app.people.domains import add_domain, list_domains
from sparekey.app.people.users import move_user
from sparekey.app.policies.policies import (
    add_policy,
    assign_policy,
    effective_of,
    list_policies,
    remove_policy,
    set_fields,
)
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, ConfirmationNeeded, Conflict, NotAllowed, NotFound
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.offline import FIELDS, OfflinePolicy, ProtectionLevel, ServerDown
from tests.builders import (
    NOW,
    ROOT,
    Device,
    User,
    a_device,
    a_filled_device,
    a_user,
    edit_policy,
    granted,
    logged_events,
)

# One value of each field that is not its default, as a person writes it.
OTHER = {
    "enabled": "off",
    "minimum_passcode_length": "12",
    "allow_tokens_without_pin": "on",
    "emergency_tokencode": "no",
    "emergency_passcode": "off",
    "emergency_lifetime": "90",
    "days": "60",
    "warn_days": "0",
    "offline_failures": "25",
    "protection_level": "strong",
    "server_down": "emergency-codes-only",
    "users_per_device": "1",
    "tokens_per_user": "10",
    "require_hardware_store": "yes",
    "help_text": "Tel. 4711",
    "os_password": "true",
    "pin_lock": "off",
    "passcode_approval": "on",
    "showings_warn": "5",
    "showings_limit": "6",
}


def test_every_field_is_stored_and_read_back(any_server: Instance) -> None:
    assert OTHER.keys() == FIELDS.keys()
    added = add_policy(any_server, ROOT, PolicyKind.OFFLINE, "Branch", OTHER, now=NOW)
    stored = {view.name: view for view in list_policies(any_server, ROOT, PolicyKind.OFFLINE)}
    assert stored["Branch"] == added
    assert all(added.values[name] != FIELDS[name].default for name in FIELDS)
    assert type(added.values["protection_level"]) is ProtectionLevel
    assert type(stored["Branch"].values["server_down"]) is ServerDown
    back = {field.name: str(getattr(OfflinePolicy(), field.name)) for field in fields(OfflinePolicy)}
    back = {name: {"True": "on", "False": "off"}.get(text, text) for name, text in back.items()}
    edited = set_fields(any_server, ROOT, PolicyKind.OFFLINE, "Branch", back, confirmed=True, now=NOW).view
    assert (OfflinePolicy.of(edited.values), edited.revision) == (OfflinePolicy(), 2)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"days": "0"}, "days: '0' is not allowed; give a whole number from 1 to 60"),
        ({"nonsense": "1"}, "no field nonsense"),
        ({"allow_tokens_without_pin": "on", "protection_level": "light"}, "balanced or strong"),
    ],
)
def test_bad_values_are_refused_in_words_and_change_nothing(
    server: Instance, texts: dict[str, str], words: str
) -> None:
    before = list_policies(server, ROOT, PolicyKind.OFFLINE)
    with pytest.raises(BadInput, match=words):
        add_policy(server, ROOT, PolicyKind.OFFLINE, "Branch", texts, now=NOW)
    with pytest.raises(BadInput, match=words):
        set_fields(server, ROOT, PolicyKind.OFFLINE, DEFAULT_POLICY, texts, confirmed=True, now=NOW)
    assert list_policies(server, ROOT, PolicyKind.OFFLINE) == before


def test_names_are_unique_and_1_to_128_characters(server: Instance) -> None:
    add_policy(server, ROOT, PolicyKind.OFFLINE, "x" * 128, {}, now=NOW)
    with pytest.raises(Conflict):
        add_policy(server, ROOT, PolicyKind.OFFLINE, "x" * 128, {}, now=NOW)
    for name in ("", "x" * 129):
        with pytest.raises(BadInput):
            add_policy(server, ROOT, PolicyKind.OFFLINE, name, {}, now=NOW)


def test_new_domains_use_the_default_and_inherit_nothing(any_server: Instance) -> None:
    add_domain(any_server, ROOT, "Branch", now=NOW)
    add_policy(any_server, ROOT, PolicyKind.OFFLINE, "Strict", {"days": "3"}, now=NOW)
    assign_policy(any_server, ROOT, PolicyKind.OFFLINE, "Strict", "Branch", now=NOW)
    add_domain(any_server, ROOT, "Office", "Branch", now=NOW)
    policies = {view.name: view.assigned[PolicyKind.OFFLINE] for view in list_domains(any_server, ROOT)}
    assert policies == {TOP_DOMAIN: None, "Branch": "Strict", "Office": None}
    users = {name: a_user(any_server, domain=name) for name in policies}
    days = {name: effective_of(any_server, ROOT, user.login, None).values.days for name, user in users.items()}
    assert days == {TOP_DOMAIN: 1, "Branch": 3, "Office": 1}


def test_the_domains_of_user_and_device_both_count(any_server: Instance) -> None:
    add_domain(any_server, ROOT, "Branch", now=NOW)
    add_policy(any_server, ROOT, PolicyKind.OFFLINE, "Branch policy", {"days": "60", "offline_failures": "2"}, now=NOW)
    assign_policy(any_server, ROOT, PolicyKind.OFFLINE, "Branch policy", "Branch", now=NOW)
    user, device = a_user(any_server), a_device(any_server, "kiosk", domain="Branch")
    effective = effective_of(any_server, ROOT, user.login, "kiosk")
    assert (effective.values.days, effective.values.offline_failures) == (1, 2)
    assert effective.sources["days"] == f"policy {DEFAULT_POLICY!r} of the user's domain {TOP_DOMAIN!r}"
    assert effective.sources["offline_failures"] == "policy 'Branch policy' of the device's domain 'Branch'"
    assert effective_of(any_server, ROOT, user.login, device.device_id) == effective


def test_moving_a_user_applies_the_other_policy_at_once(server: Instance) -> None:
    add_domain(server, ROOT, "Branch", now=NOW)
    add_policy(server, ROOT, PolicyKind.OFFLINE, "Off", {"enabled": "off"}, now=NOW)
    assign_policy(server, ROOT, PolicyKind.OFFLINE, "Off", "Branch", now=NOW)
    user = a_user(server)
    assert effective_of(server, ROOT, user.login, None).values.enabled
    move_user(server, ROOT, user.login, "Branch", now=NOW)
    assert not effective_of(server, ROOT, user.login, None).values.enabled


def test_removing_a_policy_puts_its_domains_back_on_the_default(any_server: Instance) -> None:
    add_domain(any_server, ROOT, "Branch", now=NOW)
    add_policy(any_server, ROOT, PolicyKind.OFFLINE, "Strict", {"days": "3"}, now=NOW)
    assign_policy(any_server, ROOT, PolicyKind.OFFLINE, "Strict", "Branch", now=NOW)
    remove_policy(any_server, ROOT, PolicyKind.OFFLINE, "Strict", now=NOW)
    assert {name for view in list_domains(any_server, ROOT) for name in view.assigned.values()} == {None}
    with pytest.raises(NotAllowed, match="default"):
        remove_policy(any_server, ROOT, PolicyKind.OFFLINE, DEFAULT_POLICY, now=NOW)
    with pytest.raises(NotFound):
        remove_policy(any_server, ROOT, PolicyKind.OFFLINE, "Strict", now=NOW)
    actions = [row.action for row in logged_events(any_server, Action.POLICY_ADDED, Action.POLICY_ASSIGNED)]
    assert actions == ["policy.added", "policy.assigned"]


def held_kinds(device: Device) -> set[str]:
    return {kind for _, kind, _, _ in device.held}


@pytest.fixture
def holder(server: Instance) -> tuple[User, Device]:
    """A user who has signed in on a device."""
    user, device = a_user(server, pin="4711"), a_device(server)
    granted(device.sign_in(user, NOW).outcome)
    return user, device


@pytest.mark.parametrize(
    "edit",
    [
        {"days": "2"},
        {"warn_days": "3"},
        {"offline_failures": "2"},
        {"help_text": "x"},
        {"server_down": "off"},
        {"minimum_passcode_length": "8"},
        {"users_per_device": "50"},
        {"emergency_lifetime": "60"},
        {"tokens_per_user": "10"},
        {"os_password": "on"},
        {"pin_lock": "off"},
    ],
)
def test_an_edit_that_tightens_nothing_sealed_discards_nothing(
    server: Instance, holder: tuple[User, Device], edit: dict[str, str]
) -> None:
    user, device = holder
    before = device.sync_of(user, NOW)
    done = set_fields(server, ROOT, PolicyKind.OFFLINE, DEFAULT_POLICY, edit, confirmed=False, now=NOW)
    assert (done.tightened, done.regenerated) == ((), 0)
    after = device.sync_of(user, NOW)
    assert (after.generation, after.keep) == (before.generation, before.keep)


@pytest.mark.parametrize(
    "edit",
    [
        {"enabled": "off"},
        {"emergency_passcode": "off"},
        {"minimum_passcode_length": "11"},
        {"protection_level": "balanced"},
        {"require_hardware_store": "on"},
    ],
)
def test_a_tightening_edit_asks_first_and_counts_devices(
    server: Instance, holder: tuple[User, Device], edit: dict[str, str]
) -> None:
    user, device = holder
    generation, before = device.sync_of(user, NOW).generation, list_policies(server, ROOT, PolicyKind.OFFLINE)
    with pytest.raises(ConfirmationNeeded, match="of 1 user on 1 device are discarded at the next contact"):
        set_fields(server, ROOT, PolicyKind.OFFLINE, DEFAULT_POLICY, edit, confirmed=False, now=NOW)
    assert list_policies(server, ROOT, PolicyKind.OFFLINE) == before
    done = set_fields(server, ROOT, PolicyKind.OFFLINE, DEFAULT_POLICY, edit, confirmed=True, now=NOW)
    assert (done.tightened, done.regenerated) == (tuple(edit), 1)
    assert device.sync_of(user, NOW).generation == generation + 1


@pytest.mark.parametrize("field", ["users_per_device", "tokens_per_user"])
def test_a_lower_limit_asks_first_and_renews_nothing(server: Instance, holder: tuple[User, Device], field: str) -> None:
    user, device = holder
    before = device.sync_of(user, NOW).generation
    with pytest.raises(ConfirmationNeeded, match="no longer allows are erased at the next contact, of up to 1 user on"):
        set_fields(server, ROOT, PolicyKind.OFFLINE, DEFAULT_POLICY, {field: "1"}, now=NOW)
    done = set_fields(server, ROOT, PolicyKind.OFFLINE, DEFAULT_POLICY, {field: "1"}, confirmed=True, now=NOW)
    assert (done.tightened, done.regenerated) == ((field,), 0)
    assert device.sync_of(user, NOW).generation == before


def test_an_edit_without_affected_data_asks_nothing(server: Instance) -> None:
    done = set_fields(server, ROOT, PolicyKind.OFFLINE, DEFAULT_POLICY, {"enabled": "off"}, confirmed=False, now=NOW)
    assert (done.tightened, done.regenerated) == (("enabled",), 0)


def test_a_weaker_level_is_sealed_again_without_asking(server: Instance) -> None:
    edit_policy(server, {"protection_level": "balanced"})
    user = a_user(server, pin="4711")
    device = a_device(server)
    granted(device.sign_in(user, NOW).outcome)
    generation = device.sync_of(user, NOW).generation
    lighter = {"protection_level": "light"}
    done = set_fields(server, ROOT, PolicyKind.OFFLINE, DEFAULT_POLICY, lighter, confirmed=False, now=NOW)
    assert (done.tightened, done.regenerated) == ((), 1)
    assert device.sync_of(user, NOW).generation == generation + 1


def test_switching_a_kind_off_takes_it_from_the_device(server: Instance) -> None:
    user = a_user(server, pin="4711")
    device = a_filled_device(server, user)
    assert held_kinds(device) == {"day", "emergency-tokencode", "emergency-passcode"}
    edit_policy(server, {"emergency_tokencode": "off"})
    device.sync(NOW)
    assert held_kinds(device) == {"day", "emergency-passcode"}
    edit_policy(server, {"enabled": "off"})
    said = device.sync_of(user, NOW)
    assert (said.keep, said.wanted, device.held) == ([], [], {})
    assert said.obstacles[0].startswith("Offline authentication is off")


def test_fewer_days_are_a_last_day_that_the_device_may_keep(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    edit_policy(server, {"days": "9"})
    assert device.sync_of(user, NOW).last_day == NOW // 86_400 + 9
    edit_policy(server, {"days": "2"})
    assert device.sync_of(user, NOW).last_day == NOW // 86_400 + 2


def test_another_policy_for_a_domain_discards_data_in_that_domain_only(server: Instance) -> None:
    add_domain(server, ROOT, "Branch", now=NOW)
    add_policy(server, ROOT, PolicyKind.OFFLINE, "Strong", {"protection_level": "strong"}, now=NOW)
    here, there = a_user(server), a_user(server, domain="Branch")
    device = a_device(server)
    for user in (here, there):
        granted(device.sign_in(user, NOW).outcome)
    before = {said.user: said.generation for said in device.sync(NOW)}
    assign_policy(server, ROOT, PolicyKind.OFFLINE, "Strong", "Branch", confirmed=True, now=NOW)
    after = {said.user: said.generation for said in device.sync(NOW)}
    assert after == before | {there.account_id: before[there.account_id] + 1}


def test_the_values_that_the_device_enforces_come_with_each_sync(server: Instance) -> None:
    user, device = a_user(server), a_device(server)
    granted(device.sign_in(user, NOW).outcome)
    edit_policy(server, {name: OTHER[name] for name in ("offline_failures", "warn_days", "server_down", "help_text")})
    said = device.sync_of(user, NOW).policy
    assert (said.offline_failures, said.warn_days) == (25, 0)
    assert (said.server_down, said.help_text) == ("emergency-codes-only", "Tel. 4711")
    assert (said.os_password, said.pin_lock) == (False, True)
