"""A small server on which every operation of the registry can be carried out, and a request for each.

Rules: objects named in a request lie in the domain Sales; the other domain, Support, is empty. Add a request for a new
operation only if the names below do not fit.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sparekey.app.audit import SYSTEM
from sparekey.app.audit_log import alarms
from sparekey.app.devices.invitations import invite, list_invitations
from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.approvals import list_approvals
from sparekey.app.instance import Instance
from sparekey.app.notices import raise_alarm
from sparekey.app.people import roles
from sparekey.app.people.domains import add_domain
from sparekey.app.people.roles import HolderKind
from sparekey.app.policies.policies import add_policy
from sparekey.app.rest.operation import Operation
from sparekey.app.sessions.administrators import begin_session, id_of, name_of, new_token
from sparekey.app.sessions.clients import add_client
from sparekey.app.sessions.passkeys import insert_passkey
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import Actor
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.core.sign_in.passkeys import NewPasskey
from sparekey.secret import Secret
from sparekey.storage.unit_of_work import Database
from tests.authenticators import PLACE
from tests.builders import (
    CALLED_BACK,
    LIGHT,
    NOW,
    PIN,
    ROOT,
    User,
    a_device,
    a_token,
    a_user,
    an_instance,
    ask_for_passcode,
    denied,
    elsewhere,
    granted,
    submit,
)
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, interfaces_of
from tests.shared_statements import open_database

_TOKENS = b"serial,type,seed\nT9,totp,00112233445566778899aabbccddeeff00112233\n"
INSIDE, OUTSIDE = "Sales", "Support"
Members = Mapping[str, Any]


@dataclass(frozen=True)
class World:
    """The interfaces of a server with Alice, her token, and the laptop that holds her codes, all in Sales."""

    interfaces: Interfaces
    alice: User
    spare: str  # serial of an unassigned token
    device_id: str

    @property
    def instance(self) -> Instance:
        return self.interfaces.instance

    async def ask(self, operation: Operation, members: Members, token: Secret[str] | None, **more: Any) -> Reply:
        """Send the request with these members, in the session of this token."""
        path, query, body = operation.placed(members)
        if query:
            path += "?" + "&".join(f"{name}={quote(value)}" for name, value in query)
        headers = {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}
        content = b"" if body is None else json.dumps(body).encode()
        return await ask(self.interfaces.app, operation.method, path, content, headers, **more)


@dataclass(frozen=True)
class Original:
    """A world's database, from which every test begins, so that the laptop's units are sealed only once."""

    content: bytes
    instance: Instance
    alice: User
    spare: str
    device_id: str


def an_original(database: Database, more: Callable[[Instance, User], None] = lambda *_: None) -> Original:
    """Build the original on an empty database in memory. `more` adds further objects."""
    instance = an_instance(database, policy=LIGHT)
    for name in (INSIDE, OUTSIDE):
        add_domain(instance, ROOT, name, now=NOW)
    alice = a_user(instance, "alice", pin=PIN, domain=INSIDE)
    spare = a_token(instance, "alice", alice.account_id, with_pin=True).serial
    token_lifecycle.unassign(instance, ROOT, spare, now=NOW)
    device = a_device(instance, "laptop", domain=INSIDE)
    granted(device.sign_in(alice, NOW).outcome)
    device.contact(alice, NOW)
    add_client(instance, ROOT, "crm", INSIDE, now=NOW)
    more(instance, alice)
    raw = database.engine.raw_connection()
    content = raw.driver_connection.serialize()  # type: ignore[union-attr] # of sqlite3
    raw.close()
    return Original(content, instance, alice, spare, device.device_id)


@contextmanager
def a_world(original: Original) -> Iterator[World]:
    """Return a separate copy."""
    database = open_database("sqlite://")
    raw = database.engine.raw_connection()
    raw.driver_connection.deserialize(original.content)  # type: ignore[union-attr] # of sqlite3
    raw.close()
    try:
        with interfaces_of(elsewhere(original.instance, database)) as interfaces:
            yield World(interfaces, original.alice, original.spare, original.device_id)
    finally:
        database.close()


def an_administrator(instance: Instance, role: str, domain: str, now: int = NOW) -> Secret[str]:
    """Return the session of an administrator with this role in this domain."""
    user = a_user(instance)
    roles.grant(instance, ROOT, role, HolderKind.USER, user.login, domain, now=now)
    return session_of(instance, user, now)


def session_of(instance: Instance, user: User, now: int = NOW) -> Secret[str]:
    """The token of a session of the user, as a sign-in begins it, but without the time that its hashes take."""
    token = new_token()
    with instance.database.write() as connection:
        begun_by = Granted(user.account_id, user.login, Method.TOKENCODE, user.token_id)
        begin_session(connection, token, begun_by, "192.0.2.7", now)
    return token


# Values by the name of a member, for every operation that has no word of its own below.
def _named(world: World) -> dict[str, Any]:
    return {
        "login": "alice",
        "serial": world.alice.serial,
        "domain": INSIDE,
        "enabled": False,
        "lost": True,
        "allowed": True,
        "kind": "tokencode",
        "holder": "alice",
        "operator": "alice",
        "parent": INSIDE,
    }


def _alarm(world: World) -> Members:
    with world.instance.database.write() as connection:
        raise_alarm(connection, NOW, SYSTEM, Action.ALARM_CLOCK, account=world.alice.account_id)
    (alarm,) = alarms.list_alarms(world.instance, ROOT)
    return {"alarm_id": alarm.id}


def _an_approval(world: World) -> Members:
    """Create a request of another operator that waits for approval."""
    asker = Actor(f"user:{a_user(world.instance).account_id}", ())
    with world.instance.database.write() as connection:
        ask_for_passcode(connection, asker, world.alice.account_id, world.device_id)
    (waiting,) = [each for each in list_approvals(world.instance, ROOT, now=NOW) if each.asked_by == asker.name]
    return {"approval_id": waiting.id}


def _a_failure(world: World) -> Members:
    """Type a wrong passcode for Alice, so that there is a failure to clear."""
    denied(submit(world.instance, world.alice, NOW, world.alice.wrong(NOW)))
    return {}


def _a_role(world: World) -> Members:
    roles.add_role(world.instance, ROOT, "desk", ["user.view"], now=NOW)
    return {"name": "desk", "permissions": ["token.view"]}


def _a_grant(world: World) -> Members:
    roles.grant(world.instance, ROOT, "auditor", HolderKind.CLIENT, "crm", INSIDE, now=NOW)
    return {"role": "auditor", "kind": "client", "holder": "crm"}


def _a_policy(world: World) -> Members:
    add_policy(world.instance, ROOT, PolicyKind.TOKEN, "Strict", {}, now=NOW)
    return {"kind": "token", "name": "Strict", "fields": {"pin_minimum": "6"}}


def _online_access(world: World) -> Members:
    online_emergency.give_fixed(
        world.instance, ROOT, world.alice.serial, online_emergency.Terms(), CALLED_BACK, now=NOW
    )
    return {}


def _an_empty_domain(world: World) -> Members:
    add_domain(world.instance, ROOT, "Empty", INSIDE, now=NOW)
    return {"name": "Empty"}


def _an_invitation(world: World) -> Members:
    invite(world.instance, ROOT, "laptop-2", INSIDE, now=NOW)
    (waiting,) = list_invitations(world.instance, ROOT, now=NOW)
    return {"invitation_id": waiting.id}


def _a_session(world: World) -> Members:
    return {"session": name_of(id_of(world.instance.database.seals, session_of(world.instance, world.alice)))}


def _a_passkey(world: World) -> Members:
    with world.instance.database.write() as connection:
        made = NewPasskey(b"the id of a passkey", b"its key", 0)
        added = insert_passkey(connection, ROOT, world.alice.account_id, PLACE, "key", made, NOW)
    return {"passkey": added.passkey}


def _codes(world: World) -> Members:
    step = world.alice.step(NOW) + 2
    first, second = (world.alice.totp.code(each) for each in (step, step + 1))
    return {"first": first, "second": second}


# Add a line for a new operation here if the names above do not fit.
REQUESTS: Mapping[str, Callable[[World], Members]] = {
    "users.add_user": lambda _: {"login": "newcomer"},
    "users.move_user": lambda _: {"domain": OUTSIDE},
    "users.unlock": _a_failure,
    "users.edit_user": lambda _: {"name": "Alice Example"},
    "user_imports.import_users": lambda _: {"data": b"login\nbob\n".hex()},
    "token_imports.import_tokens": lambda _: {"data": _TOKENS.hex()},
    "token_lifecycle.assign": lambda world: {"serial": world.spare},
    "token_lifecycle.remove": lambda world: {"serial": world.spare},
    "token_lifecycle.replace": lambda world: {"new_serial": world.spare},
    "token_resync.resync": _codes,
    "tokens.set_expiry": lambda _: {"expires_at": NOW + 3_600},
    "tokens.set_pin": lambda _: {"pin": "24680bdf"},
    "emergency.held_codes": lambda world: {"name": world.alice.serial},
    "emergency.history": lambda world: {"name": world.alice.serial},
    "emergency.show": lambda world: {"name": world.alice.serial, "caller": "called back"},
    "emergency.reset": lambda world: {"name": world.alice.serial},
    "online_emergency.give_fixed": lambda _: {"caller": "called back"},
    "online_emergency.give_one_time": lambda _: {"count": 2, "caller": "called back"},
    "online_emergency.end": _online_access,
    "invitations.withdraw": _an_invitation,
    "devices.invite": lambda _: {"name": "laptop-2"},
    "devices.show_device": lambda _: {"name": "laptop"},
    "devices.held_units": lambda _: {"name": "laptop"},
    "used_codes.codes_used_up_by_device": lambda _: {"name": "laptop"},
    "devices.revoke": lambda _: {"name": "laptop"},
    "devices_stolen.look_at_stolen": lambda _: {"name": "laptop"},
    "devices_stolen.report_stolen": lambda _: {"name": "laptop"},
    "domains.add_domain": lambda _: {"name": "Bern"},
    "domains.show_domain": lambda _: {"name": INSIDE},
    "domains.move_domain": _an_empty_domain,
    "domains.remove_domain": _an_empty_domain,
    "policies.assign_policy": _a_policy,
    "policies.add_policy": lambda _: {"kind": "token", "name": "Lax", "fields": {"pin_minimum": "4"}},
    "policies.list_policies": lambda _: {"kind": "token"},
    "policies.show_policy": lambda _: {"kind": "lockout", "name": "Default"},
    "policies.set_fields": _a_policy,
    "policies.remove_policy": _a_policy,
    "policies.make_default": _a_policy,
    "roles.add_role": lambda _: {"name": "pilot", "permissions": ["user.view"]},
    "roles.show_role": lambda _: {"name": "auditor"},
    "roles.set_permissions": _a_role,
    "roles.remove_role": _a_role,
    "roles.grant": lambda _: {"role": "auditor", "kind": "user"},
    "roles.revoke": _a_grant,
    "clients.add_client": lambda _: {"name": "vpn"},
    "clients.show_client": lambda _: {"name": "crm"},
    "clients.revoke_client": lambda _: {"name": "crm"},
    "session_lists.end_session_of": _a_session,
    "passkeys.remove_passkey": _a_passkey,
    "alarms.acknowledge": _alarm,
    "approvals.approve": _an_approval,
    "approvals.refuse": _an_approval,
    "operators.lift": lambda _: {"operator": "alice"},
}


def _nothing(_: World) -> Members:
    return {}


def request_of(world: World, operation: Operation) -> dict[str, Any]:
    """Return members of a request that only the caller can make wrong, and prepare its objects."""
    own = REQUESTS.get(operation.name, _nothing)(world)
    named = _named(world)
    given = {member.name: named[member.name] for member in operation.members if member.needed and member.name in named}
    # a search is about everything; what is made or moved is so in the domain
    if not operation.only_looks and "domain" in {member.name for member in operation.members}:
        given["domain"] = INSIDE
    return given | {name: value for name, value in own.items() if name in {member.name for member in operation.members}}
