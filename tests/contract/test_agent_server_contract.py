"""The contract of every `agent.ground.ports.Server`.

To hold another server to it, add a maker to `MAKERS`: a context that yields an `EnrolledSide`.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from sparekey import clock
from sparekey.agent.contact.enrolment import enrol
from sparekey.agent.contact.events import appended
from sparekey.agent.contact.server_client import open_connection
from sparekey.agent.ground.ports import AgentApi, Connect, Refused
from sparekey.agent.ground.state import Enrolment, State, new_state
from sparekey.agent.platform.posix import PosixFiles, SystemClock
from sparekey.agent.store.file_keys import FileKeys
from sparekey.agent.store.key_choice import OFF
from sparekey.app.devices.devices import revoke
from sparekey.app.devices.invitations import invite
from sparekey.app.tokens.tokens import NewToken
from sparekey.sealed import check_of, verify_unit
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.storage.devices.devices import raise_generation
from sparekey.storage.tokens.tokens import update_token
from sparekey.wire.agent_api import (
    AcknowledgementRequest,
    EventsRequest,
    HeldUnit,
    SignInReply,
    SignInRequest,
    SyncRequest,
    UnitRequest,
    UserSync,
)
from sparekey.wire.enrolment import read_enrolment_code
from sparekey.wire.events import EventKind
from sparekey.wiring.server import NewServer, create_server, open_instance
from tests.agent.https_simulator import served
from tests.agent.simulator import DEVICE, SimulatedServer
from tests.builders import LIGHT, PIN, ROOT, a_user, edit_policy
from tools.story.stage import Stage, free_port


@dataclass
class EnrolledSide:
    """A server that knows Alice, and a device enrolled with it."""

    connect: Connect
    sign: Callable[[bytes], bytes]
    enrolment: Enrolment
    passcode: Callable[[], str]  # right now, not given out before
    renew: Callable[[], None]  # begins a new generation for Alice on this device
    revoke: Callable[[], None]
    force_new_pin: Callable[[], None]  # Alice has to change hers


def _in_memory(directory: Path) -> Iterator[EnrolledSide]:
    simulator = SimulatedServer(clock.now())
    keys = FileKeys.create(directory / "store", PosixFiles())
    enrolment = Enrolment(DEVICE, "laptop", ["https://server"], "", [simulator.signing_key.hex()], "")
    yield _side(simulator, simulator.connect, keys, enrolment)


def _over_https(directory: Path) -> Iterator[EnrolledSide]:
    simulator = SimulatedServer(clock.now())
    with served(simulator, directory / "tls") as server:
        files, store = PosixFiles(), directory / "store"
        state = enrol(server.url, read_enrolment_code(server.new_code()), "", store, files, SystemClock(), OFF)
        keys = FileKeys.open(store, files)
        enrolled = state.enrolment

        def connect() -> contextlib.AbstractContextManager[AgentApi]:
            ca = bytes.fromhex(enrolled.ca_certificate)
            return open_connection(enrolled.servers, ca, enrolled.device, keys.sign, clock.now)

        yield _side(simulator, connect, keys, enrolled)


def _real(directory: Path) -> Iterator[EnrolledSide]:
    """Yield the side of `sparekey serve` in its own process, on SQLite, over TLS by its own CA."""
    with Stage(directory, lambda _: None) as stage:
        create_server(stage.server_data, NewServer(Secret("")), ROOT, clock.now())
        instance = open_instance(stage.server_data, read_settings(stage.server_data, {}))
        stage.call_at_end(instance.database.close)
        edit_policy(instance, LIGHT, now=clock.now())
        port = free_port()
        stage.start_server(port)
        alice = a_user(instance, "alice", pin=PIN, token=NewToken(interval=60), now=clock.now())
        code = invite(instance, ROOT, "laptop", now=clock.now()).text().reveal()
        files, store = PosixFiles(), directory / "store"
        state = enrol(f"https://localhost:{port}", read_enrolment_code(code), "", store, files, SystemClock(), OFF)
        keys, enrolled = FileKeys.open(store, files), state.enrolment
        # This interval's code and the next one's: accepted now, and still when the interval turns during the test.
        step = clock.now() // alice.totp.interval
        steps = iter((step, step + 1))

        def connect() -> contextlib.AbstractContextManager[AgentApi]:
            ca = bytes.fromhex(enrolled.ca_certificate)
            return open_connection(enrolled.servers, ca, enrolled.device, keys.sign, clock.now)

        def renew() -> None:
            with instance.database.write() as connection:
                raise_generation(connection, alice.account_id)

        def force_new_pin() -> None:
            with instance.database.write() as connection:
                update_token(connection, alice.token_id, pin_must_change=True)

        yield EnrolledSide(
            connect,
            keys.sign,
            enrolled,
            lambda: PIN + alice.totp.code(next(steps)),
            renew,
            lambda: revoke(instance, ROOT, enrolled.device, now=clock.now()),
            force_new_pin,
        )


def _side(simulator: SimulatedServer, connect: Connect, keys: FileKeys, enrolment: Enrolment) -> EnrolledSide:
    alice = simulator.add_user()
    alice.codes_end = simulator.now + 30 * 86400

    def passcode() -> str:
        step = max(alice.token.step(simulator.now) - 1, alice.token.last_step + 1)
        return alice.pin + alice.token.code(step)

    def revoke() -> None:
        simulator.revoked = True

    def force_new_pin() -> None:
        alice.pin_must_change = True

    return EnrolledSide(connect, keys.sign, enrolment, passcode, alice.renew, revoke, force_new_pin)


MAKERS: Final = {"memory": _in_memory, "https": _over_https, "real": _real}


@pytest.fixture(params=["memory", *(pytest.param(name, marks=pytest.mark.services) for name in ("https", "real"))])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EnrolledSide]:
    yield from MAKERS[request.param](tmp_path)


@pytest.fixture
def server(side: EnrolledSide) -> Iterator[AgentApi]:
    with side.connect() as server:
        server.allow(60)
        yield server


def signed_in(side: EnrolledSide, server: AgentApi, check: str = "") -> SignInReply:
    reply = server.sign_in(SignInRequest(login="alice", passcode=side.passcode(), check=check))
    assert reply.result == "granted"
    return reply


def said(server: AgentApi, held: list[HeldUnit] | None = None) -> UserSync:
    (user,) = server.sync(SyncRequest(held=held or [], checkpoint="", hardware_bound=False)).users
    return user


def fetched(server: AgentApi, user: UserSync) -> list[bytes]:
    names = [name for name in user.wanted if name.kind.startswith("emergency-") or name == user.wanted[0]]
    return [
        server.unit(
            UnitRequest(user=user.user, kind=name.kind, token=name.token, day=name.day, generation=user.generation)
        )
        for name in names
    ]


def test_a_sign_in_gives_the_key_that_its_check_names(side: EnrolledSide, server: AgentApi) -> None:
    reply = signed_in(side, server)
    assert check_of(Secret(bytes.fromhex(reply.offline_key))).hex() == reply.check
    assert (reply.method, reply.misread) == ("tokencode", [])
    assert reply.user
    assert reply.token
    assert abs(reply.server_time - clock.now()) < 60
    assert signed_in(side, server, reply.check).offline_key == reply.offline_key


def test_a_denial_has_no_details(side: EnrolledSide, server: AgentApi) -> None:
    typed = side.passcode()
    for login, passcode in (("alice", "2468000000"), ("nobody", typed), ("alice", ""), ("", "")):
        reply = server.sign_in(SignInRequest(login=login, passcode=passcode, check=""))
        assert (reply.result, reply.user, reply.token, reply.offline_key) == ("denied", "", "", "")


def test_a_used_passcode_is_denied(side: EnrolledSide, server: AgentApi) -> None:
    typed = side.passcode()
    results = [server.sign_in(SignInRequest(login="alice", passcode=typed, check="")).result for _ in range(2)]
    assert results == ["granted", "denied"]


def test_after_a_sign_in_days_and_both_codes_are_wanted_and_kept(side: EnrolledSide, server: AgentApi) -> None:
    reply = signed_in(side, server)
    user = said(server)
    kinds = [name.kind for name in user.wanted]
    assert kinds[0] == "day"
    assert {"day", "emergency-tokencode", "emergency-passcode"} == set(kinds)
    assert {keep.kind for keep in user.keep} == set(kinds)
    assert (user.user, user.login) == (reply.user, "alice")
    assert any(used.token == reply.token and used.step >= reply.step for used in user.used)


def test_units_stand_up_to_their_examination_and_are_not_wanted_again(side: EnrolledSide, server: AgentApi) -> None:
    signed_in(side, server)
    user = said(server)
    keys = [bytes.fromhex(key) for key in side.enrolment.signing_keys]
    units = [verify_unit(unit, keys, side.enrolment.device, user.generation) for unit in fetched(server, user)]
    assert {unit.header.check.hex() for unit in units} == {user.check}
    assert {unit.header.login for unit in units} == {"alice"}


def test_a_unit_of_another_generation_must_be_requested_again(side: EnrolledSide, server: AgentApi) -> None:
    signed_in(side, server)
    user = said(server)
    side.renew()
    name = user.wanted[0]
    with pytest.raises(Refused) as caught:
        server.unit(
            UnitRequest(user=user.user, kind=name.kind, token=name.token, day=name.day, generation=user.generation)
        )
    assert caught.value.reply.error in {"stale", "conflict"}
    assert said(server).generation > user.generation
    assert said(server).check != user.check


def test_the_key_under_which_secrets_are_wrapped_is_given_after_a_new_generation(
    side: EnrolledSide, server: AgentApi
) -> None:
    reply = signed_in(side, server)
    side.renew()
    assert signed_in(side, server, reply.check).offline_key == reply.offline_key


CHOSEN: Final = "86420974"


def asked_for_a_new_pin(side: EnrolledSide, server: AgentApi) -> SignInReply:
    side.force_new_pin()
    reply = server.sign_in(SignInRequest(login="alice", passcode=side.passcode(), check=""))
    assert (reply.result, reply.ask) == ("ask", "new-pin")
    return reply


def test_a_challenge_reply_contains_only_the_challenge(side: EnrolledSide, server: AgentApi) -> None:
    reply = asked_for_a_new_pin(side, server)
    assert (reply.user, reply.method, reply.token, reply.step, reply.check, reply.offline_key) == (
        "",
        "",
        "",
        0,
        "",
        "",
    )
    assert reply.text
    assert len(bytes.fromhex(reply.reply_to)) == 16


def test_a_new_pin_and_the_same_again_sign_in(side: EnrolledSide, server: AgentApi) -> None:
    first = asked_for_a_new_pin(side, server)
    second = server.sign_in(SignInRequest(login="alice", passcode=CHOSEN, check="", reply_to=first.reply_to))
    assert (second.result, second.ask) == ("ask", "confirm-pin")
    granted = server.sign_in(SignInRequest(login="alice", passcode=CHOSEN, check="", reply_to=second.reply_to))
    assert (granted.result, granted.method, granted.ask, granted.reply_to) == ("granted", "tokencode", "", "")
    assert check_of(Secret(bytes.fromhex(granted.offline_key))).hex() == granted.check
    assert any(used.token == granted.token and used.step >= granted.step > 0 for used in said(server).used)


def test_a_challenge_is_answered_once_and_for_its_own_login(side: EnrolledSide, server: AgentApi) -> None:
    first = asked_for_a_new_pin(side, server)
    for login, reply_to in (("bob", first.reply_to), ("alice", "0" * 32), ("alice", "")):
        assert (
            server.sign_in(SignInRequest(login=login, passcode=CHOSEN, check="", reply_to=reply_to)).result == "denied"
        )
    results = [
        server.sign_in(SignInRequest(login="alice", passcode=CHOSEN, check="", reply_to=first.reply_to)).result
        for _ in range(2)
    ]
    assert results[1] == "denied"


def test_acknowledgements_are_counted(side: EnrolledSide, server: AgentApi) -> None:
    signed_in(side, server)
    assert server.acknowledge(AcknowledgementRequest(unit_hashes=[])).acknowledged == 0


def test_events_are_taken_up_to_the_last(side: EnrolledSide, server: AgentApi) -> None:
    reply = signed_in(side, server)
    state: State = new_state(side.enrolment)
    for _ in range(2):
        state = appended(state, side.sign, EventKind.DENIED, clock.now(), user=reply.user, login="alice")
    assert server.events(EventsRequest(events=state.events)).last_number == 2
    assert server.sync(SyncRequest(held=[], checkpoint="", hardware_bound=False)).last_event == 2


def test_a_revoked_device_learns_of_its_revocation(side: EnrolledSide, server: AgentApi) -> None:
    signed_in(side, server)
    side.revoke()
    with pytest.raises(Refused) as caught:
        server.sync(SyncRequest(held=[], checkpoint="", hardware_bound=False))
    assert caught.value.reply.error == "revoked"
