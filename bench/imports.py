"""P10, imports: how many tokens a second come in from a file, on a real database file and on a real PostgreSQL.

From the bytes of the file to the commit: parsing, MACs, decryption, the vault's sealing, the rows and their audit rows.
The goals are rates (performance.md, P10), so this is the one figure that depends on the machine.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from bench.table import Row, progress
from sparekey.app.instance import Instance
from sparekey.app.tokens.imports import import_tokens
from sparekey.clock import now as clock_now
from sparekey.core.permissions import Actor
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import NewServer, create_server, open_instance
from tools.postgresql import PostgresqlServer
from tools.token_files import MadeToken, csv_file, pskc_file, sdtid_file, tokens

PASSWORD = "correct horse"
KEY = bytes(range(16))
_ACTOR = Actor.of_system("os:bench")

# name: how it is made, its password, seeds in bytes, records a second that are the goal
FORMATS: dict[str, tuple[Callable[[list[MadeToken]], bytes], str, int, int]] = {
    "CSV": (csv_file, "", 20, 10_000),
    "PSKC, plain": (pskc_file, "", 20, 10_000),
    "PSKC, AES-128": (lambda made: pskc_file(made, key=KEY), KEY.hex(), 20, 5_000),
    "PSKC, PBKDF2": (lambda made: pskc_file(made, password=PASSWORD, iterations=100_000), PASSWORD, 20, 5_000),
    ".sdtid": (lambda made: sdtid_file(made, password=PASSWORD), PASSWORD, 16, 5_000),
}


def rows(*, full: bool) -> list[Row]:
    """A row per format and database."""
    count = 100_000 if full else 20_000
    with PostgresqlServer() as postgresql, tempfile.TemporaryDirectory() as directory:
        return [
            *_on("SQLite", "", Path(directory) / "sqlite", count),
            *_on("PostgreSQL", postgresql.create_database(), Path(directory) / "postgresql", count),
        ]


def _on(database: str, url: str, data: Path, count: int) -> list[Row]:
    create_server(data, NewServer(Secret(url)), _ACTOR, clock_now())
    instance = open_instance(data, read_settings(data, {}))
    try:
        return [_row(instance, database, name, number, count) for number, name in enumerate(FORMATS)]
    finally:
        instance.database.close()


def _row(instance: Instance, database: str, name: str, number: int, count: int) -> Row:
    make, password, seed_bytes, goal = FORMATS[name]
    first = number * count + 1
    file = make(tokens(count, seed_bytes=seed_bytes, first=first))
    progress(f"P10: {count} tokens from {name} into {database}")
    secret = Secret(password) if password else None
    begun = perf_counter()
    report = import_tokens(instance, _ACTOR, file, secret, now=clock_now())
    rate = count / (perf_counter() - begun)
    if report.added != count:
        raise RuntimeError(f"not all of {count} tokens came in: {report.refusals[:3]}")
    return Row("P10", f"import from {name}, {database}", rate, "records/s", "goal", goal, rate / goal, ">= 1")
