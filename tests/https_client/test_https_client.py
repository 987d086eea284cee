"""The client that agent and commands share: limits, repeats, and errors without an answer."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from sparekey.https_client import Address, ConnectionFault, HttpsConnection, NoAnswer, TransferLimits

pytestmark = pytest.mark.services
LIMITS = TransferLimits(wait=5, reply=100)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def answering(*connections: Sequence[bytes]) -> Iterator[tuple[Address, list[bytes]]]:
    """A server in clear that gives these answers on its first connection, its second one, and so on, then closes."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for answers in connections:
                taken, _ = listener.accept()
                with taken:
                    for each in answers:
                        heard.append(taken.recv(65_536))
                        taken.sendall(each)

        thread = threading.Thread(target=answer)
        thread.start()
        yield Address("127.0.0.1", listener.getsockname()[1]), heard
        thread.join()


def fault_of(connection: HttpsConnection, *, may_repeat: bool = False) -> tuple[ConnectionFault, str]:
    with pytest.raises(NoAnswer) as caught:
        connection.request("GET", "/", b"", {}, may_repeat=may_repeat)
    return caught.value.fault, caught.value.why


@pytest.mark.parametrize("may_repeat", [True, False])
def test_only_repeatable_requests_use_a_second_connection(*, may_repeat: bool) -> None:
    with answering([OK], [OK] if may_repeat else []) as (address, heard):
        connection = HttpsConnection([address], None, LIMITS)
        assert connection.request("GET", "/", b"", {}, may_repeat=may_repeat) == (200, b"{}")
        if may_repeat:
            assert connection.request("GET", "/", b"", {}, may_repeat=True) == (200, b"{}")
        else:
            assert fault_of(connection)[0] is ConnectionFault.DOWN
            socket.create_connection((address.host, address.port)).close()  # the one that was not made
        connection.close()
    assert len(heard) == (2 if may_repeat else 1)


def test_an_answer_has_a_largest_size() -> None:
    with answering([b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101]) as (address, _):
        assert fault_of(HttpsConnection([address], None, LIMITS)) == (ConnectionFault.DOWN, "the answer is too long")


def test_each_wait_has_a_limit_without_a_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address("127.0.0.1", silent.getsockname()[1])
        assert fault_of(HttpsConnection([address], None, TransferLimits(wait=0.2, reply=1))) == (
            ConnectionFault.DOWN,
            "no answer in time",
        )


def test_no_error_contains_the_server_s_text() -> None:
    with answering([b"\x1b]0;owned\x07\r\n\r\n"]) as (address, _):
        assert fault_of(HttpsConnection([address], None, LIMITS)) == (
            ConnectionFault.DOWN,
            "the connection broke (BadStatusLine)",
        )


def test_an_address_without_a_route_is_skipped() -> None:
    address = Address("127.0.0.1", 1)
    assert fault_of(HttpsConnection([address], None, LIMITS, lambda _: False)) == (
        ConnectionFault.OFFLINE,
        "the name is unknown, or there is no route",
    )
