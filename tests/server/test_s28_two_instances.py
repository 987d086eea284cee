"""S28 at the doors: reported at one instance, a stolen device is refused by another at its next request."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sparekey.app.devices.stolen import report_stolen
from sparekey.storage.engine import open_engine
from sparekey.storage.unit_of_work import Database
from sparekey.wire import agent_api as api
from tests.builders import NOW, PIN, ROOT, a_device, a_user, an_instance
from tests.server.doors import Doors, doors_of, is_granted, run


@pytest.fixture
def instances(database: Database, database_url: str) -> Iterator[tuple[Doors, Doors]]:
    """The doors of two instances, each with connections of its own to one database."""
    first = an_instance(database)
    other = Database(open_engine(database_url))
    with doors_of(first) as here, doors_of(replace(first, name="two", database=other), client="web-two") as there:
        yield here, there
    other.close()


def test_s28_no_instance_accepts_a_stolen_device(instances: tuple[Doors, Doors]) -> None:
    here, there = instances
    alice, device = a_user(here.instance, pin=PIN), a_device(here.instance)
    assert is_granted(run(there.sign_in(device, alice.login, alice.typed(NOW).reveal())))
    report_stolen(here.instance, ROOT, device.device_id, now=NOW)
    requests: dict[str, Any] = {
        api.SIGN_INS: api.SignInRequest(login=alice.login, passcode=alice.typed(NOW + 30).reveal(), check=""),
        api.SYNC: api.SyncRequest(held=[], checkpoint="", hardware_bound=False),
        api.EVENTS: api.EventsRequest(events=[]),
        api.UNITS: api.UnitRequest(user=alice.account_id, kind="emergency-passcode", token="", day=0, generation=NOW),
        api.ACKNOWLEDGEMENTS: api.AcknowledgementRequest(unit_hashes=[]),
    }
    for doors in (there, here):
        for path, message in requests.items():
            reply = run(doors.signed(device, path, message))
            assert (reply.status, reply.error) == (403, "revoked"), path
