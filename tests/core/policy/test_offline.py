"""The offline policy: ranges, spellings of values, and merging the policies of two domains."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.policy.fields import MergeRule, PolicyError, PolicyField
from sparekey.core.policy.offline import (
    FIELDS,
    AssignedPolicy,
    EffectivePolicy,
    OfflinePolicy,
    ProtectionLevel,
    ServerDown,
    effective_policy,
)
from sparekey.storage.tables import offline_policy

# name: default, the mildest value, the strictest value (docs/policy.md, "Offline policy")
TABLE: dict[str, tuple[object, object, object]] = {
    "enabled": (True, True, False),
    "minimum_passcode_length": (10, 8, 16),
    "allow_tokens_without_pin": (False, True, False),
    "emergency_tokencode": (True, True, False),
    "emergency_passcode": (True, True, False),
    "emergency_lifetime": (30, 365, 1),
    "days": (14, 60, 1),
    "offline_failures": (10, 25, 1),
    "protection_level": ("balanced", "light", "strong"),
    "server_down": ("on", "on", "off"),
    "users_per_device": (5, 50, 1),
    "tokens_per_user": (2, 10, 1),
    "require_hardware_store": (False, False, True),
    "pin_lock": (True, False, True),
    "os_password": (False, True, False),
    "passcode_approval": (False, False, True),
    "showings_warn": (10, 1000, 1),
    "showings_limit": (30, 1000, 1),
}
NOT_STRICTER = {"warn_days": 7, "help_text": ""}


def of(**values: Any) -> OfflinePolicy:
    return OfflinePolicy.of(values)


def merged(user: OfflinePolicy, device: OfflinePolicy) -> EffectivePolicy:
    return effective_policy(AssignedPolicy("U", "users", user, 3), AssignedPolicy("D", "devices", device, 9))


@st.composite
def policies(draw: st.DrawFn) -> OfflinePolicy:
    """Return any policy that can be stored."""
    values = {name: draw(_values(field)) for name, field in FIELDS.items()}
    if values["protection_level"] == "light":
        values["allow_tokens_without_pin"] = False
    return OfflinePolicy.of(values)


def _values(field: PolicyField) -> st.SearchStrategy[Any]:
    if field.kind is bool:
        return st.booleans()
    if field.kind is int:
        return st.integers(field.low, field.high)
    return st.sampled_from(field.choices) if field.choices else st.sampled_from(["", "+49 30 1", "4711"])


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_is_fully_described(name: str) -> None:
    field = FIELDS[name]
    assert field.name == name
    assert field.meaning.endswith(".")
    assert field.allowed
    assert (field.kind is int) == bool(field.unit)
    assert name in offline_policy.columns, "no column: see docs/recipes.md"
    assert offline_policy.columns[name].type.python_type is field.kind
    assert name in TABLE or name in NOT_STRICTER, "say here what is stricter"


@pytest.mark.parametrize("name", TABLE)
def test_default_mildest_and_strictest(name: str) -> None:
    field = FIELDS[name]
    default, mildest, strictest = TABLE[name]
    assert field.default == default
    assert field.merge is MergeRule.STRICTER
    assert field.checked(mildest) == mildest
    assert field.checked(strictest) == strictest
    assert field.strictness(mildest) < field.strictness(strictest)
    assert field.strictness(mildest) <= field.strictness(default) <= field.strictness(strictest)


def test_defaults_of_fields_without_an_order() -> None:
    assert {name: FIELDS[name].default for name in NOT_STRICTER} == NOT_STRICTER
    assert FIELDS["warn_days"].merge is MergeRule.USER
    assert FIELDS["help_text"].merge is MergeRule.DEVICE


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.kind is int])
def test_numbers_outside_their_range_are_refused(name: str) -> None:
    field = FIELDS[name]
    for text in (str(field.low), str(field.high)):
        assert field.parse(text) == int(text)
    for text in (str(field.low - 1), str(field.high + 1), "", "x", "-1", "+5", "5.0", "٥", " 5", "on", "9" * 5000):
        with pytest.raises(PolicyError, match=f"{name}.*{field.low} to {field.high}"):
            field.parse(text)
    for value in (True, "8", 8.0):
        with pytest.raises(PolicyError):
            field.checked(value)


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.kind is bool])
def test_switches_accept_common_spellings(name: str) -> None:
    field = FIELDS[name]
    assert [field.parse(text) for text in ("on", "ON", "yes", "true")] == [True] * 4
    assert [field.parse(text) for text in ("off", "Off", "no", "false")] == [False] * 4
    for text in ("", "1", "maybe"):
        with pytest.raises(PolicyError, match="on or off"):
            field.parse(text)
    with pytest.raises(PolicyError):
        field.checked(1)


@pytest.mark.parametrize(("name", "enum"), [("protection_level", ProtectionLevel), ("server_down", ServerDown)])
def test_choices(name: str, enum: type[ProtectionLevel] | type[ServerDown]) -> None:
    field = FIELDS[name]
    assert field.choices == tuple(member.value for member in enum)
    for member in enum:
        assert field.parse(member.value) == member
        assert getattr(of(**{name: member.value}), name) is member
    with pytest.raises(PolicyError, match=", ".join(field.choices)):
        field.parse("paranoid")


def test_help_text_is_one_printable_line() -> None:
    field = FIELDS["help_text"]
    assert field.parse("Help desk: +49 30 123456") == "Help desk: +49 30 123456"
    assert field.parse("x" * 200)
    for text in ("x" * 201, "a\nb", "a\x1b[31m"):
        with pytest.raises(PolicyError, match="200 characters"):
            field.parse(text)


def test_a_policy_with_a_value_out_of_range_cannot_be_made() -> None:
    with pytest.raises(PolicyError):
        OfflinePolicy(days=0)
    with pytest.raises(PolicyError):
        of(days=61)


def test_tokens_without_a_pin_are_not_sealed_at_light() -> None:
    remedy = "off, or raise protection_level to balanced or strong first"
    with pytest.raises(PolicyError) as refused:
        of(allow_tokens_without_pin=True, protection_level="light")
    assert str(refused.value) == str(PolicyError("allow_tokens_without_pin", "on", remedy))
    assert of(allow_tokens_without_pin=True, protection_level="balanced").allow_tokens_without_pin


def test_the_stricter_value_wins_on_both_sides() -> None:
    for name, (_, mild, strict) in TABLE.items():
        mild_one, strict_one = of(**{name: mild}), of(**{name: strict})
        assert getattr(merged(mild_one, strict_one).values, name) == strict, name
        assert getattr(merged(strict_one, mild_one).values, name) == strict, name


def test_each_value_names_where_it_came_from() -> None:
    effective = merged(of(days=5, help_text="ask Bob"), of(days=20, offline_failures=3))
    assert (effective.values.days, effective.values.offline_failures) == (5, 3)
    assert effective.sources["days"] == "policy 'U' of the user's domain 'users'"
    assert effective.sources["offline_failures"] == "policy 'D' of the device's domain 'devices'"
    assert effective.sources.keys() == FIELDS.keys()
    assert effective.revision == 3
    assert set(merged(of(), of()).sources.values()) == {"policy 'U' of the user's domain 'users'"}
    same = AssignedPolicy("Default", "users", of())
    assert set(effective_policy(same, same).sources.values()) == {"policy 'Default'"}


def test_the_help_text_is_that_of_the_device_unless_it_has_none() -> None:
    assert merged(of(help_text="user"), of(help_text="device")).values.help_text == "device"
    assert merged(of(help_text="user"), of()).values.help_text == "user"


def test_the_warning_is_that_of_the_user() -> None:
    assert merged(of(warn_days=1), of(warn_days=30)).values.warn_days == 1


def test_a_missing_side_denies() -> None:
    some = AssignedPolicy("U", "users", of())
    for effective in (effective_policy(None, None), effective_policy(some, None), effective_policy(None, some)):
        values = effective.values
        allowed = {values.enabled, values.emergency_tokencode, values.emergency_passcode}
        assert allowed == {values.allow_tokens_without_pin} == {False}
        assert effective.sources == dict.fromkeys(FIELDS, "no policy is assigned")


@given(policies(), policies())
def test_adding_a_policy_never_loosens_the_effective_one(user: OfflinePolicy, device: OfflinePolicy) -> None:
    alone, both = merged(user, user).values, merged(user, device).values
    assert alone == user
    for name, field in FIELDS.items():
        assert field.strictness(getattr(both, name)) >= field.strictness(getattr(alone, name)), name


@given(policies(), policies())
def test_merging_is_the_same_from_both_sides(first: OfflinePolicy, second: OfflinePolicy) -> None:
    one, other = merged(first, second).values, merged(second, first).values
    assert {name: getattr(one, name) for name in TABLE} == {name: getattr(other, name) for name in TABLE}


@given(policies(), policies())
def test_an_effective_policy_can_be_stored(first: OfflinePolicy, second: OfflinePolicy) -> None:
    values = merged(first, second).values
    assert OfflinePolicy.of({name: getattr(values, name) for name in FIELDS}) == values
