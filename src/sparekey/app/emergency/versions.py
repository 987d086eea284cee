"""Choose the version of each emergency code for a device: made before it is needed, replaced when the rules say so."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.instance import Instance, log, new_id
from sparekey.app.snapshots import seal_code
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import (
    CodeKind,
    CodeVersion,
    Contact,
    expiry,
    find_deliverable,
    groups_of,
    replaced_now,
)
from sparekey.core.offline.units import DeviceState, token_obstacle
from sparekey.core.policy.offline import EffectivePolicy
from sparekey.core.sign_in.authenticate import AccountState, TokenState
from sparekey.passcode import new_code
from sparekey.secret import Secret
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.emergency.offline import EmergencyCode


@dataclass(frozen=True)
class _UserOnDevice:
    """One user on one device at one moment."""

    connection: Connection
    instance: Instance
    account: AccountState
    device: DeviceState
    policy: EffectivePolicy
    now: int

    def end(self, token: TokenState | None, created_at: int) -> int:
        """Return the unix second until which a code made at `created_at` may work here."""
        token_end = token.expires_at if token else None
        return expiry(created_at, self.policy.values.emergency_lifetime, token_end, self.account.expires_at)


def choose_versions(
    connection: Connection,
    instance: Instance,
    account: AccountState,
    tokens: tuple[TokenState, ...],
    device: DeviceState,
    policy: EffectivePolicy,
    contact: Contact,
    now: int,
    *,
    used_token: str | None = None,
) -> Mapping[str, EmergencyCode]:
    """Choose the version of every code that the device should hold. Return them by owner id.

    `used_token`: the token that signed in. The sign-in ends the emergency of its own tokencode and of the passcode, not
    that of another token. The caller holds the account's lock, so that two contacts at once make one new version.
    """
    here = _UserOnDevice(connection, instance, account, device, policy, now)
    owners: list[TokenState | None] = []
    if policy.values.emergency_tokencode:
        owners += [token for token in tokens if token_obstacle(token, device, policy, now) is None]
    if policy.values.emergency_passcode and tokens:
        owners.append(None)
    chosen = {}
    for token in owners:
        is_other = token is not None and token.token_id != used_token
        weaker = Contact.OTHER_SIGN_IN if contact is Contact.TOKEN_SIGN_IN and is_other else contact
        chosen[token.token_id if token else account.account_id] = _choose_version(here, token, weaker)
    return chosen


def _choose_version(here: _UserOnDevice, token: TokenState | None, contact: Contact) -> EmergencyCode:
    """Return the version for the device: the assigned one, or another if the rules replace it."""
    connection, account_id = here.connection, here.account.account_id
    owner_id = token.token_id if token else account_id
    assigned = emergency_codes.find_device_code(connection, here.device.device_id, owner_id)
    current = emergency_codes.find_code(connection, assigned.code_id) if assigned else None
    if current is not None:
        current = _shortened(here, token, current)
        if not replaced_now(_version(current), contact, here.now):
            return current
    code = _find_other(here, token) or _make(here, token)
    emergency_codes.assign(connection, here.device.device_id, owner_id, account_id, code.id)
    if current is not None:
        log(
            connection,
            here.now,
            f"device:{here.device.device_id}",
            Action.EMERGENCY_REPLACED,
            account=account_id,
            token=token.token_id if token else None,
            device=here.device.device_id,
            old=current.version,
            new=code.version,
        )
    return code


def _shortened(here: _UserOnDevice, token: TokenState | None, code: EmergencyCode) -> EmergencyCode:
    """Return the version, with an earlier end if a policy became stricter, or its token or account got an expiry."""
    end = here.end(token, code.created_at)
    if end >= code.not_after:
        return code
    emergency_codes.end_earlier(here.connection, code.id, end)
    return _get(here.connection, code.id)


def _find_other(here: _UserOnDevice, token: TokenState | None) -> EmergencyCode | None:
    """Return a version of another device that this device may get, too; None: there is none."""
    codes = emergency_codes.versions(here.connection, here.account.account_id, token.token_id if token else None)
    newest = find_deliverable([_version(code) for code in codes], here.now)
    if newest is None or newest.not_after > here.end(token, newest.created_at):
        return None
    return next(code for code in codes if code.id == newest.code_id)


def _make(here: _UserOnDevice, token: TokenState | None) -> EmergencyCode:
    """Make a new version. It is encrypted before it is stored."""
    account_id, token_id, code_id = here.account.account_id, token.token_id if token else None, new_id()
    before = emergency_codes.versions(here.connection, account_id, token_id)
    kind = CodeKind.TOKENCODE if token else CodeKind.PASSCODE
    code = Secret(new_code(groups_of(kind, with_pin=token is not None and token.with_pin)))
    emergency_codes.insert_code(
        here.connection,
        {
            "id": code_id,
            "kind": kind,
            "token_id": token_id,
            "account_id": account_id,
            "version": max((older.version for older in before), default=0) + 1,
            "code_sealed": seal_code(here.instance.vault, code_id, account_id, token_id, code),
            "created_at": here.now,
            "not_after": here.end(token, here.now),
        },
    )
    return _get(here.connection, code_id)


def _get(connection: Connection, code_id: str) -> EmergencyCode:
    code = emergency_codes.find_code(connection, code_id)
    if code is None:
        raise LookupError("an emergency code vanished inside its own transaction")
    return code


def _version(code: EmergencyCode) -> CodeVersion:
    return CodeVersion(
        code.id, code.version, code.created_at, code.not_after, code.shown_at, code.used_at, code.reset_at
    )
