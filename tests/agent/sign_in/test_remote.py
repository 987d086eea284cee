"""S07 on a device: a refusal tells a remote caller nothing about this device's users."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.ground.account_names import Names
from sparekey.agent.ground.outcome import RefusalReason, Result
from sparekey.agent.local_socket.frames import receive
from sparekey.clock import monotonic
from sparekey.wire.local_socket import LONGEST_FRAME, Frame, FrameKind, Tag, encode_frame, frame
from tests.agent.devices import World, a_world, an_offline_world
from tests.agent.serving import Served, serving

pytestmark = [pytest.mark.services, pytest.mark.skipif(os.geteuid() != 0, reason="asks for others")]

FLOOR = 0.5  # seconds


def told(served: Served, user: str, typed: str, *, remote: bool = True) -> tuple[Frame, float]:
    """The answer, and after how many seconds it came."""
    with served.connection() as connection:
        before = monotonic()
        answer = served.ask(connection, frame(FrameKind.LOGIN, user=user, passcode=typed, remote=int(remote)))
        return answer, monotonic() - before


def misread(world: World) -> str:
    code = world.alice.tokencode
    return world.alice.pin + code[:7] + ("Z" if code[7] != "Z" else "Y") + code[8:]


def test_s07_offline_refusals_of_remote_logins_have_one_message_and_one_duration(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    wrong, names_nobody = world.alice.pin + "111111", world.alice.pin + world.alice.tokencode[:9]
    with serving(world, floor=FLOOR) as served:
        attempts = [("stranger", wrong), ("alice", "x"), ("alice", misread(world)), ("alice", names_nobody)]
        attempts += [("alice", wrong)] * (world.held.policy.offline_failures + 1)
        heard = [told(served, *each) for each in attempts]
        assert world.held.failures == world.held.policy.offline_failures
        # a caller who waits behind another does not learn the duration of that attempt either
        before = monotonic()
        with served.connection() as one, served.connection() as other:
            for connection in (one, other):
                connection.sendall(encode_frame(frame(FrameKind.LOGIN, user="stranger", passcode=wrong, remote=1)))
            for connection in (one, other):
                assert receive(connection, LONGEST_FRAME).fields == heard[0][0].fields
        assert monotonic() - before >= 2 * FLOOR
        assert all(answer.fields == heard[0][0].fields for answer, _ in heard)
        assert all(seconds >= FLOOR for _, seconds in heard)
        said = heard[0][0].text(Tag.MESSAGE)
        assert said.startswith("The passcode is not right, or was used before.")
        assert said.endswith("Call 4321.")
        assert "laptop" not in said
        # a user at the computer reads more
        here, _ = told(served, "alice", world.passcode(), remote=False)
        assert "Use an emergency code now. Device laptop holds emergency tokencode" in here.text(Tag.MESSAGE)
        assert told(served, "stranger", wrong, remote=False)[0].text(Tag.REASON) == "no-offline-data"
        # and a right code is granted remotely
        granted, _ = told(served, "alice", world.alice.pin + world.alice.tokencode)
        assert (granted.text(Tag.RESULT), granted.text(Tag.MESSAGE)[:18]) == ("granted", "Signed in offline.")


def test_s26_a_user_who_claims_to_be_remote_does_not_delay_others(tmp_path: Path) -> None:
    request = frame(FrameKind.LOGIN, user="nobody", passcode="0000123456", remote=1)
    with serving(an_offline_world(tmp_path / "store"), floor=20) as served:
        before = monotonic()
        assert served.ask_as_nobody(request).text(Tag.REASON) == "wrong-passcode"
        assert monotonic() - before < 20


def test_s07_a_help_text_that_differs_names_no_user(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    bob = world.server.add_user("bob")
    bob.policy = replace(bob.policy, help_text="Call 1234.")
    world.signed_in_online()
    world.login(world.passcode(user=bob), "bob")
    world.go_offline()
    with serving(world, floor=0) as served:
        assert "Call" not in told(served, "alice", "x")[0].text(Tag.MESSAGE)


def test_s07_online_refusals_of_remote_logins_make_the_same_requests(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    for name in ("stranger", "alice"):  # her withheld data are erased at once
        world.server.calls.clear()
        assert world.login("1111111111", name).answer.result is Result.DENIED
        assert world.server.calls == ["sign_in", "sync"]


@pytest.mark.parametrize("unreachable", [False, True])
def test_s07_neither_the_map_of_names_nor_the_codes_of_the_device_show(tmp_path: Path, *, unreachable: bool) -> None:
    world = an_offline_world(tmp_path / "store")
    world.device = replace(world.device, names=Names({"boss": "alice"}, same=False))
    if not unreachable:
        world.go_online()
    with serving(world, floor=FLOOR) as served:
        world.server.calls.clear()
        wrong, _ = told(served, "boss", "1111111111")
        asked = list(world.server.calls)
        world.server.calls.clear()
        unmapped, seconds = told(served, "alice", world.passcode())
        assert unmapped.fields == wrong.fields
        assert wrong.text(Tag.MESSAGE).startswith("The passcode is not right, or was used before.")
        assert wrong.text(Tag.REASON) == "wrong-passcode"
        assert world.server.calls == asked
        assert seconds >= (FLOOR if unreachable else 0)
        assert "no Sparekey login" in told(served, "alice", "1111111111", remote=False)[0].text(Tag.MESSAGE)
        assert (
            world.login(world.passcode(), "alice", remote=True).answer.reason is RefusalReason.NOT_MAPPED
        )  # for the log
        assert told(served, "boss", world.passcode())[0].text(Tag.RESULT) == "granted"  # other users did not use it up
