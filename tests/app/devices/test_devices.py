"""Devices: invited once, enrolled with a key of their own, listed, revoked."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sparekey.app.devices.devices import (
    EnrolmentRequest,
    enrol,
    held_units,
    list_devices,
    revoke,
)
from sparekey.app.devices.invitations import INVITATION_LIFETIME, invite
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.lookup import get_device
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, NotAllowed, NotFound
from sparekey.core.permissions import Permission
from sparekey.secret import Secret
from tests.builders import (
    NOW,
    PIN,
    ROOT,
    a_device,
    a_filled_device,
    a_user,
    an_enrolment,
    an_invited_device,
    logged_events,
)


def test_an_invited_device_enrols_once(any_server: Instance) -> None:
    enrolment = an_invited_device(any_server, hardware_bound=True)
    enrolled = enrol(any_server, enrolment, now=NOW + 5)
    assert enrolled.name == "laptop"
    (view,) = list_devices(any_server, ROOT)
    assert (view.device_id, view.name, view.domain) == (enrolled.device_id, "laptop", TOP_DOMAIN)
    assert (view.enrolled_at, view.revoked_at, view.supports_offline, view.hardware_bound) == (
        NOW + 5,
        None,
        True,
        True,
    )
    with pytest.raises(NotAllowed):
        enrol(any_server, enrolment, now=NOW + 5)
    invited, took = logged_events(any_server, Action.DEVICE_INVITED, Action.DEVICE_ENROLLED)
    assert (invited.actor, took.actor) == (ROOT.name, f"device:{enrolled.device_id}")


def test_one_code_takes_one_device_of_many_that_come_at_once(any_server: Instance) -> None:
    code = invite(any_server, ROOT, "laptop", now=NOW)
    enrolments = [an_enrolment(code.secret, ec.generate_private_key(ec.SECP256R1())) for _ in range(8)]

    def come(enrolment: EnrolmentRequest) -> bool:
        try:
            enrol(any_server, enrolment, now=NOW)
        except NotAllowed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(come, enrolments)) == [False] * 7 + [True]
    assert len(list_devices(any_server, ROOT)) == 1


def test_expired_and_unknown_codes_are_refused_alike(server: Instance) -> None:
    late, unknown = an_invited_device(server), an_enrolment(Secret(bytes(10)), ec.generate_private_key(ec.SECP256R1()))
    words = set()
    for enrolment in (late, unknown):
        with pytest.raises(NotAllowed) as refused:
            enrol(server, enrolment, now=NOW + INVITATION_LIFETIME)
        words.add((refused.value.message, refused.value.do))
    assert len(words) == 1
    enrol(server, late, now=NOW + INVITATION_LIFETIME - 1)


def test_a_device_proves_that_it_has_its_key_and_a_failure_does_not_use_up_the_code(server: Instance) -> None:
    enrolment = an_invited_device(server)
    other = an_invited_device(server, "other")
    ed25519_key = (
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    wrong = [
        replace(enrolment, proof=other.proof),
        replace(enrolment, public_key=other.public_key),
        replace(enrolment, secret=other.secret),
        replace(enrolment, public_key=ed25519_key),
        replace(enrolment, public_key=b"nonsense"),
        replace(enrolment, proof=b""),
    ]
    for each in wrong:
        with pytest.raises(BadInput, match="did not prove"):
            enrol(server, each, now=NOW)
    with pytest.raises(BadInput, match="name of a device"):
        enrol(server, replace(enrolment, name="a\nb"), now=NOW)
    enrol(server, enrolment, now=NOW)


def test_a_device_may_wish_for_a_name(server: Instance) -> None:
    assert enrol(server, an_invited_device(server, name="Alice's laptop"), now=NOW).name == "Alice's laptop"


def test_a_revoked_device_keeps_its_name_and_loses_everything_else(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user, "laptop")
    kinds = [(unit.login, unit.kind, unit.version) for unit in held_units(any_server, ROOT, "laptop")]
    assert sorted(kinds) == [
        (user.login, "day", 0),
        (user.login, "emergency-passcode", 1),
        (user.login, "emergency-tokencode", 1),
    ]
    revoke(any_server, ROOT, "laptop", now=NOW + 1)
    assert device.row.revoked_at == NOW + 1
    assert held_units(any_server, ROOT, "laptop") == []
    # events of the device, and of the user whose data it held
    assert [row.account_id for row in logged_events(any_server, Action.DEVICE_REVOKED)] == [None, user.account_id]


def test_a_device_is_named_by_name_or_id_and_one_in_use_goes_before_a_revoked_one(server: Instance) -> None:
    first, second = a_device(server, "laptop"), a_device(server, "laptop")
    with server.database.read() as connection:
        with pytest.raises(BadInput, match="2 devices are named"):
            get_device(connection, ROOT, "laptop", Permission.DEVICE_VIEW)
        assert get_device(connection, ROOT, second.device_id, Permission.DEVICE_VIEW).id == second.device_id
        with pytest.raises(NotFound):
            get_device(connection, ROOT, "pc", Permission.DEVICE_VIEW)
    revoke(server, ROOT, first.device_id, now=NOW)
    with server.database.read() as connection:
        assert get_device(connection, ROOT, "laptop", Permission.DEVICE_VIEW).id == second.device_id
    revoke(server, ROOT, "laptop", now=NOW)
    with server.database.read() as connection, pytest.raises(BadInput):
        get_device(connection, ROOT, "laptop", Permission.DEVICE_VIEW)
