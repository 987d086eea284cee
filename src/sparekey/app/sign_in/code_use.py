"""Match every use of an emergency code to the operator who showed it. A used code that was never shown is an alarm."""

from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import log
from sparekey.app.notices import notify_user, raise_alarm
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.online import EmergencyKind
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.storage.devices import devices
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.emergency import online as online_emergency

# Seconds that a device's clock may be behind (spec/offline-day.md, "Time").
CLOCK_TOLERANCE: Final = 120


def log_use(connection: Connection, actor: str, device_id: str | None, granted: Granted, now: int) -> None:
    """Log the use of an emergency code that is used up now. Do nothing for a tokencode."""
    if granted.code_id is None:
        return
    if granted.method is Method.ONLINE_EMERGENCY:
        _log_online_use(connection, actor, device_id, granted, now)
    else:
        match_use(connection, actor, device_id, granted.code_id, used_at=now, now=now)


def match_use(
    connection: Connection, actor: str, device_id: str | None, code_id: str, *, used_at: int, now: int
) -> None:
    """Log the use of this version, with the operator who showed it last. `used_at` may be before `now` (offline).

    Raises LookupError if the version is not stored.
    """
    code = emergency_codes.find_code(connection, code_id)
    if code is None:
        raise LookupError("a used emergency code is not among the stored versions")
    showing = emergency_codes.last_showing(connection, code_id, used_at + CLOCK_TOLERANCE)
    emergency_codes.mark(connection, code_id, "used_at", now)
    account, token, kind, version = code.account_id, code.token_id, code.kind, code.version
    shown = {"showing": showing.id, "operator": showing.operator} if showing else {}
    log(
        connection,
        now,
        actor,
        Action.EMERGENCY_USED,
        account=account,
        token=token,
        device=device_id,
        kind=kind,
        version=version,
        **shown,
    )
    where = _where(connection, device_id)
    notify_user(connection, now, account, Notice.CODE_USED, at=used_at, kind=kind, where=where)
    if showing is None:
        raise_alarm(
            connection,
            now,
            actor,
            Action.ALARM_EMERGENCY_UNSHOWN,
            account=account,
            token=token,
            device=device_id,
            kind=kind,
            version=version,
        )


def _log_online_use(connection: Connection, actor: str, device_id: str | None, granted: Granted, now: int) -> None:
    """Log the use of a fixed or one-time tokencode. It was shown when it was made; the success has used it up."""
    access = online_emergency.find_access(connection, granted.token_id or "")
    if access is None:
        raise LookupError("a used emergency tokencode belongs to no access")
    left = access.codes - access.used if access.kind is EmergencyKind.ONE_TIME else None
    log(
        connection,
        now,
        actor,
        Action.EMERGENCY_USED,
        account=granted.account_id,
        token=granted.token_id,
        device=device_id,
        kind=access.kind,
        left=left,
        operator=access.created_by,
    )
    notify_user(connection, now, granted.account_id, Notice.TEMPORARY_USED, where=_where(connection, device_id))


def _where(connection: Connection, device_id: str | None) -> str:
    device = devices.find_device(connection, device_id) if device_id else None
    return f"on the device {device.name}" if device is not None else "at the server"
