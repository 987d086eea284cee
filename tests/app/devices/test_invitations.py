"""Invitations of devices: made once for a name, listed, withdrawn, and kept as a hash."""

from dataclasses import replace

import pytest

from sparekey.app.devices.devices import enrol, revoke
from sparekey.app.devices.invitations import INVITATION_LIFETIME, invite, list_invitations, withdraw
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.ports import KeyPurpose
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound
from sparekey.secret import Secret
from sparekey.wire.enrolment import BadEnrolmentCode, read_enrolment_code
from tests.builders import NOW, ROOT, a_device, an_invited_device, logged_events


def test_an_enrolment_code_names_this_server_only(server: Instance) -> None:
    code = read_enrolment_code(invite(server, ROOT, "laptop", now=NOW).text().reveal())
    signing_key = server.keystore.public_key(KeyPurpose.OFFLINE)
    code.verify_server(signing_key, server.ca_certificate)
    for key, certificate in ((bytes(32), server.ca_certificate), (signing_key, b"another CA")):
        with pytest.raises(BadEnrolmentCode, match="not the server"):
            code.verify_server(key, certificate)


def test_s65_the_secret_of_a_code_is_kept_as_a_hash_only(server: Instance) -> None:
    code = invite(server, ROOT, "laptop", now=NOW)
    with server.database.read() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM device_invitation").all()
    assert code.secret.reveal() not in [value for value in row if isinstance(value, bytes)]
    assert code.secret.reveal().hex() not in repr(row) + repr(logged_events(server, Action.DEVICE_INVITED))
    assert code.secret.reveal().hex() not in repr(code)


def test_the_name_of_a_device_in_use_is_not_given_to_another_one(server: Instance) -> None:
    device = a_device(server, "laptop")
    with pytest.raises(Conflict) as refused:
        invite(server, ROOT, "laptop", now=NOW)
    assert refused.value.do.endswith("first run: sparekey device revoke laptop")
    invite(server, ROOT, device.device_id, now=NOW)  # its id is not its name
    revoke(server, ROOT, "laptop", now=NOW)
    invite(server, ROOT, "laptop", now=NOW)


def test_an_invitation_is_listed_until_it_is_used_withdrawn_or_over(any_server: Instance) -> None:
    taken = an_invited_device(any_server, "b")
    late, gone = (an_invited_device(any_server, name) for name in ("a", "c"))
    assert [each.name for each in list_invitations(any_server, ROOT, now=NOW)] == ["a", "b", "c"]
    (first,) = list_invitations(any_server, ROOT, 1, now=NOW)
    assert [each.name for each in list_invitations(any_server, ROOT, after=first.id, now=NOW)] == ["b", "c"]
    assert (first.domain, first.expires_at) == (TOP_DOMAIN, NOW + INVITATION_LIFETIME)
    enrol(any_server, taken, now=NOW)
    withdraw(any_server, ROOT, list_invitations(any_server, ROOT, now=NOW)[1].id, now=NOW)
    assert list_invitations(any_server, ROOT, now=NOW) == [first]
    assert list_invitations(any_server, ROOT, now=NOW + INVITATION_LIFETIME) == []
    for enrolment in (gone, replace(late, secret=Secret(b"x" * 10))):
        with pytest.raises((NotAllowed, BadInput)):
            enrol(any_server, enrolment, now=NOW)
    with pytest.raises(NotFound):
        withdraw(any_server, ROOT, first.id, now=NOW + INVITATION_LIFETIME)
    (row,) = logged_events(any_server, Action.DEVICE_UNINVITED)
    assert '"name":"c"' in row.detail
