"""Finding what somebody named, or a NotFound that says where to look."""

from sqlalchemy import Connection

from sparekey.core.errors import BadInput, NotFound
from sparekey.storage import accounts, devices, domains, policies, tokens
from sparekey.storage.rows import AnyRow


def get_account(connection: Connection, login: str) -> AnyRow:
    row = accounts.find_account(connection, login)
    if row is None:
        raise NotFound(f"there is no user {login!r}", "see `sparekey user list`")
    return row


def get_token(connection: Connection, serial: str) -> AnyRow:
    row = tokens.find_token(connection, serial)
    if row is None:
        raise NotFound(f"there is no token {serial!r}", "see `sparekey token list`")
    return row


def get_assigned_token(connection: Connection, serial: str) -> AnyRow:
    """A token that somebody has."""
    row = get_token(connection, serial)
    if row.account_id is None:
        raise NotFound(f"token {serial!r} is assigned to nobody", "assign it to a user first")
    return row


def get_domain(connection: Connection, name: str) -> AnyRow:
    row = domains.find_domain(connection, name)
    if row is None:
        raise NotFound(f"there is no security domain {name!r}", "see `sparekey domain list`")
    return row


def get_policy(connection: Connection, name: str) -> AnyRow:
    row = policies.find_policy(connection, name)
    if row is None:
        raise NotFound(f"there is no offline policy {name!r}", "see `sparekey policy offline list`")
    return row


def get_device(connection: Connection, name: str) -> AnyRow:
    """By id or name; a name that several devices have is refused. One in use goes before those that are revoked.

    An id goes first: a device chooses its name, which may be another one's id.
    """
    found = devices.devices_named(connection, name)
    if not found:
        raise NotFound(f"there is no device {name!r}", "see `sparekey device list`")
    found = [row for row in found if row.id == name] or [row for row in found if row.revoked_at is None] or found
    if len(found) > 1:
        ids = ", ".join(row.id for row in found)
        raise BadInput(f"{len(found)} devices are named {name!r}", f"give one of their ids: {ids}")
    return found[0]
