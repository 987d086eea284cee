"""Processes under FakeTime see each move at once and go on: timers, threads, TLS, PostgreSQL clients, children."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sparekey.clock import monotonic, now_precise
from tools.faketime import FakeTime
from tools.postgresql import PostgresqlServer

pytestmark = pytest.mark.services

DAY = 86400

# Each program answers every line on its standard input with one JSON line: no clock decides when the test looks.
CLOCKS = """
import json, subprocess, sys, time
for line in sys.stdin:
    child = subprocess.run([sys.executable, "-c", "import time; print(time.time())"], capture_output=True, text=True)
    print(json.dumps([time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), float(child.stdout)]),
          flush=True)
"""

TIMERS = """
import asyncio, json, sys, threading, time
ticks = {"thread": 0, "task": 0}
def tick_in_thread():
    while not threading.Event().wait(0.01):
        ticks["thread"] += 1
threading.Thread(target=tick_in_thread, daemon=True).start()
async def tick_in_task():
    while True:
        await asyncio.sleep(0.01)
        ticks["task"] += 1
async def main():
    task = asyncio.create_task(tick_in_task())
    while await asyncio.to_thread(sys.stdin.readline):
        before = dict(ticks)
        while any(ticks[name] < before[name] + 3 for name in ticks):
            await asyncio.sleep(0.005)
        time.sleep(0.01)
        await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.01), 10)
        print(json.dumps(time.time()), flush=True)
    task.cancel()
asyncio.run(main())
"""

TLS = """
import asyncio, json, ssl, sys
certificate, key = sys.argv[1:]
async def answer(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
async def main():
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)
    client_side = ssl.create_default_context(cafile=certificate)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_side) as server:
        port = server.sockets[0].getsockname()[1]
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_side)
                writer.write(line.encode())
                result = (await reader.readline()).decode().strip()
                writer.close()
            except ssl.SSLCertVerificationError as error:
                result = error.verify_message
            print(json.dumps(result), flush=True)
asyncio.run(main())
"""

POSTGRESQL = """
import json, sys, time
import psycopg
for url in sys.stdin:
    with psycopg.connect(url.strip(), connect_timeout=5) as connection:
        [there] = connection.execute("SELECT extract(epoch FROM now())::float8").fetchone()
    print(json.dumps(time.time() - there), flush=True)
"""


@contextmanager
def a_process(time: FakeTime, program: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | time.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: "subprocess.Popen[str]", line: str = "look") -> object:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_a_running_tree_sees_each_move_on_every_clock(tmp_path: Path) -> None:
    time = FakeTime(tmp_path)
    with a_process(time, CLOCKS) as process:
        before = ask(process)
        time.advance(3 * DAY)
        after = ask(process)
    assert isinstance(before, list)
    assert isinstance(after, list)
    assert before[0] == pytest.approx(now_precise(), abs=30)
    for earlier, later in zip(before, after, strict=True):
        assert later - earlier == pytest.approx(3 * DAY, abs=30)
    assert after[0] == pytest.approx(time.now(), abs=30)


def test_a_clock_set_wrong_leaves_the_monotonic_clocks_alone_and_may_go_back(tmp_path: Path) -> None:
    time = FakeTime(tmp_path, clock_only=True)
    with a_process(time, CLOCKS) as process:
        time.set(10 * 365 * DAY)
        ahead = ask(process)
        time.set(-DAY)
        behind = ask(process)
    assert isinstance(ahead, list)
    assert isinstance(behind, list)
    assert ahead[0] - behind[0] == pytest.approx(10 * 365 * DAY + DAY, abs=30)
    assert ahead[1] == pytest.approx(monotonic(), abs=30)
    assert behind[1] == pytest.approx(monotonic(), abs=30)


def test_timers_threads_and_waits_go_on_across_moves(tmp_path: Path) -> None:
    time = FakeTime(tmp_path)
    with a_process(time, TIMERS) as process:
        for days in range(1, 6):
            time.set(days * DAY)
            assert ask(process) == pytest.approx(time.now(), abs=30)


def test_a_moment_is_reached_and_not_passed_by_more_than_a_second(tmp_path: Path) -> None:
    time = FakeTime(tmp_path)
    moment = datetime(2040, 2, 29, 12, tzinfo=UTC)
    time.set(moment)
    assert 0 <= time.now() - moment.timestamp() < 30
    with pytest.raises(ValueError, match="time zone"):
        time.set(moment.replace(tzinfo=None))
    with pytest.raises(ValueError, match="clock_only"):
        time.set(0)


def test_tls_goes_on_and_checks_certificates_by_the_faked_time(tmp_path: Path) -> None:
    certificate, key = a_certificate(tmp_path, valid=timedelta(days=10))
    time = FakeTime(tmp_path)
    with a_process(time, TLS, str(certificate), str(key)) as process:
        assert ask(process, "hello") == "hello"
        time.advance(9 * DAY)
        assert ask(process, "still") == "still"
        time.advance(2 * DAY)
        assert ask(process, "late") == "certificate has expired"


def test_a_postgresql_client_under_faked_time_talks_to_a_server_in_real_time(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    time = FakeTime(tmp_path)
    with a_process(time, POSTGRESQL) as process:
        for days in (0, 1, 30):
            time.set(days * DAY)
            assert ask(process, postgresql_server.libpq_url()) == pytest.approx(days * DAY, abs=30)


def a_certificate(directory: Path, valid: timedelta) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.fromtimestamp(now_precise(), UTC) - timedelta(hours=1)
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + valid)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    certificate_file, key_file = directory / "certificate.pem", directory / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_file, key_file
