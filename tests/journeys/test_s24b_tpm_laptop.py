"""A laptop with a TPM, from its enrolment to its end: real server, real daemon, swtpm."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from sparekey.agent.tpm.keys import TPM_KEYS
from sparekey.app.devices.devices import list_devices
from tests.builders import ROOT
from tests.journeys.site import Site, a_site
from tests.swtpm import Swtpm

pytestmark = pytest.mark.services


def test_s24b_a_laptop_keeps_its_keys_in_its_tpm(tmp_path: Path, swtpm: Swtpm) -> None:
    with a_site(tmp_path) as site:
        enrolled = site.enroll(swtpm.tcti)
        assert enrolled.data["protection"] == "tpm"
        assert "the keys are in the TPM (IBM" in enrolled.data["keys"]
        site.login(site.passcode(), mode="online")
        assert [device.hardware_bound for device in list_devices(site.instance, ROOT)] == [True]
        site.cable.unplug()
        daemon = site.stage.start_daemon()
        image = tmp_path / "image"
        shutil.copytree(site.state_directory, image, ignore=shutil.ignore_patterns("agent.sock"))
        site.next_interval()
        typed = site.passcode()
        site.login(site.wrong_passcode(), "denied", "offline")
        site.login(typed, mode="offline")
        assert site.device.agent("status").data["hardware_bound"] is True
        memory = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii")
        print("RSS", next(line for line in memory.splitlines() if line.startswith("VmRSS")))
        # The plug is pulled, and the computer comes back.
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait(timeout=20)
        (site.state_directory / "agent.sock").unlink()
        swtpm.reset()
        daemon = site.stage.start_daemon()
        site.login(typed, "denied", "offline")
        site.next_interval()
        site.login(site.passcode(), mode="offline")
        os.kill(daemon.pid, signal.SIGTERM)
        daemon.wait(timeout=20)
        used_again_on_a_restored_image(site, image, typed)
        ends(site, swtpm)


def used_again_on_a_restored_image(site: Site, image: Path, typed: str) -> None:
    """Restore an old image of the disk: it opens nothing, and the login says so."""
    newest = image.with_name("newest")
    site.state_directory.rename(newest)
    shutil.copytree(image, site.state_directory)
    answer = site.attempt(typed, fails=True)
    assert answer.data["result"] == "unavailable"
    assert "older than the counter in the TPM" in answer.data["message"]
    failed = site.device.agent("status", fails=True)
    assert failed.data["error"] == "older-state"
    shutil.rmtree(site.state_directory)
    newest.rename(site.state_directory)
    site.next_interval()
    site.login(site.passcode(), mode="offline")


def ends(site: Site, tpm: Swtpm) -> None:
    """Check that `clear --all` removes the counter from the TPM as well."""
    assert len(tpm.tool("tpm2_getcap", "handles-nv-index").split()) == 2
    site.device.agent("clear", "--all")
    assert tpm.tool("tpm2_getcap", "handles-nv-index") == ""
    assert not (site.state_directory / TPM_KEYS).exists()
