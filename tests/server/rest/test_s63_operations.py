"""S63, S62, S42 over REST, as data: every operation, every caller, every place."""

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.rest.operation import Operation
from sparekey.app.rest.registry import OPERATIONS
from sparekey.app.sessions import clients
from sparekey.app.sessions.administrators import FRESH_SECONDS, IDLE_SECONDS
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.permissions import PREDEFINED, SUPER_ADMINISTRATOR, Permission
from sparekey.secret import Secret
from sparekey.server.openapi import document
from tests.builders import NOW, ROOT, a_user, logged_events
from tests.server.asgi import Reply
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, OUTSIDE, World, an_administrator, request_of, session_of

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=[each.name for each in OPERATIONS])
# what only shows itself to who has another permission, too, is not there
_REFUSED = ((403, "not-allowed"), (404, "not-found"))
_ANYBODY = {"approvals.list_approvals"}  # all actors see their own requests
_NO_EFFECT = (Action.SESSION_BEGUN, Action.USERS_IMPORTED)


def needed_by(operation: Operation, members: dict[str, object]) -> Permission:
    return operation.permission_for({name: str(members[name]) for name in operation.path_names})


def effects(instance: Instance) -> list[AuditRow]:
    """Return the audit events of administrators, without imports in which no row was usable."""
    rows = logged_events(instance, limit=10_000)
    return [row for row in rows if row.actor.startswith("user:") and row.action not in _NO_EFFECT]


def asks(world: World, operation: Operation, members: dict[str, object], token: Secret[str] | None) -> Reply:
    return run(world.ask(operation, members, token))


@every_operation
def test_s63_an_unknown_caller_is_refused(world: World, operation: Operation) -> None:
    members = request_of(world, operation)
    over = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    demoted = a_user(world.instance)
    roles.grant(world.instance, ROOT, "auditor", HolderKind.USER, demoted.login, TOP_DOMAIN, now=NOW)
    without_role = session_of(world.instance, demoted)
    roles.revoke(world.instance, ROOT, "auditor", HolderKind.USER, demoted.login, TOP_DOMAIN, now=NOW)
    before = effects(world.instance)
    tokens = (None, Secret(""), Secret("spk_wrong"), Secret("sps_wrong"), Secret("x" * 5_000), without_role)
    replies = [asks(world, operation, members, token) for token in tokens]
    world.interfaces.now[0] = NOW + IDLE_SECONDS
    replies.append(asks(world, operation, members, over))
    assert {reply.status for reply in replies} == {401}
    assert len({reply.body for reply in replies}) == 1
    assert effects(world.instance) == before


@every_operation
def test_s63_a_role_allows_its_operations_only(world: World, operation: Operation) -> None:
    members = request_of(world, operation)
    needed = needed_by(operation, members)
    may = {role: needed in has or operation.name in _ANYBODY for role, has in PREDEFINED.items()}
    tokens = {role: an_administrator(world.instance, role, TOP_DOMAIN) for role in PREDEFINED}
    before = effects(world.instance)
    for role in [role for role in PREDEFINED if not may[role]]:
        refused = asks(world, operation, members, tokens[role])
        assert (refused.status, refused.error) in _REFUSED, (role, refused)
    assert effects(world.instance) == before
    for role in sorted([role for role in PREDEFINED if may[role]], key=lambda role: len(PREDEFINED[role])):
        reply = asks(world, operation, members, tokens[role])
        # the second one may find it done
        assert reply.status in (200, 204, 400, 404, 409), (role, reply)


@every_operation
def test_s63_objects_of_other_domains_do_not_exist(world: World, operation: Operation) -> None:
    members = request_of(world, operation)
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, OUTSIDE)
    before = effects(world.instance)
    reply = asks(world, operation, members, token)
    assert effects(world.instance) == before
    assert reply.status in (200, 403, 404), reply
    if reply.status == 200:
        assert operation.only_looks or reply.json["added"] == 0, reply
        for name in ("alice", "laptop", "crm", world.alice.serial, world.spare):
            assert name not in reply.body.decode(), reply


@every_operation
def test_s42_every_change_is_logged(world: World, operation: Operation) -> None:
    members = request_of(world, operation)
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    before = effects(world.instance)
    reply = asks(world, operation, members, token)
    assert reply.status in (200, 204), reply
    assert (b"cache-control", b"no-store") in reply.headers
    new = effects(world.instance)[len(before) :]
    assert bool(new) is not operation.only_looks, new


@every_operation
def test_s62_dangerous_operations_need_a_fresh_second_factor(world: World, operation: Operation) -> None:
    members = request_of(world, operation)
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    before = effects(world.instance)
    world.interfaces.now[0] = NOW + FRESH_SECONDS
    reply = asks(world, operation, members, token)
    if operation.needs_fresh_second_factor:
        assert (reply.status, reply.error) == (403, "second-factor-needed")
        assert effects(world.instance) == before
    else:
        assert reply.status in (200, 204), reply


def test_s62_covers_every_dangerous_operation() -> None:
    """Showing a code or letting it in, assigning or removing a token, resetting a PIN, inviting a computer, changing a
    policy, a role, a key, or by a move which of them are in force.
    """
    fresh = {each.name for each in OPERATIONS if each.needs_fresh_second_factor}
    assert {
        "emergency.show",
        "tokens.add_token",
        "token_lifecycle.assign",
        "token_lifecycle.replace",
        "tokens.set_pin",
        "tokens.clear_pin",
        "policies.set_fields",
        "policies.assign_policy",
        "policies.remove_policy",
        "roles.grant",
        "clients.add_client",
        "online_emergency.give_fixed",
        "operators.lift",
        "emergency.set_online",
        "token_lifecycle.remove",
        "devices.invite",
        "users.move_user",
        "domains.move_domain",
    } <= fresh
    # operations that only lock users out need no fresh factor
    assert not {"tokens.set_lost", "users.set_enabled", "devices.revoke", "devices_stolen.report_stolen"} & fresh
    assert not any(each.only_looks for each in OPERATIONS if each.needs_fresh_second_factor)


def test_s63_a_program_acts_within_its_scope_and_from_its_addresses(world: World) -> None:
    by_name = {operation.name: operation for operation in OPERATIONS}
    instance = world.instance
    key = clients.add_client(instance, ROOT, "desk", INSIDE, "198.51.100.0/24", now=NOW)
    there = {"address": "198.51.100.9"}
    a_user(instance, "bob")  # at the top
    show = by_name["users.show_user"]
    no_role = run(world.ask(show, {"login": "alice"}, key, **there))
    assert (no_role.status, no_role.error) == (404, "not-found")
    roles.grant(instance, ROOT, "help desk", HolderKind.CLIENT, "desk", TOP_DOMAIN, now=NOW)
    assert run(world.ask(show, {"login": "alice"}, key, **there)).status == 200
    assert run(world.ask(show, {"login": "bob"}, key, **there)).status == 404
    assert run(world.ask(show, {"login": "alice"}, key)).status == 401
    codes = by_name["emergency.show"]
    shown = run(world.ask(codes, request_of(world, codes), key, **there))  # a program has no second factor
    assert shown.status == 200
    assert logged_events(instance, Action.EMERGENCY_SHOWN)[-1].actor.startswith("client:")
    roles.revoke(instance, ROOT, "help desk", HolderKind.CLIENT, "desk", TOP_DOMAIN, now=NOW)
    assert run(world.ask(show, {"login": "alice"}, key, **there)).status == 404


def test_s63_a_route_that_is_no_operation_is_named_here(world: World) -> None:
    """Nothing else is reached without a session, a key, or the signature of a device."""
    routes = {
        f"{method.upper()} {path}"
        for path, methods in document(world.interfaces.app.routes)["paths"].items()
        for method in methods
    }
    others = routes - {f"{operation.method} {operation.path}" for operation in OPERATIONS}
    of_devices = {route for route in others if " /agent/v1/" in route}
    assert others - of_devices == {
        "GET /health",
        "GET /ready",
        "POST /v1/sign-ins",
        "POST /v1/sessions",
        "DELETE /v1/sessions",
        "POST /v1/sessions/second-factor",
    }
    assert len(of_devices) == 7
