"""A device's report about itself at a contact: the server stores it, logs changes, and applies policy to it at once."""

import json

import pytest

from sparekey.app.devices.devices import DeviceView, list_devices, show_device
from sparekey.app.instance import Instance
from sparekey.app.offline.contact import take_contact
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, SparekeyError
from sparekey.core.offline.self_report import LONGEST_EXEMPT, MOST_EXEMPT
from sparekey.core.offline.units import Obstacle, Protection
from sparekey.wire.agent_api import SyncRequest, UserSync
from tests.builders import (
    NOW,
    PIN,
    ROOT,
    Device,
    a_device,
    a_filled_device,
    a_user,
    edit_policy,
    granted,
    logged_events,
)

HOUR = 3600
SAID = (Action.DEVICE_PROTECTION, Action.DEVICE_EXEMPT)


def contact(
    device: Device, protection: str, exempt: tuple[str, ...] = (), *, hardware_bound: bool | None = None, at: int = NOW
) -> list[UserSync]:
    """Send this report from the device; return the server's answer about its users."""
    bound = protection.startswith("tpm") if hardware_bound is None else hardware_bound
    held = [unit for unit, _ in device.held.values()]
    request = SyncRequest(held=held, checkpoint="", hardware_bound=bound, protection=protection, exempt=list(exempt))
    return take_contact(device.instance, device.row, request, now=at).users


def shown(device: Device) -> DeviceView:
    return show_device(device.instance, ROOT, device.device_id)


def test_a_report_is_stored_and_shown(any_server: Instance) -> None:
    device = a_device(any_server)
    assert (shown(device).protection, shown(device).exempt) == ("", ())
    contact(device, Protection.TPM_PIN_LOCK, ("root (on the console)", "backup"))
    (view,) = list_devices(any_server, ROOT)
    assert view == shown(device)
    assert (view.hardware_bound, view.protection, view.exempt) == (
        True,
        "tpm-pin-lock",
        ("backup", "root (on the console)"),
    )
    contact(device, "", hardware_bound=True)  # an older agent has taken its place
    assert (shown(device).hardware_bound, shown(device).protection, shown(device).exempt) == (True, "", ())


def test_a_change_is_logged_and_its_repetition_is_not(any_server: Instance) -> None:
    device = a_device(any_server)
    for _ in range(2):
        contact(device, Protection.FILE)  # its first word changes nothing
    assert logged_events(any_server, *SAID) == []
    for _ in range(2):
        contact(device, Protection.TPM, ("root",))
    contact(device, Protection.TPM_PIN_LOCK, ("root",))
    contact(device, Protection.TPM_PIN_LOCK, at=NOW + HOUR)
    rows = logged_events(any_server, *SAID)
    assert {(row.actor, row.device_id) for row in rows} == {(f"device:{device.device_id}", device.device_id)}
    assert [(row.action, json.loads(row.detail)) for row in rows] == [
        ("device.protection", {"before": "file", "after": "tpm", "hardware_bound": True}),
        ("device.exempt", {"accounts": ["root"]}),
        ("device.protection", {"before": "tpm", "after": "tpm-pin-lock", "hardware_bound": True}),
        ("device.exempt", {"accounts": []}),
    ]


def test_a_tpm_that_an_older_agent_denies_is_a_change_too(any_server: Instance) -> None:
    device = a_device(any_server)
    contact(device, "", hardware_bound=True)
    contact(device, "", hardware_bound=False)
    assert len(logged_events(any_server, Action.DEVICE_PROTECTION)) == 2


def test_the_first_report_after_a_silence_is_logged(any_server: Instance) -> None:
    device = a_device(any_server)
    for word in (Protection.TPM, "", Protection.TPM_PIN_LOCK, Protection.TPM_PIN_LOCK, "", Protection.TPM):
        contact(device, word, hardware_bound=True)
    said = [json.loads(row.detail)["after"] for row in logged_events(any_server, Action.DEVICE_PROTECTION)]
    assert said == ["tpm", "", "tpm-pin-lock", "", "tpm"]  # the first: it was enrolled with a file


def test_exempt_accounts_that_change_all_the_time_are_logged_once_an_hour(any_server: Instance) -> None:
    device = a_device(any_server)
    for minute in range(60):
        contact(device, Protection.FILE, (f"account{minute % 2}",), at=NOW + 60 * minute)
    assert logged_exemptions(any_server) == [["account0"]]
    for _ in range(2):
        assert shown(device).exempt == ("account1",)  # as it says now
        contact(device, Protection.FILE, ("account1",), at=NOW + HOUR)
    assert logged_exemptions(any_server) == [["account0"], ["account1"]]
    contact(device, Protection.FILE, at=NOW + HOUR + 60)
    contact(device, Protection.FILE, ("account1",), at=NOW + 3 * HOUR)
    assert logged_exemptions(any_server) == [["account0"], ["account1"]]
    contact(device, Protection.FILE, at=NOW + 3 * HOUR)
    assert logged_exemptions(any_server) == [["account0"], ["account1"], []]
    assert shown(device).exempt == ()


def logged_exemptions(server: Instance) -> list[list[str]]:
    return [json.loads(row.detail)["accounts"] for row in logged_events(server, Action.DEVICE_EXEMPT)]


def test_a_malformed_report_changes_nothing(server: Instance) -> None:
    device = a_device(server)
    contact(device, Protection.TPM, ("root",))
    before = shown(device)
    for names in (("a\nb",), ("x" * (LONGEST_EXEMPT + 1),), tuple(map(str, range(MOST_EXEMPT + 1)))):
        with pytest.raises(BadInput):
            contact(device, Protection.TPM, names, at=NOW + 60)
    assert shown(device) == before


@pytest.mark.parametrize("character", ["x", "\u00f6", "\u20ac", "\U0001f511", '"'])
def test_the_longest_list_fits_its_row(server: Instance, character: str) -> None:
    device = a_device(server)
    size = len(character.encode())
    names = tuple(f"{number:02}" + character * ((LONGEST_EXEMPT - 2) // size) for number in range(MOST_EXEMPT))
    contact(device, Protection.FILE, names)
    assert shown(device).exempt == names
    assert len(logged_events(server, Action.DEVICE_EXEMPT)) == 1


def test_a_device_that_loses_its_tpm_keeps_nothing_from_that_contact_on(any_server: Instance) -> None:
    alice = a_user(any_server, pin=PIN)
    edit_policy(any_server, {"require_hardware_store": "on"})
    device = a_device(any_server)
    granted(device.sign_in(alice, NOW).outcome)
    assert contact(device, Protection.FILE) == []  # it holds no user's data
    contact(device, Protection.TPM)
    granted(device.sign_in(alice, NOW + 30).outcome)
    (said,) = contact(device, Protection.TPM, at=NOW + 30)
    assert (said.obstacles, bool(said.keep), bool(said.wanted)) == ([], True, True)
    (lost,) = contact(device, Protection.FILE, at=NOW + 60)
    assert (lost.keep, lost.wanted, lost.obstacles) == ([], [], [Obstacle.NO_HARDWARE_STORE])
    with pytest.raises(SparekeyError):
        device.fetch(alice, said.wanted[0], said.generation, NOW + 60)
    assert device.sign_in(alice, NOW + 90).key.offline_key is None
    (found,) = contact(device, Protection.TPM, at=NOW + 120)
    assert (found.obstacles, bool(found.keep), bool(found.wanted)) == ([], True, True)


def test_where_policy_asks_for_no_tpm_its_loss_takes_nothing(server: Instance) -> None:
    alice = a_user(server, pin=PIN)
    device = a_filled_device(server, alice, "laptop")
    contact(device, Protection.TPM)
    (said,) = contact(device, Protection.FILE)
    assert said.keep
    assert said.obstacles == []
