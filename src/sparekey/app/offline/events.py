"""Save the events that happened on a device while it was offline (S27; offline-day.md, server rule 6).

A success offline uses up its step before the request is answered, as far as the server believes it
(`reported_successes`). The use of an emergency code is matched with the event that showed the code. An error in the
chain of events raises an alarm, and the events are saved all the same: refusing them would hide their content.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import Instance, log
from sparekey.app.offline import keys as offline_keys
from sparekey.app.offline.device_alarms import raise_device_alarm
from sparekey.app.offline.reported_successes import Reports
from sparekey.app.sign_in.code_use import match_use
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput
from sparekey.core.reasons import Method
from sparekey.storage.devices import devices
from sparekey.storage.devices.devices import Device
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.people import accounts
from sparekey.storage.tokens import tokens
from sparekey.wire.agent_api import MOST_EVENTS
from sparekey.wire.events import EventKind, OfflineEvent
from sparekey.wire.signing import BadSignature, verify_signature

AT_ONCE: Final = 10  # events in one transaction, so that others wait for a part of an upload at most (S46)
LONGEST_TEXT: Final = 256  # characters of each text that the audit log keeps

_ALARMS: Final = {EventKind.TLS_FAILURE: Action.ALARM_TLS_FAILURE, EventKind.CLOCK_SUSPECT: Action.ALARM_CLOCK}


def take_events(instance: Instance, device: Device, events: Sequence[OfflineEvent], *, now: int) -> int:
    """Save all events, a few in each transaction, and return the number of the last one that the server has.

    Raises BadInput if there are too many or if one is not signed by this device. Then no event is saved. After another
    error the first ones may be saved. The device uploads all of them again, and those count once.
    """
    if len(events) > MOST_EVENTS:
        raise BadInput(f"more than {MOST_EVENTS} events at once", "upload them in parts")
    for event in events:
        _verify(device, event)
    number = 0
    for first in range(0, max(len(events), 1), AT_ONCE):
        number = _take_part(instance, device, events[first : first + AT_ONCE], now)
    return number


def _take_part(instance: Instance, device: Device, events: Sequence[OfflineEvent], now: int) -> int:
    """Save these events in one transaction, which locks the rows of all their users."""
    with instance.database.write() as connection:
        devices.lock_device(connection, device.id)
        accounts.lock_accounts(connection, [event.user for event in events])
        reports = Reports(connection, device.id, now)
        for event in events:
            _take(connection, instance, device.id, event, reports, now)
        reports.raise_alarms()
        fresh = devices.find_device(connection, device.id)
        return fresh.event_number if fresh else 0


def _verify(device: Device, event: OfflineEvent) -> None:
    try:
        verify_signature(device.public_key, bytes.fromhex(event.signature), event.signed_bytes())
    except (BadSignature, ValueError, OverflowError) as error:
        raise BadInput(f"event {event.number} is not signed by this device", "enrol the device again") from error
    # Ids are searched in the database, and PostgreSQL rejects text that contains NUL.
    if not (event.kind.isprintable() and event.user.isprintable() and event.token.isprintable()):
        raise BadInput(f"event {event.number} has a kind, user or token that is not valid", "update the agent")
    if max(map(len, (event.kind, event.user, event.method, event.token, event.reason))) > LONGEST_TEXT:
        raise BadInput(f"event {event.number} has a text of more than {LONGEST_TEXT} characters", "update the agent")


def _take(
    connection: Connection, instance: Instance, device_id: str, event: OfflineEvent, reports: Reports, now: int
) -> None:
    known = devices.find_event_hash(connection, device_id, event.number)
    if known == event.hash():
        return  # uploaded before, but the answer was lost
    actor = f"device:{device_id}"
    if known is not None or not _follows(connection, device_id, event):
        raise_device_alarm(
            connection,
            now,
            actor,
            Action.ALARM_EVENTS_MISSING,
            device=device_id,
            number=event.number,
            forked=known is not None,
        )
    if known is None:
        devices.insert_event(connection, device_id, event.number, event.hash(), now)
    account = accounts.find_account_by_id(connection, event.user)
    token = tokens.find_token_by_id(connection, event.token)
    is_token_success = event.kind == EventKind.GRANTED and event.method == Method.TOKENCODE
    codes = reports.use_up(event, account) if is_token_success and account is not None else 0
    log(
        connection,
        now,
        actor,
        Action.SIGN_IN_OFFLINE if event.kind == EventKind.GRANTED else Action.DEVICE_EVENT,
        account=account.id if account else None,
        token=token.id if token else None,
        device=device_id,
        result="ok" if event.kind == EventKind.GRANTED else event.kind[:32],
        number=event.number,
        at=event.at,
        method=event.method,
        step=event.step,
        version=event.version,
        reason=event.reason,
        **({"used_up": codes} if codes else {}),
    )
    alarm = _ALARMS.get(EventKind(event.kind)) if event.kind in list(EventKind) else None
    if alarm is not None:
        raise_device_alarm(connection, now, actor, alarm, device=device_id, number=event.number, reason=event.reason)
    if event.kind == EventKind.GRANTED and account is not None:
        _take_success(connection, instance, device_id, event, account.id, now)


def _follows(connection: Connection, device_id: str, event: OfflineEvent) -> bool:
    device = devices.find_device(connection, device_id)
    if device is None:
        return False
    return event.number == device.event_number + 1 and event.previous == device.event_hash.hex()


def _take_success(
    connection: Connection, instance: Instance, device_id: str, event: OfflineEvent, account_id: str, now: int
) -> None:
    """Match the code shown, if it was one; then confirm the key under which the device wraps its secrets."""
    if event.method != Method.TOKENCODE:
        _match(connection, device_id, event, account_id, now)
    data = devices.find_device_account(connection, device_id, account_id)
    if data is not None:
        offline_keys.confirm(connection, instance, data, _check(event))


def _check(event: OfflineEvent) -> bytes:
    try:
        return bytes.fromhex(event.check)
    except ValueError:
        return b""  # matches no key


def _match(connection: Connection, device_id: str, event: OfflineEvent, account_id: str, now: int) -> None:
    actor = f"device:{device_id}"
    code = emergency_codes.find_version(connection, account_id, event.token or None, event.version)
    if code is not None:
        match_use(connection, actor, device_id, code.id, used_at=min(event.at, now), now=now)
        return
    # This version is not stored, so it cannot have been shown.
    raise_device_alarm(
        connection,
        now,
        actor,
        Action.ALARM_EMERGENCY_UNSHOWN,
        account=account_id,
        device=device_id,
        number=event.number,
        kind=event.method,
        version=event.version,
    )
