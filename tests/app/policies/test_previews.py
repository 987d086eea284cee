"""Previews of the effects of a policy edit, on both databases. A preview changes nothing."""

import pytest

from sparekey.app.instance import Instance
from sparekey.app.people.domains import add_domain
from sparekey.app.policies import policies
from sparekey.app.policies.changes import SILENT_AFTER, Regeneration
from sparekey.app.policies.previews import Preview, cost_of, preview_assignment, preview_edit, preview_removal
from sparekey.core.policy.effects import Extent
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.offline import ProtectionLevel
from sparekey.core.policy.sealing_work import SECONDS_PER_CODE, SECONDS_PER_RECORD
from sparekey.storage.unit_of_work import Database
from tests.builders import NOW, PIN, ROOT, a_filled_device, a_user, an_instance

OFFLINE, TOKEN = PolicyKind.OFFLINE, PolicyKind.TOKEN


@pytest.fixture
def server(database: Database) -> Instance:
    """One user, a PIN, 30-second codes of 6 digits, on one device that holds a day and the codes."""
    instance = an_instance(database)
    add_domain(instance, ROOT, "Sales", now=NOW)
    alice = a_user(instance, "alice", pin=PIN, domain="Sales")
    a_filled_device(instance, alice, "laptop")
    return instance


def edited(server: Instance, now: int = NOW, **fields: str) -> Preview:
    return preview_edit(server, ROOT, OFFLINE, "Default", fields, now=now)


def renewal(preview: Preview) -> Regeneration:
    assert preview.renewal is not None
    return preview.renewal


def test_the_effects_of_a_tightening_edit_are_counted(server: Instance) -> None:
    preview = edited(server, days="1", minimum_passcode_length="12")
    assert (preview.tightened, preview.discards) == (("minimum_passcode_length",), True)
    found = renewal(preview)
    assert (found.users, found.devices, found.holders, found.silent, found.kept_until) == (1, 1, 1, 0, None)
    day = 2_880 * SECONDS_PER_RECORD[ProtectionLevel.LIGHT]
    assert found.core_seconds == pytest.approx(day + 2 * SECONDS_PER_CODE)


def test_a_device_not_heard_of_keeps_its_data_until_they_end(server: Instance) -> None:
    found = renewal(edited(server, NOW + SILENT_AFTER + 1, minimum_passcode_length="12"))
    assert found.silent == 1
    assert found.kept_until is not None
    assert found.kept_until > NOW + 29 * 86_400  # the emergency codes


def test_pins_too_short_for_the_new_minimum_are_counted(server: Instance) -> None:
    assert edited(server, minimum_passcode_length="14").too_short == 0
    assert edited(server, minimum_passcode_length="15").too_short == 1


def test_an_edit_that_loosens_discards_nothing(server: Instance) -> None:
    lifetime = edited(server, emergency_lifetime="60")
    assert (lifetime.effect.extent, lifetime.discards) == (Extent.CODES, False)
    assert renewal(lifetime).core_seconds == pytest.approx(2 * SECONDS_PER_CODE)
    assert edited(server, help_text="Ring 1234").renewal is None
    policies.set_fields(server, ROOT, OFFLINE, "Default", {"protection_level": "strong"}, confirmed=True, now=NOW)
    level = edited(server, protection_level="light")
    assert (level.discards, renewal(level).holders) == (False, 1)


def test_assignments_and_removals_have_previews(server: Instance) -> None:
    policies.add_policy(server, ROOT, OFFLINE, "Strict", {"protection_level": "strong"}, now=NOW)
    preview = preview_assignment(server, ROOT, OFFLINE, "Strict", "Sales", now=NOW)
    assert ("protection_level" in preview.tightened, renewal(preview).holders) == (True, 1)
    policies.assign_policy(server, ROOT, OFFLINE, "Strict", "Sales", confirmed=True, now=NOW)
    removal = preview_removal(server, ROOT, OFFLINE, "Strict", now=NOW)
    assert (removal.discards, renewal(removal).holders) == (True, 1)  # the default has fewer days


def test_the_cost_is_that_of_the_weakest_policies_that_meet(server: Instance) -> None:
    policies.add_policy(server, ROOT, TOKEN, "Long", {"pin_minimum": "6"}, now=NOW)
    policies.assign_policy(server, ROOT, TOKEN, "Long", "Sales", now=NOW)
    policies.add_policy(server, ROOT, OFFLINE, "Sales only", {}, now=NOW)
    policies.assign_policy(server, ROOT, OFFLINE, "Sales only", "Sales", confirmed=True, now=NOW)
    everywhere = cost_of(server, ROOT, OFFLINE, "Default")
    sales = cost_of(server, ROOT, OFFLINE, "Sales only")
    assert everywhere is not None
    assert sales is not None
    assert everywhere.token_policy == "Default"
    assert sales.token_policy == "Long"
    assert sales.here.weakest is not None
    assert sales.here.weakest.money == "1 million USD"
    assert cost_of(server, ROOT, PolicyKind.LOCKOUT, "Default") is None


def test_asking_changes_nothing(server: Instance) -> None:
    before = policies.show_policy(server, ROOT, OFFLINE, "Default")
    edited(server, days="1", protection_level="strong")
    assert policies.show_policy(server, ROOT, OFFLINE, "Default") == before
