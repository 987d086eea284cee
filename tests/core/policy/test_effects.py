"""The effect of an edit of a policy, derived from its fields."""

from typing import Any

import pytest

from sparekey.core.policy.effects import Extent, effect_of_edit
from sparekey.core.policy.fields import EditEffect
from sparekey.core.policy.kinds import PolicyKind, StoredPolicy
from sparekey.core.policy.lockout import LockoutPolicy
from sparekey.core.policy.offline import FIELDS, OfflinePolicy, ProtectionLevel
from sparekey.core.policy.token import TokenPolicy


def of(**values: Any) -> OfflinePolicy:
    return OfflinePolicy.of(values)


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ({}, {}, []),
        ({}, {"enabled": False}, ["enabled"]),
        ({"enabled": False}, {}, []),
        (
            {},
            {"emergency_tokencode": False, "emergency_passcode": False},
            ["emergency_tokencode", "emergency_passcode"],
        ),
        ({}, {"minimum_passcode_length": 11}, ["minimum_passcode_length"]),
        ({}, {"minimum_passcode_length": 9}, []),
        ({}, {"days": 13}, ["days"]),
        ({}, {"days": 15}, []),
        ({}, {"protection_level": "strong"}, ["protection_level"]),
        ({}, {"protection_level": "light"}, []),
        ({"allow_tokens_without_pin": True}, {}, ["allow_tokens_without_pin"]),
        ({}, {"require_hardware_store": True}, ["require_hardware_store"]),
        ({}, {"emergency_lifetime": 1, "offline_failures": 1, "server_down": "off", "warn_days": 0}, []),
        ({}, {"users_per_device": 1, "tokens_per_user": 1, "help_text": "x"}, ["users_per_device", "tokens_per_user"]),
        ({"os_password": True}, {}, ["os_password"]),
        ({}, {"pin_lock": False, "passcode_approval": True, "showings_warn": 1, "showings_limit": 1}, []),
    ],
)
def test_only_these_edits_discard(old: dict[str, Any], new: dict[str, Any], names: list[str]) -> None:
    assert list(effect_of_edit(of(**old), of(**new)).discarding) == names


def test_a_milder_level_renews_and_a_stricter_one_discards() -> None:
    field = FIELDS["protection_level"]
    assert field.effect_of(ProtectionLevel.STRONG, ProtectionLevel.LIGHT) is EditEffect.RENEWS
    assert field.effect_of(ProtectionLevel.LIGHT, ProtectionLevel.STRONG) is EditEffect.DISCARDS
    assert field.effect_of(ProtectionLevel.LIGHT, ProtectionLevel.LIGHT) is EditEffect.NOTHING


@pytest.mark.parametrize(
    ("new", "extent"),
    [
        ({}, Extent.NOTHING),
        ({"help_text": "x", "days": 15}, Extent.NOTHING),
        ({"tokens_per_user": 1}, Extent.EXCESS),
        ({"emergency_lifetime": 1}, Extent.CODES),
        ({"emergency_lifetime": 365, "tokens_per_user": 1}, Extent.CODES),
        ({"protection_level": "light"}, Extent.ALL),
        ({"emergency_lifetime": 365, "days": 1}, Extent.ALL),
    ],
)
def test_the_extent_is_that_of_the_field_that_touches_most(new: dict[str, Any], extent: Extent) -> None:
    assert effect_of_edit(of(), of(**new)).extent is extent


def test_only_a_limit_of_no_days_ends_users_own_codes() -> None:
    five, none = TokenPolicy(own_emergency_days=5), TokenPolicy(own_emergency_days=0)
    assert effect_of_edit(five, none).ends_own_codes
    assert not effect_of_edit(five, TokenPolicy(own_emergency_days=1)).ends_own_codes
    assert not effect_of_edit(none, none).ends_own_codes
    assert not effect_of_edit(none, five).ends_own_codes


@pytest.mark.parametrize("same", [OfflinePolicy(), TokenPolicy(), LockoutPolicy()])
def test_an_edit_of_nothing_has_no_effect(same: StoredPolicy) -> None:
    assert effect_of_edit(same, same).fields == {}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in PolicyKind for name in kind.fields])
def test_an_effect_in_one_direction_is_declared_where_there_are_two(kind: PolicyKind, name: str) -> None:
    """A stricter value can discard only if one value is stricter than another."""
    field = kind.fields[name]
    if field.effect in {EditEffect.DISCARDS, EditEffect.ERASES, EditEffect.RENEWS}:
        values = field.choices or ((False, True) if field.kind is bool else (field.low, field.high))
        assert len({field.strictness(value) for value in values}) > 1
