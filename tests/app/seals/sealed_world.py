"""A server with at least one row in each sealed table, and for each table the read that decides with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, select

from sparekey.app.authorisation import actor_of
from sparekey.app.instance import Instance
from sparekey.app.people.domains import add_domain
from sparekey.app.people.roles import HolderKind, add_role, grant
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import InterfaceGroup
from sparekey.storage.audit_log import outbox
from sparekey.storage.audit_log.outbox import Mail
from sparekey.storage.devices import devices, invitations
from sparekey.storage.emergency import approvals, rate_limit
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.emergency import online as online_emergency
from sparekey.storage.people import admin_links, domains
from sparekey.storage.policies import policies
from sparekey.storage.rows import by_name
from sparekey.storage.sessions import clients, passkeys, sessions
from sparekey.storage.sign_in import challenges, statements
from sparekey.storage.tables import user_session
from tests.builders import NOW, PIN, ROOT, Device, User, a_filled_device, a_user, logged_events

LATER: Final = NOW + 3_600
_ID: Final = "f" * 32
_LONG_ID: Final = "e" * 64


@dataclass(frozen=True)
class SealedWorld:
    """The server, its user, and for each sealed table its read: True while the row decides as it should."""

    instance: Instance
    user: User
    device: Device
    reads: Mapping[str, Callable[[Connection], bool]]

    def decides(self, table: str) -> bool:
        """Return True if the row of this table is believed."""
        with self.instance.database.read() as connection:
            return self.reads[table](connection)

    def row(self, table: Table) -> dict[str, Any]:
        """Return the row that `reads` decides with: the only one, or the one of the user."""
        with self.instance.database.read() as connection:
            rows = [by_name(row) for row in connection.execute(select(table))]
        return next(row for row in rows if table.name not in _OF_USER or row[_OF_USER[table.name]] in self._ids(table))

    def _ids(self, table: Table) -> tuple[object, ...]:
        if table.name == "device_code":
            return (self.user.token_id,)  # the user's own code is another row
        return (self.user.account_id, self.user.token_id, "Works", _ID)

    def alarms(self) -> list[str]:
        """Return the altered rows that alarms have named: table/key."""
        return [row.detail for row in logged_events(self.instance, Action.ALARM_ROW_ALTERED)]


_OF_USER: Final = {
    "account": "id",
    "token": "id",
    "security_domain": "name",
    "emergency_code": "token_id",
    "role_grant": "principal_id",
    "device_invitation": "id",
    "device_code": "owner_id",
}


def a_sealed_world(instance: Instance) -> SealedWorld:
    """Fill the server: by its use cases where that is short, else by the functions that they call."""
    add_domain(instance, ROOT, "Works", now=NOW)
    user = a_user(instance, "alice", pin=PIN, domain="Works")
    device = a_filled_device(instance, user)
    add_role(instance, ROOT, "Keeper", [Permission.USER_VIEW], now=NOW)
    grant(instance, ROOT, "Keeper", HolderKind.USER, "alice", "Works", now=NOW)
    account_id, token_id, device_id = user.account_id, user.token_id, device.device_id
    with instance.database.write() as connection:
        sessions.insert_session(connection, _LONG_ID, account_id, NOW, LATER, method="tokencode", address="::1")
        more = {"method": "tokencode", "token_id": token_id}
        sessions.insert_session(connection, _LONG_ID, account_id, NOW, LATER, user_session, **more)
        domain_id = _domain_id(connection)
        clients.insert_client(
            connection,
            client_id=_ID,
            name="web",
            key_hash=b"k" * 32,
            domain_id=domain_id,
            addresses="",
            created_at=NOW,
            expires_at=None,
        )
        link = {"id": _LONG_ID, "account_id": account_id, "created_by": "os:root", "created_at": NOW}
        admin_links.insert_link(connection, link | {"expires_at": LATER})
        invitations.insert_invitation(
            connection,
            invitation_id=_ID,
            device_name="new",
            domain_id=domain_id,
            secret_hash=b"s" * 32,
            created_at=NOW,
            expires_at=LATER,
        )
        challenge: dict[str, object] = {
            "id": _LONG_ID,
            "account_id": account_id,
            "token_id": token_id,
            "ask": "new-pin",
        }
        challenge |= {"actor": "client:web", "login": "alice", "method": "tokencode", "step": 1, "tries": 0}
        challenges.insert_challenge(connection, challenge | {"pin_sealed": None, "expires_at": LATER})
        passkey = {"id": _ID, "account_id": account_id, "name": "key", "host": "localhost", "credential_id": b"c"}
        passkeys.insert_passkey(connection, passkey | {"public_key": b"p", "sign_count": 1, "created_at": NOW})
        request: dict[str, object] = {
            "id": _ID,
            "account_id": account_id,
            "device_id": device_id,
            "asked_by": "user:a",
            "caller": "call",
        }
        request |= {"note": "", "ticket": "", "asked_at": NOW, "expires_at": LATER}
        approvals.insert_approval(connection, request)
        rate_limit.lift(connection, "user:b", LATER, "user:a", NOW)
        mail = Mail(id=_ID, kind="x", recipient="a@b", subject="s", body="b", account_id=account_id, created_at=NOW - 1)
        outbox.insert_message(connection, mail)
        code = emergency_codes.versions(connection, account_id, token_id)[-1]
        showing = {"id": _ID, "code_id": code.id, "device_id": device_id, "operator": "user:a", "caller": "call"}
        emergency_codes.insert_showing(connection, showing | {"note": "", "ticket": "", "shown_at": NOW})
        access: dict[str, object] = {
            "token_id": token_id,
            "account_id": account_id,
            "kind": "fixed",
            "if_available": "end",
        }
        access |= {"expires_at": LATER, "created_at": NOW, "created_by": "user:a"}
        online_emergency.insert_access(connection, access, [(_ID, b"sealed")])
        due = outbox.find_due(connection, NOW)
    return SealedWorld(instance, user, device, _reads(user, device_id, code.id, due))


def _domain_id(connection: Connection) -> str:
    found = domains.find_domain(connection, "Works")
    assert found is not None
    return found.id


def _reads(user: User, device_id: str, code_id: str, due: Mail | None) -> dict[str, Callable[[Connection], bool]]:
    account_id, token_id = user.account_id, user.token_id

    def snapshot(connection: Connection) -> statements.SignInAccount | None:
        return statements.find_sign_in_account(connection, user.login)

    def has_token(connection: Connection) -> bool:
        found = snapshot(connection)
        return found is not None and bool(found.tokens)

    def has_access(connection: Connection) -> bool:
        found = snapshot(connection)
        return found is not None and any(token.emergency for token in found.tokens)

    def may_sign_in(connection: Connection) -> bool:
        found = snapshot(connection)
        return found is not None and not found.count_at(InterfaceGroup.ELSEWHERE).locked(NOW, found.lockout)

    def may(connection: Connection) -> bool:
        return any(grant.permissions for grant in actor_of(connection, account_id).grants)

    return {
        "account": may_sign_in,
        "token": has_token,
        "security_domain": lambda it: snapshot(it) is not None,
        "lockout_policy": lambda it: snapshot(it) is not None,
        "token_policy": lambda it: snapshot(it) is not None,
        "offline_policy": lambda it: bool(policies.policies_of_domains(it, PolicyKind.OFFLINE)),
        "role": may,
        "role_grant": may,
        "admin_session": lambda it: sessions.find_session(it, _LONG_ID) is not None,
        "user_session": lambda it: sessions.find_session(it, _LONG_ID, user_session) is not None,
        "api_client": lambda it: clients.find_client(it, b"k" * 32) is not None,
        "admin_link": lambda it: admin_links.find_link(it, _LONG_ID, NOW) is not None,
        "device_invitation": lambda it: invitations.is_invited(it, b"s" * 32, NOW),
        "dialogue": lambda it: challenges.find_challenge(it, _LONG_ID) is not None,
        "passkey": lambda it: passkeys.find_by_credential(it, b"c") is not None,
        "approval": lambda it: approvals.find_approval(it, _ID) is not None,
        "operator_lift": lambda it: "user:b" in rate_limit.lifts(it, NOW),
        "outbox": lambda it: outbox.find_due(it, NOW) == due,
        "emergency_code": lambda it: emergency_codes.find_code(it, code_id) is not None,
        "emergency_showing": lambda it: emergency_codes.last_showing(it, code_id, NOW) is not None,
        "device": lambda it: devices.find_device(it, device_id) is not None,
        "device_account": lambda it: devices.find_device_account(it, device_id, account_id) is not None,
        "device_token": lambda it: devices.has_token(it, device_id, token_id),
        "device_code": lambda it: emergency_codes.find_device_code(it, device_id, token_id) is not None,
        "online_emergency": has_access,
        "online_emergency_code": lambda it: bool(statements.online_codes(it, account_id)),
    }
