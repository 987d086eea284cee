"""Requests as no client of ours would send them, each with secrets in it."""

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field

from sparekey.wire import agent_api as api
from sparekey.wire import signing
from tests.journeys.http_lines import REST


@dataclass(frozen=True)
class Raw:
    """Any request."""

    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"


def send(port: int, raw: Raw) -> bytes:
    """The whole reply, head and body, as one text."""
    context = ssl.create_default_context()
    # by this process's clock the certificate is from the future
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may refuse before it has read all
            connection.request(raw.method, raw.path, raw.body, raw.headers)
        reply = connection.getresponse()
        return f"{reply.status} {reply.headers}".encode() + reply.read()


def at_the_rest_interface(key: str, login: str, typed: str, pin: str) -> Iterator[Raw]:
    """Yield requests with a right key and a wrong body, and with a right body and a wrong key."""
    good = json.dumps({"user": login, "passcode": typed}).encode()
    authorised = {"Authorization": f"Bearer {key}"}
    bodies = [
        good[:-3],
        good + b"}",
        good.replace(b'"passcode": ', b'"passcode": \xff'),
        json.dumps({"user": login, "passcode": [typed]}).encode(),
        json.dumps({"user": {"login": typed}, "passcode": typed}).encode(),
        json.dumps({"user": login, "passcode": typed, "pin": pin}).encode(),
        json.dumps({"user": login, pin: typed}).encode(),
        json.dumps({"user": login, "passcode": "\ud800" + typed}).encode(),
        json.dumps({"user": "\ud800" + pin, "passcode": typed}).encode(),
        json.dumps({"user": login + "\0" + pin, "passcode": typed}).encode(),
        json.dumps({"user": pin * 1_000, "passcode": typed}).encode(),
        json.dumps({"user": login, "passcode": typed * 3_000}).encode(),
        b'{"user":"%b","passcode":"%b","passcode":"%b"}' % (login.encode(), typed.encode(), pin.encode()),
        b"[" * 5_000 + typed.encode(),
        f"user={login}&passcode={typed}".encode(),
    ]
    yield from (Raw(REST, body, authorised) for body in bodies)
    for header in (f"Basic {key}", f"Bearer {key}x", f"Bearer {key[:-1]}", key, f"Bearer {typed}"):
        yield Raw(REST, good, {"Authorization": header})
    yield Raw(f"{REST}?key={key}&passcode={typed}", good)
    yield Raw(f"{REST}/{key}/{typed}", good, authorised)
    yield Raw(f"{REST}?passcode={typed}", good, authorised, "GET")


def at_the_agent_interface(device_id: str, login: str, typed: str, pin: str, enrolment_secret: str) -> Iterator[Raw]:
    """Yield requests without the device's signature, and an enrolment without a valid proof."""
    body = json.dumps({"login": login, "passcode": typed, "check": ""}).encode()
    for signature in ("", typed, signing.to_header(pin.encode())):
        headers = {signing.DEVICE_HEADER: device_id, signing.TIME_HEADER: "1", signing.SIGNATURE_HEADER: signature}
        yield Raw(api.SIGN_INS, body, headers)
    yield Raw(api.SIGN_INS, body, {signing.DEVICE_HEADER: typed, signing.TIME_HEADER: pin})
    enrolment = {
        "secret": enrolment_secret,
        "public_key": "00",
        "proof": "00",
        "name": pin,
        "supports_offline": True,
        "hardware_bound": False,
    }
    for change in ({}, {"secret": enrolment_secret + "zz"}, {"secret": [enrolment_secret]}, {"seed": typed}):
        yield Raw(api.ENROL, json.dumps(enrolment | change).encode())
