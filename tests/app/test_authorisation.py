"""S63: objects outside an actor's domains do not exist for it; a permission is needed; no actor gains rights.

Every use case of administration is one line of a table: the permission that it needs in the domain of its object, and
its error outside that domain.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sparekey.app.devices import devices, invitations
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import domains, roles, users
from sparekey.app.people.imports import import_users
from sparekey.app.people.roles import HolderKind
from sparekey.app.policies import policies
from sparekey.app.reports.dashboard import list_activity, show_dashboard
from sparekey.app.sessions import clients
from sparekey.app.tokens import tokens
from sparekey.core.errors import Conflict, NotAllowed, NotFound, SparekeyError
from sparekey.core.permissions import PREDEFINED, SUPER_ADMINISTRATOR, Actor, Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.secret import Secret
from tests.app.administrators import add_tree, an_administrator
from tests.builders import NOW, ROOT, User, a_device, a_token, a_user

P = Permission
Do = Callable[[Instance, Actor, str, str], object]


@dataclass(frozen=True)
class Case:
    """A use case: `do(server, actor, object, domain)` needs this permission in the object's domain."""

    kind: str  # of the object: user, token, device, domain, client
    needed: Permission
    do: Do


def _pin(server: Instance, actor: Actor, serial: str, _: str) -> None:
    tokens.set_pin(server, actor, serial, Secret("97531bdf"), now=NOW)


CASES = {
    "user show": Case("user", P.USER_VIEW, lambda s, a, it, _: users.show_user(s, a, it)),
    "user edit": Case(
        "user", P.USER_EDIT, lambda s, a, it, _: users.edit_user(s, a, it, users.UserEdit(name="Other"), now=NOW)
    ),
    "user disable": Case("user", P.USER_EDIT, lambda s, a, it, _: users.set_enabled(s, a, it, enabled=False, now=NOW)),
    "user unlock": Case("user", P.USER_UNLOCK, lambda s, a, it, _: users.unlock(s, a, it, now=NOW)),
    "user move": Case("user", P.USER_MOVE, lambda s, a, it, where: users.move_user(s, a, it, where, now=NOW)),
    "user dashboard": Case("user", P.USER_VIEW, lambda s, a, it, _: show_dashboard(s, a, it, now=NOW)),
    "user activity": Case("user", P.USER_VIEW, lambda s, a, it, _: list_activity(s, a, it)),
    "user add": Case("domain", P.USER_ADD, lambda s, a, it, _: users.add_user(s, a, "newcomer", it, now=NOW)),
    "role grant": Case(
        "user", P.ROLE_MANAGE, lambda s, a, it, where: roles.grant(s, a, "own", HolderKind.USER, it, where, now=NOW)
    ),
    "role grant, there": Case(
        "domain", P.ROLE_MANAGE, lambda s, a, it, _: roles.grant(s, a, "own", HolderKind.USER, "holder", it, now=NOW)
    ),
    "role grant to a client": Case(
        "client", P.ROLE_MANAGE, lambda s, a, it, where: roles.grant(s, a, "own", HolderKind.CLIENT, it, where, now=NOW)
    ),
    "token show": Case("token", P.TOKEN_VIEW, lambda s, a, it, _: tokens.show_token(s, a, it)),
    "token lost": Case("token", P.TOKEN_EDIT, lambda s, a, it, _: tokens.set_lost(s, a, it, lost=True, now=NOW)),
    "token disable": Case(
        "token", P.TOKEN_EDIT, lambda s, a, it, _: tokens.set_enabled(s, a, it, enabled=False, now=NOW)
    ),
    "token set-pin": Case("token", P.PIN_SET, _pin),
    "token clear-pin": Case("token", P.PIN_SET, lambda s, a, it, _: tokens.clear_pin(s, a, it, now=NOW)),
    "token add": Case(
        "user", P.TOKEN_ASSIGN, lambda s, a, it, _: tokens.add_token(s, a, it, tokens.NewToken(), now=NOW)
    ),
    "device show": Case("device", P.DEVICE_VIEW, lambda s, a, it, _: devices.show_device(s, a, it)),
    "device revoke": Case("device", P.DEVICE_REVOKE, lambda s, a, it, _: devices.revoke(s, a, it, now=NOW)),
    "device invite": Case("domain", P.DEVICE_INVITE, lambda s, a, it, _: invitations.invite(s, a, "new", it, now=NOW)),
    "domain show": Case("domain", P.DOMAIN_VIEW, lambda s, a, it, _: domains.show_domain(s, a, it)),
    "domain add": Case("domain", P.DOMAIN_MANAGE, lambda s, a, it, _: domains.add_domain(s, a, "New", it, now=NOW)),
    "policy assign": Case(
        "domain",
        P.POLICY_MANAGE,
        lambda s, a, it, _: policies.assign_policy(s, a, PolicyKind.OFFLINE, None, it, now=NOW),
    ),
    "policy effective": Case("user", P.USER_VIEW, lambda s, a, it, _: policies.effective_of(s, a, it, None)),
    "client revoke": Case("client", P.CLIENT_MANAGE, lambda s, a, it, _: clients.revoke_client(s, a, it, now=NOW)),
    "client add": Case("domain", P.CLIENT_MANAGE, lambda s, a, it, _: clients.add_client(s, a, "new", it, now=NOW)),
}


def an_object(server: Instance, kind: str, domain: str) -> str:
    """Create an object of that kind in that domain, and return its name."""
    if kind == "domain":
        return domain
    if kind == "client":
        clients.add_client(server, ROOT, "portal", domain, now=NOW)
        return "portal"
    if kind == "device":
        return a_device(server, "laptop", domain=domain).device_id
    user = a_user(server, "alice", domain=domain)
    return user.login if kind == "user" else a_token(server, user.login, user.account_id, with_pin=True).serial


def actor_with(server: Instance, permissions: set[Permission], domain: str) -> Actor:
    """An administrator with exactly these permissions, in the domain and below."""
    roles.add_role(server, ROOT, "own", sorted(permissions), now=NOW)
    a_user(server, "holder", domain=domain)
    return an_administrator(server, ("own", domain))[1]


@pytest.mark.parametrize("name", CASES)
def test_the_permission_in_the_domain_is_enough(server: Instance, name: str) -> None:
    case = CASES[name]
    add_tree(server)
    wanted = an_object(server, case.kind, "Bern")
    case.do(server, actor_with(server, {case.needed}, "Sales"), wanted, "Bern")


@pytest.mark.parametrize("name", CASES)
def test_s63_objects_out_of_scope_do_not_exist(server: Instance, name: str) -> None:
    case = CASES[name]
    add_tree(server)
    actor = actor_with(server, set(Permission), "Support")
    wanted = an_object(server, case.kind, "Bern")
    with pytest.raises(NotFound) as there:
        case.do(server, actor, wanted, "Support")
    missing = "f" * 32 if case.kind == "device" else "nothing"
    with pytest.raises(NotFound) as nowhere:
        case.do(server, actor, missing, "Support")
    assert there.value.message == nowhere.value.message.replace(missing, wanted)
    assert there.value.do == nowhere.value.do


@pytest.mark.parametrize("name", CASES)
def test_s63_a_missing_permission_is_refused(server: Instance, name: str) -> None:
    case = CASES[name]
    add_tree(server)
    actor = actor_with(server, set(Permission) - {case.needed}, "Sales")
    with pytest.raises(NotAllowed, match=rf"\({case.needed.value}\)"):
        case.do(server, actor, an_object(server, case.kind, "Bern"), "Bern")


ABOVE = [
    name for name, case in CASES.items() if case.kind in ("user", "token", "client") and not case.needed.only_looks
]


@pytest.mark.parametrize("name", ABOVE)
def test_s63_users_with_more_rights_are_out_of_reach(server: Instance, name: str) -> None:
    case = CASES[name]
    add_tree(server)
    wanted = an_object(server, case.kind, "Bern")
    actor = actor_with(server, {case.needed}, "Sales")
    kind, holder = (HolderKind.CLIENT, wanted) if case.kind == "client" else (HolderKind.USER, "alice")
    roles.grant(server, ROOT, "auditor", kind, holder, "Bern", now=NOW)
    with pytest.raises(NotAllowed, match="rights that you do not have"):
        case.do(server, actor, wanted, "Bern")


def test_s63_only_rows_in_scope_come_back(server: Instance) -> None:
    add_tree(server)
    for domain in (TOP_DOMAIN, "Sales", "Bern", "Support"):
        a_user(server, f"user-{domain}", domain=domain)
        a_device(server, f"device-{domain}", domain=domain)
        clients.add_client(server, ROOT, f"client-{domain}", domain, now=NOW)
    everything = PREDEFINED[SUPER_ADMINISTRATOR]
    actor = actor_with(server, set(everything), "Sales")
    assert {each.login for each in users.list_users(server, actor)} == {"user-Sales", "user-Bern", "holder"}
    assert {each.login for each in tokens.list_tokens(server, actor)} == {"user-Sales", "user-Bern", "holder"}
    assert {each.name for each in devices.list_devices(server, actor)} == {"device-Sales", "device-Bern"}
    assert {each.name for each in clients.list_clients(server, actor)} == {"client-Sales", "client-Bern"}
    assert {each.name for each in domains.list_domains(server, actor)} == {"Sales", "Bern"}


def test_s63_grants_elsewhere_are_not_seen(server: Instance) -> None:
    add_tree(server)
    an_administrator(server, ("help desk", "Support"), login="desk-support", domain="Support")
    an_administrator(server, ("help desk", "Bern"), login="desk-bern", domain="Bern")
    an_administrator(server, ("help desk", "Bern"), login="desk-from-support", domain="Support")
    actor = actor_with(server, {P.ROLE_VIEW}, "Sales")
    assert [each.holder for each in roles.list_grants(server, actor).items] == ["desk-bern"]
    assert [each.holder for each in roles.show_role(server, actor, "help desk").grants] == ["desk-bern"]


def test_s63_an_actor_cannot_give_rights_that_it_lacks(server: Instance) -> None:
    add_tree(server)
    actor = actor_with(server, {P.ROLE_MANAGE, P.USER_VIEW}, "Sales")
    a_user(server, "carol", domain="Sales")
    for role, domain in (("help desk", "Sales"), ("help desk", "Bern"), (SUPER_ADMINISTRATOR, "Bern")):
        with pytest.raises(NotAllowed, match="you can grant only permissions"):
            roles.grant(server, actor, role, HolderKind.USER, "carol", domain, now=NOW)
    roles.grant(server, actor, "own", HolderKind.USER, "carol", "Bern", now=NOW)
    # to oneself neither, nor by a role that is the same for all domains
    with pytest.raises(NotAllowed):
        roles.add_role(server, actor, "more", ["user.view"], now=NOW)
    with pytest.raises(NotAllowed):
        roles.set_permissions(server, actor, "own", ["role.manage", "pin.set"], now=NOW)


def test_s63_a_role_is_never_larger_than_its_creator_s_rights(server: Instance) -> None:
    actor = actor_with(server, {P.ROLE_MANAGE, P.USER_VIEW}, TOP_DOMAIN)
    for change in (roles.add_role, roles.set_permissions):
        name = "new" if change is roles.add_role else "own"
        with pytest.raises(NotAllowed, match="you can grant only permissions"):
            change(server, actor, name, ["pin.set"], now=NOW)


def test_s63_an_actor_cannot_revoke_rights_above_its_own(server: Instance) -> None:
    add_tree(server)
    an_administrator(server, ("help desk", "Bern"), login="desk", domain="Bern")
    actor = actor_with(server, {P.ROLE_MANAGE}, "Sales")
    with pytest.raises(NotAllowed, match="rights that you do not have"):
        roles.revoke(server, actor, "help desk", HolderKind.USER, "desk", "Bern", now=NOW)


def movers(server: Instance) -> tuple[Actor, User]:
    """Return an actor who may move users in Sales and Support and show codes in Support, and a user in Bern."""
    add_tree(server)
    roles.add_role(server, ROOT, "mover", [P.USER_MOVE, P.DOMAIN_MANAGE], now=NOW)
    roles.add_role(server, ROOT, "shower", [P.EMERGENCY_PASSCODE_SHOW], now=NOW)
    granted = (("mover", TOP_DOMAIN), ("shower", "Support"))
    return an_administrator(server, *granted)[1], a_user(server, domain="Bern")


def test_s63_moving_gives_no_rights(server: Instance) -> None:
    actor, user = movers(server)
    moves: tuple[Callable[[str], object], ...] = (
        lambda where: users.move_user(server, actor, user.login, where, now=NOW),
        lambda where: domains.move_domain(server, actor, "Bern", where, now=NOW),
    )
    for move in moves:
        with pytest.raises(NotAllowed, match=r"rights that you do not have in Bern \(.*, emergency.passcode-show\)"):
            move("Support")
    moves[1](TOP_DOMAIN)
    moves[0]("Sales")


def test_s63_rows_of_a_file_outside_the_scope_are_refused(server: Instance) -> None:
    add_tree(server)
    actor = actor_with(server, {P.USER_ADD, P.USER_VIEW}, "Sales")
    data = b"login,domain\nanna,Bern\nbert,Support\ncarl,Nowhere\n"
    report = import_users(server, actor, data, now=NOW)
    assert report.added == 1
    assert [each.reason for each in report.refusals] == [
        "there is no security domain 'Support'",
        "there is no security domain 'Nowhere'",
    ]


def test_s63_a_device_out_of_scope_keeps_no_name_back(server: Instance) -> None:
    add_tree(server)
    elsewhere = a_device(server, "laptop", domain="Bern")
    invitations.invite(server, actor_with(server, {P.DEVICE_INVITE}, "Support"), "laptop", "Support", now=NOW)
    with pytest.raises(Conflict, match="a device 'laptop' already"):
        invitations.invite(server, ROOT, "laptop", "Support", now=NOW)
    devices.revoke(server, ROOT, elsewhere.device_id, now=NOW)
    invitations.invite(server, ROOT, "laptop", "Support", now=NOW)


def test_without_a_role_no_object_exists(server: Instance) -> None:
    user = a_user(server)
    actor = an_administrator(server)[1]
    with pytest.raises(NotFound):
        users.show_user(server, actor, user.login)
    looks: tuple[Callable[[Instance, Actor], object], ...] = (
        users.list_users,
        tokens.list_tokens,
        devices.list_devices,
        domains.list_domains,
        roles.list_roles,
    )
    for look in looks:
        with pytest.raises(SparekeyError):
            look(server, actor)
