"""S22 at the daemon's socket: a right passcode opens secrets, online and alone; nothing else does."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.account_names import Names
from sparekey.agent.ground.outcome import LoginAnswer, Mode, Result
from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.agent.local_socket import conversation
from sparekey.agent.sign_in.offline import LoginOutcome
from sparekey.agent.sign_in.secret_access import LIFETIME
from sparekey.agent.store.file_keys import FileKeys
from sparekey.agent.store.wrapped_secrets import UnlockedSecrets, _open
from sparekey.secret import Secret
from sparekey.wire.local_socket import Frame, FrameKind, Tag, frame
from tests.agent.devices import World, a_world, bytes_of
from tests.agent.serving import Served, login_frame, serving

pytestmark = pytest.mark.services

PASSWORD = b"the cached password"
OPEN = frame(FrameKind.OPEN, purpose="os-password")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Serve a device on which Alice has offline data and a kept password. The accounts root and nobody are hers too,
    and her token shows the next code."""
    world = a_world(tmp_path / "store")
    world.alice.policy = replace(world.alice.policy, os_password=True)
    names = Names(MappingProxyType({"nobody": "alice", "root": "alice"}))
    world.device = replace(world.device, purposes=frozenset({"disk"}), names=names)
    with serving(world) as served:
        assert replies(served, login_frame(world), keep("os-password", PASSWORD))[-1].kind is FrameKind.DONE
        make_contact(world.device)
        world.next_code()
        yield served


def keep(purpose: str, secret: bytes) -> Frame:
    return frame(FrameKind.KEEP, purpose=purpose, secret=secret)


def login_with(typed: str) -> Frame:
    return frame(FrameKind.LOGIN, user="alice", passcode=typed)


def replies(served: Served, *requests: Frame) -> list[Frame]:
    """Return the replies to these requests on one connection."""
    with served.connection() as connection:
        return [served.ask(connection, request) for request in requests]


def opened(served: Served, typed: str) -> bytes | str:
    """Return the secret that a sign-in with this passcode opens, or the reason why it opens none."""
    reply = replies(served, login_with(typed), OPEN)[-1]
    return reply.fields[Tag.SECRET] if reply.kind is FrameKind.SECRET else reply.text(Tag.REASON)


def wrong(world: World) -> str:
    return world.passcode(pin="1357")


def test_s22_a_right_passcode_opens_the_password_online_and_alone(served: Served) -> None:
    world = served.world
    assert opened(served, world.passcode()) == PASSWORD
    world.next_code()
    world.go_offline()
    assert opened(served, wrong(world)) == "not-signed-in"
    assert opened(served, world.passcode()) == PASSWORD
    assert opened(served, world.alice.passcode) == PASSWORD  # the emergency passcode is a success like any


def test_s22_a_secret_survives_a_change_of_the_pin(served: Served) -> None:
    world = served.world
    world.alice.set_pin("97531")
    world.alice.renew()
    make_contact(world.device)
    world.go_offline()
    assert opened(served, wrong(world)) == "not-signed-in"
    assert opened(served, world.passcode()) == PASSWORD  # by `previous`
    world.next_code()
    world.go_online()
    assert opened(served, world.passcode()) == PASSWORD


def test_s22_a_refused_attempt_ends_the_access_of_an_earlier_one_on_the_connection(served: Served) -> None:
    world = served.world
    after = replies(served, login_frame(world), OPEN, login_with(wrong(world)), OPEN, keep("os-password", b"another"))
    assert [reply.kind for reply in after[:2]] == [FrameKind.ANSWER, FrameKind.SECRET]
    assert [reply.text(Tag.REASON) for reply in after[3:]] == ["not-signed-in", "not-signed-in"]


def test_s22_the_access_of_a_success_does_not_last(served: Served) -> None:
    world = served.world
    with served.connection() as connection:
        served.ask(connection, login_frame(world))
        world.pass_time(LIFETIME - 1)
        assert served.ask(connection, OPEN).kind is FrameKind.SECRET
        world.pass_time(1)
        for request in (OPEN, keep("os-password", b"another")):
            assert served.ask(connection, request).text(Tag.REASON) == "not-signed-in"


class _RewrittenSession(UnlockedSecrets):
    """A session like a rewritten agent's: it tries the key whatever its name."""

    def open(self, purpose: str) -> Secret[bytes]:
        secret = next(each for each in self._user(self.store.state).secrets if each.purpose == purpose)
        return _open(self._key(purpose), secret)


def test_s22_an_agent_rewritten_to_say_granted_always_opens_nothing(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, user = served.world.device.store, served.world.alice.user
    everything = repr(store.state) + bytes_of(tmp_path).decode("latin1")
    known = {bytes.fromhex(run) for run in re.findall("[0-9a-f]{64}", everything)} | {bytes(32)}
    known |= {
        store.keys.device_secret().reveal(),
        *(bytes.fromhex(p.key) for u in served.world.held.units for p in u.pieces),
    }
    candidates = iter(sorted(known))

    def granted_always(*_: object, **__: object) -> LoginOutcome:
        answer = LoginAnswer(Result.GRANTED, Mode.OFFLINE, message="Signed in.")
        return LoginOutcome(answer, _RewrittenSession(store, user, Secret(next(candidates))))

    monkeypatch.setattr(conversation, "login", granted_always)
    said = [replies(served, login_with("anything"), OPEN) for _ in known]
    assert len(said) > 3
    assert {answer.text(Tag.RESULT) for answer, _ in said} == {"granted"}
    assert {reply.text(Tag.REASON) for _, reply in said} == {"stays-closed"}


def test_s22_policy_is_asked_each_time(served: Served) -> None:
    world = served.world
    with served.connection() as connection:
        served.ask(connection, login_frame(world))
        assert served.ask(connection, OPEN).kind is FrameKind.SECRET
        world.alice.policy = replace(world.alice.policy, os_password=False)
        make_contact(world.device)
        for request in (OPEN, keep("os-password", PASSWORD)):
            assert served.ask(connection, request).text(Tag.REASON) == "not-allowed"
    assert world.held.secrets == []


def test_a_success_without_offline_data_opens_nothing_and_reports_it(served: Served) -> None:
    world = served.world
    device = world.server.add_user("bob")
    said = replies(served, frame(FrameKind.LOGIN, user="bob", passcode=world.passcode(user=device)), OPEN)
    assert said[0].text(Tag.RESULT) == "granted"
    assert said[1].kind is FrameKind.FAILED


def test_a_failing_store_opens_nothing_and_reports_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: FileKeys) -> Secret[bytes]:
        raise StoreUnreadable("tpm-gone", "no TPM answers")

    with served.connection() as connection:
        served.ask(connection, login_frame(served.world))
        monkeypatch.setattr(FileKeys, "device_secret", gone)
        replies = [served.ask(connection, request) for request in (OPEN, keep("os-password", b"another"))]
    assert [reply.text(Tag.REASON) for reply in replies] == ["stays-closed", "not-kept"]
    assert replies[0].text(Tag.MESSAGE) == "no TPM answers"


def test_only_configured_secrets_are_kept_for_this_computer(served: Served) -> None:
    world = served.world
    said = replies(
        served, login_frame(world), keep("disk", b"key"), frame(FrameKind.OPEN, purpose="disk"), keep("tape", b"k")
    )
    assert (said[1].kind, said[2].fields[Tag.SECRET]) == (FrameKind.DONE, b"key")
    assert said[3].text(Tag.REASON) == "not-allowed"
    assert "does not list 'tape'" in said[3].text(Tag.MESSAGE)


def test_a_forgotten_secret_stays_closed(served: Served) -> None:
    forget = frame(FrameKind.FORGET, user="alice", purpose="os-password")
    said = replies(served, forget, forget, frame(FrameKind.FORGET, user="bob", purpose="os-password"))
    assert said[0].kind is FrameKind.DONE
    assert [reply.text(Tag.REASON) for reply in said[1:]] == ["nothing-kept", "nothing-kept"]
    assert opened(served, served.world.passcode()) == "stays-closed"


def as_account(world: World, account: str) -> Frame:
    """The sign-in of an account of alice's with her next code."""
    world.next_code()
    return login_frame(world, account)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_s22_secrets_of_this_computer_open_for_root_alone(served: Served) -> None:
    world, disk = served.world, frame(FrameKind.OPEN, purpose="disk")
    assert replies(served, as_account(world, "nobody"), keep("disk", b"key"))[-1].kind is FrameKind.DONE
    for request in (disk, keep("disk", b"other")):
        assert served.ask_as_nobody(as_account(world, "nobody"), request).text(Tag.REASON) == "not-allowed"
    assert (
        served.ask_as_nobody(frame(FrameKind.FORGET, user="nobody", purpose="disk")).text(Tag.REASON) == "not-allowed"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_s22_a_password_is_the_account_s_that_signed_in(served: Served) -> None:
    world = served.world
    assert replies(served, as_account(world, "root"), keep("os-password", b"of root"))[-1].kind is FrameKind.DONE
    for request in (OPEN, frame(FrameKind.OPEN, purpose="os-password:root")):
        refused = served.ask_as_nobody(as_account(world, "nobody"), request)
        assert refused.text(Tag.REASON) in ("stays-closed", "not-allowed")
    assert served.ask_as_nobody(as_account(world, "nobody"), keep("os-password", b"own")).kind is FrameKind.DONE
    world.go_offline()
    assert served.ask_as_nobody(as_account(world, "nobody"), OPEN).fields[Tag.SECRET] == b"own"
    replies(served, frame(FrameKind.FORGET, user="nobody", purpose="os-password"))
    left = {name: replies(served, as_account(world, name), OPEN)[-1] for name in ("root", "alice", "nobody")}
    assert (left["root"].fields[Tag.SECRET], left["alice"].fields[Tag.SECRET]) == (b"of root", PASSWORD)
    assert left["nobody"].text(Tag.REASON) == "stays-closed"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_s22_a_forbidden_attempt_ends_the_access_of_an_earlier_one(served: Served) -> None:
    own, other = as_account(served.world, "nobody"), login_with("anything")
    password = keep("os-password", b"own")
    assert served.ask_as_nobody(own, password, OPEN).kind is FrameKind.SECRET
    again = as_account(served.world, "nobody")
    assert served.ask_as_nobody(again, other, OPEN).text(Tag.REASON) == "not-signed-in"
