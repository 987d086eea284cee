"""Accounts without a passcode: found on this computer, reported to the server at each contact."""

import grp
import json
import pwd
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.account_names import Names
from sparekey.agent.ground.exempt_accounts import ExemptAccounts, as_reported, exempt_accounts
from sparekey.agent.platform.posix import group_members
from sparekey.agent.store.status import status_of
from sparekey.wire.agent_api import SyncReply, SyncRequest
from sparekey.wire.local_socket import FrameKind, encode_frame, frame
from tests.agent.devices import a_world


def test_members_in_order_and_root_on_the_console_first() -> None:
    assert exempt_accounts(["bob", "alice", "bob"], root_on_console=False) == ["alice", "bob"]
    assert exempt_accounts(["rescue"], root_on_console=True) == ["root (on the console)", "rescue"]


def test_at_most_64_names_are_reported_to_the_server() -> None:
    names = [f"u{number:02}" for number in range(70)]
    assert as_reported(names[:64]) == names[:64]
    assert as_reported(names) == [*names[:63], "and 7 more"]
    long, odd = as_reported(["ä" * 40, "a\x1b\nb"])
    assert (long, odd) == ("ä" * 30 + "…", "a??b")
    assert len(long.encode()) <= 64


def test_members_by_their_primary_group_count() -> None:
    root = pwd.getpwuid(0)
    assert root.pw_name in group_members(grp.getgrgid(root.pw_gid).gr_name)
    assert group_members("no-such-group") == []


def test_the_server_hears_of_them_at_every_contact(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    found = [["rescue"], ["rescue", "temp"]]
    world.device = replace(world.device, exempt=ExemptAccounts(lambda: found[0]))
    told: list[list[str]] = []
    honest = world.server.sync

    def sync(request: SyncRequest) -> SyncReply:
        told.append(request.exempt)
        return honest(request)

    world.server.sync = sync  # type: ignore[method-assign] # the simulated server listens, too
    world.device.exempt.look()
    world.login(world.passcode())
    found.pop(0)
    world.login(world.passcode(1))  # a sign-in does not wait for a directory service
    make_contact(world.device)
    assert told == [["rescue"], ["rescue"], ["rescue", "temp"]]
    assert status_of(world.device)["exempt"] == ["rescue", "temp"]
    assert "exempt" not in status_of(world.device, "alice")


def test_a_sign_in_looks_up_no_account_and_repeats_the_last_report(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    told: list[list[str]] = []
    honest = world.server.sync

    def sync(request: SyncRequest) -> SyncReply:
        told.append(request.exempt)
        return honest(request)

    def slow() -> list[str]:
        raise AssertionError("a directory service was asked in an attempt")

    world.server.sync = sync  # type: ignore[method-assign] # the simulated server listens, too
    world.device = replace(world.device, exempt=ExemptAccounts(lambda: ["rescue"]))
    make_contact(world.device)
    world.device = replace(world.device, exempt=ExemptAccounts(slow))  # as after a start
    world.login(world.passcode())
    assert told == [["rescue"], ["rescue"]]


def test_a_failed_look_up_keeps_the_last_report() -> None:
    answers = [["rescue"]]

    def find() -> list[str]:
        if not answers:
            raise OSError("no directory service")
        return answers.pop()

    accounts = ExemptAccounts(find)
    assert (accounts.look(), accounts.look(), accounts.known()) == (["rescue"], ["rescue"], ["rescue"])


def test_a_report_fits_its_frame_however_many_names_there_are(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    many = {f"account-{number:04}" + "x" * 100: "y" * 120 for number in range(3000)}
    names = Names(MappingProxyType(many), same=False)
    world.device = replace(world.device, names=names, exempt=ExemptAccounts(lambda: list(many)))
    report = status_of(world.device)
    assert (report["names"]["number"], len(report["exempt"])) == (3000, 64)
    assert len(encode_frame(frame(FrameKind.REPORT, report=json.dumps(report)))) < 65_536
