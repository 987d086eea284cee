"""An enrolled device that lies: limits of its harm to others, and of its effects on operators."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from sparekey.app.devices import devices as app_devices
from sparekey.app.devices import invitations
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import Instance
from sparekey.app.lookup import get_device
from sparekey.app.notices import MOST_TOLD
from sparekey.app.offline.events import LONGEST_TEXT
from sparekey.app.tokens.tokens import set_lost
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import BadInput
from sparekey.core.permissions import Permission
from sparekey.storage import tables
from sparekey.storage.audit_log import outbox
from sparekey.wire.agent_api import MOST_EVENTS
from sparekey.wire.events import EventKind
from tests.builders import (
    NOW,
    PIN,
    ROOT,
    Device,
    a_device,
    a_filled_device,
    a_user,
    an_enrolment,
    logged_events,
    set_mail,
)


def a_device_that_calls_itself(instance: Instance, name: str) -> Device:
    code = invitations.invite(instance, ROOT, "another", now=NOW)
    private_key = ec.generate_private_key(ec.SECP256R1())
    enrolled = app_devices.enrol(instance, an_enrolment(code.secret, private_key, name=name), now=NOW)
    return Device(instance, enrolled.device_id, private_key)


def test_no_upload_holds_its_users_rows_for_long(any_server: Instance) -> None:
    alice, device = a_user(any_server), a_device(any_server)
    for _ in range(MOST_EVENTS + 1):
        device.event(alice, EventKind.DENIED)
    with pytest.raises(BadInput):
        device.upload(NOW)
    assert device.upload(NOW, device.events[:MOST_EVENTS]) == MOST_EVENTS
    assert device.upload(NOW, device.events[MOST_EVENTS:]) == MOST_EVENTS + 1


def test_a_device_buries_no_notice_under_others(any_server: Instance) -> None:
    alice, bob = a_user(any_server, pin=PIN), a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, alice)
    for user in (alice, bob):
        set_mail(any_server, user, f"{user.login}@example.org")
    for _ in range(60):
        device.event(alice, method="emergency-tokencode", token=alice.token_id, version=1)
    device.upload(NOW)
    set_lost(any_server, ROOT, bob.serial, lost=True, now=NOW)
    assert len(logged_events(any_server, Action.EMERGENCY_USED)) == 60
    with any_server.database.read() as connection:
        rows = connection.execute(select(tables.outbox.c.kind, tables.outbox.c.body)).all()
    told = [row.body for row in rows if row.kind == Notice.CODE_USED]
    assert len(told) == MOST_TOLD
    assert sum("no more mails of this kind" in body for body in told) == 1
    assert [row.kind for row in rows if row.kind == Notice.TOKEN_LOST] == [Notice.TOKEN_LOST]
    device.event(alice, method="emergency-tokencode", token=alice.token_id, version=1)
    device.upload(NOW + 3_600, device.events[-1:])
    with any_server.database.read() as connection:
        assert outbox.count_to_user(connection, alice.account_id, Notice.CODE_USED, NOW) == 1


@pytest.mark.parametrize("member", ["reason", "method", "kind", "user", "token"])
def test_an_event_holds_only_logged_fields(server: Instance, member: str) -> None:
    device = a_device(server)
    device.event(kind=EventKind.DENIED)
    for text, fits in (("\U0001f511" * LONGEST_TEXT, True), ("x" * (LONGEST_TEXT + 1), False)):
        event = device.signed(replace(device.events[0], **{member: text}))  # type: ignore[arg-type] # all five are texts
        if fits:
            assert device.upload(NOW, [event]) == 1
        else:
            with pytest.raises(BadInput):
                device.upload(NOW, [event])
    assert len(logged_events(server, Action.DEVICE_EVENT)) == 1


def test_a_device_named_by_another_one_s_id_hides_neither(server: Instance) -> None:
    alice = a_user(server, pin=PIN)
    victim = a_filled_device(server, alice, "laptop")
    impostor = a_device_that_calls_itself(server, victim.device_id)
    impostor.sign_in(alice, NOW + 30)
    impostor.contact(alice, NOW + 30)
    with server.database.read() as connection:
        assert get_device(connection, ROOT, victim.device_id, Permission.DEVICE_VIEW).id == victim.device_id
    for device in (victim, impostor):
        shown = emergency.show(
            server, ROOT, CodeKind.TOKENCODE, alice.serial, device.device_id, Showing("x"), now=NOW + 60
        )
        assert shown.device == device.row.name
    app_devices.revoke(server, ROOT, victim.device_id, now=NOW)
    assert victim.row.revoked_at == NOW
    assert impostor.row.revoked_at is None
