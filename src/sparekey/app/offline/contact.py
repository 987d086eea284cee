"""The contact of a device with the server: its checkpoint, the units that it holds, and the answer.

Rules: a checkpoint that a device kept and that this server's audit log lacks raises an alarm (S80), because the history
was rolled back or replaced. A checkpoint that this server did not sign proves nothing, so it is only reported.
"""

from dataclasses import dataclass
from enum import StrEnum

from sparekey.app.audit_log.sequencer import find_newest
from sparekey.app.instance import Instance
from sparekey.app.notices import raise_alarm
from sparekey.app.offline.sync import save_contact, sync_users
from sparekey.app.ports import KeyPurpose
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.checkpoint import Checkpoint, CheckpointError
from sparekey.core.offline.self_report import read_report
from sparekey.storage.audit_log import chain as audit_chain
from sparekey.storage.devices.devices import Device
from sparekey.wire.agent_api import SyncRequest, UserSync


class Witness(StrEnum):
    """The result of comparing a device's checkpoint with this server's history."""

    NONE = "none"  # the device has none yet
    CONFIRMED = "confirmed"
    FOREIGN = "foreign"  # malformed, or not signed by this server
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True)
class ContactAnswer:
    users: list[UserSync]
    last_event: int
    checkpoint: str  # the newest one, which the device keeps; "" if there is none yet
    witness: Witness


def take_contact(instance: Instance, device: Device, request: SyncRequest, *, now: int) -> ContactAnswer:
    """Settle a contact in one transaction and return the answer for the device. Raises BadInput."""
    report = read_report(request.protection, request.exempt, hardware_bound=request.hardware_bound)
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
        current = save_contact(connection, device, report, now=now)
        users = sync_users(connection, instance, current, request.held, now)
    newest = find_newest(instance.database)
    return ContactAnswer(users, device.event_number, newest.text if newest else "", witness)


def _find_checkpoint(instance: Instance, text: str) -> Checkpoint | None:
    """Return the checkpoint in `text` if this server signed it."""
    if not text:
        return None
    try:
        checkpoint = Checkpoint.parse(text)
        checkpoint.verify(instance.keystore.public_key(KeyPurpose.CHECKPOINT))
    except CheckpointError:
        return None
    return checkpoint
