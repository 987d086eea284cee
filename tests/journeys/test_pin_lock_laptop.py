"""Days behind a PIN lock with real parts: server, device and swtpm; a wrong PIN, a PIN that was changed elsewhere, a
lockout, and a TPM that was cleared."""

from pathlib import Path

import pytest

from sparekey.app.devices.devices import list_devices
from sparekey.app.tokens.tokens import set_pin
from sparekey.core.offline.units import Protection
from sparekey.secret import Secret
from tests.builders import PIN, ROOT
from tests.journeys.site import Site, a_site
from tests.swtpm import Swtpm

pytestmark = pytest.mark.services

NEW_PIN = "7391kmpq"


def test_s34_a_laptop_with_a_pin_lock_opens_days_with_the_pin(tmp_path: Path, swtpm: Swtpm) -> None:
    with a_site(tmp_path) as site:
        site.enroll(swtpm.tcti)
        for _ in range(2):  # at the first nothing is held yet
            site.login(passcode(site), mode="online")
            site.next_interval()
        assert lock(site) == "locked-resettable"
        swtpm.set_lockout_password("kept elsewhere")
        assert lock(site) == "locked"
        site.device.agent("sync")
        assert [device.protection for device in list_devices(site.instance, ROOT)] == [Protection.TPM_PIN_LOCK]
        site.cable.unplug()
        site.login(passcode(site, "1357"), "denied", "offline")
        site.login(passcode(site), mode="offline")
        assert wrong_pins(swtpm) == 1
        changed_elsewhere(site, swtpm)
        swtpm.lock_out()
        site.next_interval()
        assert site.attempt(passcode(site, NEW_PIN), fails=True).data["reason"] == "pin-lockout"
        site.cable.plug()
        site.login(passcode(site, NEW_PIN), mode="online")
        assert lock(site) == "locked"
        swtpm.clear()
        site.next_interval()
        assert "the TPM was cleared" in site.attempt(passcode(site, NEW_PIN), fails=True).data["message"]


def changed_elsewhere(site: Site, tpm: Swtpm) -> None:
    """The new PIN opens later data, and no try of the TPM is spent on the lock of the old one."""
    before = wrong_pins(tpm)
    set_pin(site.instance, ROOT, site.alice.serial, Secret(NEW_PIN), now=site.now)
    site.cable.plug()
    site.next_interval()
    site.login(passcode(site, NEW_PIN), mode="online")
    assert lock(site) == "at-next-sign-in"
    site.cable.unplug()
    for _ in range(2):
        site.next_interval()
        site.login(passcode(site, NEW_PIN), mode="offline")
        assert lock(site) == "locked"
    assert wrong_pins(tpm) == before


def passcode(site: Site, pin: str = PIN) -> str:
    return pin + site.passcode().removeprefix(PIN)


def lock(site: Site) -> str:
    return str(site.device.agent("status").data["users"][0]["pin_lock"]["state"])


def wrong_pins(tpm: Swtpm) -> int:
    """Return the number of wrong PINs that the TPM remembers."""
    said = tpm.tool("tpm2_getcap", "properties-variable")
    return int(next(line for line in said.splitlines() if "TPM2_PT_LOCKOUT_COUNTER" in line).split(":")[1], 16)
