"""Syslog over TLS: a real rsyslog understands each field, and only an end in order confirms."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sparekey import clock
from sparekey.app.ports import CollectorError
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.audit_log.export import ExportedEvent
from sparekey.keystore import local_ca
from sparekey.keystore.ca_scope import CaScope
from sparekey.syslog.collector import SyslogCollector
from sparekey.syslog.message import LONGEST, message
from tools.rsyslog import Rsyslog

pytestmark = pytest.mark.services
AT = 1_800_000_000_123_456


def an_event(
    number: int = 1,
    *,
    action: str = "sign-in.granted",
    result: str = "ok",
    detail: str = '{"step":1}',
    device: str = "laptop",
) -> ExportedEvent:
    row = AuditRow(number, AT, "client:web", action, "a1", None, "d1", result, detail)
    return ExportedEvent(7, row, "alice", None, device)


def collector(server: Rsyslog) -> SyslogCollector:
    return SyslogCollector("127.0.0.1", server.port, "one.example.org", str(server.ca_file))


def wait_for(server: Rsyslog, count: int) -> None:
    end = clock.monotonic() + 30
    while len(server.messages()) < count:
        assert clock.monotonic() < end, server.messages()


def test_rsyslog_understands_each_field(tmp_path: Path) -> None:
    with Rsyslog(tmp_path) as server:
        collector(server).send(
            [
                an_event(1),
                an_event(2, action="sign-in.denied", result="bad-passcode"),
                an_event(3, action="alarm.clock", detail='{"reason":"x\\ny"}', device='lap\n"top\u2028'),
                an_event(4, detail='{"note":"' + "\\u00e4" * 1_600 + '"}'),
            ]
        )
        wait_for(server, 4)
        granted, denied, alarm, long = server.messages()
    # 13 is the facility of audits: 13 * 8 and the severity
    assert [each["pri"] for each in (granted, denied, alarm)] == ["110", "109", "105"]
    fields = {name: granted[name] for name in ("protocol-version", "hostname", "app-name", "procid", "msgid")}
    assert fields == {
        "protocol-version": "1",
        "hostname": "one.example.org",
        "app-name": "sparekey",
        "procid": "-",
        "msgid": "sign-in.granted",
    }
    assert granted["timereported"] == "2027-01-15T08:00:00.123456Z"
    assert granted["msg"] == an_event(1).members
    assert alarm["msg"]["detail"] == {"reason": "x\ny"}
    assert alarm["msg"]["device"] == 'lap\n"top\u2028'
    assert (long["msg"]["detail"], long["msg"]["detail_left_out"]) == (None, 9_611)


def test_many_events_arrive_in_order_and_in_frames_of_their_own(tmp_path: Path) -> None:
    with Rsyslog(tmp_path) as server:
        collector(server).send([an_event(number) for number in range(500)])
        wait_for(server, 500)
        assert [each["msg"]["id"] for each in server.messages()] == list(range(500))


def test_another_ca_or_name_gets_nothing(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    local_ca.create_ca(other, "other", clock.now(), CaScope.around(()))
    with Rsyslog(tmp_path) as server:
        for wrong in (
            replace(collector(server), ca_file=str(other / local_ca.CA_FILE)),
            replace(collector(server), ca_file=""),
        ):
            with pytest.raises(CollectorError, match="certificate is not valid"):
                wrong.send([an_event()])
        assert server.messages() == []


def test_an_unreachable_collector_is_an_error(tmp_path: Path) -> None:
    server = Rsyslog(tmp_path)
    with pytest.raises(CollectorError, match="does not answer"):
        collector(server).send([an_event()])


# Collectors that end a connection in other ways than rsyslog


@contextmanager
def listening(directory: Path, behave: Callable[[ssl.SSLSocket], None]) -> Iterator[SyslogCollector]:
    keys = directory / "keys"
    keys.mkdir(mode=0o700)
    local_ca.create_ca(keys, "x", clock.now(), CaScope.around(()))
    local_ca.renew_server_certificate(keys, ["127.0.0.1"], clock.now())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / local_ca.SERVER_FILE)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            # The test is about the sender, not about errors here.
            with suppress(OSError, ValueError), context.wrap_socket(plain, server_side=True) as connection:
                behave(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        yield SyslogCollector("127.0.0.1", port, "one", str(keys / local_ca.CA_FILE), wait_seconds=1.0)
        thread.join()


def read_all(connection: ssl.SSLSocket) -> bytes:
    read = b""
    with suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
        while more := connection.recv(65_536):
            read += more
    return read


def test_a_collector_that_answers_the_close_has_confirmed(tmp_path: Path) -> None:
    read: list[bytes] = []

    def behave(connection: ssl.SSLSocket) -> None:
        read.append(read_all(connection))
        connection.unwrap()

    with listening(tmp_path, behave) as sender:
        sender.send([an_event()])
    assert read[0].startswith(b"%d <110>1 " % (len(read[0]) - len(b"%d " % len(read[0]))))


def test_a_collector_that_reads_all_and_closes_has_confirmed(tmp_path: Path) -> None:
    with listening(tmp_path, lambda connection: (read_all(connection), None)[1]) as sender:
        sender.send([an_event()])


def test_a_collector_that_never_answers_has_not_confirmed(tmp_path: Path) -> None:
    done = threading.Event()
    with listening(tmp_path, lambda _: (done.wait(30), None)[1]) as sender:
        with pytest.raises(CollectorError):
            sender.send([an_event()])
        done.set()


@pytest.mark.parametrize("politely", [False, True])
def test_a_collector_that_leaves_events_unread_has_not_confirmed(tmp_path: Path, politely: bool) -> None:
    """In TLS 1.3 each side ends for itself: a polite end before all was read confirms nothing."""
    many = [an_event(number, detail='{"x":"' + "y" * 4_000 + '"}') for number in range(300)]

    def behave(connection: ssl.SSLSocket) -> None:
        connection.recv(10)
        if politely:
            # Our end of TLS, without waiting for the sender's.
            connection.setblocking(False)
            with suppress(ssl.SSLError):
                connection.unwrap()

    with listening(tmp_path, behave) as sender, pytest.raises(CollectorError):
        sender.send(many)


@pytest.mark.parametrize("count", [1, 40])
def test_a_collector_that_closed_before_the_events_has_not_confirmed(tmp_path: Path, count: int) -> None:
    with listening(tmp_path, lambda _: None) as sender, pytest.raises(CollectorError):
        sender.send([an_event(number) for number in range(count)])


def test_a_message_is_never_longer_than_a_receiver_should_take() -> None:
    for length in range(LONGEST - 700, LONGEST + 10, 7):
        assert len(message(an_event(detail='{"x":"' + "y" * length + '"}'), "h" * 300)) <= LONGEST
