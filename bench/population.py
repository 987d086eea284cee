"""A seeded population: users with tokens, some with a device that holds a day and a code, and years of audit rows.

The same seed makes the same people with the same serial numbers and seeds on any database; ids, keys and encryption are
the server's own. Rows go straight into the tables: what is measured is the server with many of them, not making them.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Table, insert, text

from bench.load import INTERVAL, Person
from sparekey.app.instance import MICROSECONDS, Instance
from sparekey.app.snapshots import seal_code, token_owner
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.search_words import fold, fold_name, words_of
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.people import domains
from sparekey.storage.people.search_words import as_text
from sparekey.storage.sealed_rows import with_seal

DOMAINS: Final = 100
REGION: Final = "Region"  # above this many of them
IN_REGION: Final = 30
BRANCH: Final = "Branch"  # a domain with one user in so many
IN_BRANCH: Final = 5_000
PER_DEVICE: Final = 5  # one user in five has a device
AUDIT_PER_USER: Final = 10
_CHUNK: Final = 5_000
_DAY: Final = 86_400
_FIRST_NAMES: Final = (
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Elena",
    "Felix",
    "Greta",
    "Hannah",
    "Ida",
    "Jonas",
    "Karl",
    "Lena",
    "Maria",
    "Noah",
    "Olga",
    "Paul",
    "Quentin",
    "Rosa",
    "Simon",
    "Thomas",
    "Ulla",
    "Victor",
    "Wanda",
    "Xaver",
    "Yara",
    "Zoë",
    "Andrea",
    "Björn",
    "Cécile",
    "Dirk",
    "Emma",
    "Frank",
    "Georg",
    "Helga",
    "Ivan",
    "Julia",
    "Klaus",
    "Laura",
    "Michael",
    "Nina",
)
_NAME_STARTS: Final = (
    "Acker",
    "Berg",
    "Burg",
    "Dorn",
    "Eichen",
    "Feld",
    "Gold",
    "Hof",
    "Kirch",
    "Lang",
    "Müh",
    "Neu",
    "Ober",
    "Rosen",
    "Schön",
    "Stein",
    "Wald",
    "Wein",
)
_NAME_ENDS: Final = (
    "bach",
    "baum",
    "berg",
    "burger",
    "dorf",
    "feld",
    "hauser",
    "hofer",
    "kamp",
    "ler",
    "mann",
    "meier",
    "müller",
    "reuter",
    "schmidt",
    "stein",
    "weg",
)
_ACTIONS: Final = (Action.SIGN_IN_GRANTED, Action.SIGN_IN_GRANTED, Action.SIGN_IN_DENIED, Action.UNIT_SEALED)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Population:
    """`seed` names it; user `number` is the same person every time."""

    seed: str
    users: int

    def person(self, number: int) -> Person:
        """Login and token of one of its users; they have no PIN."""
        return Person(f"user{number:07d}", "", Totp(Secret(self.bytes("seed", number)), interval=INTERVAL))

    def name(self, number: int) -> str:
        """Few first names and many last ones, some far more often than others."""
        one, two, three, four = self.bytes("name", number)[:4]
        first = _FIRST_NAMES[one * two // 256 * len(_FIRST_NAMES) // 256]
        last = _NAME_STARTS[three * len(_NAME_STARTS) // 256] + _NAME_ENDS[four * one // 256 * len(_NAME_ENDS) // 256]
        return f"{first} {last}"

    def bytes(self, what: str, number: int) -> bytes:
        """20 bytes that look random and are always the same."""
        return hashlib.sha256(f"{self.seed}/{what}/{number}".encode()).digest()[:20]

    def id(self, what: str, number: int) -> str:
        return self.bytes(what, number)[:16].hex()

    def settle(self, instance: Instance, now: int, progress: Callable[[str], None]) -> None:
        """Put all of it into a database that has no users yet."""
        with instance.database.write() as connection:
            home = self._domains(connection)
        for table, rows in (
            (tables.account, self._accounts(home, now)),
            (tables.account_word, self._words()),
            (tables.token, self._tokens(instance, now)),
            (tables.device, self._devices(home, now)),
            (tables.device_account, self._device_accounts(instance, now)),
            (tables.device_token, self._device_tokens(now)),
            (tables.emergency_code, self._codes(instance, now)),
            (tables.device_code, self._device_codes(now)),
            (tables.unit_receipt, self._receipts(now)),
            (tables.audit, self._audit(now)),
        ):
            progress(f"{self.users:,} users: {table.name}")
            _insert_all(instance, table, rows)
        with instance.database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("ANALYZE"))
            if connection.dialect.name == "postgresql":
                connection.execute(text("VACUUM account_word"))  # what PostgreSQL does itself a minute later

    def _domains(self, connection: Connection) -> list[str]:
        top = next(row.id for row in domains.list_domains(connection) if row.parent is None)
        region = self.id("domain", DOMAINS)
        domains.insert_domain(connection, region, REGION, top)
        domains.insert_domain(connection, self._branch(), BRANCH, top)
        names = [(self.id("domain", number), f"Domain {number:03d}") for number in range(DOMAINS)]
        for number, (domain_id, name) in enumerate(names):
            domains.insert_domain(connection, domain_id, name, region if number < IN_REGION else top)
        return [domain_id for domain_id, _ in names]

    def _branch(self) -> str:
        return self.id("domain", DOMAINS + 1)

    def _home(self, home: Sequence[str], number: int) -> str:
        return self._branch() if number % IN_BRANCH == 1 else home[number % len(home)]

    def _accounts(self, home: Sequence[str], now: int) -> Iterator[Row]:
        for number in range(self.users):
            login, name, mail = self._named(number)
            yield {
                "id": self.id("account", number),
                "login": login,
                "name": name,
                "domain_id": self._home(home, number),
                "enabled": number % 50 != 0,
                "failures": 0,
                "created_at": now - _DAY,
                "mail": mail,
                "words": as_text(words_of(login, name, mail)),
                "name_key": fold_name(name),
            }

    def _named(self, number: int) -> tuple[str, str, str]:
        """Login, name and mail address."""
        name = self.name(number)
        return f"user{number:07d}", name, f"{fold(name).replace(' ', '.')}.{number}@example.org"

    def _words(self) -> Iterator[Row]:
        for number in range(self.users):
            login, name, mail = self._named(number)
            for word in words_of(login, name, mail):
                yield {"word": word, "login": login}

    def _tokens(self, instance: Instance, now: int) -> Iterator[Row]:
        for number in range(self.users):
            account_id, token_id = self.id("account", number), self.id("token", number)
            seed = self.bytes("seed", number)
            sealed = instance.vault.seal("token.seed_sealed", token_id, token_owner(account_id, token_id), seed)
            yield {
                "id": token_id,
                "serial": f"SK{number:08d}",
                "serial_key": f"sk{number:08d}",
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
                "lost": number % 97 == 0,
                "with_pin": False,
                "expires_at": now + (1 + number % 1_000) * _DAY if number % 3 == 0 else None,
                "offline_code_online": False,
                "created_at": now - _DAY,
                "pin_must_change": False,
            }

    def _with_device(self) -> range:
        return range(0, self.users, PER_DEVICE)

    def _devices(self, home: Sequence[str], now: int) -> Iterator[Row]:
        for number in self._with_device():
            yield {
                "id": self.id("device", number),
                "name": f"LAPTOP-{number:07d}",
                "name_key": f"laptop-{number:07d}",
                "domain_id": self._home(home, number),
                "public_key": self.bytes("key", number),
                "supports_offline": True,
                "hardware_bound": False,
                "enrolled_at": now - _DAY,
                "last_contact": now - number % _DAY,
                "event_number": 0,
                "event_hash": bytes(32),
            }

    def _device_accounts(self, instance: Instance, now: int) -> Iterator[Row]:
        for number in self._with_device():
            device_id, account_id = self.id("device", number), self.id("account", number)
            key = self.bytes("offline", number)
            row, owner = f"{device_id}/{account_id}", f"device:{device_id}/account:{account_id}"
            yield {
                "device_id": device_id,
                "account_id": account_id,
                "login": self.person(number).login,
                "generation": 1,
                "offline_key_sealed": instance.vault.seal("device_account.offline_key_sealed", row, owner, key),
                "check": self.bytes("check", number)[:16],
                "stale": False,
                "last_sign_in": now - _DAY,
            }

    def _device_tokens(self, now: int) -> Iterator[Row]:
        for number in self._with_device():
            yield {
                "device_id": self.id("device", number),
                "token_id": self.id("token", number),
                "account_id": self.id("account", number),
                "last_used": now - _DAY,
            }

    def _codes(self, instance: Instance, now: int) -> Iterator[Row]:
        for number in self._with_device():
            code_id, account_id, token_id = (self.id(what, number) for what in ("code", "account", "token"))
            yield {
                "id": code_id,
                "kind": "tokencode",
                "token_id": token_id,
                "account_id": account_id,
                "version": 1,
                "code_sealed": seal_code(instance.vault, code_id, account_id, token_id, Secret("0123456789ABCDE")),
                "created_at": now - _DAY,
                "not_after": now + (number % 40) * _DAY,
            }

    def _device_codes(self, now: int) -> Iterator[Row]:
        for number in self._with_device():
            yield {
                "device_id": self.id("device", number),
                "owner_id": self.id("token", number),
                "account_id": self.id("account", number),
                "code_id": self.id("code", number),
                "held_code_id": self.id("code", number),
                "held_since": now - _DAY,
            }

    def _receipts(self, now: int) -> Iterator[Row]:
        for number, kind in itertools.product(self._with_device(), ("day", "emergency-tokencode")):
            last = now // _DAY + number % 15
            yield {
                "id": self.id(f"receipt/{kind}", number),
                "device_id": self.id("device", number),
                "account_id": self.id("account", number),
                "token_id": self.id("token", number),
                "kind": kind,
                "day": last if kind == "day" else 0,
                "first": 0,
                "count": 1440 if kind == "day" else 1,
                "generation": 1,
                "version": 0 if kind == "day" else 1,
                "policy_revision": 1,
                "unit_hash": hashlib.sha256(f"{self.seed}/{kind}/{number}".encode()).digest(),
                "sealed_at": now - _DAY,
                "not_after": (last + 1) * _DAY,
                "acknowledged_at": now - _DAY,
            }

    def _audit(self, now: int) -> Iterator[Row]:
        # Already in a batch, so that no sequencer chains them now. They are no valid audit log: `audit verify` says so.
        for number in range(self.users * AUDIT_PER_USER):
            user = number % self.users
            yield {
                "at": (now - _DAY * 365) * MICROSECONDS + number,
                "actor": "client:bench",
                "action": _ACTIONS[number % len(_ACTIONS)].value,
                "account_id": self.id("account", user),
                "token_id": self.id("token", user),
                "device_id": None,
                "result": OK,
                "detail": "{}",
                "batch": 0,
            }


def _insert_all(instance: Instance, table: Table, rows: Iterator[Row]) -> None:
    """In transactions of moderate size; PostgreSQL by COPY."""
    while chunk := list(itertools.islice(rows, _CHUNK)):
        with instance.database.write() as connection:
            chunk = [with_seal(connection, table, row) for row in chunk]
            driver = connection.connection.driver_connection
            if not isinstance(driver, psycopg.Connection):
                connection.execute(insert(table), chunk)
                continue
            names = ", ".join(f'"{name}"' for name in chunk[0])
            with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN'.encode()) as copy:
                for row in chunk:
                    copy.write_row(list(row.values()))
