"""The HTTPS client: "not reached" and its reasons, refusals, and no data for impostors."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparekey import clock
from sparekey.agent.contact.enrolment import enrol
from sparekey.agent.contact.server_client import BadAddress, ServerClient, open_connection, read_address
from sparekey.agent.ground.ports import Distance, NotReached, Refused
from sparekey.agent.platform.posix import PosixFiles, SystemClock
from sparekey.agent.store.file_keys import FileKeys
from sparekey.agent.store.key_choice import OFF
from sparekey.wire.agent_api import SignInRequest, SyncRequest, UnitRequest
from sparekey.wire.enrolment import BadEnrolmentCode, read_enrolment_code
from tests.agent.https_simulator import Authority, Served, served
from tests.agent.simulator import SimulatedServer

pytestmark = pytest.mark.services
ClientOf = Callable[..., contextlib.AbstractContextManager[ServerClient]]
SYNC = SyncRequest(held=[], checkpoint="", hardware_bound=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    simulator = SimulatedServer(clock.now())
    simulator.add_user()
    with served(simulator, tmp_path / "tls") as state:
        yield state


@pytest.fixture
def client_of(server: Served, tmp_path: Path) -> ClientOf:
    """A client for the enrolled device, at whatever addresses."""
    files = PosixFiles()
    directory = tmp_path / "store"
    state = enrol(server.url, read_enrolment_code(server.new_code()), "", directory, files, SystemClock(), OFF)
    keys = FileKeys.open(directory, files)

    def client(*urls: str, ca: bytes = b"") -> contextlib.AbstractContextManager[ServerClient]:
        trusted = ca or bytes.fromhex(state.enrolment.ca_certificate)
        return open_connection(list(urls or (server.url,)), trusted, state.enrolment.device, keys.sign, clock.now)

    return client


def distance_of(client: ServerClient) -> Distance:
    with pytest.raises(NotReached) as caught:
        client.sync(SYNC)
    return caught.value.distance


def test_one_connection_serves_a_conversation(server: Served, client_of: ClientOf) -> None:
    before = server.connections
    with client_of() as client:
        for _ in range(3):
            assert client.sync(SYNC).device_name == "laptop"
    assert server.connections == before + 1


def test_an_answer_that_ends_the_connection_is_an_answer(server: Served, client_of: ClientOf) -> None:
    server.closes = True
    with client_of() as client:
        for _ in range(2):
            assert client.sync(SYNC).device_name == "laptop"
        server.simulator.revoked = True
        with pytest.raises(Refused):
            client.sync(SYNC)


def test_a_clock_that_is_off_costs_one_more_round(server: Served, client_of: ClientOf) -> None:
    server.clock_skew = 86400
    with client_of() as client:
        assert client.sync(SYNC).device_name == "laptop"


def test_a_refusal_is_the_server_s_word(server: Served, client_of: ClientOf) -> None:
    server.simulator.revoked = True
    with client_of() as client, pytest.raises(Refused) as caught:
        client.sync(SYNC)
    assert caught.value.reply.error == "revoked"
    server.status = 404
    with client_of() as client, pytest.raises(Refused) as caught:
        client.unit(UnitRequest(user="u", kind="day", token="t", day=1, generation=1))
    assert caught.value.reply.error == "bad-answer"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_fault_of_the_server_is_not_a_no(server: Served, client_of: ClientOf, status: int) -> None:
    server.status = status
    with client_of() as client:
        assert distance_of(client) is Distance.SERVER_DOWN


def test_a_port_without_a_server_is_not_reached(client_of: ClientOf) -> None:
    with client_of("https://127.0.0.1:1") as client:
        assert distance_of(client) is Distance.SERVER_DOWN
        hint = r"\(is 1 the port of the server\? It is usually 8443\)"
        with pytest.raises(NotReached, match=rf"127.0.0.1:1: nothing answers there {hint}"):
            client.sync(SYNC)


@pytest.mark.parametrize("url", ["https://203.0.113.1.invalid:1", "https://[2001:db8::1]:1"])
def test_no_name_or_no_route(client_of: ClientOf, url: str) -> None:
    with client_of(url) as client:
        assert distance_of(client) in {Distance.OFFLINE, Distance.SERVER_DOWN}


def test_a_second_address_answers_where_the_first_does_not(server: Served, client_of: ClientOf) -> None:
    with client_of("https://127.0.0.1:1", server.url) as client:
        assert client.sync(SYNC).device_name == "laptop"


@pytest.mark.alone
def test_silence_ends_after_three_seconds_in_all(client_of: ClientOf) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        client_of(f"https://127.0.0.1:{silent.getsockname()[1]}") as client,
    ):
        client.allow(1)
        begun = clock.monotonic()
        assert distance_of(client) is Distance.SERVER_DOWN
        assert clock.monotonic() - begun < 2


def test_another_server_gets_no_request(server: Served, client_of: ClientOf, tmp_path: Path) -> None:
    with served(server.simulator, tmp_path / "other", Authority()) as other, client_of(other.url) as client:
        with pytest.raises(NotReached) as caught:
            client.sign_in(SignInRequest(login="alice", passcode="2468123456", check=""))
        assert caught.value.distance is Distance.TLS
        assert other.bodies == []


def test_a_server_without_tls_is_an_alarm(client_of: ClientOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 3)
                connection.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        with client_of(f"https://127.0.0.1:{plain.getsockname()[1]}") as client:
            assert distance_of(client) is Distance.TLS
        thread.join()


def test_a_lost_connection_is_never_reopened_without_tls(tmp_path: Path, client_of: ClientOf, server: Served) -> None:
    """A server that ends TLS and listens in clear at the same place gets no second request, above all no passcode."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server.authority.server_files(tmp_path / "again"))
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def lose() -> None:
            listener.settimeout(5)
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(65536)
                connection, _ = listener.accept()
                with connection:
                    heard.append(connection.recv(65536))

        thread = threading.Thread(target=lose)
        thread.start()
        with client_of(f"https://127.0.0.1:{listener.getsockname()[1]}") as client, pytest.raises(NotReached):
            client.sign_in(SignInRequest(login="alice", passcode="2468123456", check=""))
        listener.close()
        thread.join()
    assert heard == []


def test_another_ca_gets_no_secret(server: Served, tmp_path: Path) -> None:
    code = read_enrolment_code(server.new_code())
    with served(server.simulator, tmp_path / "other", Authority()) as other:
        with pytest.raises(BadEnrolmentCode, match="nothing was sent"):
            enrol(other.url, code, "", tmp_path / "new", PosixFiles(), SystemClock(), OFF)
        assert other.bodies == [b""]


@pytest.mark.parametrize("url", ["http://a", "ftp://a:1", "https://", "https://a:x", "https://a/path", "https://u@a"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(BadAddress, match="HOST:PORT"):
        read_address(url)


def test_addresses() -> None:
    assert read_address("https://server.example:8443").url == "https://server.example:8443"
    assert read_address("server.example").url == "https://server.example:443"
    assert read_address("https://[2001:db8::1]:8443/").url == "https://[2001:db8::1]:8443"
