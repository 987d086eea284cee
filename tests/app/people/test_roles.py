"""Roles: created, granted, revoked, removed, each with an audit event; and the super administrator who stays."""

from collections.abc import Callable

import pytest

from sparekey.app.authorisation import actor_of, grants_of
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles, users
from sparekey.app.people.domains import add_domain
from sparekey.app.people.roles import HolderKind
from sparekey.app.sessions import clients
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens.tokens import set_enabled, set_lost, show_token
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound
from sparekey.core.permissions import PREDEFINED, SUPER_ADMINISTRATOR, Actor, Permission
from sparekey.storage import tables
from sparekey.storage.people.roles import insert_grant, insert_role
from sparekey.storage.sealed_rows import update_rows
from tests.app import administrators
from tests.builders import NOW, PIN, ROOT, a_token, a_user, logged_events

USER = HolderKind.USER


def an_administrator(server: Instance, *granted: tuple[str, str], login: str = "") -> tuple[str, Actor]:
    """The login name of a user with these roles, and the user as an actor."""
    user, actor = administrators.an_administrator(server, *granted, login=login)
    return user.login, actor


def test_a_role_of_ones_own(any_server: Instance) -> None:
    made = roles.add_role(any_server, ROOT, "night desk", ["token.view", "user.view"], now=NOW)
    assert made.permissions == ("user.view", "token.view")
    login, actor = an_administrator(any_server, ("night desk", TOP_DOMAIN))
    assert actor.may(Permission.TOKEN_VIEW, None)
    assert not actor.may(Permission.PIN_SET, None)
    roles.set_permissions(any_server, ROOT, "night desk", ["pin.set"], now=NOW)
    with any_server.database.read() as connection:
        changed = actor_of(connection, actor.account_id or "")
    assert [each.permissions for each in changed.grants] == [{Permission.PIN_SET}]
    granted = roles.show_role(any_server, ROOT, "night desk").grants
    assert [(each.kind, each.holder, each.domain) for each in granted] == [("user", login, TOP_DOMAIN)]
    with pytest.raises(Conflict, match=r"granted 1 time$"):
        roles.remove_role(any_server, ROOT, "night desk", now=NOW)
    roles.revoke(any_server, ROOT, "night desk", USER, login, TOP_DOMAIN, now=NOW)
    roles.remove_role(any_server, ROOT, "night desk", now=NOW)
    assert [each.name for each in roles.list_roles(any_server, ROOT)] == [*PREDEFINED]
    events = logged_events(
        any_server,
        Action.ROLE_ADDED,
        Action.ROLE_GRANTED,
        Action.ROLE_CHANGED,
        Action.ROLE_REVOKED,
        Action.ROLE_REMOVED,
    )
    assert [row.action for row in events] == [
        "role.added",
        "role.granted",
        "role.changed",
        "role.revoked",
        "role.removed",
    ]
    assert events[1].account_id == events[3].account_id == actor.account_id


def test_a_list_of_too_many_grants_reports_its_cut(server: Instance) -> None:
    clients.add_client(server, ROOT, "portal", now=NOW)
    with server.database.write() as connection:
        client = connection.execute(tables.api_client.select()).one()
        for number in range(roles.MOST_LISTED):
            insert_grant(connection, f"{number:032x}", f"role {number}", client.id, client.domain_id, NOW)
    assert not roles.list_grants(server, ROOT).cut
    roles.grant(server, ROOT, "auditor", HolderKind.CLIENT, "portal", TOP_DOMAIN, now=NOW)
    listed = roles.list_grants(server, ROOT)
    assert (len(listed.items), listed.cut) == (roles.MOST_LISTED, True)
    shown = roles.show_role(server, ROOT, "auditor")
    assert (len(shown.grants), shown.cut) == (1, False)


def test_the_number_of_roles_is_limited_to_a_list(server: Instance) -> None:
    with server.database.write() as connection:
        for number in range(roles.MOST_ROLES - 1):
            insert_role(connection, f"{number:032x}", f"role {number}", "user.view", NOW)
    roles.add_role(server, ROOT, "the last one", ["user.view"], now=NOW)
    with pytest.raises(Conflict, match="is reached"):
        roles.add_role(server, ROOT, "one more", ["user.view"], now=NOW)
    assert len(roles.list_roles(server, ROOT)) == roles.MOST_ROLES + len(PREDEFINED)


def test_the_help_desk_does_all_that_ends_an_emergency() -> None:
    """Approving is reserved for other roles."""
    emergency = {each for each in Permission if each.value.startswith("emergency.")}
    assert emergency - PREDEFINED["help desk"] == {Permission.EMERGENCY_APPROVE}


def test_several_roles_add_up(server: Instance) -> None:
    add_domain(server, ROOT, "Sales", now=NOW)
    _, actor = an_administrator(server, ("auditor", TOP_DOMAIN), ("help desk", "Sales"))
    with server.database.read() as connection:
        sales = connection.execute(
            tables.security_domain.select().where(tables.security_domain.c.name == "Sales")
        ).one()
    assert actor.may(Permission.AUDIT_VIEW, sales.id)
    assert actor.may(Permission.PIN_SET, sales.id)
    assert not actor.may(Permission.PIN_SET, None)


def test_a_role_of_an_api_client(server: Instance) -> None:
    clients.add_client(server, ROOT, "portal", now=NOW)
    roles.grant(server, ROOT, "help desk", HolderKind.CLIENT, "portal", TOP_DOMAIN, now=NOW)
    with server.database.read() as connection:
        row = connection.execute(tables.api_client.select()).one()
        assert grants_of(connection, row.id)[0].permissions == PREDEFINED["help desk"]
    assert [each.holder for each in roles.list_grants(server, ROOT).items] == ["portal"]
    roles.revoke(server, ROOT, "help desk", HolderKind.CLIENT, "portal", TOP_DOMAIN, now=NOW)
    assert roles.list_grants(server, ROOT) == roles.GrantList((), cut=False)


def test_roles_of_one_user_or_client(any_server: Instance) -> None:
    """A user and a client may have the same name."""
    an_administrator(any_server, ("auditor", TOP_DOMAIN), ("help desk", TOP_DOMAIN), login="portal")
    clients.add_client(any_server, ROOT, "portal", now=NOW)
    roles.grant(any_server, ROOT, "auditor", HolderKind.CLIENT, "portal", TOP_DOMAIN, now=NOW)
    an_administrator(any_server, ("auditor", TOP_DOMAIN))
    of_user = roles.list_grants(any_server, ROOT, USER, "portal").items
    assert [each.role for each in of_user] == ["auditor", "help desk"]
    of_client = roles.list_grants(any_server, ROOT, HolderKind.CLIENT, "portal").items
    assert [(each.role, each.kind) for each in of_client] == [("auditor", HolderKind.CLIENT)]
    assert len(roles.list_grants(any_server, ROOT, USER).items) == 3
    assert roles.list_grants(any_server, ROOT, USER, "nobody").items == ()


@pytest.mark.parametrize("name", PREDEFINED)
def test_the_predefined_roles_stay_as_they_are(server: Instance, name: str) -> None:
    with pytest.raises(NotAllowed, match="predefined"):
        roles.set_permissions(server, ROOT, name, ["user.view"], now=NOW)
    with pytest.raises(NotAllowed, match="predefined"):
        roles.remove_role(server, ROOT, name, now=NOW)
    with pytest.raises(Conflict, match="already"):
        roles.add_role(server, ROOT, name.title(), ["user.view"], now=NOW)


def test_invalid_roles_are_refused_with_a_reason(server: Instance) -> None:
    with pytest.raises(BadInput, match=r"there is no permission 'fly'") as refused:
        roles.add_role(server, ROOT, "pilot", ["fly"], now=NOW)
    assert "user.view" in refused.value.do
    with pytest.raises(BadInput, match="needs a permission"):
        roles.add_role(server, ROOT, "pilot", [], now=NOW)
    login, _ = an_administrator(server, ("help desk", TOP_DOMAIN))
    with pytest.raises(Conflict, match="already"):
        roles.grant(server, ROOT, "help desk", USER, login, TOP_DOMAIN, now=NOW)
    with pytest.raises(NotFound, match="no role 'pilot'"):
        roles.grant(server, ROOT, "pilot", USER, login, TOP_DOMAIN, now=NOW)
    with pytest.raises(NotFound, match="does not have the role"):
        roles.revoke(server, ROOT, "auditor", USER, login, TOP_DOMAIN, now=NOW)
    with pytest.raises(NotFound, match="no role 'pilot'"):
        roles.show_role(server, ROOT, "pilot")


def test_a_recreated_role_has_no_holders(server: Instance) -> None:
    roles.add_role(server, ROOT, "desk", ["user.view"], now=NOW)
    login, _ = an_administrator(server, ("desk", TOP_DOMAIN))
    roles.revoke(server, ROOT, "desk", USER, login, TOP_DOMAIN, now=NOW)
    roles.remove_role(server, ROOT, "desk", now=NOW)
    roles.add_role(server, ROOT, "desk", ["pin.set"], now=NOW)
    assert roles.show_role(server, ROOT, "desk").grants == ()


def take_away(server: Instance, login: str, how: str, actor: Actor = ROOT) -> None:
    """One of the ways in which a super administrator ends."""
    if how == "revoke":
        roles.revoke(server, actor, SUPER_ADMINISTRATOR, USER, login, TOP_DOMAIN, now=NOW)
    elif how == "disable":
        users.set_enabled(server, actor, login, enabled=False, now=NOW)
    else:
        expires = {"expire": NOW, "expire later": NOW + 1000}[how]
        users.edit_user(server, actor, login, users.UserEdit(expires_at=expires), now=NOW)


WAYS = ("revoke", "disable", "expire", "expire later")


@pytest.mark.parametrize("how", WAYS)
def test_s63_the_last_super_administrator_stays(any_server: Instance, how: str) -> None:
    first, actor = an_administrator(any_server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    second, _ = an_administrator(any_server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    take_away(any_server, second, how, actor)
    for who in (ROOT, actor):
        with pytest.raises(NotAllowed, match="no super administrator who can sign in"):
            take_away(any_server, first, how, who)
    with any_server.database.read() as connection:
        assert actor_of(connection, actor.account_id or "").may(Permission.ROLE_MANAGE, None)
    assert users.show_user(any_server, ROOT, first).enabled
    # another user has taken over: now they may go
    an_administrator(any_server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    take_away(any_server, first, how)


def test_s63_a_super_administrator_who_cannot_sign_in_does_not_count(server: Instance) -> None:
    first, _ = an_administrator(server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    users.add_user(server, ROOT, "without-token", TOP_DOMAIN, now=NOW)
    roles.grant(server, ROOT, SUPER_ADMINISTRATOR, USER, "without-token", TOP_DOMAIN, now=NOW)
    an_administrator(server, (SUPER_ADMINISTRATOR, TOP_DOMAIN), login="tokenless")
    with server.database.write() as connection:
        token = connection.execute(
            tables.token.select()
            .join(tables.account, tables.account.c.id == tables.token.c.account_id)
            .where(tables.account.c.login == "tokenless")
        ).one()
        update_rows(connection, tables.token, [tables.token.c.id == token.id], {"expires_at": NOW})
    add_domain(server, ROOT, "Sales", now=NOW)
    an_administrator(server, (SUPER_ADMINISTRATOR, "Sales"))
    with pytest.raises(NotAllowed, match="no super administrator"):
        take_away(server, first, "disable")


def test_a_holder_who_never_counted_may_be_removed(server: Instance) -> None:
    # no administrator can sign in yet: root revokes a grant made by mistake
    users.add_user(server, ROOT, "alice", TOP_DOMAIN, now=NOW)
    roles.grant(server, ROOT, SUPER_ADMINISTRATOR, USER, "alice", TOP_DOMAIN, now=NOW)
    take_away(server, "alice", "revoke")
    assert roles.list_grants(server, ROOT) == roles.GrantList((), cut=False)


def test_a_lost_token_leaves_a_super_administrator(server: Instance) -> None:
    first, _ = an_administrator(server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    second = a_user(server, pin=PIN)
    roles.grant(server, ROOT, SUPER_ADMINISTRATOR, USER, second.login, TOP_DOMAIN, now=NOW)
    set_lost(server, ROOT, second.serial, lost=True, now=NOW)
    take_away(server, first, "disable")
    assert users.show_user(server, ROOT, second.login).enabled


TOKEN_ENDS: dict[str, Callable[[Instance, str], object]] = {
    "disabled": lambda server, serial: set_enabled(server, ROOT, serial, enabled=False, now=NOW),
    "unassigned": lambda server, serial: token_lifecycle.unassign(server, ROOT, serial, now=NOW),
    "removed": lambda server, serial: token_lifecycle.remove(server, ROOT, serial, assigned_too=True, now=NOW),
}


@pytest.mark.parametrize("how", TOKEN_ENDS)
def test_s63_the_last_super_administrator_keeps_a_token(any_server: Instance, how: str) -> None:
    chief = a_user(any_server, pin=PIN)
    roles.grant(any_server, ROOT, SUPER_ADMINISTRATOR, USER, chief.login, TOP_DOMAIN, now=NOW)
    with pytest.raises(NotAllowed, match="no super administrator who can sign in"):
        TOKEN_ENDS[how](any_server, chief.serial)
    assert show_token(any_server, ROOT, chief.serial).enabled
    a_token(any_server, chief.login, chief.account_id)  # without a PIN it works at no administrators' interface
    with pytest.raises(NotAllowed, match="no super administrator who can sign in"):
        TOKEN_ENDS[how](any_server, chief.serial)
    a_token(any_server, chief.login, chief.account_id, pin=PIN)
    TOKEN_ENDS[how](any_server, chief.serial)
