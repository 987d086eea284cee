"""Limits of single connections at a real server: silence, slow heads, large heads, large forms, late bodies."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from sparekey.clock import monotonic
from sparekey.clock import now as clock_now
from sparekey.server.agent_api.device_limits import REST_SECONDS
from sparekey.server.settings import read_settings
from sparekey.wire import agent_api as api
from sparekey.wiring.server import open_instance
from tests.builders import a_device
from tests.server.interfaces import headers_of
from tests.server.serving import Serving, a_data_directory, serving

pytestmark = [pytest.mark.services, pytest.mark.real_argon2]

HEAD_SECONDS = 5
LATE = 4  # seconds more than a limit, on a busy machine
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(a_data_directory(tmp_path_factory.mktemp("limits"))) as served:
        yield served


def connected(served: Serving) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    return served.trust.wrap_socket(plain, server_hostname="localhost")


def rest_of(connection: socket.socket) -> bytes:
    """Return everything until the server closes."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except (ConnectionResetError, ssl.SSLEOFError):
        pass
    return b"".join(parts)


def test_s46_a_connection_that_sends_nothing_is_closed(served: Serving) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as silent:
        begun = monotonic()
        assert rest_of(silent) == b""
        assert monotonic() - begun < HEAD_SECONDS + LATE


def test_s46_a_connection_that_sends_nothing_after_tls_is_closed(served: Serving) -> None:
    with connected(served) as idle:
        begun = monotonic()
        assert rest_of(idle) == b""
        assert monotonic() - begun < HEAD_SECONDS + LATE


def test_s46_a_head_has_five_seconds_in_all(served: Serving) -> None:
    with connected(served) as slow:
        slow.settimeout(0.5)
        begun, closed = monotonic(), False
        for byte in GET + b"X-Slow: " + b"a" * 100:
            if closed or monotonic() - begun > HEAD_SECONDS + LATE:
                break
            try:
                slow.sendall(bytes([byte]))
                closed = slow.recv(1) == b""  # no answer, not even a refusal: so far, the head was valid
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed
        assert monotonic() - begun > HEAD_SECONDS / 2


def test_s46_the_next_head_of_a_connection_has_five_seconds_too(served: Serving) -> None:
    with connected(served) as slow:
        slow.sendall(GET + b"\r\n")
        assert slow.recv(65_536).startswith(b"HTTP/1.1 200")
        slow.sendall(GET)
        begun = monotonic()
        rest_of(slow)
        assert monotonic() - begun < HEAD_SECONDS + LATE


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X-Long: " + b"a" * 70_000 + b"\r\n\r\n",
        GET + b"X-Many: a\r\n" * 200 + b"\r\n",
        GET + b"X-Endless: " + b"a" * 200_000,
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01 no HTTP\r\n\r\n",
    ],
    ids=["long", "many", "endless", "address", "no HTTP"],
)
def test_s46_a_large_head_is_refused(served: Serving, head: bytes) -> None:
    with connected(served) as large:
        begun = monotonic()
        large.sendall(head)
        answer = rest_of(large)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404")), answer[:80]
        assert monotonic() - begun < HEAD_SECONDS + LATE
    assert served.ask("GET", "/health")[0] == 200


def test_s46_a_large_form_is_read_from_the_holder_of_a_session_only(served: Serving) -> None:
    with connected(served) as large:
        head = (
            b"POST /console/new-user HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 40000\r\n\r\n"
        )
        begun = monotonic()
        large.sendall(head)
        assert large.recv(65_536).split(b"\r\n")[0] == b"HTTP/1.1 303 See Other"  # nothing was read
        assert monotonic() - begun < HEAD_SECONDS


def test_s46_a_body_that_comes_late_is_refused_and_its_connection_closed(served: Serving) -> None:
    with connected(served) as late:
        begun = monotonic()
        head = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        late.sendall(head + b"Content-Length: 90\r\n\r\n{")
        answer = rest_of(late)
        assert answer.startswith(b"HTTP/1.1 408")
        assert monotonic() - begun < HEAD_SECONDS + LATE


def test_s46_little_of_a_body_is_read_after_its_refusal(served: Serving) -> None:
    with connected(served) as large:
        large.settimeout(1)
        size, sent, part = 64 << 20, 0, b" " * (1 << 16)
        large.sendall(f"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
        assert large.recv(65_536).startswith(b"HTTP/1.1 413")
        with suppress(OSError):  # nothing takes the rest, or the connection is closed
            while sent < size:
                sent += large.send(part)
        assert sent <= 16 << 20  # most of them are in the buffers of the two sockets


def test_s46_a_resting_connection_is_read_later(served: Serving) -> None:
    instance = open_instance(served.data, read_settings(served.data, {}))
    device = a_device(instance, now=clock_now())
    events, acknowledgements = b'{"events": []}' + b" " * 80_000, b'{"unit_hashes": []}'
    with closing(instance.database), closing(served.connect()) as connection:

        def status_of(path: str, body: bytes) -> int:
            connection.request("POST", path, body, headers_of(device, path, body, clock_now()))
            reply = connection.getresponse()
            reply.read()
            return reply.status

        while status_of(api.EVENTS, events) == 200:
            pass
        begun = monotonic()
        statuses = [status_of(api.EVENTS, events) for _ in range(6)]
        assert statuses == [429] * 6
        assert monotonic() - begun > 5 * REST_SECONDS
        assert status_of(api.ACKNOWLEDGEMENTS, acknowledgements) == 200  # of the requests that came back meanwhile


def test_several_requests_use_one_connection_and_pipelined_ones_are_answered_in_order(served: Serving) -> None:
    with connected(served) as connection:
        one = GET + b"\r\n"
        connection.sendall(one * 3 + b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answers = rest_of(connection)
        assert answers.count(b"HTTP/1.1 200") == 3
        assert answers.index(b"HTTP/1.1 404") > answers.rindex(b"HTTP/1.1 200")
