"""S24 and S32 with real processes: the device's clock is set back, or ten years ahead, in this boot and in the next."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparekey.app.emergency.offline import show
from sparekey.app.emergency.showing import Showing
from sparekey.core.emergency.offline import CodeKind
from tests.builders import DAY, HELP_DESK, PIN
from tests.journeys.site import INTERVAL, Site, a_site
from tools.faketime import FakeTime
from tools.story.stage import Stage

pytestmark = pytest.mark.services

TEN_YEARS = 3_653 * DAY
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def test_s24_a_clock_set_back_stops_tokencodes_only(tmp_path: Path) -> None:
    with a_filled_site(tmp_path) as site:
        site.device.time.set(site.stage.time.offset - 2 * DAY)
        # in the boot of the last contact the wall clock means nothing
        site.login(device_passcode(site), mode="offline")
        reboot(site)
        assert site.login(device_passcode(site, ahead=INTERVAL), "unavailable", "offline")["reason"] == "clock"
        assert site.failures() == 0
        shown = show(
            site.instance, HELP_DESK, CodeKind.TOKENCODE, site.alice.serial, None, Showing("badge"), now=site.now
        )
        site.login(PIN + shown.groups.reveal(), mode="offline")
        put_right(site)
        site.login(device_passcode(site), mode="offline")


def test_s32_ten_years_ahead_and_corrected_nothing_is_lost(tmp_path: Path) -> None:
    with a_filled_site(tmp_path) as site:
        before = unit_files(site)
        reboot(site)
        site.device.time.set(site.stage.time.offset + TEN_YEARS)
        for typed in (device_passcode(site), site.alice.typed(site.now + TEN_YEARS).reveal()):
            assert site.login(typed, "unavailable", "offline")["reason"] == "clock"
        assert site.device.agent("status").data["clock_wrong"] is True
        assert unit_files(site) == before
        put_right(site)
        site.login(device_passcode(site), mode="offline")


@contextmanager
def a_filled_site(directory: Path) -> Iterator[Site]:
    """Yield a device with its own clock, which shows the server's time at first. It was online once, and is offline."""
    with Stage(directory, print) as device:
        device.time = FakeTime(directory, clock_only=True)
        server_directory = directory / "beside"
        server_directory.mkdir()
        with a_site(server_directory, device=device) as site:
            device.time.set(site.stage.time.offset)
            site.enroll()
            site.login(site.passcode(ago=INTERVAL), mode="online")
            site.cable.unplug()
            yield site


def reboot(site: Site) -> None:
    """Give every command another boot id from now on, without the clocks of the last boot."""
    boot = site.device.directory / "boot"
    boot.write_text("00000000-1111-4222-8333-444444444444\n")
    script = f'mount --bind "$0" {BOOT_ID} && exec "$@"'
    site.device.device_namespaces = ("unshare", "-m", "sh", "-c", script, str(boot))


def put_right(site: Site) -> None:
    """Set the clock right, a minute later."""
    site.device.time.set(site.stage.time.offset + 60)


def device_passcode(site: Site, *, ahead: int = 0) -> str:
    """Return Alice's passcode. Her token keeps the right time, whatever the device's clock shows."""
    moved = site.device.time.offset - site.stage.time.offset
    later = moved if 0 <= moved < DAY else 0
    return site.alice.typed(site.now + later + ahead).reveal()


def unit_files(site: Site) -> list[tuple[str, bytes]]:
    return sorted((path.name, path.read_bytes()) for path in (site.state_directory / "units").iterdir())
