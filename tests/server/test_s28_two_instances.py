"""S28 at the interfaces: reported at one instance, a stolen device is refused by another at its next request."""

from collections.abc import Iterator
from typing import Any

import pytest

from sparekey.app.devices.stolen import report_stolen
from sparekey.storage.unit_of_work import Database
from sparekey.wire import agent_api as api
from tests.builders import NOW, PIN, ROOT, a_device, a_user, an_instance, elsewhere
from tests.server.interfaces import Interfaces, interfaces_of, is_granted, run
from tests.shared_statements import open_database


@pytest.fixture
def instances(database: Database, database_url: str) -> Iterator[tuple[Interfaces, Interfaces]]:
    """Yield the interfaces of two instances, each with its own connections to one database."""
    first = an_instance(database)
    other = open_database(database_url)
    with (
        interfaces_of(first) as here,
        interfaces_of(elsewhere(first, other, "two"), client="web-two") as there,
    ):
        yield here, there
    other.close()


def test_s28_no_instance_accepts_a_stolen_device(instances: tuple[Interfaces, Interfaces]) -> None:
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
    for interfaces in (there, here):
        for path, message in requests.items():
            reply = run(interfaces.signed(device, path, message))
            assert (reply.status, reply.error) == (403, "revoked"), path
