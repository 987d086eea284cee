"""Reports for a day without a network: the readiness of all users, and a forecast of users who cannot sign in.

Rules:
- Rows are computed one after the other in order of login, so that a hundred thousand users need little memory.
- The data on devices are read once for each thousand users, not once for each user.
- Only users in the actor's scope are listed, and devices outside it have no name.
- A report reads one snapshot. The caller must read it to the end, or close it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.instance import Instance
from sparekey.app.lookup import ELSEWHERE
from sparekey.app.obstacles import device_state
from sparekey.app.policies_in_force import offline_everywhere, policy_everywhere
from sparekey.app.snapshots import account_state, seedless_token
from sparekey.core.explain.readiness import Assessment, Held, Readiness, assess, assess_without_device, runs_out
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.lockout import LockoutPolicy
from sparekey.core.policy.offline import EffectivePolicy
from sparekey.core.policy.token import TokenPolicy
from sparekey.durations import DAY_SECONDS
from sparekey.storage.devices import holdings
from sparekey.storage.devices.holdings import HeldKind, TokenOnDevice, UserDevice
from sparekey.storage.people import accounts
from sparekey.storage.people.accounts import Account

BATCH: Final = 1_000  # users at once


@dataclass(frozen=True)
class ReportRow:
    """One user on one device; `device` "": the user has no offline data on any device."""

    login: str
    name: str
    domain: str
    device: str
    last_contact: int | None
    pending: bool  # the device does not know the newest changes yet
    assessment: Assessment


@dataclass(frozen=True)
class ForecastRow:
    """A user who, without the network, cannot sign in with the token on this device from `at` on.

    `at` is the time of the report if the user cannot do so already. `left`: the readiness that remains then.
    """

    login: str
    name: str
    domain: str
    device: str
    at: int
    left: Readiness
    emergency_until: int | None
    why: str


@dataclass
class Tally:
    """The totals of a report, updated row by row."""

    rows: int = 0
    users: int = 0
    readiness: Counter[str] = field(default_factory=Counter)
    obstacles: Counter[str] = field(default_factory=Counter)
    _last: str = ""

    def add(self, row: ReportRow) -> None:
        self.rows += 1
        self.users += row.login != self._last  # the rows of a user follow one another
        self._last = row.login
        self.readiness[row.assessment.readiness.value] += 1
        if row.assessment.obstacle is not None:
            self.obstacles[row.assessment.obstacle.name.lower().replace("_", "-")] += 1


def readiness(instance: Instance, actor: Actor, *, now: int) -> Iterator[ReportRow]:
    """Yield every user in scope, one row for each device with offline data of the user. Raises NotAllowed."""
    within = verify_somewhere(actor, Permission.REPORT_VIEW)  # at the call, before the first row
    return _rows(instance, actor, within, now)


def forecast(instance: Instance, actor: Actor, *, now: int) -> Iterator[ForecastRow]:
    """Yield the users who could not sign in with their token if the network failed now or within a week from now."""
    rows = readiness(instance, actor, now=now)
    return (found for row in rows if (found := _forecast_of(row, now)) is not None)


@dataclass(frozen=True)
class ReadinessPage:
    """The rows of some users; `next`: the login after which there are more."""

    rows: tuple[ReportRow, ...]
    next: str | None


@dataclass(frozen=True)
class ForecastPage:
    """The forecast for some users; `next`: the login after which there are more users."""

    rows: tuple[ForecastRow, ...]
    next: str | None


def readiness_page(instance: Instance, actor: Actor, limit: int = BATCH, after: str = "", *, now: int) -> ReadinessPage:
    """Return the rows of at most `limit` users, from the first login after `after`.

    Each page reads its own snapshot.
    """
    within = verify_somewhere(actor, Permission.REPORT_VIEW)
    with instance.database.read() as connection:
        batch = accounts.list_accounts(connection, limit, after, within)
        rows = tuple(_batch_rows(connection, instance, actor, _Rules.of(connection), batch, now))
    return ReadinessPage(rows, batch[-1].login if len(batch) == limit else None)


def forecast_page(instance: Instance, actor: Actor, limit: int = BATCH, after: str = "", *, now: int) -> ForecastPage:
    """Return the forecast for at most `limit` users, from the first login after `after`."""
    page = readiness_page(instance, actor, limit, after, now=now)
    found = [_forecast_of(row, now) for row in page.rows]
    return ForecastPage(tuple(row for row in found if row is not None), page.next)


def _forecast_of(row: ReportRow, now: int) -> ForecastRow | None:
    assessment = row.assessment
    at = runs_out(assessment, now)
    if at is None:
        return None
    code = assessment.emergency_until
    left = Readiness.EMERGENCY_CODE if code is not None and code > at else Readiness.NOTHING
    why = (
        assessment.obstacle.value
        if assessment.obstacle is not None
        else "its days end then, if it does not fetch others"
    )
    return ForecastRow(row.login, row.name, row.domain, row.device, at, left, code, why)


@dataclass(frozen=True)
class _Rules:
    """The policies of all domains, each read once for many users."""

    lockout_in: Callable[[str], LockoutPolicy]
    token_policy_in: Callable[[str], TokenPolicy]
    effective_in: Callable[[str, str], EffectivePolicy]

    @classmethod
    def of(cls, connection: Connection) -> "_Rules":
        return cls(
            policy_everywhere(connection, LockoutPolicy),
            policy_everywhere(connection, TokenPolicy),
            offline_everywhere(connection),
        )


def _rows(instance: Instance, actor: Actor, within: frozenset[str] | None, now: int) -> Iterator[ReportRow]:
    with instance.database.read() as connection:
        rules, after = _Rules.of(connection), ""
        while batch := accounts.list_accounts(connection, BATCH, after, within):
            yield from _batch_rows(connection, instance, actor, rules, batch, now)
            after = batch[-1].login


def _batch_rows(
    connection: Connection, instance: Instance, actor: Actor, rules: _Rules, batch: Sequence[Account], now: int
) -> Iterator[ReportRow]:
    ids = [account.id for account in batch]
    held = _held(connection, ids, now)
    tokens = _by_place(holdings.tokens_used(connection, ids))
    on_devices: dict[str, list[UserDevice]] = {}
    for device in holdings.devices_of(connection, ids):
        if device.revoked_at is None:
            on_devices.setdefault(device.account_id, []).append(device)
    for account in batch:
        domain_id = account.domain_id
        state = account_state(account, rules.lockout_in(domain_id), rules.token_policy_in(domain_id))
        owner = (account.login, account.name, account.domain)
        if account.id not in on_devices:
            yield ReportRow(*owner, "", None, False, assess_without_device(state, now))
        for device in on_devices.get(account.id, ()):
            place = (device.id, account.id)
            used = [seedless_token(instance.vault, token) for token in tokens.get(place, ())]
            policy = rules.effective_in(domain_id, device.domain_id)
            on_device = replace(held.get(place, Held()), last_contact=device.last_contact)
            assessment = assess(state, device_state(device), policy, used, on_device, now)
            name = device.name if actor.sees(device.domain_id) else ELSEWHERE
            yield ReportRow(*owner, name, device.last_contact, device.stale, assessment)


def _held(connection: Connection, ids: Sequence[str], now: int) -> dict[tuple[str, str], Held]:
    """Return the data that these users hold on devices, by device and account."""
    data: dict[tuple[str, str], dict[str, int]] = {}
    codes: dict[tuple[str, str], dict[str, int]] = {}
    today = now // DAY_SECONDS
    for holding in holdings.held(connection, ids, today, now):
        found = codes if holding.kind is HeldKind.CODE else data
        until = (today + holding.number) * DAY_SECONDS if holding.kind is HeldKind.DATA else holding.not_after
        found.setdefault((holding.device_id, holding.account_id), {})[holding.token_id or ""] = until
    return {place: Held(data.get(place, {}), codes.get(place, {})) for place in data.keys() | codes.keys()}


def _by_place(tokens: Sequence[TokenOnDevice]) -> dict[tuple[str, str], list[TokenOnDevice]]:
    places: dict[tuple[str, str], list[TokenOnDevice]] = {}
    for token in tokens:
        places.setdefault((token.device_id, token.account_id), []).append(token)
    return places
