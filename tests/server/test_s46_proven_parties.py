"""A device, an API client and the holder of a session are counted separately from the address they come from."""

from sparekey.secret import Secret
from sparekey.server.admission.known import KnownCredentials, KnownDevices
from sparekey.server.admission.parties import Party, begin_request, current_party, end_request
from sparekey.server.work import WorkPool
from tests.builders import a_device, a_user
from tests.server.interfaces import Interfaces, run


class Noted(WorkPool):
    """A pool that notes for whom each call was made."""

    def __init__(self) -> None:
        super().__init__("noted", 2, 20)
        self.parties: list[str] = []

    def _may_run(self, party: str) -> bool:
        self.parties.append(party)
        return super()._may_run(party)


def noted(interfaces: Interfaces, pool: str) -> Noted:
    """Return a pool in the place of one of the service, before the application uses it."""
    made = Noted()
    object.__setattr__(interfaces.service, pool, made)
    return made


def test_s46_a_device_that_asked_before_is_counted_separately_at_once(interfaces: Interfaces) -> None:
    device, alice = a_device(interfaces.instance), a_user(interfaces.instance)
    pool = noted(interfaces, "contacts")
    run(interfaces.sign_in(device, alice.login, "no passcode"))
    first = pool.parties.copy()
    assert first[0] != f"device:{device.device_id}"  # not known yet: it is looked up for its address
    run(interfaces.sign_in(device, alice.login, "no passcode"))
    assert pool.parties[len(first)] == f"device:{device.device_id}"


def test_s46_a_stranger_who_knows_the_id_of_a_device_counts_for_the_address(interfaces: Interfaces) -> None:
    device, alice = a_device(interfaces.instance), a_user(interfaces.instance)
    run(interfaces.sign_in(device, alice.login, "no passcode"))
    pool = noted(interfaces, "contacts")
    forged = a_device(interfaces.instance)
    forged.device_id = device.device_id  # signed with the key of another device
    run(interfaces.sign_in(forged, alice.login, "no passcode"))
    assert pool.parties
    assert f"device:{device.device_id}" not in pool.parties


def test_a_credential_counts_only_after_it_was_valid() -> None:
    known, key = KnownCredentials(), Secret("a key")
    token = begin_request(Party("192.0.2.7/32"))
    try:
        assert not known.prove(key)
        assert current_party() == "192.0.2.7/32"
        known.remember(key, "client:1")
        assert known.prove(key)
        assert current_party() == "client:1"
    finally:
        end_request(token)


def test_the_memory_for_known_parties_is_bounded() -> None:
    credentials, devices = KnownCredentials(most=10), KnownDevices(most=10)
    for number in range(100):
        credentials.remember(Secret(f"key {number}"), "client:1")
        devices.remember(f"{number}", b"key")
    assert not credentials.prove(Secret("key 0"))
    assert credentials.prove(Secret("key 99"))
    assert devices.find_key("0") is None
    assert devices.find_key("99") == b"key"
