"""Confirmations over REST: a policy change that would lose data names the data, the counts, and the way to confirm."""

from typing import Any

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.policies import policies
from sparekey.app.rest.registry import OPERATIONS
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.policy.kinds import PolicyKind
from sparekey.secret import Secret
from tests.builders import NOW, ROOT
from tests.server.asgi import Reply
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, World, an_administrator

OFFLINE = {"kind": "offline"}
CHANGES: dict[str, dict[str, Any]] = {
    "policies.set_fields": OFFLINE | {"name": "Usual", "fields": {"minimum_passcode_length": "16"}},
    "policies.assign_policy": OFFLINE | {"name": "Strict", "domain": INSIDE},
    "policies.remove_policy": OFFLINE | {"name": "Usual"},
}
BY_NAME = {operation.name: operation for operation in OPERATIONS}


@pytest.fixture
def root(world: World) -> Secret[str]:
    """A super administrator. In Sales, where a user has offline data, the policy Usual is in force."""
    for name, length in (("Usual", "8"), ("Strict", "16")):
        fields = {"minimum_passcode_length": length, "protection_level": "light"}
        policies.add_policy(world.instance, ROOT, PolicyKind.OFFLINE, name, fields, now=NOW)
    policies.assign_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Usual", INSIDE, confirmed=True, now=NOW)
    return an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)


def asks(world: World, who: Secret[str], name: str, members: dict[str, Any]) -> Reply:
    return run(world.ask(BY_NAME[name], members, who))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_discards_is_confirmed(world: World, root: Secret[str], name: str) -> None:
    refused = asks(world, root, name, CHANGES[name])
    assert (refused.status, refused.error) == (403, "confirmation-needed")
    said = refused.json
    assert "1 user on 1 device" in said["message"]
    assert "`confirmed`" in said["do"]
    done = asks(world, root, name, CHANGES[name] | {"confirmed": True})
    assert done.status in (200, 204), done


def test_a_removal_needs_no_body() -> None:
    """As before there was anything to confirm."""
    arguments = BY_NAME["policies.remove_policy"].read(OFFLINE | {"name": "Strict"}, [], b"")
    assert arguments == {"kind": PolicyKind.OFFLINE, "name": "Strict", "confirmed": False}


@pytest.mark.parametrize("name", [*CHANGES, "policies.make_default"])
def test_the_description_explains_confirmations(name: str) -> None:
    assert "confirmation-needed" in BY_NAME[name].words
    assert "confirmed" in {member.name for member in BY_NAME[name].members}
