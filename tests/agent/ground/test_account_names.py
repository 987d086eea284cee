"""The login of an account on this computer: no account gets another user's login by its name."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.account_names import Names
from sparekey.agent.ground.outcome import RefusalReason, Result
from sparekey.agent.sign_in.offline import try_emergency
from sparekey.secret import Secret
from sparekey.wire.local_socket import FrameKind, Tag, frame
from tests.agent.devices import World, a_world
from tests.agent.serving import login_frame, serving

MAPPED = Names(MappingProxyType({"admin": "alice", "root": "alice"}), same=False)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = a_world(tmp_path / "store")
    world.device = replace(world.device, names=MAPPED)
    return world


def signed_in(world: World) -> None:
    """Sign in as admin, with offline data."""
    assert world.login(world.passcode(), "admin").answer.result is Result.GRANTED
    make_contact(world.device)
    world.next_code()


def test_a_mapped_account_signs_in_online_and_offline_under_its_login(world: World) -> None:
    signed_in(world)
    assert [user.login for user in world.device.state.users] == ["alice"]
    world.go_offline()
    world.next_code()
    assert world.login(world.passcode(), "root").answer.result is Result.GRANTED
    assert world.login(world.passcode(), "admin").answer.result is Result.DENIED  # one login, one use of a code


def test_accounts_of_one_login_share_its_counters(world: World) -> None:
    signed_in(world)
    world.go_offline()
    world.login(world.passcode(pin="0000"), "admin")
    world.login(world.passcode(pin="0000"), "root")
    assert world.held.failures == 2


def test_s26_an_unmapped_account_belongs_to_no_user(world: World) -> None:
    signed_in(world)
    world.server.calls.clear()
    for unreachable in (False, True):
        if unreachable:
            world.go_offline()
        answer = world.login(world.passcode(), "alice").answer
        assert (answer.result, answer.reason) == (Result.DENIED, RefusalReason.NOT_MAPPED)
        tried = try_emergency(world.device, "alice", Secret(world.alice.passcode))
        assert (tried.result, tried.reason) == (Result.DENIED, RefusalReason.NOT_MAPPED)
    assert world.server.calls == []
    assert (world.held.failures, world.held.emergency_failures) == (0, 0)


@pytest.mark.services
@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_s26_another_user_asks_for_the_login_of_its_own_account_alone(world: World) -> None:
    world.device = replace(world.device, names=Names(MappingProxyType({"nobody": "alice", "root": "bob"}), same=False))
    with serving(world) as served:
        for other in ("alice", "bob", "root"):
            assert served.ask_as_nobody(login_frame(world, other)).text(Tag.REASON) == "not-allowed"
        assert served.ask_as_nobody(login_frame(world, "nobody")).text(Tag.RESULT) == "granted"
        report = json.loads(served.ask_as_nobody(frame(FrameKind.STATUS)).text(Tag.REPORT))
    assert [(user["login"], user["accounts"]) for user in report["users"]] == [("alice", ["nobody"])]
    assert "names" not in report  # only root may see the mapping of others


def test_unmapped_names_may_be_used_unchanged() -> None:
    names = Names(MAPPED.mapped, same=True)
    assert [names.find_login(each) for each in ("admin", "alice", "bob")] == ["alice", "alice", "bob"]
    assert names.accounts_of("alice") == ["alice", "admin", "root"]
    assert names.accounts_of("admin") == []  # that account is another user's
    assert MAPPED.accounts_of("alice") == ["admin", "root"]
    assert not MAPPED.has_no_logins
