"""A town full of users, for a console that is worth exploring: a few hundred people in some domains, their tokens and
computers, two weeks of what they did, and a few things that need a person.

Rules: the same seed makes the same town; people, tokens, roles and policies are made by the use cases that the console
calls, in the order of time, so that the record reads as if it had happened; what becomes of a person is their fate, and
four of five are ready for a day without a network; the computers and what they hold are rows alone, for sealing days
for all of them would take an hour: their codes can be shown, and work nowhere.
"""

import hashlib
from base64 import b32encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Table, insert

from sparekey.app.audit import SYSTEM
from sparekey.app.authorisation import actor_of
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.second_person import ApprovalNeeded
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import MICROSECONDS, TOP_DOMAIN, Instance
from sparekey.app.notices import raise_alarm
from sparekey.app.people import imports as user_imports
from sparekey.app.people import roles
from sparekey.app.people.domains import add_domain
from sparekey.app.people.roles import HolderKind
from sparekey.app.people.users import add_user
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.policies import policies
from sparekey.app.sessions import clients
from sparekey.app.snapshots import seal_code
from sparekey.app.tokens import imports as token_imports
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens.tokens import NewToken, add_token, set_enabled, set_lost, set_pin
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.emergency.offline import CodeKind, groups_of
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Actor
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import Reason
from sparekey.passcode import new_code
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.names import actors_named
from sparekey.storage.people import accounts
from sparekey.storage.people.accounts import Account
from sparekey.storage.sealed_rows import with_seal
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import AssignedToken
from sparekey.unit_kind import UnitKind

DAY: Final = 86_400
HISTORY: Final = 120 * DAY  # so long ago it was founded
ADMINISTRATOR: Final = "admin"
DEPUTY: Final = "deputy"  # who approves what the administrator asks for
PIN: Final = "2580"
TWO_PEOPLE: Final = "Finance"  # the domain where showing a passcode needs an approval
_TOWN: Final = Actor.of_system("os:town")
_WEEKS: Final = 14 * DAY  # of sign-ins
_TROUBLE: Final = 3 * DAY  # so long ago tokens were lost and users left: all within a day
_EMERGENCY_LIFE: Final = 30 * DAY
_FIELD_DAYS: Final = 21

# name, the domain above it, and how many of a hundred people are in it
DOMAINS: Final = (
    ("Headquarters", TOP_DOMAIN, 34),
    ("Finance", "Headquarters", 12),
    ("Field", TOP_DOMAIN, 8),
    ("Field North", "Field", 18),
    ("Field South", "Field", 16),
    ("Suppliers", TOP_DOMAIN, 12),
)
_FIRST: Final = (
    "Amira",
    "Anton",
    "Beatriz",
    "Bruno",
    "Chiara",
    "Daniel",
    "Elif",
    "Emil",
    "Fatima",
    "Finn",
    "Greta",
    "Henri",
    "Ines",
    "Ivan",
    "Jana",
    "Jonas",
    "Katja",
    "Lars",
    "Leila",
    "Luis",
    "Mara",
    "Marek",
    "Nadia",
    "Noah",
    "Olga",
    "Paul",
    "Rosa",
    "Samir",
    "Sofia",
    "Tariq",
    "Theo",
    "Vera",
    "Yusuf",
    "Zoë",
)
_LAST: Final = (
    "Andersen",
    "Bauer",
    "Costa",
    "Demir",
    "Eriksson",
    "Fontaine",
    "Garcia",
    "Hofmann",
    "Ivanova",
    "Jansen",
    "Keller",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
    "Quint",
    "Rossi",
    "Schmid",
    "Tanaka",
    "Ueda",
    "Vogel",
    "Weber",
    "Yilmaz",
    "Zimmermann",
)
_MODELS: Final = ("thinkpad", "latitude", "elitebook", "framework")


class _Fate(StrEnum):
    """The condition of a person, as the pages show it."""

    READY = "ready"
    TWO_COMPUTERS = "two computers"
    RUNS_OUT = "runs out"  # the computer has not been seen for days, and its data end this week
    AWAY = "away"  # for weeks: its days have ended
    LOST = "lost"
    NO_PIN = "no pin"  # is asked for one at the first sign-in
    PIN_LESS = "pin-less"
    NO_TOKEN = "no token"
    NO_COMPUTER = "no computer"


_FATES: Final = (
    *[_Fate.READY] * 30,
    *[_Fate.TWO_COMPUTERS] * 3,
    *[_Fate.RUNS_OUT] * 2,
    *[_Fate.AWAY] * 2,
    *[_Fate.NO_COMPUTER] * 2,
    _Fate.LOST,
    _Fate.NO_PIN,
    _Fate.PIN_LESS,
    _Fate.NO_TOKEN,
)
_COMPUTERS: Final = {_Fate.NO_TOKEN: 0, _Fate.NO_PIN: 0, _Fate.NO_COMPUTER: 0, _Fate.TWO_COMPUTERS: 2}  # else 1


@dataclass(frozen=True)
class Person:
    """`quiet`: seconds for which the computer has not been seen."""

    number: int
    login: str
    name: str
    domain: str
    fate: _Fate
    leaves: bool
    quiet: int

    @property
    def serial(self) -> str:
        return f"SK{10_000_000 + self.number}"

    @property
    def token_goes(self) -> bool:
        """Return True if the token is disabled."""
        return self.number % 53 == 11 and self.fate is not _Fate.NO_TOKEN

    @property
    def signs_in(self) -> bool:
        return self.fate not in (_Fate.NO_TOKEN, _Fate.NO_PIN)


@dataclass(frozen=True)
class Town:
    """The users who may sign in to its console, and the users who wait for an approver there."""

    people: int
    seed: str = field(repr=False)  # of the administrator's token, in Base32
    deputy_seed: str = field(repr=False)
    ask: Callable[[Instance, int], None]  # the help desk asks for a passcode, at this unix second


def settle(instance: Instance, now: int, people: int, progress: Callable[[str], None]) -> Town:
    """Fill a server that was made HISTORY before `now`. `people`: how many users."""
    begun = now - HISTORY
    _add_rules(instance, begun)
    everybody = [_person(number) for number in range(people)]
    progress(f"{people} users in {len(DOMAINS)} security domains")
    _add_people(instance, everybody, begun + DAY)
    seed, deputy_seed = _add_operators(instance, everybody, begun + 2 * DAY)
    progress("their tokens")
    _add_tokens(instance, everybody, begun + 3 * DAY)
    vpn = _add_clients(instance, begun + 20 * DAY)
    progress("their computers, and two weeks of events")
    with instance.database.write() as connection:
        found = _Found.of(connection, everybody)
        places = _add_computers(connection, instance, everybody, found, now)
        _insert(connection, tables.audit, list(_sign_ins(everybody, found, places, vpn, now - _WEEKS, now - _TROUBLE)))
    _add_trouble(instance, everybody, now - _TROUBLE)
    with instance.database.write() as connection:
        late = now - _TROUBLE + DAY
        _insert(connection, tables.audit, list(_sign_ins(everybody, found, places, vpn, late, now - 3_600)))
    _add_what_needs_a_person(instance, everybody, now)
    ask = _asking(everybody)
    ask(instance, now - 60)
    return Town(people, seed, deputy_seed, ask)


def _add_rules(instance: Instance, now: int) -> None:
    for name, parent, _ in DOMAINS:
        add_domain(instance, _TOWN, name, parent, now=now)
    for kind, name, values, places in (
        (PolicyKind.OFFLINE, "Field offline", {"days": str(_FIELD_DAYS)}, ("Field", "Field North", "Field South")),
        (PolicyKind.OFFLINE, "Two people", {"passcode_approval": "on"}, (TWO_PEOPLE,)),
        (PolicyKind.TOKEN, "Strict PINs", {"pin_minimum": "6"}, ("Finance",)),
    ):
        policies.add_policy(instance, _TOWN, kind, name, values, now=now)
        for place in places:  # a domain below keeps its own
            policies.assign_policy(instance, _TOWN, kind, name, place, now=now)


def _pick(what: str, number: int, choices: Any) -> Any:
    return choices[int.from_bytes(_bytes(what, number)[:4], "big") % len(choices)]


def _bytes(what: str, number: int) -> bytes:
    return hashlib.sha256(f"town/{what}/{number}".encode()).digest()


def _person(number: int) -> Person:
    first, last = _pick("first", number, _FIRST), _pick("last", number, _LAST)
    places = [name for name, _, share in DOMAINS for _ in range(share)]
    login = f"{first[0]}{last}{number}".lower().replace("ë", "e")
    domain, fate = _pick("place", number, places), _pick("fate", number, _FATES)
    days = _FIELD_DAYS if domain.startswith("Field") else 14
    quiet = (
        {_Fate.AWAY: (days + 2 + number % 12) * DAY, _Fate.RUNS_OUT: (days - 1 - number % 5) * DAY}.get(fate, 0)
        + 4_000
        + number * 613 % (20 * 3_600)
    )
    return Person(number, login, f"{first} {last}", domain, fate, number % 37 == 5, quiet)


def _ready_in(everybody: Sequence[Person], domain: str) -> list[Person]:
    """Return the people of the domain who are suitable for a part."""
    return [
        one
        for one in everybody
        if one.domain.startswith(domain) and one.fate is _Fate.READY and one.number % 71 != 3 and not one.leaves
    ]


def _add_people(instance: Instance, everybody: Sequence[Person], now: int) -> None:
    lines = [
        "login,name,mail,domain",
        *(f"{one.login},{one.name},{one.login}@example.org,{one.domain}" for one in everybody),
    ]
    report = user_imports.import_users(instance, _TOWN, "\n".join(lines).encode(), now=now)
    if report.added != len(everybody):
        raise RuntimeError(f"not everybody could be added: {report.refusals[:3]}")


def _add_tokens(instance: Instance, everybody: Sequence[Person], now: int) -> None:
    """One for nearly everybody, and some in the drawer."""
    lines = ["serial,type,seed,pin,expires"]
    pin_less = {one.number for one in everybody if one.fate is _Fate.PIN_LESS}
    for number in range(len(everybody) + 40):
        expires = "2030-12-31" if number % 5 else ""
        with_pin = "no" if number in pin_less else "yes"
        lines.append(f"SK{10_000_000 + number},totp,{_bytes('seed', number)[:20].hex()},{with_pin},{expires}")
    report = token_imports.import_tokens(instance, _TOWN, "\n".join(lines).encode(), None, now=now)
    if report.added != len(lines) - 1:
        raise RuntimeError(f"not all tokens came in: {report.refusals[:3]}")
    for one in everybody:
        if one.fate is _Fate.NO_TOKEN:
            continue
        given = now + DAY + one.number * 600
        token_lifecycle.assign(instance, _TOWN, one.serial, one.login, now=given)
        if one.fate not in (_Fate.NO_PIN, _Fate.PIN_LESS):
            set_pin(instance, _TOWN, one.serial, Secret(f"{one.number:04d}Kx"), now=given + 90)


def _add_operators(instance: Instance, everybody: Sequence[Person], now: int) -> tuple[str, str]:
    """The administrator of the console and the deputy, whose tokens' seeds these are; help desks, an auditor."""
    seeds = []
    for login, name, role in (
        (ADMINISTRATOR, "The administrator", SUPER_ADMINISTRATOR),
        (DEPUTY, "The deputy", "domain administrator"),
    ):
        add_user(instance, _TOWN, login, TOP_DOMAIN, name, now=now)
        added = add_token(instance, _TOWN, login, NewToken(with_pin=True), now=now)
        set_pin(instance, _TOWN, added.serial, Secret(PIN), now=now)
        roles.grant(instance, _TOWN, role, HolderKind.USER, login, TOP_DOMAIN, now=now)
        seeds.append(b32encode(added.parameters.seed.reveal()).decode())
    for domain in ("Field", TWO_PEOPLE):
        there = _ready_in(everybody, domain)
        if there:
            roles.grant(instance, _TOWN, "help desk", HolderKind.USER, there[0].login, domain, now=now)
    roles.grant(instance, _TOWN, "auditor", HolderKind.USER, everybody[1].login, TOP_DOMAIN, now=now)
    return seeds[0], seeds[1]


def _add_clients(instance: Instance, now: int) -> str:
    """The id of the one that most people sign in through."""
    clients.add_client(instance, _TOWN, "vpn", TOP_DOMAIN, now=now)
    clients.add_client(instance, _TOWN, "intranet", "Headquarters", "192.0.2.0/24", now=now)
    with instance.database.read() as connection:
        return str(actors_named(connection, "vpn")[0].id)


@dataclass(frozen=True)
class _Found:
    """Rows of people and their tokens, by login."""

    accounts: Mapping[str, Account]
    tokens: Mapping[str, AssignedToken]

    @classmethod
    def of(cls, connection: Connection, everybody: Sequence[Person]) -> "_Found":
        people = {one.login: accounts.find_account(connection, one.login) for one in everybody}
        theirs = {one.login: tokens.find_token(connection, one.serial) for one in everybody}
        return cls(
            {login: row for login, row in people.items() if row is not None},
            {login: row for login, row in theirs.items() if isinstance(row, AssignedToken)},
        )


def _add_computers(
    connection: Connection, instance: Instance, everybody: Sequence[Person], found: _Found, now: int
) -> dict[str, str]:
    """Rows of what a device holds, as if it had fetched it; by login the id of the first one of each."""
    devices: list[dict[str, Any]] = []
    first: dict[str, str] = {}
    for one in everybody:
        count = _COMPUTERS.get(one.fate, 1)
        codes = _add_codes(connection, instance, one, found, now) if count else []
        for which in range(count):
            device_id = _add_computer(connection, instance, one, which, found, codes, now)
            first.setdefault(one.login, device_id)
            devices.append(
                {
                    "at": _enrolled(one, which, now) * MICROSECONDS,
                    "actor": f"device:{device_id}",
                    "action": Action.DEVICE_ENROLLED,
                    "device_id": device_id,
                    "result": OK,
                    "detail": f'{{"name":"{_computer(one, which)}"}}',
                }
            )
    _insert(connection, tables.audit, sorted(devices, key=lambda row: row["at"]))
    return first


def _computer(one: Person, which: int) -> str:
    return f"{_pick('model', one.number + 1_000 * which, _MODELS)}-{one.number:03d}{'b' * which}"


def _enrolled(one: Person, which: int, now: int) -> int:
    return now - 90 * DAY + one.number * 900 + which * 40


def _add_codes(
    connection: Connection, instance: Instance, one: Person, found: _Found, now: int
) -> list[tuple[CodeKind, str, str]]:
    """Both emergency codes of a user: kind, owner's id, code's id."""
    account, token = found.accounts[one.login], found.tokens[one.login]
    made = [(CodeKind.PASSCODE, account.id)]
    if one.fate is not _Fate.PIN_LESS:  # of a token without a PIN policy wants none
        made.append((CodeKind.TOKENCODE, token.id))
    codes = []
    for kind, owner_id in made:
        code_id = _bytes(f"code/{kind}", one.number)[:16].hex()
        token_id = token.id if kind is CodeKind.TOKENCODE else None
        code = Secret(new_code(groups_of(kind, with_pin=token_id is not None)))
        _insert(
            connection,
            tables.emergency_code,
            [
                {
                    "id": code_id,
                    "kind": kind,
                    "token_id": token_id,
                    "account_id": account.id,
                    "version": 1,
                    "code_sealed": seal_code(instance.vault, code_id, account.id, token_id, code),
                    "created_at": now - one.quiet,
                    "not_after": now - one.quiet + _EMERGENCY_LIFE,
                }
            ],
        )
        codes.append((kind, owner_id, code_id))
    return codes


def _add_computer(
    connection: Connection,
    instance: Instance,
    one: Person,
    which: int,
    found: _Found,
    codes: Sequence[tuple[CodeKind, str, str]],
    now: int,
) -> str:
    account, token = found.accounts[one.login], found.tokens[one.login]
    key, last = one.number + 1_000 * which, now - one.quiet
    device_id, name = _bytes("device", key)[:16].hex(), _computer(one, which)
    _insert(
        connection,
        tables.device,
        [
            {
                "id": device_id,
                "name": name,
                "name_key": name,
                "domain_id": account.domain_id,
                "public_key": _bytes("key", key),
                "supports_offline": one.number % 71 != 3,
                "hardware_bound": one.number % 6 == 0,
                "enrolled_at": _enrolled(one, which, now),
                "last_contact": last,
                "event_number": 0,
                "event_hash": bytes(32),
            }
        ],
    )
    owner = f"device:{device_id}/account:{account.id}"
    sealed = instance.vault.seal(
        "device_account.offline_key_sealed", f"{device_id}/{account.id}", owner, _bytes("offline", key)
    )
    _insert(
        connection,
        tables.device_account,
        [
            {
                "device_id": device_id,
                "account_id": account.id,
                "login": one.login,
                "generation": 1,
                "offline_key_sealed": sealed,
                "check": _bytes("check", key)[:16],
                "stale": False,
                "last_sign_in": last,
            }
        ],
    )
    _insert(
        connection,
        tables.device_token,
        [{"device_id": device_id, "token_id": token.id, "account_id": account.id, "last_used": last}],
    )
    _insert(
        connection,
        tables.device_code,
        [
            {
                "device_id": device_id,
                "owner_id": owner_id,
                "account_id": account.id,
                "code_id": code_id,
                "held_code_id": code_id,
                "held_since": last,
            }
            for _, owner_id, code_id in codes
        ],
    )
    units: list[tuple[str, str | None, int, int]] = []
    if one.fate is not _Fate.PIN_LESS:
        days = _FIELD_DAYS if one.domain.startswith("Field") else 14
        units = [("day", token.id, day, (day + 1) * DAY) for day in range(last // DAY, last // DAY + days + 1)]
    for kind, _, _ in codes:
        of_token = kind is CodeKind.TOKENCODE
        unit = UnitKind.EMERGENCY_TOKENCODE if of_token else UnitKind.EMERGENCY_PASSCODE
        units.append((unit, token.id if of_token else None, 0, last + _EMERGENCY_LIFE))
    _insert(connection, tables.unit_receipt, [_receipt(key, device_id, account.id, unit, last) for unit in units])
    return device_id


def _receipt(
    key: int, device_id: str, account_id: str, unit: tuple[str, str | None, int, int], at: int
) -> dict[str, Any]:
    kind, token_id, day, not_after = unit
    name = _bytes(f"{kind}/{day}", key)
    return {
        "id": name[:16].hex(),
        "device_id": device_id,
        "account_id": account_id,
        "token_id": token_id,
        "kind": kind,
        "day": day,
        "first": day * 2_880,
        "count": 2_880,
        "generation": 1,
        "version": 0 if kind == "day" else 1,
        "policy_revision": 1,
        "unit_hash": name,
        "sealed_at": at,
        "not_after": not_after,
        "acknowledged_at": at,
    }


def _sign_ins(
    everybody: Sequence[Person], found: _Found, places: Mapping[str, str], vpn: str, since: int, until: int
) -> Iterator[dict[str, Any]]:
    """Yield sign-ins, oldest first, at the VPN or on a computer. One in twelve was refused; after the trouble, every
    user with a lost or disabled token was refused."""
    able = [one for one in everybody if one.signs_in]
    trouble = since > until - 2 * DAY  # after it, people who left try no more
    apart = _WEEKS // (6 * len(everybody))
    for number, at in enumerate(range(since, until, apart)):
        one = _pick("who", since + number, able)
        if trouble and one.leaves:
            continue
        device_id = places.get(one.login)
        here = device_id is not None and number % 2 == 0 and at <= until - one.quiet
        refused = number % 12 == 0
        reason = _pick("why", number, (Reason.WRONG_PASSCODE, Reason.ALREADY_USED))
        if trouble and (one.fate is _Fate.LOST or one.token_goes):
            refused, reason = True, Reason.TOKEN_DISABLED if one.token_goes else Reason.TOKEN_LOST
        yield {
            "at": at * MICROSECONDS,
            "actor": f"device:{device_id}" if here else f"client:{vpn}",
            "action": Action.SIGN_IN_DENIED if refused else Action.SIGN_IN_GRANTED,
            "account_id": found.accounts[one.login].id,
            "token_id": found.tokens[one.login].id,
            "device_id": device_id if here else None,
            "result": reason if refused else OK,
            "detail": "{}" if refused else '{"method":"tokencode"}',
        }


def _add_trouble(instance: Instance, everybody: Sequence[Person], now: int) -> None:
    """Add the day's trouble of some people, from `now` on."""
    for one in everybody:
        at = now + one.number * 200
        if one.leaves:
            set_user_enabled(instance, _TOWN, one.login, enabled=False, now=at)
        if one.fate is _Fate.LOST:
            set_lost(instance, _TOWN, one.serial, lost=True, now=at + 60)
        if one.token_goes:
            set_enabled(instance, _TOWN, one.serial, enabled=False, now=at + 120)


def _add_what_needs_a_person(instance: Instance, everybody: Sequence[Person], now: int) -> None:
    lost = [one for one in everybody if one.fate is _Fate.LOST and not one.leaves]
    if lost:
        online_emergency.give_fixed(
            instance, _TOWN, lost[0].serial, online_emergency.Terms(), Showing("called back"), now=now - 1_800
        )
    with instance.database.write() as connection:
        account = accounts.find_account(connection, everybody[2].login)
        raise_alarm(connection, now - 1_200, SYSTEM, Action.ALARM_CLOCK, account=account.id if account else None)


def _asking(everybody: Sequence[Person]) -> Callable[[Instance, int], None]:
    """Return a step in which the help desk of TWO_PEOPLE requests a user's passcode, if the domain has two people."""
    there = _ready_in(everybody, TWO_PEOPLE)

    def ask(instance: Instance, now: int) -> None:
        if len(there) < 2:
            return
        desk, caller = there[0], there[1]
        with instance.database.read() as connection:
            row = accounts.find_account(connection, desk.login)
            actor = actor_of(connection, row.id) if row is not None else _TOWN
        said = Showing("called back", "has forgotten the PIN")
        with suppress(ApprovalNeeded):
            emergency.show(instance, actor, CodeKind.PASSCODE, caller.login, _computer(caller, 0), said, now=now)

    return ask


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), [with_seal(connection, table, row) for row in rows])
