"""A device, an API client and the holder of a session are counted separately from the address they come from."""

import pytest

from sparekey.secret import Secret
from sparekey.server.admission import requests
from sparekey.server.admission.known import KnownCredentials, KnownDevices
from sparekey.server.admission.parties import Party, begin_request, current_party, end_request
from sparekey.server.admission.sources import is_source
from sparekey.server.admission.turns import Turns
from sparekey.server.application import create_application
from sparekey.server.work import WorkPool
from sparekey.wire import agent_api as api
from sparekey.wire import signing
from tests.builders import PIN, a_device, a_user
from tests.server.asgi import ask
from tests.server.interfaces import Interfaces, run
from tests.server.self_service_visitor import HOME, signed_in


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


class RowOfTurns(Turns):
    """Turns that note for whom each request waited."""

    def __init__(self) -> None:
        super().__init__()
        self.parties: list[str] = []

    async def wait(self, party: str) -> None:
        self.parties.append(party)
        await super().wait(party)


def waited(interfaces: Interfaces, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the parties for which requests from now on wait."""
    turns = RowOfTurns()
    monkeypatch.setattr(requests, "Turns", lambda: turns)
    interfaces.app = create_application(interfaces.service)
    return turns.parties


def test_s46_whoever_was_here_before_does_not_wait_with_strangers(
    interfaces: Interfaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    parties, alice, device = waited(interfaces, monkeypatch), a_user(interfaces.instance), a_device(interfaces.instance)
    visitor = signed_in(interfaces, a_user(interfaces.instance, "bob", pin=PIN))
    for _ in range(2):
        run(interfaces.rest(alice.login, "no passcode"))
        run(interfaces.sign_in(device, alice.login, "no passcode"))
        visitor.get(HOME)
        interfaces.now[0] += 60
    strangers, known = parties[:3], parties[3:]
    assert all(is_source(party) for party in strangers)
    assert [party.partition(":")[0] for party in known] == ["client", "device", "user"]
    assert known[1] == f"device:{device.device_id}"


def test_s46_a_wrong_credential_waits_with_strangers(interfaces: Interfaces, monkeypatch: pytest.MonkeyPatch) -> None:
    parties, device = waited(interfaces, monkeypatch), a_device(interfaces.instance)
    run(interfaces.sign_in(device, "alice", "no passcode"))
    run(interfaces.rest("alice", "no passcode"))
    forged = a_device(interfaces.instance)
    forged.device_id = device.device_id  # signed with the key of another device
    run(interfaces.sign_in(forged, "alice", "no passcode"))
    run(interfaces.rest("alice", "no passcode", Secret("another key")))
    run(ask(interfaces.app, "POST", api.SYNC, b"", {signing.DEVICE_HEADER: device.device_id}))  # without a signature
    assert len(parties) == 5
    assert all(is_source(party) for party in parties)


def test_a_credential_counts_only_after_it_was_valid() -> None:
    known, key = KnownCredentials(), Secret("a key")
    token = begin_request(Party("192.0.2.7"))
    try:
        assert not known.prove(key)
        assert current_party() == "192.0.2.7"
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
