"""The present facts of watched objects, with one query for each kind. The names are those of `told_facts` in core."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from sqlalchemy import Connection, Table, func, select

from sparekey.core.audit_log.watched import Stored, WatchedKind, grant_key, policy_key
from sparekey.storage.rows import AnyRow, AnySelect
from sparekey.storage.tables import (
    account,
    admin_link,
    admin_session,
    api_client,
    approval,
    device,
    device_invitation,
    lockout_policy,
    offline_policy,
    online_emergency,
    online_emergency_code,
    passkey,
    role,
    role_grant,
    security_domain,
    token,
    token_policy,
    user_session,
)

_NAME_LENGTH: Final = 16  # of a session or link: the beginning of its id
_POLICIES: Final = {"offline": offline_policy, "token": token_policy, "lockout": lockout_policy}

Found = dict[str, Stored]  # by key


def find_facts(connection: Connection, kind: WatchedKind, keys: Collection[str]) -> Found:
    """Return the facts of the objects with these keys that exist, by key. At most a few hundred keys."""
    return _READERS[kind](connection, keys)


def _users(connection: Connection, keys: Collection[str]) -> Found:
    columns = (
        account.c.id,
        security_domain.c.name,
        account.c.enabled,
        account.c.expires_at,
        account.c.counts_version,
    )
    query = select(*columns).outerjoin(security_domain, security_domain.c.id == account.c.domain_id)
    rows = connection.execute(query.where(account.c.id.in_(keys)))
    return {
        key: {"domain": domain, "enabled": bool(enabled), "expires": expires, "counts_version": counts}
        for key, domain, enabled, expires, counts in rows
    }


def _tokens(connection: Connection, keys: Collection[str]) -> Found:
    unused = (online_emergency_code.c.token_id == token.c.id) & online_emergency_code.c.used_at.is_(None)
    left = select(func.count()).select_from(online_emergency_code).where(unused).scalar_subquery()
    query = select(
        token.c.id,
        token.c.account_id,
        token.c.enabled,
        token.c.lost,
        token.c.expires_at,
        token.c.last_step,
        token.c.pin_set_at,
        token.c.pin_must_change,
        token.c.offline_code_online,
        online_emergency.c.kind,
        online_emergency.c.created_at.label("access"),
        left.label("codes_left"),
    ).outerjoin(online_emergency, online_emergency.c.token_id == token.c.id)
    return {row.id: _token(row) for row in connection.execute(query.where(token.c.id.in_(keys)))}


def _token(row: AnyRow) -> Stored:
    return {
        "account": row.account_id,
        "enabled": bool(row.enabled),
        "lost": bool(row.lost),
        "expires": row.expires_at,
        "step": row.last_step,
        "pin_set_at": row.pin_set_at,
        "pin_must_change": bool(row.pin_must_change),
        "offline_code_online": bool(row.offline_code_online),
        "access": row.access,
        "codes_left": row.codes_left if row.kind == "one-time" else None,
    }


def _devices(connection: Connection, keys: Collection[str]) -> Found:
    rows = connection.execute(select(device.c.id, device.c.revoked_at).where(device.c.id.in_(keys)))
    return {key: {"revoked": revoked_at is not None} for key, revoked_at in rows}


def _clients(connection: Connection, keys: Collection[str]) -> Found:
    rows = connection.execute(select(api_client.c.id, api_client.c.revoked_at).where(api_client.c.id.in_(keys)))
    return {key: {"revoked": revoked_at is not None} for key, revoked_at in rows}


def _passkeys(connection: Connection, keys: Collection[str]) -> Found:
    rows = connection.execute(select(passkey.c.id, passkey.c.account_id).where(passkey.c.id.in_(keys)))
    return {key: {"account": account_id} for key, account_id in rows}


def _grants(connection: Connection, keys: Collection[str]) -> Found:
    principals = {key.partition("\n")[0] for key in keys}
    query = select(role_grant.c.principal_id, role_grant.c.role, security_domain.c.name)
    query = query.outerjoin(security_domain, security_domain.c.id == role_grant.c.domain_id)
    rows = connection.execute(query.where(role_grant.c.principal_id.in_(principals)))
    found = {grant_key(principal, name, str(domain)) for principal, name, domain in rows}
    return {key: {} for key in found.intersection(keys)}


def _roles(connection: Connection, keys: Collection[str]) -> Found:
    rows = connection.execute(select(role.c.name, role.c.permissions).where(role.c.name.in_(keys)))
    return {name: {"permissions": permissions} for name, permissions in rows}


def _domains(connection: Connection, keys: Collection[str]) -> Found:
    parent = security_domain.alias("parent")
    query: AnySelect = select(
        security_domain.c.name,
        parent.c.name.label("parent"),
        *(table.c.name.label(f"{kind}_policy") for kind, table in _POLICIES.items()),
    ).outerjoin(parent, security_domain.c.parent_id == parent.c.id)
    for kind, table in _POLICIES.items():
        query = query.outerjoin(table, security_domain.c[f"{kind}_policy_id"] == table.c.id)
    rows = connection.execute(query.where(security_domain.c.name.in_(keys))).mappings()
    return {row["name"]: {fact: row[fact] for fact in row if fact != "name"} for row in rows}


def _policies(connection: Connection, keys: Collection[str]) -> Found:
    found: Found = {}
    for kind, table in _POLICIES.items():
        names = [name for each, _, name in (key.partition("/") for key in keys) if each == kind]
        query = select(table.c.name, table.c.revision, table.c.is_default).where(table.c.name.in_(names))
        for name, revision, is_default in connection.execute(query) if names else ():
            found[policy_key(kind, name)] = {"revision": revision, "is_default": bool(is_default)}
    return found


def _links(connection: Connection, keys: Collection[str]) -> Found:
    name = func.substr(admin_link.c.id, 1, _NAME_LENGTH)
    rows = connection.execute(select(name, admin_link.c.used_at).where(name.in_(keys)))
    return {key: {"used": used_at is not None} for key, used_at in rows}


def _invitations(connection: Connection, keys: Collection[str]) -> Found:
    query = select(device_invitation.c.id, device_invitation.c.used_at).where(device_invitation.c.id.in_(keys))
    return {key: {"used": used_at is not None} for key, used_at in connection.execute(query)}


def _sessions(connection: Connection, keys: Collection[str]) -> Found:
    return {key: {} for table in (admin_session, user_session) for key in _names_of(connection, table, keys)}


def _names_of(connection: Connection, table: Table, keys: Collection[str]) -> list[str]:
    # By ranges of the primary key: a name is the beginning of an id.
    name = func.substr(table.c.id, 1, _NAME_LENGTH)
    query = select(name).where(table.c.id >= min(keys), table.c.id <= max(keys) + "g", name.in_(keys))
    return list(connection.execute(query).scalars())


def _approvals(connection: Connection, keys: Collection[str]) -> Found:
    columns = (approval.c.id, approval.c.executed_at, approval.c.approved)
    rows = connection.execute(select(*columns).where(approval.c.id.in_(keys)))
    return {key: {"executed": executed_at is not None, "approved": approved} for key, executed_at, approved in rows}


_READERS: Final[Mapping[WatchedKind, Callable[[Connection, Collection[str]], Found]]] = {
    WatchedKind.ACCOUNT: _users,
    WatchedKind.TOKEN: _tokens,
    WatchedKind.DEVICE: _devices,
    WatchedKind.CLIENT: _clients,
    WatchedKind.PASSKEY: _passkeys,
    WatchedKind.GRANT: _grants,
    WatchedKind.ROLE: _roles,
    WatchedKind.DOMAIN: _domains,
    WatchedKind.POLICY: _policies,
    WatchedKind.LINK: _links,
    WatchedKind.INVITATION: _invitations,
    WatchedKind.SESSION: _sessions,
    WatchedKind.APPROVAL: _approvals,
}
