"""A device's contact with the server: what it witnesses, what it holds, and what it is told.

Rules: a checkpoint that a device kept and that this server's record lacks is an alarm in the record (S80): the history
was rolled back or replaced; a checkpoint that this server did not sign proves nothing and is only reported.
"""

from dataclasses import dataclass
from enum import StrEnum

from sparekey.app.audit_log.sequencer import find_newest
from sparekey.app.instance import Instance
from sparekey.app.notices import raise_alarm
from sparekey.app.offline.provisioning import record_contact, sync_users
from sparekey.app.ports import Purpose
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.checkpoint import Checkpoint, CheckpointError
from sparekey.core.offline.self_report import read_report
from sparekey.storage.audit_log import chain as audit_chain
from sparekey.storage.devices.devices import Device
from sparekey.wire.agent_api import SyncRequest, UserSync


class Witness(StrEnum):
    """What the checkpoint that a device gave back says about this server's history."""

    NONE = "none"  # the device has none yet
    CONFIRMED = "confirmed"
    FOREIGN = "foreign"  # malformed, or not signed by this server
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True)
class Contact:
    users: list[UserSync]
    last_event: int
    checkpoint: str  # the newest, to be kept by the device; "": there is none yet
    witness: Witness


def take_contact(instance: Instance, device: Device, request: SyncRequest, *, now: int) -> Contact:
    """Settle a contact in one transaction and say what the device is to do. Raises BadInput."""
    said = read_report(request.protection, request.exempt, hardware_bound=request.hardware_bound)
    witnessed = _find_checkpoint(instance, request.checkpoint)
    witness = Witness.FOREIGN if request.checkpoint and witnessed is None else Witness.NONE
    with instance.database.write() as connection:
        if witnessed is not None:
            held = audit_chain.contains(connection, witnessed)
            witness = Witness.CONFIRMED if held else Witness.ROLLED_BACK
        if witnessed is not None and witness is Witness.ROLLED_BACK:
            raise_alarm(
                connection,
                now,
                f"device:{device.id}",
                Action.ALARM_AUDIT_ROLLED_BACK,
                result="batch missing",
                device=device.id,
                witness="device",
                batch=witnessed.number,
                rows=witnessed.total,
            )
        here = record_contact(connection, device, said, now=now)
        users = sync_users(connection, instance, here, request.held, now)
    newest = find_newest(instance.database)
    return Contact(users, device.event_number, newest.text if newest else "", witness)


def _find_checkpoint(instance: Instance, text: str) -> Checkpoint | None:
    """The checkpoint in `text`, if this server signed it."""
    if not text:
        return None
    try:
        checkpoint = Checkpoint.parse(text)
        checkpoint.verify(instance.keystore.public_key(Purpose.CHECKPOINT))
    except CheckpointError:
        return None
    return checkpoint
