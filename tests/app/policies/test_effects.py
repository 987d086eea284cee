"""Each field of a policy declares the effect of an edit truly: units are provisioned and planned under both values.

The server's own functions decide here which units a device should hold and what goes into them, on one state of the
database that is the same under both policies. What a unit is sealed from stands for its bytes: header, codes, and the
keys of its records. Salt and peppers are random, and belong to no policy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.offline import sealing
from sparekey.app.offline.sync import Holder, after_sign_in, holder_of, sync_users
from sparekey.app.tokens.tokens import NewToken, add_token
from sparekey.core.offline.units import WantedUnit
from sparekey.core.policy.effects import effect_of_edit
from sparekey.core.policy.fields import EditEffect, PolicyError, PolicyField
from sparekey.core.policy.kinds import PolicyKind, StoredPolicy
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.sealed.seal import _header_of
from sparekey.storage.devices import devices
from sparekey.storage.policies import policies
from sparekey.storage.tokens import tokens
from tests.builders import DAY, NOW, PIN, ROOT, Device, User, a_device, a_token, a_user, an_instance
from tests.shared_statements import open_database

LATER = NOW + 60
ALL_TOKENS = {"allow_tokens_without_pin": True, "tokens_per_user": 10}
TEXTS = ("", "4711,2580")
Unit = tuple[str, str, str, int]
"""Account, kind, token, day."""


@dataclass(frozen=True)
class Scene:
    """One device with two users: tokens with a short PIN, with a long one, without one, and one that counts events."""

    instance: Instance
    device: Device
    alice: User


@dataclass(frozen=True)
class Observed:
    """`units`: those that the device should hold, each with what its bytes depend on; days after today: nothing, for
    they are made as today is. `kept`: kinds that may stay on the device, the last day, and whether passwords may."""

    units: Mapping[Unit, object]
    kept: frozenset[object]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    database = open_database("sqlite://")
    instance = an_instance(database, policy={"allow_tokens_without_pin": "on", "tokens_per_user": "10"})
    device = a_device(instance)
    alice = a_user(instance, "alice", pin="4711")
    others = [
        a_token(instance, "alice", alice.account_id, pin=PIN, token=NewToken(digits=8)),
        a_token(instance, "alice", alice.account_id, token=NewToken(digits=8)),
    ]
    counting = add_token(instance, ROOT, "alice", NewToken(type="hotp", interval=0, digits=8, with_pin=False), now=NOW)
    bob = a_user(instance, "bob", pin=PIN)
    with database.write() as connection:
        event_token = tokens.find_token(connection, counting.serial)
        assert event_token is not None
        for user in (bob, alice, *others):
            sign_in(instance, connection, device, user)
        devices.use_token_on_device(connection, device.device_id, event_token.id, alice.account_id, NOW - 100)
        sync_users(connection, instance, row_of(connection, device), [], NOW)  # makes each emergency code
    yield Scene(instance, device, alice)
    database.close()


def sign_in(instance: Instance, connection: Connection, device: Device, user: User) -> None:
    success = Granted(user.account_id, user.login, Method.TOKENCODE, user.token_id)
    after_sign_in(connection, instance, row_of(connection, device), success, b"", NOW)


def row_of(connection: Connection, device: Device) -> Any:
    return devices.find_device(connection, device.device_id)


def observe(scene: Scene, policy: StoredPolicy) -> Observed:
    """Return the data that the device should hold after Alice signed in under this policy. Changes nothing."""
    kind = PolicyKind.of(type(policy))
    with scene.instance.database.write() as connection, connection.begin_nested() as undone:
        (default,) = policies.list_policies(connection, kind)
        policies.update_policy(connection, kind, default.id, policy)
        sign_in(scene.instance, connection, scene.device, scene.alice)
        found = _observed(scene.instance, connection, row_of(connection, scene.device))
        undone.rollback()
    return found


def _observed(instance: Instance, connection: Connection, device: Any) -> Observed:
    units: dict[Unit, object] = {}
    kept: set[object] = set()
    for row in devices.accounts_on_device(connection, device.id):
        holder = holder_of(connection, instance, device, row, LATER)
        for unit in holder.wanted_at(LATER):
            name = (row.account_id, str(unit.kind), unit.token_id, unit.day)
            units[name] = made_from(instance, holder, unit) if unit.day in (0, LATER // DAY) else None
    for said in sync_users(connection, instance, device, [], LATER):
        kept |= {(said.user, each.kind, each.token) for each in said.keep}
        kept |= {(said.user, "day", day) for day in range(LATER // DAY, said.last_day + 1)}
        kept |= {"os_password"} if said.policy.os_password else set()
    return Observed(units, frozenset(kept))


def made_from(instance: Instance, holder: Holder, unit: WantedUnit) -> object:
    """Everything that the unit's bytes depend on, salt and peppers aside."""
    work = sealing._WORK_OF[unit.kind](instance, holder, unit, LATER)
    pin = work.plan.pin.hashed.reveal() if work.plan.pin else b""
    return _header_of(work.plan, work.codes, bytes(16)).encode(), work.codes, pin, work.plan.offline_key.reveal()


def values_of(field: PolicyField) -> st.SearchStrategy[Any]:
    """Return a strategy for a field's values, which often gives an end of its range."""
    if field.kind is bool:
        return st.booleans()
    if field.kind is int:
        return st.sampled_from([field.low, field.high]) | st.integers(field.low, field.high)
    return st.sampled_from(field.choices or TEXTS)


@st.composite
def policies_of(draw: st.DrawFn, kind: PolicyKind) -> StoredPolicy:
    """A policy that differs from the default in a few fields."""
    changed = draw(st.sets(st.sampled_from(sorted(kind.fields)), max_size=4))
    return (
        changed_to(kind.type(), {name: draw(values_of(kind.fields[name])) for name in sorted(changed)}) or kind.type()
    )


def changed_to(policy: StoredPolicy, values: Mapping[str, Any]) -> StoredPolicy | None:
    """The policy with these values; None: they do not go together."""
    kind = type(policy)
    try:
        return kind.of({**vars(policy), **values})
    except PolicyError:
        return None


def check(scene: Scene, old: StoredPolicy, new: StoredPolicy) -> bool:
    """The effect of the edit covers every difference: data that are no longer right are discarded, erased or renewed.

    Returns True if there is a difference. A pack of event-based codes renews itself (spec/offline-day.md, 5, rule 6).
    """
    effect, before, after = effect_of_edit(old, new), observe(scene, old), observe(scene, new)
    gone = (before.units.keys() - after.units.keys()) or (before.kept - after.kept)
    assert not gone or effect.discarding, f"{gone} would stay on devices"
    for name in before.units.keys() & after.units.keys():
        if before.units[name] != after.units[name]:
            is_code = name[1].startswith("emergency")
            assert effect.renews or (is_code and effect.renews_codes) or name[1] == "events", f"{name} would be stale"
    return before != after


@given(data=st.data())
def test_an_edit_has_the_effect_that_its_field_declares(scene: Scene, data: st.DataObject) -> None:
    kind = PolicyKind.OFFLINE
    old = data.draw(policies_of(kind))
    name = data.draw(st.sampled_from(sorted(kind.fields)))
    new = changed_to(old, {name: data.draw(values_of(kind.fields[name]))})
    if new is not None and check(scene, old, new):
        assert kind.fields[name].effect is not EditEffect.NOTHING, name


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in PolicyKind for name in kind.fields])
def test_a_field_has_an_effect_if_and_only_if_units_depend_on_it(scene: Scene, kind: PolicyKind, name: str) -> None:
    """From end to end of its range, in both directions; all tokens have offline data at first."""
    field = kind.fields[name]
    base = changed_to(kind.type(), ALL_TOKENS if kind is PolicyKind.OFFLINE else {})
    assert base is not None
    ends = field.choices or (
        (False, True) if field.kind is bool else (field.low, field.high) if field.kind is int else TEXTS
    )
    values = [policy for value in ends if (policy := changed_to(base, {name: value})) is not None]
    found = [check(scene, old, new) for old in values for new in values if old != new]
    assert found
    assert any(found) == (field.effect not in {EditEffect.NOTHING, EditEffect.ENDS_OWN_CODES})
