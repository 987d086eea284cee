"""Each precondition of an emergency code that is not met: in a sentence on the page, with a link to where it is mended,
which leads to a page that is there and that the reader may see."""

import re
from collections.abc import Callable, Mapping
from html import unescape
from typing import Final

import pytest

from sparekey.app.devices import devices
from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import users
from sparekey.app.tokens import tokens
from sparekey.core.offline.units import Obstacle
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.server.console.emergency.words import MENDS, SENTENCES
from tests.builders import LIGHT, NOW, PIN, ROOT, User, a_device, a_user, edit_policy, set_end
from tests.server.operation_world import INSIDE, World, an_administrator
from tests.server.reading_pages import look, words

Arranged = Callable[[World], User]
# Conditions that an emergency code ignores: it helps users who are locked, mistyped, or have lost the token.
NO_HINDRANCE: Final = {Obstacle.ACCOUNT_LOCKED, Obstacle.NEXT_TOKENCODE, Obstacle.TOKEN_LOST}


def by_policy(**fields: str) -> Arranged:
    def arrange(world: World) -> User:
        edit_policy(world.instance, LIGHT | fields)
        return world.alice

    return arrange


def disabled_user(world: World) -> User:
    users.set_enabled(world.instance, ROOT, "alice", enabled=False, now=NOW)
    return world.alice


def disabled_token(world: World) -> User:
    tokens.set_enabled(world.instance, ROOT, world.alice.serial, enabled=False, now=NOW)
    return world.alice


def expired_token(world: World) -> User:
    set_end(world.instance, world.alice, token=NOW)
    return world.alice


def cleared_pin(world: World) -> User:
    tokens.clear_pin(world.instance, ROOT, world.alice.serial, now=NOW)
    return world.alice


def pin_to_be_changed(world: World) -> User:
    tokens.set_pin(world.instance, ROOT, world.alice.serial, Secret("24680bdf"), must_change=True, now=NOW)
    return world.alice


def revoked_device(world: World) -> User:
    devices.revoke(world.instance, ROOT, "laptop", now=NOW)
    return world.alice


def on_a_device(world: World, *, pin: str = PIN, supports_offline: bool = True) -> User:
    """Create a user who has signed in on a device that has downloaded nothing."""
    user = a_user(world.instance, "bob", pin=pin, domain=INSIDE)
    a_device(world.instance, "desktop", domain=INSIDE, supports_offline=supports_offline).sign_in(user, NOW)
    return user


def without_pin(world: World) -> User:
    return on_a_device(world, pin="")


def weak_without_pin(world: World) -> User:
    edit_policy(world.instance, {"protection_level": "balanced"})
    edit_policy(world.instance, {"allow_tokens_without_pin": "on"})
    return on_a_device(world, pin="")


def without_offline_support(world: World) -> User:
    return on_a_device(world, supports_offline=False)


def nowhere(world: World) -> User:
    return a_user(world.instance, "bob", pin=PIN, domain=INSIDE)


ARRANGED: Final[Mapping[Obstacle, Arranged]] = {
    Obstacle.POLICY_OFF: by_policy(enabled="off"),
    Obstacle.DEVICE_REVOKED: revoked_device,
    Obstacle.NO_OFFLINE_SUPPORT: without_offline_support,
    Obstacle.NO_HARDWARE_STORE: by_policy(require_hardware_store="on"),
    Obstacle.ACCOUNT_CLOSED: disabled_user,
    Obstacle.NO_TOKEN_USED: nowhere,
    Obstacle.NOT_DOWNLOADED: on_a_device,
    Obstacle.TOKEN_DISABLED: disabled_token,
    Obstacle.TOKEN_EXPIRED: expired_token,
    Obstacle.NO_PIN: cleared_pin,
    Obstacle.PIN_MUST_CHANGE: pin_to_be_changed,
    Obstacle.PASSCODE_TOO_SHORT: by_policy(minimum_passcode_length="16"),
    Obstacle.PIN_LESS_NOT_ALLOWED: without_pin,
    Obstacle.PIN_LESS_TOO_WEAK: weak_without_pin,
    Obstacle.EMERGENCY_OFF: by_policy(emergency_tokencode="off", emergency_passcode="off"),
}
OF_THE_USER: Final = (
    Obstacle.POLICY_OFF,
    Obstacle.NO_OFFLINE_SUPPORT,
    Obstacle.NO_HARDWARE_STORE,
    Obstacle.ACCOUNT_CLOSED,
    Obstacle.NO_TOKEN_USED,
    Obstacle.NOT_DOWNLOADED,
    Obstacle.EMERGENCY_OFF,
    Obstacle.DEVICE_REVOKED,
)


def test_every_obstacle_is_tested() -> None:
    assert set(ARRANGED) | NO_HINDRANCE == set(Obstacle)


@pytest.mark.parametrize("obstacle", ARRANGED, ids=lambda each: each.name.lower())
def test_a_missing_precondition_of_the_tokencode_links_to_its_remedy(world: World, obstacle: Obstacle) -> None:
    user = ARRANGED[obstacle](world)
    verify_reported(world, obstacle, f"/console/tokens/{user.serial}/emergency")


@pytest.mark.parametrize("obstacle", OF_THE_USER, ids=lambda each: each.name.lower())
def test_a_missing_precondition_of_the_passcode_links_to_its_remedy(world: World, obstacle: Obstacle) -> None:
    user = ARRANGED[obstacle](world)
    verify_reported(world, obstacle, f"/console/users/{user.login}/emergency")


def verify_reported(world: World, obstacle: Obstacle, path: str) -> None:
    for role, domain in ((SUPER_ADMINISTRATOR, TOP_DOMAIN), ("help desk", INSIDE)):
        who = an_administrator(world.instance, role, domain)
        page = look(world, who, path)
        assert SENTENCES.get(obstacle, obstacle.value) in words(page)
        assert "Show the code on this device" not in words(page)
        found = re.findall(r'<a href="([^"]+)">Open the (?:policies|user|token|device)</a>', page.body.decode())
        links = [unescape(link) for link in found]
        if role == SUPER_ADMINISTRATOR:
            assert bool(links) == (obstacle in MENDS)
        for link in links:
            assert look(world, who, link).status == 200, link
