"""The members of codes that devices used up, for the commands of devices and of users."""

from typing import Final

from sparekey.app.devices.used_codes import UsedCodesView
from sparekey.cli.server import output

USED_COLUMNS: Final = ("device", "user", "token", "codes", "successes", "first", "last")


def used_members(used: UsedCodesView) -> dict[str, object]:
    """Return the members by name; `device_id` is empty for a device that the caller may not see."""
    return {
        "device": used.device,
        "device_id": used.device_id,
        "user": used.login,
        "token": used.serial,
        "codes": used.codes,
        "successes": used.successes,
        "first": output.rfc3339(used.first_at),
        "last": output.rfc3339(used.last_at),
    }
