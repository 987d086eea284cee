"""P1 and P2: sign-ins a second through the HTTP API of a real server on a real PostgreSQL.

P1, with PIN, against bare Argon2id calls of the verifier's size on the same cores; P2, without PIN, against
`pgbench -N` on the same database server with as many clients. TLS is off on both sides, the load comes from `wrk`.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import insert, make_url

from bench.load import INTERVAL, STEPS_AHEAD, Load, Person, load
from bench.processes import serving
from bench.table import Row, progress
from sparekey.app.instance import TOP_DOMAIN, Instance, new_id
from sparekey.app.lookup import get_domain
from sparekey.app.sessions import clients
from sparekey.app.snapshots import seal_pin, token_owner
from sparekey.argon2id import argon2id
from sparekey.clock import now as clock_now
from sparekey.core.permissions import Actor, Permission
from sparekey.core.sign_in.pins import MEMORY_KIB, PASSES, PinVerifier, new_verifier
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.storage.sealed_rows import with_seal
from sparekey.storage.tables import account, token
from sparekey.wiring.server import NewServer, create_server, open_instance
from tools.postgresql import PROGRAMS as POSTGRESQL
from tools.postgresql import PostgresqlServer

CLIENTS = 16
PIN = "4711"
_ACTOR = Actor.of_system("os:bench")


def rows(*, full: bool) -> list[Row]:
    """Two rows of rates and one of latency."""
    if shutil.which("wrk") is None:
        raise FileNotFoundError("wrk is missing: install the Debian package `wrk`")
    seconds = 20 if full else 6
    with PostgresqlServer() as postgresql, tempfile.TemporaryDirectory() as directory:
        url = postgresql.create_database()
        create_server(Path(directory) / "data", NewServer(Secret(url)), _ACTOR, clock_now())
        with server(Path(directory) / "data") as (instance, address, key):
            progress(f"P1: sign-ins with PIN for {seconds} s, {CLIENTS} clients")
            with_pin = _load(instance, address, key, Path(directory), seconds, rate=200, pin=PIN)
            hashes = _hashes(seconds / 2)
            progress(f"P2: sign-ins without PIN for {seconds} s, and pgbench -N")
            without = _load(instance, address, key, Path(directory), seconds, rate=1_500, pin="")
        transactions, pg_p99 = _pgbench(url, seconds, Path(directory))
    return [
        Row(
            "P1",
            "sign-ins with PIN + TOTP, PostgreSQL",
            with_pin.per_second,
            "/s",
            "one Argon2id each",
            hashes,
            with_pin.per_second / hashes,
            ">= 0.85",
        ),
        Row(
            "P2",
            "sign-ins without PIN, PostgreSQL",
            without.per_second,
            "/s",
            "pgbench -N",
            transactions,
            without.per_second / transactions,
            ">= 0.25",
        ),
        Row("P2", "p99 of these", without.p99_ms, "ms", "pgbench -N", pg_p99, without.p99_ms / pg_p99, "<= 8"),
    ]


@contextmanager
def server(data: Path) -> Iterator[tuple[Instance, str, Secret[str]]]:
    instance = open_instance(data, read_settings(data, os.environ))
    key = clients.add_client(instance, _ACTOR, "bench", now=clock_now())
    try:
        with serving(data, {"SPAREKEY_TLS": "off"}) as port:
            yield instance, f"http://127.0.0.1:{port}", key
    finally:
        instance.database.close()


def _load(
    instance: Instance, address: str, key: Secret[str], directory: Path, seconds: int, *, rate: int, pin: str
) -> Load:
    people = _add_users(instance, rate * seconds // STEPS_AHEAD + CLIENTS, pin)
    return load(instance, address, key, directory, people, seconds, CLIENTS)


def _add_users(instance: Instance, count: int, pin: str) -> list[Person]:
    """Straight into the tables: a user each with a token of their own; they share one PIN and its hash."""
    now, made, accounts, tokens = clock_now(), [], [], []
    verifier = new_verifier(pin) if pin else None
    with instance.database.write() as connection:
        domain = get_domain(connection, _ACTOR, TOP_DOMAIN, Permission.DOMAIN_VIEW).id
        for _ in range(count):
            account_id, token_id = new_id(), new_id()
            totp = Totp(Secret(os.urandom(20)), interval=INTERVAL)
            sealed = instance.vault.seal(
                "token.seed_sealed", token_id, token_owner(account_id, token_id), totp.seed.reveal()
            )
            accounts.append(
                {
                    "id": account_id,
                    "login": account_id,
                    "name": "x",
                    "domain_id": domain,
                    "enabled": True,
                    "failures": 0,
                    "created_at": now,
                }
            )
            tokens.append(
                {
                    "id": token_id,
                    "serial": token_id,
                    "type": "totp",
                    "account_id": account_id,
                    "digits": 6,
                    "interval": INTERVAL,
                    "algorithm": "sha1",
                    "seed_sealed": sealed,
                    "drift": 0,
                    "last_step": 0,
                    "replay_step": 0,
                    "enabled": True,
                    "lost": False,
                    "with_pin": bool(pin),
                    "offline_code_online": False,
                    "created_at": now,
                    **_pin(instance, account_id, token_id, verifier),
                }
            )
            made.append(Person(account_id, pin, totp))
        connection.execute(insert(account), [with_seal(connection, account, row) for row in accounts])
        connection.execute(insert(token), [with_seal(connection, token, row) for row in tokens])
    return made


def _pin(instance: Instance, account_id: str, token_id: str, verifier: PinVerifier | None) -> dict[str, object]:
    return asdict(seal_pin(instance.vault, account_id, token_id, verifier)) if verifier else {}


def _hashes(seconds: float) -> float:
    """Bare hashes a second of a PIN verifier's size, on all cores."""
    cores = os.cpu_count() or 1

    def share(_: int) -> int:
        done, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            argon2id(PIN.encode(), bytes(16), MEMORY_KIB, PASSES)
            done += 1
        return done

    with ThreadPoolExecutor(cores) as pool:
        begun = time.perf_counter()
        done = sum(pool.map(share, range(cores)))
        return done / (time.perf_counter() - begun)


def _pgbench(url: str, seconds: int, directory: Path) -> tuple[float, float]:
    """(transactions a second, p99 in ms) of `pgbench -N` with as many clients."""
    where = make_url(url)
    command = [str(POSTGRESQL / "pgbench"), "-h", str(where.host), "-p", str(where.port), "-U", str(where.username)]
    env = {**os.environ, "PGPASSWORD": str(where.password)}
    base = [*command, str(where.database)]
    subprocess.run([*base, "-i", "-q", "-s", "10"], env=env, capture_output=True, check=True)
    arguments = ["-N", "-c", str(CLIENTS), "-j", "2", "-T", str(seconds), "-l", "--log-prefix", str(directory / "pg")]
    words = subprocess.run([*base, *arguments], env=env, capture_output=True, text=True, check=True).stdout
    micros = sorted(int(line.split()[2]) for log in directory.glob("pg.*") for line in log.read_text().splitlines())
    return float(re.findall(r"tps = ([\d.]+)", words)[0]), micros[int(len(micros) * 0.99)] / 1000
