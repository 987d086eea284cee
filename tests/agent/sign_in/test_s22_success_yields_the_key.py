"""S22: only a right passcode opens the secret of a success. S31: the secret survives a change of keys."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.sign_in.offline import LoginOutcome
from sparekey.agent.store.wrapped_secrets import MOST_SECRETS, StaysClosed, UnlockedSecrets, _open
from sparekey.secret import Secret
from tests.agent.devices import World, a_world, an_offline_world, bytes_of

PASSWORD = Secret(b"the cached password")


def session_of(login: LoginOutcome) -> UnlockedSecrets:
    assert login.session is not None, login.answer
    return login.session


def a_world_with_a_secret(directory: Path) -> World:
    world = a_world(directory)
    world.alice.policy = replace(world.alice.policy, os_password=True)
    session_of(world.login(world.passcode())).keep("os-password:alice", PASSWORD)
    make_contact(world.device)
    world.next_code()
    world.go_offline()
    return world


def test_s22_an_agent_that_always_says_granted_opens_nothing(tmp_path: Path) -> None:
    world = a_world_with_a_secret(tmp_path / "store")
    state = world.device.state
    # An attacker who rewrote the agent has every byte of the device, its keys included.
    known = {
        bytes.fromhex(run) for run in re.findall("[0-9a-f]{64}", repr(state) + bytes_of(tmp_path).decode("latin1"))
    }
    known |= {world.device.store.keys.device_secret().reveal(), bytes(32)}
    known |= {bytes.fromhex(piece.key) for unit in world.held.units for piece in unit.pieces}
    for candidate in known:
        with pytest.raises(StaysClosed):
            UnlockedSecrets(world.device.store, world.alice.user, Secret(candidate)).open("os-password:alice")
        forged = UnlockedSecrets(world.device.store, world.alice.user, Secret(candidate))
        with pytest.raises(StaysClosed):
            open_under_any_name(forged)


def open_under_any_name(session: UnlockedSecrets) -> None:
    """Open like a rewritten agent, without comparing the name of the key."""
    user = session.store.state.get_user(session.user)
    _open(session._key("os-password:alice"), user.secrets[0])


def test_s22_a_right_passcode_opens_it_online_and_offline(tmp_path: Path) -> None:
    world = a_world_with_a_secret(tmp_path / "store")
    assert session_of(world.login(world.passcode())).open("os-password:alice") == PASSWORD
    assert session_of(world.login(world.alice.passcode)).open("os-password:alice") == PASSWORD
    with pytest.raises(StaysClosed):
        session_of(world.login(world.alice.passcode)).open("another purpose")
    assert PASSWORD.reveal() not in bytes_of(tmp_path / "store")
    world.go_online()
    world.next_code()
    assert session_of(world.login(world.passcode())).open("os-password:alice") == PASSWORD


def test_s31_after_a_new_generation_the_next_offline_sign_in_opens_the_cached_secret(tmp_path: Path) -> None:
    world = a_world_with_a_secret(tmp_path / "store")
    world.go_online()
    world.alice.renew()  # a policy was edited; no user is signed in
    make_contact(world.device)
    assert world.held.generation == 2
    world.go_offline()
    session = session_of(world.login(world.passcode()))
    assert session.open("os-password:alice") == PASSWORD
    world.next_code()
    assert session_of(world.login(world.passcode())).open("os-password:alice") == PASSWORD


def test_s31_a_secret_survives_two_generations_without_a_sign_in(tmp_path: Path) -> None:
    world = a_world_with_a_secret(tmp_path / "store")
    world.go_online()
    for _ in range(2):
        world.alice.renew()
        make_contact(world.device)
    world.next_code()
    assert session_of(world.login(world.passcode())).open("os-password:alice") == PASSWORD
    world.next_code()
    world.go_offline()
    assert session_of(world.login(world.passcode())).open("os-password:alice") == PASSWORD


def test_a_secret_that_is_too_long_or_one_too_many_is_refused(tmp_path: Path) -> None:
    world = an_offline_world(tmp_path / "store")
    session = session_of(world.login(world.passcode()))
    with pytest.raises(ValueError, match="1024"):
        session.keep("os-password:alice", Secret(bytes(1025)))
    for number in range(MOST_SECRETS):
        session.keep(f"purpose-{number}", Secret(b"kept"))
    session.keep("purpose-0", Secret(b"kept in its place"))
    with pytest.raises(ValueError, match="at most"):
        session.keep("one-too-many", Secret(b"kept"))
