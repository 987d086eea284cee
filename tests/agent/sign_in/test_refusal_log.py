"""The agent's log of refused sign-ins."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.contact.scheduler import ContactScheduler
from sparekey.agent.ground.account_names import Names
from sparekey.agent.ground.outcome import LoginAnswer, Mode, Prompt, Refusal, RefusalReason, Result, asked, refused
from sparekey.agent.local_socket.connection_limits import ROOT, ConnectionSlots
from sparekey.agent.local_socket.conversation import Conversation, Peer
from sparekey.agent.sign_in.refusal_log import MOST_A_MINUTE, MOST_OF_ASKER, RefusalLog
from sparekey.wire.local_socket import FrameKind, encode_frame, frame
from tests.agent.devices import World, a_world, an_offline_world

WRONG = refused(Refusal(RefusalReason.WRONG_PASSCODE), Mode.OFFLINE)


@pytest.fixture
def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> World:
    caplog.set_level("INFO")
    world = a_world(tmp_path / "store")
    world.device = replace(world.device, names=Names({"boss": "alice"}))
    return world


def test_a_logged_refusal_names_the_caller_the_answer_and_the_next_step(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    log = RefusalLog(world.device)
    log.note("boss", 0, WRONG)
    log.note("boss", 1000, refused(Refusal(RefusalReason.NO_DATA), Mode.OFFLINE))
    log.note("root", 0, refused(Refusal(RefusalReason.NOT_MAPPED), Mode.ONLINE), remote=True)
    log.note("boss", 0, LoginAnswer(Result.GRANTED, Mode.ONLINE))
    log.note("boss", 0, asked(Prompt.NEW_PIN, "", "1"))
    assert caplog.messages == [
        "refused: boss, asked by uid 0: offline wrong-passcode; "
        "see sparekey audit list --user alice on the server, after the next contact of this device",
        "refused: boss, asked by uid 1000: offline no-offline-data; see sparekey-agent doctor",
        "refused: root, asked by uid 0 over the network: online name-not-mapped; see sparekey-agent doctor",
    ]


def test_s65_a_typed_login_is_not_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    log = RefusalLog(world.device)
    for typed in ("2468135790", "2468\n135790", "2468\0", "\ud800"):
        log.note(typed, 0, WRONG)
        log.note_not_allowed(typed, 1000)
    assert "an account that does not exist on this computer" in caplog.text
    assert "2468" not in caplog.text


def test_s26_a_caller_cannot_fill_the_journal_or_hide_refusals_of_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    log = RefusalLog(world.device)
    for number in range(1000):
        log.note(f"nobody {number}", 1000, WRONG)
    log.note("boss", 1000, WRONG)
    assert len(caplog.messages) == MOST_A_MINUTE + 1
    assert "boss" in caplog.messages[-1]
    for _ in range(1000):
        log.note("boss", 0, WRONG, remote=True)
    log.note("boss", 0, WRONG)
    assert "boss, asked by uid 0 over the network:" in caplog.messages[-2]
    assert "boss, asked by uid 0:" in caplog.messages[-1]
    world.pass_time(60)
    log.note("boss", 0, WRONG)
    more = f": {1000 - MOST_A_MINUTE} more times within that minute"
    assert caplog.messages[-3].endswith(f", asked by uid 1000{more}")
    assert caplog.messages[-2] == f"refused: boss, asked by uid 0 over the network{more}"


def test_s26_naming_every_account_does_not_fill_the_journal(world: World, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"user{number}" for number in range(300)]
    world.device = replace(world.device, names=Names(dict.fromkeys(names, "alice")))
    log = RefusalLog(world.device)
    for name in names:
        for _ in range(3):
            log.note_not_allowed(name, 1000)
    assert len(caplog.messages) == MOST_OF_ASKER
    log.note_not_allowed("user1", 1001)
    assert len(caplog.messages) == MOST_OF_ASKER + 1  # other users have lines of their own
    world.pass_time(60)
    log.note_not_allowed("user1", 1001)
    summary = caplog.messages[MOST_OF_ASKER + 1 : -1]
    assert len(summary) == MOST_A_MINUTE + 1
    counts = [int(line.partition(" more time")[0].rpartition(" ")[2]) for line in summary]
    assert MOST_OF_ASKER + sum(counts) == 900
    assert summary[-1].startswith("refused: other accounts, asked by uid 1000: ")


def test_s26_bytes_that_are_no_frames_do_not_fill_the_journal(world: World, caplog: pytest.LogCaptureFixture) -> None:
    log = RefusalLog(world.device)
    for _ in range(1000):
        log.note_bad_frame(1000, "not a request")
    assert len(caplog.messages) == MOST_A_MINUTE
    assert caplog.messages[0] == "refused: a request that is no frame, sent by uid 1000: not a request"
    log.note("boss", 1000, WRONG)
    assert "boss" in caplog.messages[-1]


@pytest.mark.parametrize(("uid", "told"), [(0, "offline wrong-passcode"), (65534, "not-allowed")])
def test_s26_the_refusal_of_a_caller_who_hangs_up_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, uid: int, told: str
) -> None:
    caplog.set_level("INFO")
    device = an_offline_world(tmp_path / "store").device
    here, there = socket.socketpair()
    place = ConnectionSlots().take(ROOT)
    assert place is not None
    with here, there:
        there.sendall(encode_frame(frame(FrameKind.LOGIN, user="alice", passcode="0000123456")))
        there.close()
        peer = Peer(uid, uid)
        with pytest.raises(BrokenPipeError):
            Conversation(device, ContactScheduler(device), RefusalLog(device), here, peer, place).run()
    assert f"asked by uid {uid}: {told};" in caplog.text
