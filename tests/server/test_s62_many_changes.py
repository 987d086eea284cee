"""S62 for many users at once, at every interface: the eleventh change asks, keeps the form, and goes on."""

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.app.people.users import add_user, set_enabled
from sparekey.app.rest.registry import OPERATIONS
from sparekey.app.sessions.administrators import FRESH_SECONDS
from sparekey.cli.server.remote import error_of
from sparekey.core.change_limit import FREE_CHANGES
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from tests.builders import NOW, PIN, ROOT, User, a_user
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, World, session_of
from tests.server.page_world import visit

LATER = NOW + FRESH_SECONDS
SET_ENABLED = next(each for each in OPERATIONS if each.use_case is set_enabled)
AT_ONCE = next(page for page in CONSOLE.pages if page.path == "/console/users/enabled")
SAVE = next(page for page in CONSOLE.pages if (page.method, page.path) == ("POST", "/console/users/{login}/edit"))
LOGINS = [f"u{number:02}" for number in range(FREE_CHANGES + 1)]


@pytest.fixture
def chief(world: World) -> tuple[User, Secret[str]]:
    """An administrator whose second factor is ten minutes old, and users to change."""
    user = a_user(world.instance, "chief", pin=PIN)
    roles.grant(world.instance, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, user.login, TOP_DOMAIN, now=NOW)
    token = session_of(world.instance, user, NOW)
    for login in LOGINS:
        add_user(world.instance, ROOT, login, INSIDE, now=NOW)
    world.interfaces.now[0] = LATER
    return user, token


def state(world: World) -> list[bool]:
    return [users.show_user(world.instance, ROOT, login).enabled for login in LOGINS]


def test_s62_rest_asks_before_the_eleventh_user(world: World, chief: tuple[User, Secret[str]]) -> None:
    _, token = chief
    replies = [run(world.ask(SET_ENABLED, {"login": login, "enabled": False}, token)) for login in LOGINS]
    assert [reply.status for reply in replies] == [204] * FREE_CHANGES + [403]
    assert replies[-1].error == "second-factor-needed"
    assert state(world) == [False] * FREE_CHANGES + [True]
    remote = error_of(403, replies[-1].json, "https://localhost", "chief")
    assert (remote.error, remote.do) == (
        "second-factor-needed",
        "sign in again: sparekey login --server https://localhost --as chief",
    )


def test_s62_a_page_asks_before_the_eleventh_user_and_keeps_the_form(
    world: World, chief: tuple[User, Secret[str]]
) -> None:
    user, token = chief
    form = {"logins": " ".join(LOGINS), "sure": "yes"}
    asked = run(visit(world, AT_ONCE, token, form))
    page = asked.body.decode()
    assert (asked.status, 'name="second-factor"' in page, LOGINS[-1] in page) == (200, True, True)
    wrong = run(visit(world, AT_ONCE, token, {**form, "second-factor": user.wrong(LATER).reveal()}))
    assert 'name="second-factor"' in wrong.body.decode()
    assert state(world) == [True] * len(LOGINS)
    done = run(visit(world, AT_ONCE, token, {**form, "second-factor": user.typed(LATER).reveal()}))
    assert done.status == 303
    assert state(world) == [False] * len(LOGINS)


def test_s62_a_mistake_after_the_second_factor_is_shown_in_the_form(
    world: World, chief: tuple[User, Secret[str]]
) -> None:
    user, token = chief
    for login in LOGINS[:FREE_CHANGES]:
        assert run(world.ask(SET_ENABLED, {"login": login, "enabled": False}, token)).status == 204
    form = {"name": "Eve", "mail": "", "end": "", "second-factor": user.typed(LATER).reveal()}
    path = f"/console/users/{LOGINS[-1]}/edit"
    assert run(visit(world, SAVE, token, form, path=path)).status == 303
    bad = run(visit(world, SAVE, token, {**form, "mail": "no address"}, path=path))
    assert (bad.status, "mail address" in bad.body.decode()) == (400, True)
