"""The agent API: enrolment, signatures before parsing, contacts, and the answer of each refusal."""

import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sparekey.app.audit_log.sequencer import chain, find_newest
from sparekey.app.devices import devices, invitations
from sparekey.core.audit_log.actions import Action
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.wire import agent_api as api
from sparekey.wire import signing
from sparekey.wire.enrolment import new_enrolment_code
from sparekey.wire.messages import decode, encode
from tests.builders import DAY, NOW, ROOT, Device, a_device, a_user, an_enrolment, logged_events
from tests.memory_keystore import MemoryCheckpoints
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, headers_of, run

EMPTY_SYNC = api.SyncRequest(held=[], checkpoint="", hardware_bound=False)


def enrolled(interfaces: Interfaces) -> Device:
    """Return a device that enrolled through the interface itself."""
    code = invitations.invite(interfaces.instance, ROOT, "laptop", now=NOW)
    private_key = ec.generate_private_key(ec.SECP256R1())
    reply = run(ask(interfaces.app, "POST", api.ENROL, encode(request_to_enrol(code.secret.reveal(), private_key))))
    assert reply.status == 200
    return Device(interfaces.instance, decode(api.EnrolReply, reply.body).device, private_key)


def request_to_enrol(secret: bytes, private_key: ec.EllipticCurvePrivateKey) -> api.EnrolRequest:
    made = an_enrolment(Secret(secret), private_key)
    return api.EnrolRequest(
        secret=secret.hex(),
        public_key=made.public_key.hex(),
        proof=made.proof.hex(),
        name="",
        supports_offline=True,
        hardware_bound=False,
    )


def test_a_device_enrols_signs_in_and_is_filled(interfaces: Interfaces) -> None:
    alice, device = a_user(interfaces.instance, pin="4711abcd"), enrolled(interfaces)
    answer = decode(api.SignInReply, run(interfaces.sign_in(device, alice.login, alice.typed(NOW).reveal())).body)
    assert (answer.result, answer.method, answer.step) == ("granted", "tokencode", alice.step(NOW))
    assert len(bytes.fromhex(answer.offline_key)) == 32
    said = decode(api.SyncReply, run(interfaces.signed(device, api.SYNC, EMPTY_SYNC)).body)
    (user,) = said.users
    first = user.wanted[0]
    assert (first.kind, first.day) == ("day", NOW // DAY)
    wish = api.UnitRequest(
        user=user.user, kind=first.kind, token=first.token, day=first.day, generation=user.generation
    )
    unit = run(interfaces.signed(device, api.UNITS, wish))
    assert (unit.status, dict(unit.headers)[b"content-type"]) == (200, b"application/octet-stream")
    digest = hashlib.sha256(unit.body).hexdigest()
    taken = run(
        interfaces.signed(device, api.ACKNOWLEDGEMENTS, api.AcknowledgementRequest(unit_hashes=[digest, "00" * 32]))
    )
    assert taken.json == {"acknowledged": 1, "server_time": NOW}


def test_the_enrolment_code_names_the_trusted_certificate(interfaces: Interfaces) -> None:
    code = invitations.invite(interfaces.instance, ROOT, "laptop", now=NOW)
    trust = decode(api.TrustReply, run(ask(interfaces.app, "GET", api.TRUST)).body)
    code.verify_server(bytes.fromhex(trust.signing_key), bytes.fromhex(trust.ca_certificate))


def test_a_wrong_or_used_code_enrols_no_device(interfaces: Interfaces) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    code = invitations.invite(interfaces.instance, ROOT, "laptop", now=NOW)
    other = new_enrolment_code(b"", b"")
    bodies = [encode(request_to_enrol(each.secret.reveal(), private_key)) for each in (other, code, code)]
    replies = [run(ask(interfaces.app, "POST", api.ENROL, body)) for body in bodies]
    assert [reply.status for reply in replies] == [403, 200, 403]
    assert replies[0].body == replies[2].body


def test_a_device_proves_the_key_that_it_brings(interfaces: Interfaces) -> None:
    code = invitations.invite(interfaces.instance, ROOT, "laptop", now=NOW)
    asked = request_to_enrol(code.secret.reveal(), ec.generate_private_key(ec.SECP256R1()))
    for wrong in (replace(asked, proof="00"), replace(asked, public_key="00"), replace(asked, secret="zz")):
        reply = run(ask(interfaces.app, "POST", api.ENROL, encode(wrong)))
        assert (reply.status, reply.error) == (400, "bad-input")
        assert code.secret.reveal().hex() not in reply.body.decode()


@pytest.mark.parametrize("path", [api.SIGN_INS, api.EVENTS, api.SYNC, api.UNITS, api.ACKNOWLEDGEMENTS])
def test_the_signature_is_checked_before_the_message(interfaces: Interfaces, path: str) -> None:
    device, body = a_device(interfaces.instance), b"\xffno message"
    signed = headers_of(device, path, body, NOW)
    wrong = [
        signed | {signing.SIGNATURE_HEADER: "AAAA"},
        signed | {signing.SIGNATURE_HEADER: "\xe4"},
        signed | {signing.TIME_HEADER: str(NOW + 1)},
        signed | {signing.TIME_HEADER: "-1"},
        {name: value for name, value in signed.items() if name != signing.TIME_HEADER},
        headers_of(device, "/agent/v1/other", body, NOW),
        headers_of(device, path, body + b" ", NOW),
        headers_of(device, path, body.swapcase(), NOW),
        signed | {signing.BODY_HEADER: f"{len(body)} {'0' * 64}"},
        signed | {signing.BODY_HEADER: f"0{signed[signing.BODY_HEADER]}"},
    ]
    for headers in wrong:
        reply = run(ask(interfaces.app, "POST", path, body, headers))
        assert (reply.status, reply.error) == (401, "bad-signature")
    reply = run(ask(interfaces.app, "POST", path, body, signed))
    assert (reply.status, reply.error) == (400, "bad-request")


def test_another_device_s_signature_is_none(interfaces: Interfaces) -> None:
    one, other = a_device(interfaces.instance), a_device(interfaces.instance)
    body = encode(EMPTY_SYNC)
    headers = headers_of(one, api.SYNC, body, NOW) | {signing.DEVICE_HEADER: other.device_id}
    assert run(ask(interfaces.app, "POST", api.SYNC, body, headers)).error == "bad-signature"


@pytest.mark.parametrize("device", ["", "0" * 32, "x", "\x00" * 32, "0" * 5_000])
def test_an_unknown_device_s_body_is_not_read(interfaces: Interfaces, device: str) -> None:
    headers = headers_of(a_device(interfaces.instance), api.SYNC, b"x" * (9 << 20), NOW)
    headers |= {signing.DEVICE_HEADER: device}
    reply = run(ask(interfaces.app, "POST", api.SYNC, b"x" * (9 << 20), headers))
    assert (reply.status, reply.error) == (401, "unknown-device")


@pytest.mark.parametrize("off", [-301, 301, -40_000_000, 400_000_000])
def test_a_device_with_a_wrong_clock_gets_the_time(interfaces: Interfaces, off: int) -> None:
    device, body = a_device(interfaces.instance), encode(EMPTY_SYNC)
    reply = run(ask(interfaces.app, "POST", api.SYNC, body, headers_of(device, api.SYNC, body, NOW + off)))
    assert (reply.status, reply.error, reply.json["server_time"]) == (401, "stale-time", NOW)
    near = headers_of(device, api.SYNC, body, NOW + (300 if off > 0 else -300))
    assert run(ask(interfaces.app, "POST", api.SYNC, body, near)).status == 200


def test_a_revoked_device_gets_the_order_to_erase(interfaces: Interfaces) -> None:
    device = a_device(interfaces.instance, "gone")
    devices.revoke(interfaces.instance, ROOT, "gone", now=NOW)
    interfaces.now[0] = NOW + 60
    for path, message in (
        (api.SYNC, EMPTY_SYNC),
        (api.SIGN_INS, api.SignInRequest(login="alice", passcode="1", check="")),
    ):
        reply = run(interfaces.signed(device, path, message))
        assert (reply.status, reply.error) == (403, "revoked")
        assert device.row.last_contact == NOW + 60  # the server knows that the device got the answer


@pytest.mark.parametrize(
    ("path", "most"),
    [(api.SIGN_INS, 16_384), (api.UNITS, 4_096), (api.EVENTS, 1 << 20), (api.SYNC, 8 << 20)],
)
def test_a_large_body_is_refused(interfaces: Interfaces, path: str, most: int) -> None:
    device = a_device(interfaces.instance)
    reply = run(interfaces.signed(device, path, b"x" * (most + 1), announced=False))
    assert (reply.status, reply.error) == (413, "too-large")


def test_more_acknowledgements_than_a_device_can_have_are_refused(interfaces: Interfaces) -> None:
    wish = api.AcknowledgementRequest(unit_hashes=["00" * 32] * (api.MOST_HASHES + 1))
    reply = run(interfaces.signed(a_device(interfaces.instance), api.ACKNOWLEDGEMENTS, wish))
    assert (reply.status, reply.error) == (400, "bad-request")


def test_events_are_taken_once_and_a_forged_one_is_refused(interfaces: Interfaces) -> None:
    device = a_device(interfaces.instance)
    device.event(reason="one")
    device.event(reason="two")
    assert run(interfaces.signed(device, api.EVENTS, api.EventsRequest(events=device.events))).json["last_number"] == 2
    assert run(interfaces.signed(device, api.EVENTS, api.EventsRequest(events=device.events))).json["last_number"] == 2
    forged = replace(device.events[1], number=3, reason="three")
    refused = run(interfaces.signed(device, api.EVENTS, api.EventsRequest(events=[forged])))
    assert (refused.status, refused.error) == (400, "bad-input")
    assert len(logged_events(interfaces.instance, Action.SIGN_IN_OFFLINE)) == 2


def test_a_unit_that_is_not_for_the_device_is_refused_in_words(interfaces: Interfaces) -> None:
    alice, device = a_user(interfaces.instance), a_device(interfaces.instance)
    wish = api.UnitRequest(user=alice.account_id, kind="day", token=alice.token_id, day=NOW // DAY, generation=1)
    reply = run(interfaces.signed(device, api.UNITS, wish))
    assert (reply.status, reply.error) == (403, "not-allowed")


def test_an_overtaken_generation_is_a_conflict(interfaces: Interfaces) -> None:
    alice, device = a_user(interfaces.instance, pin="4711abcd"), a_device(interfaces.instance)
    device.sign_in(alice, NOW)
    wish = api.UnitRequest(user=alice.account_id, kind="day", token=alice.token_id, day=NOW // DAY, generation=7)
    reply = run(interfaces.signed(device, api.UNITS, wish))
    assert (reply.status, reply.error) == (409, "conflict")


def synced(interfaces: Interfaces, device: Device, checkpoint: str) -> Reply:
    return run(interfaces.signed(device, api.SYNC, replace(EMPTY_SYNC, checkpoint=checkpoint)))


def test_a_device_keeps_the_newest_checkpoint_and_confirms_it(interfaces: Interfaces) -> None:
    device, instance = a_device(interfaces.instance), interfaces.instance
    assert synced(interfaces, device, "").json["checkpoint"] == ""
    chain(instance.database, instance.keystore, MemoryCheckpoints(), NOW)
    newest = find_newest(instance.database)
    assert newest is not None
    assert synced(interfaces, device, "").json["checkpoint"] == newest.text
    assert synced(interfaces, device, newest.text).status == 200
    assert logged_events(instance, Action.ALARM_AUDIT_ROLLED_BACK) == []


def test_s80_a_rolled_back_history_is_found_by_the_first_device_that_calls(interfaces: Interfaces) -> None:
    device, instance = a_device(interfaces.instance), interfaces.instance
    chain(instance.database, instance.keystore, MemoryCheckpoints(), NOW)
    kept = synced(interfaces, device, "").json["checkpoint"]
    with instance.database.write() as connection:
        connection.execute(tables.audit_batch.delete())
        connection.execute(tables.audit.delete())
    reply = synced(interfaces, device, kept)
    assert reply.status == 200
    (alarm,) = logged_events(instance, Action.ALARM_AUDIT_ROLLED_BACK)
    assert (alarm.device_id, json.loads(alarm.detail)["witness"]) == (device.device_id, "device")


def test_a_checkpoint_of_another_server_raises_no_alarm(interfaces: Interfaces) -> None:
    device = a_device(interfaces.instance)
    foreign = f"sparekey-checkpoint/1 7 70 {NOW} {'ab' * 32} {'cd' * 64}"
    for text in (foreign, "nonsense", "sparekey-checkpoint/1"):
        assert synced(interfaces, device, text).status == 200
    assert logged_events(interfaces.instance, Action.ALARM_AUDIT_ROLLED_BACK) == []
