"""A town full of users, for a console that is worth exploring: a few hundred people in some domains, their tokens and
computers, two weeks of what they did, and a few things that need a person.

Rules: the same seed makes the same town; people, tokens, roles and policies are made by the use cases that the console
calls; the computers and what they hold are rows alone, for sealing days for all of them would take an hour: their codes
can be shown, and work nowhere.
"""

import hashlib
from base64 import b32encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Table, insert

from sparekey.app import clients, online_emergency, policies, roles, token_imports, token_lifecycle, user_imports
from sparekey.app.audit import SYSTEM
from sparekey.app.domains import add_domain
from sparekey.app.instance import MICROSECONDS, TOP_DOMAIN, Instance
from sparekey.app.notices import raise_alarm
from sparekey.app.roles import HolderKind
from sparekey.app.showings import Showing
from sparekey.app.snapshots import seal_code
from sparekey.app.tokens import NewToken, add_token, set_enabled, set_lost, set_pin
from sparekey.app.users import add_user
from sparekey.app.users import set_enabled as set_user_enabled
from sparekey.core.events import OK, Action
from sparekey.core.outcome import Reason
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Actor
from sparekey.core.policy_kinds import PolicyKind
from sparekey.passcode import new_code
from sparekey.secret import Secret
from sparekey.storage import accounts, tables, tokens

DAY: Final = 86_400
ADMINISTRATOR: Final = "admin"
PIN: Final = "2580"
_TOWN: Final = Actor.of_system("os:town")

# name, the domain above it, and how many of a hundred people are in it
DOMAINS: Final = (
    ("Headquarters", TOP_DOMAIN, 34), ("Finance", "Headquarters", 12), ("Field", TOP_DOMAIN, 8),
    ("Field North", "Field", 18), ("Field South", "Field", 16), ("Suppliers", TOP_DOMAIN, 12),
)  # fmt: skip
_FIRST: Final = (
    "Amira", "Anton", "Beatriz", "Bruno", "Chiara", "Daniel", "Elif", "Emil", "Fatima", "Finn", "Greta", "Henri",
    "Ines", "Ivan", "Jana", "Jonas", "Katja", "Lars", "Leila", "Luis", "Mara", "Marek", "Nadia", "Noah", "Olga",
    "Paul", "Rosa", "Samir", "Sofia", "Tariq", "Theo", "Vera", "Yusuf", "Zoë",
)  # fmt: skip
_LAST: Final = (
    "Andersen", "Bauer", "Costa", "Demir", "Eriksson", "Fontaine", "Garcia", "Hofmann", "Ivanova", "Jansen",
    "Keller", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Quint", "Rossi", "Schmid", "Tanaka", "Ueda",
    "Vogel", "Weber", "Yilmaz", "Zimmermann",
)  # fmt: skip
_MODELS: Final = ("thinkpad", "latitude", "elitebook", "framework")


@dataclass(frozen=True)
class Person:
    login: str
    name: str
    domain: str


@dataclass(frozen=True)
class Town:
    """Who may sign in to its console."""

    people: int
    seed: str = field(repr=False)  # of the administrator's token, in Base32


def settle(instance: Instance, now: int, people: int, progress: Callable[[str], None]) -> Town:
    """Fill a new server. `people`: how many users."""
    for name, parent, _ in DOMAINS:
        add_domain(instance, _TOWN, name, parent, now=now)
    policies.add_policy(instance, _TOWN, PolicyKind.OFFLINE, "Field offline", {"days": "21"}, now=now)
    policies.assign_policy(instance, _TOWN, PolicyKind.OFFLINE, "Field offline", "Field", now=now)
    policies.add_policy(instance, _TOWN, PolicyKind.TOKEN, "Strict PINs", {"pin_minimum": "6"}, now=now)
    policies.assign_policy(instance, _TOWN, PolicyKind.TOKEN, "Strict PINs", "Finance", now=now)
    everybody = [_person(number) for number in range(people)]
    progress(f"{people} people in {len(DOMAINS)} security domains")
    _add_people(instance, everybody, now)
    progress("their tokens")
    _add_tokens(instance, everybody, now)
    progress("their computers, and two weeks of what they did")
    _add_computers(instance, everybody, now)
    seed = _add_operators(instance, everybody, now)
    _add_what_needs_a_person(instance, everybody, now)
    return Town(people, seed)


def _pick(what: str, number: int, choices: Any) -> Any:
    return choices[int.from_bytes(_bytes(what, number)[:4], "big") % len(choices)]


def _bytes(what: str, number: int) -> bytes:
    return hashlib.sha256(f"town/{what}/{number}".encode()).digest()


def _person(number: int) -> Person:
    first, last = _pick("first", number, _FIRST), _pick("last", number, _LAST)
    places = [name for name, _, share in DOMAINS for _ in range(share)]
    login = f"{first[0]}{last}{number}".lower().replace("ë", "e")
    return Person(login, f"{first} {last}", _pick("place", number, places))


def _add_people(instance: Instance, everybody: list[Person], now: int) -> None:
    lines = [
        "login,name,mail,domain",
        *(f"{one.login},{one.name},{one.login}@example.org,{one.domain}" for one in everybody),
    ]
    report = user_imports.import_users(instance, _TOWN, "\n".join(lines).encode(), now=now)
    if report.added != len(everybody):
        raise RuntimeError(f"not everybody could be added: {report.refusals[:3]}")
    for number, one in enumerate(everybody):
        if number % 37 == 5:
            set_user_enabled(instance, _TOWN, one.login, enabled=False, now=now)


def _add_tokens(instance: Instance, everybody: list[Person], now: int) -> None:
    """One for nearly everybody, some without a PIN, some whose PIN is still to be set, and some in the drawer."""
    lines = ["serial,type,seed,pin,expires"]
    for number in range(len(everybody) + 40):
        with_pin = "no" if number % 3 == 0 else "yes"
        expires = "2030-12-31" if number % 5 else ""
        lines.append(f"SK{10_000_000 + number},totp,{_bytes('seed', number)[:20].hex()},{with_pin},{expires}")
    report = token_imports.import_tokens(instance, _TOWN, "\n".join(lines).encode(), None, now=now)
    if report.added != len(lines) - 1:
        raise RuntimeError(f"not all tokens came in: {report.refusals[:3]}")
    for number, one in enumerate(everybody):
        if number % 19 == 7:
            continue  # has none yet
        serial = f"SK{10_000_000 + number}"
        token_lifecycle.assign(instance, _TOWN, serial, one.login, now=now)
        if number % 3 and number % 9 == 1:
            set_pin(instance, _TOWN, serial, Secret(f"{number:04d}Kx"), now=now)
        if number % 41 == 3:
            set_lost(instance, _TOWN, serial, lost=True, now=now)
        if number % 53 == 11:
            set_enabled(instance, _TOWN, serial, enabled=False, now=now)


def _add_computers(instance: Instance, everybody: list[Person], now: int) -> None:
    """For two people of five: rows of what a device holds, as if it had fetched it."""
    with instance.database.write() as connection:
        for number, one in enumerate(everybody):
            if number % 5 in (0, 2):
                _add_computer(connection, instance, number, one, now)
        _insert(connection, tables.audit, list(_past(connection, everybody, now)))


def _add_computer(connection: Connection, instance: Instance, number: int, one: Person, now: int) -> None:
    account = accounts.find_account(connection, one.login)
    token = tokens.find_token(connection, f"SK{10_000_000 + number}")
    if account is None or token is None or token.account_id != account.id:
        return
    device_id, code_id = _bytes("device", number)[:16].hex(), _bytes("code", number)[:16].hex()
    quiet = (number * 7_919) % (26 * DAY) if number % 4 == 0 else (number * 613) % DAY
    last = now - quiet
    name = f"{_pick('model', number, _MODELS)}-{number:03d}"
    _insert(connection, tables.device, [{
        "id": device_id, "name": name, "name_key": name, "domain_id": account.domain_id,
        "public_key": _bytes("key", number), "supports_offline": number % 23 != 0, "hardware_bound": number % 6 == 0,
        "enrolled_at": now - 90 * DAY, "last_contact": last, "event_number": 0, "event_hash": bytes(32),
    }])  # fmt: skip
    owner = f"device:{device_id}/account:{account.id}"
    sealed = instance.vault.seal(
        "device_account.offline_key_sealed", f"{device_id}/{account.id}", owner, _bytes("offline", number)
    )
    _insert(connection, tables.device_account, [{
        "device_id": device_id, "account_id": account.id, "login": one.login, "generation": 1,
        "offline_key_sealed": sealed, "check": _bytes("check", number)[:16], "stale": False, "last_sign_in": last,
    }])  # fmt: skip
    _insert(connection, tables.device_token, [
        {"device_id": device_id, "token_id": token.id, "account_id": account.id, "last_used": last}
    ])  # fmt: skip
    code = Secret(new_code(2 if token.with_pin else 3))
    not_after = last + 30 * DAY
    _insert(connection, tables.emergency_code, [{
        "id": code_id, "kind": "tokencode", "token_id": token.id, "account_id": account.id, "version": 1,
        "code_sealed": seal_code(instance.vault, code_id, account.id, token.id, code), "created_at": last,
        "not_after": not_after,
    }])  # fmt: skip
    _insert(connection, tables.device_code, [{
        "device_id": device_id, "owner_id": token.id, "account_id": account.id, "code_id": code_id,
        "held_code_id": code_id, "held_since": last,
    }])  # fmt: skip
    days = range(last // DAY, last // DAY + 15)
    _insert(connection, tables.unit_receipt, [
        _receipt(number, device_id, account.id, token.id, "day", day, last, (day + 1) * DAY) for day in days
    ] + [_receipt(number, device_id, account.id, token.id, "emergency-tokencode", 0, last, not_after)])  # fmt: skip


def _receipt(
    number: int, device_id: str, account_id: str, token_id: str, kind: str, day: int, at: int, not_after: int
) -> dict[str, Any]:
    name = _bytes(f"{kind}/{day}", number)
    return {
        "id": name[:16].hex(), "device_id": device_id, "account_id": account_id, "token_id": token_id, "kind": kind,
        "day": day, "first": day * 2_880, "count": 2_880, "generation": 1, "version": 0 if kind == "day" else 1,
        "policy_revision": 1, "unit_hash": name, "sealed_at": at, "not_after": not_after, "acknowledged_at": at,
    }  # fmt: skip


def _past(connection: Connection, everybody: list[Person], now: int) -> Iterator[dict[str, Any]]:
    """Sign-ins of two weeks, oldest first; one in twelve was refused."""
    ids = {one.login: accounts.find_account(connection, one.login) for one in everybody}
    for number in range(6 * len(everybody)):
        one = _pick("who", number, everybody)
        refused = number % 12 == 0
        reason = _pick("why", number, (Reason.WRONG_PASSCODE, Reason.ALREADY_USED, Reason.TOKEN_LOST))
        yield {
            "at": (now - 14 * DAY + number * 14 * DAY // (6 * len(everybody))) * MICROSECONDS,
            "actor": "client:vpn",
            "action": Action.SIGN_IN_DENIED if refused else Action.SIGN_IN_GRANTED,
            "account_id": ids[one.login].id,  # type: ignore[union-attr] # everybody was added
            "result": reason if refused else OK,
            "detail": "{}",
        }


def _add_operators(instance: Instance, everybody: list[Person], now: int) -> str:
    """The administrator of the console, a help desk for the field, an auditor; the seed of the first one's token."""
    add_user(instance, _TOWN, ADMINISTRATOR, TOP_DOMAIN, "The administrator", now=now)
    added = add_token(instance, _TOWN, ADMINISTRATOR, NewToken(with_pin=True), now=now)
    set_pin(instance, _TOWN, added.serial, Secret(PIN), now=now)
    roles.grant(instance, _TOWN, SUPER_ADMINISTRATOR, HolderKind.USER, ADMINISTRATOR, TOP_DOMAIN, now=now)
    field = [one for one in everybody if one.domain.startswith("Field")]
    roles.grant(instance, _TOWN, "help desk", HolderKind.USER, field[0].login, "Field", now=now)
    roles.grant(instance, _TOWN, "auditor", HolderKind.USER, everybody[1].login, TOP_DOMAIN, now=now)
    clients.add_client(instance, _TOWN, "vpn", TOP_DOMAIN, now=now)
    clients.add_client(instance, _TOWN, "intranet", "Headquarters", "192.0.2.0/24", now=now)
    return b32encode(added.parameters.seed.reveal()).decode()


def _add_what_needs_a_person(instance: Instance, everybody: list[Person], now: int) -> None:
    online_emergency.give_fixed(
        instance, _TOWN, f"SK{10_000_000 + 3}", online_emergency.Terms(), Showing("known voice"), now=now
    )  # the token is lost
    with instance.database.write() as connection:
        account = accounts.find_account(connection, everybody[2].login)
        raise_alarm(connection, now, SYSTEM, Action.ALARM_CLOCK, account=account.id if account else None)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)
