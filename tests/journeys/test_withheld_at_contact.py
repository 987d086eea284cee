"""Data that the server withholds are erased at the next contact: token lost, user disabled, device revoked. Also data
that policy withholds while the server is down."""

from pathlib import Path

import pytest

from sparekey.agent.ground.state import UnitEntry
from sparekey.app.devices import devices
from sparekey.app.people import users
from sparekey.app.tokens import tokens
from tests.builders import LIGHT, ROOT, edit_policy
from tests.journeys.site import DEVICE, Site, a_site, read_state

pytestmark = pytest.mark.services


def test_withheld_data_are_erased_at_once(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        days = sorted(day_files(site))
        assert days
        the_token_is_lost(site)
        the_user_is_disabled(site)
        the_device_is_revoked(site)


def the_token_is_lost(site: Site) -> None:
    """Mark the token as lost: its days go, its emergency codes stay."""
    tokens.set_lost(site.instance, ROOT, site.alice.serial, lost=True, now=site.now)
    site.device.agent("sync")
    assert day_files(site) == []
    assert {entry.kind for entry in held_units(site)} == {"emergency-tokencode", "emergency-passcode"}
    tokens.set_lost(site.instance, ROOT, site.alice.serial, lost=False, now=site.now)
    site.next_interval()
    site.login(site.passcode(), mode="online")
    assert day_files(site)


def the_user_is_disabled(site: Site) -> None:
    """An attempt is a contact, too: refused, and nothing is left of this user."""
    users.set_enabled(site.instance, ROOT, "alice", enabled=False, now=site.now)
    site.next_interval()
    site.login(site.passcode(), "denied", "online")
    assert (held_units(site), unit_files(site)) == ([], [])
    site.cable.unplug()
    assert site.login(site.passcode(), "unavailable", "offline")["reason"] == "no-offline-data"
    site.cable.plug()
    users.set_enabled(site.instance, ROOT, "alice", enabled=True, now=site.now)
    site.next_interval()
    site.login(site.passcode(), mode="online")
    assert day_files(site)


def the_device_is_revoked(site: Site) -> None:
    """Revoke the device: it learns so once, and holds nothing any more."""
    devices.revoke(site.instance, ROOT, DEVICE, now=site.now)
    site.next_interval()
    assert site.login(site.passcode(), "denied", "online")["reason"] == "refused-by-server"
    assert (read_state(site.state_directory).users, unit_files(site)) == ([], [])
    site.cable.unplug()
    site.login(site.passcode(), "unavailable", "offline")


def test_policy_decides_which_codes_work_while_the_server_is_down(tmp_path: Path) -> None:
    with a_site(tmp_path, policy=LIGHT | {"server_down": "off"}) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        site.stage.stop_server(site.server)
        site.cable.unplug()
        site.next_interval()
        refused = site.login(site.passcode(), "unavailable", "offline")
        assert refused["reason"] == "server-down"
        assert refused["message"].startswith("The server does not answer, and the policy allows no offline sign-in")
        # with no route at all the device is offline, which is another thing
        site.device.device_namespaces = ("unshare", "-n")
        site.login(site.passcode(), mode="offline")
        site.device.device_namespaces = ()
        site.server = site.stage.start_server(site.port)
        site.cable.plug()
        edit_policy(site.instance, {"server_down": "on"}, now=site.now)
        site.device.agent("sync")
        site.cable.unplug()
        site.next_interval()
        site.login(site.passcode(), mode="offline")


def held_units(site: Site) -> list[UnitEntry]:
    held = site.held()
    return [] if held is None else [*held.units]


def unit_files(site: Site) -> list[Path]:
    return [*(site.state_directory / "units").iterdir()]


def day_files(site: Site) -> list[Path]:
    """Return the files of held days."""
    held = site.held()
    days = [entry.file for entry in held.units if entry.kind == "day"] if held else []
    return [path for path in unit_files(site) if path.name in days]
