"""The purposes of kept secrets: policy decides about the password, the configuration about all others."""

from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.secret_purposes import OS_PASSWORD, BadPurpose, decide_obstacle, kept_as, verify_name
from sparekey.secret import Secret
from tests.agent.devices import World, a_world
from tests.agent.simulator import POLICY

ALLOWED = replace(POLICY, os_password=True)


@pytest.mark.parametrize(
    ("purpose", "policy", "by_root", "allowed"),
    [
        (OS_PASSWORD, ALLOWED, True, True),
        (OS_PASSWORD, ALLOWED, False, True),  # a screen lock runs as its user
        (OS_PASSWORD, POLICY, True, False),
        ("disk", POLICY, True, True),
        ("disk", ALLOWED, False, False),
        ("disk-2", ALLOWED, True, False),
        ("", ALLOWED, True, False),
    ],
)
def test_the_purposes_of_a_secret_need_policy_and_configuration(
    purpose: str, policy: object, *, by_root: bool, allowed: bool
) -> None:
    chosen = ALLOWED if policy is ALLOWED else POLICY
    assert (decide_obstacle(purpose, chosen, {"disk"}, by_root=by_root) == "") is allowed


def test_a_configuration_cannot_allow_what_policy_does_not() -> None:
    assert decide_obstacle(OS_PASSWORD, POLICY, {OS_PASSWORD}, by_root=True)


def test_a_refusal_repeats_no_name_that_is_none() -> None:
    assert "\x1b" not in decide_obstacle("\x1b[2J", POLICY, (), by_root=True)


@pytest.mark.parametrize("name", ["", "Disk", "-disk", "a b", "dísk", "d" * 65, "disk\n", "../disk"])
def test_a_purpose_has_one_spelling(name: str) -> None:
    with pytest.raises(BadPurpose):
        verify_name(name)
    verify_name("disk-2.home_x")


def test_s22_a_password_is_kept_as_the_account_s() -> None:
    accounts = ["root", "alice", "é" * 26, "a" * 52, "a" * 53, "a" * 52 + "b", ""]
    names = {kept_as(OS_PASSWORD, account) for account in accounts}
    assert len(names) == len(accounts)
    assert max(len(name.encode()) for name in names) == 64
    for name in names:
        with pytest.raises(BadPurpose):  # neither a request nor a configuration may use this name
            verify_name(name)
    assert kept_as("disk", "root") == kept_as("disk", "alice") == "disk"


def a_world_with_both(directory: Path) -> World:
    world = a_world(directory)
    world.alice.policy = ALLOWED
    login = world.login(world.passcode())
    assert login.session is not None
    login.session.keep(kept_as(OS_PASSWORD, "alice"), Secret(b"the password"))
    login.session.keep(kept_as(OS_PASSWORD, "a" * 80), Secret(b"of another account"))
    login.session.keep("disk", Secret(b"the key"))
    make_contact(world.device)
    return world


def test_secrets_that_policy_withdraws_are_erased_at_the_contact(tmp_path: Path) -> None:
    world = a_world_with_both(tmp_path / "store")
    before = {secret.purpose: secret.sealed for secret in world.held.secrets}
    world.alice.policy = POLICY
    make_contact(world.device)
    assert [(secret.purpose, secret.sealed) for secret in world.held.secrets] == [("disk", before["disk"])]
    world.alice.policy = ALLOWED
    make_contact(world.device)
    assert [secret.purpose for secret in world.held.secrets] == ["disk"]  # an erased secret does not come back


def test_s22_a_password_that_is_no_account_s_goes_at_the_contact(tmp_path: Path) -> None:
    world = a_world_with_both(tmp_path / "store")
    before = world.held.secrets
    login = world.login(world.alice.passcode)
    assert login.session is not None
    login.session.keep(OS_PASSWORD, Secret(b"as earlier versions kept it"))
    make_contact(world.device)
    assert world.held.secrets == before


def test_a_server_that_was_set_back_takes_it_back_too(tmp_path: Path) -> None:
    world = a_world_with_both(tmp_path / "store")
    world.alice.generation = 0
    world.alice.policy = POLICY
    make_contact(world.device)
    assert [secret.purpose for secret in world.held.secrets] == ["disk"]


def test_a_user_without_allowed_secrets_leaves_nothing(tmp_path: Path) -> None:
    world = a_world_with_both(tmp_path / "store")
    world.server.names_nobody = True
    make_contact(world.device)
    assert world.device.state.users == []
