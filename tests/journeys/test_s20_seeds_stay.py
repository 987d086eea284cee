"""S20 with real processes: from enrolment to a new code no seed leaves the server; no PIN and no P is on the disk.

Read are every file of the device, as it is and decrypted with the device's own keys; every process's arguments; and
what went through inside TLS.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sparekey.app.snapshots import token_state
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from sparekey.storage.sign_in.statements import find_sign_in_account
from sparekey.wire import agent_api as api
from tests.builders import DAY, User
from tests.journeys.canaries import files_below, found_in, found_in_files
from tests.journeys.process_watch import ArgumentWatch
from tests.journeys.site import DEVICE, Site, a_site, read_store
from tests.journeys.tls_recorder import TlsRecorder

pytestmark = pytest.mark.services

PIN = "Ht5Wn8Jc"  # long and mixed: found nowhere by chance, nor in arguments of another test
OTHER_PIN = "Lw6Yc3Pk"  # not the PIN of test_s65_no_secret_leaves, which stands in arguments of a program there


@dataclass
class Search:
    """A search for secrets that notes every place where it finds one."""

    site: Site
    seeds: dict[str, bytes]
    not_on_disk: dict[str, bytes]
    findings: dict[str, set[str]] = field(default_factory=dict)

    def look_at_disk(self, when: str) -> None:
        """Every file of the device, the state and the units as their keys open them."""
        canaries = self.seeds | self.not_on_disk
        files = [*files_below(self.site.state_directory), self.site.stage.directory / "agent.log"]
        for name, found in found_in_files(files, canaries).items():
            self._note(f"{name} {when}", found)
        state, plain, units = read_store(self.site.state_directory)
        assert len(state.users) <= 2
        for part in (plain, *units):
            self._note(f"the decrypted store {when}", found_in(part, canaries))

    def look_at(self, where: str, data: bytes, canaries: dict[str, bytes]) -> None:
        self._note(where, found_in(data, canaries))

    def _note(self, where: str, found: set[str]) -> None:
        if found:
            self.findings.setdefault(where, set()).update(found)


def test_s20_no_seed_leaves_the_server_and_no_pin_is_kept_on_the_device(tmp_path: Path) -> None:
    with ArgumentWatch() as arguments, a_site(tmp_path, pin=PIN) as site:
        bob = bob_with_a_seed_of_his_own(site)
        with TlsRecorder(site.stage.server_data / "keys" / "server.pem", site.port) as recorder:
            site.cable.lead_to(recorder.port)
            search = Search(site, seeds_of(site.alice, bob), pins_of(site, site.alice, bob))
            shown = enroll_and_sign_in(site, bob, search)
            search.look_at("process arguments", arguments.seen, search.seeds | search.not_on_disk)
            for number, body in enumerate(recorder.requests):
                search.look_at(f"request {number}", body, search.seeds)
            for number, body in enumerate(recorder.replies):
                search.look_at(f"reply {number}", body, search.seeds | search.not_on_disk)
            assert search.findings == {}
            the_search_finds_known_values(recorder, arguments, site, shown)


def bob_with_a_seed_of_his_own(site: Site) -> User:
    """Add Bob by commands like an operator, with the seed on standard input."""
    seed, stage = Secret(secrets.token_bytes(20)), site.stage
    stage.sparekey("user", "add", "bob", "--domain", "SystemDomain")
    added = stage.sparekey("token", "add", "--user", "bob", "--seed-stdin", typed=seed.reveal().hex())
    stage.sparekey("token", "set-pin", added.data["serial"], typed=OTHER_PIN + "\n")
    return User("bob", "", added.data["serial"], "", Totp(seed), OTHER_PIN)


def seeds_of(*users: User) -> dict[str, bytes]:
    return {f"seed of {user.login}": user.totp.seed.reveal() for user in users}


def pins_of(site: Site, *users: User) -> dict[str, bytes]:
    """Add the PINs, and P, which the device computes from a typed passcode and may not keep."""
    canaries = {f"PIN of {user.login}": user.pin.encode() for user in users}
    with site.instance.database.read() as connection:
        for user in users:
            found = find_sign_in_account(connection, user.login)
            assert found is not None
            pin = token_state(site.instance.vault, found.tokens[0]).pin
            assert pin is not None
            canaries[f"P of {user.login}"] = pin.verifier.reveal()
    return canaries


def enroll_and_sign_in(site: Site, bob: User, search: Search) -> str:
    """Run from the enrolment to the second emergency code; return the code that was shown."""
    site.enroll()
    search.look_at_disk("after the enrolment")
    site.stage.start_daemon()
    site.login(site.passcode(), mode="online")
    site.login(bob.typed(site.now).reveal(), mode="online", user="bob")
    search.look_at_disk("after the sign-ins")
    shown: str = site.stage.sparekey(
        "emergency", "show", site.alice.serial, "--device", DEVICE, "--caller", "called back"
    ).data["code"]
    site.cable.unplug()
    site.next_interval()
    site.login(site.passcode(), mode="offline")
    site.login(site.wrong_passcode(), "denied", "offline")
    site.login(PIN + shown, mode="offline")
    search.look_at_disk("after the offline sign-ins")
    site.cable.plug()
    site.stage.time.advance(DAY)
    assert site.stage.agent("sync").data["fetched"] > 0
    search.look_at_disk("after the contact")
    site.stage.sparekey("emergency", "reset", site.alice.serial)
    site.login(site.passcode(), mode="online")
    search.look_at_disk("after the new code")
    return shown


def the_search_finds_known_values(recorder: TlsRecorder, arguments: ArgumentWatch, site: Site, shown: str) -> None:
    """Check that the search finds the values that must be there."""
    requests, replies = b"".join(recorder.requests), b"".join(recorder.replies)
    for path in (api.TRUST, api.ENROL, api.SIGN_INS, api.EVENTS, api.SYNC, api.UNITS, api.ACKNOWLEDGEMENTS):
        assert path.encode() in requests
    assert b'"login":"alice"' in requests
    assert found_in(requests, {"PIN": PIN.encode()}) == {"PIN (raw)"} | found_in(PIN.encode(), {"PIN": PIN.encode()})
    assert replies.count(b"sparekey-offline/1\n") >= 6
    assert b"sparekey-agent" in arguments.seen
    assert b"token add --user bob" in arguments.seen
    state, plain, units = read_store(site.state_directory)
    assert b'"login":"alice"' in plain
    assert len([unit for unit in units if unit.startswith(b"sparekey-offline/1\n")]) == len(units) > 0
    alice = next(user for user in state.users if user.login == "alice")
    assert {entry.version for entry in alice.units if entry.is_emergency} == {2, 1}, shown[:1]
