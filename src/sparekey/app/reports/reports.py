"""Reports for the day without a network: who is ready, who could not sign in now, and who runs out this week.

Rules: rows come in order of login as they are worked out, so that a hundred thousand users need no memory; what the
devices hold is asked once for each thousand users, not once for each user; only users in the actor's scope, and no
device outside of it has a name. One snapshot: the reader has to read on to the end, or close it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from sparekey.app.authorisation import verify_somewhere
from sparekey.app.instance import Instance
from sparekey.app.obstacles import device_state
from sparekey.app.policies_in_force import offline_everywhere, policy_everywhere
from sparekey.app.reports.why import ELSEWHERE
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
    """One user on one device; `device` "": the user has offline data nowhere."""

    login: str
    name: str
    domain: str
    device: str
    last_contact: int | None
    pending: bool  # something was changed that the device does not know yet
    assessment: Assessment


@dataclass(frozen=True)
class ForecastRow:
    """One that could not sign in with the token at `at` or later, were the network gone; at the report's own moment:
    now. `left`: what they would still have then."""

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
    """The counts of a report, added to while its rows go by."""

    rows: int = 0
    users: int = 0
    readiness: Counter[str] = field(default_factory=Counter)
    obstacles: Counter[str] = field(default_factory=Counter)
    _last: str = ""

    def add(self, row: ReportRow) -> None:
        self.rows += 1
        self.users += row.login != self._last  # the rows of a user are together
        self._last = row.login
        self.readiness[row.assessment.readiness.value] += 1
        if row.assessment.obstacle is not None:
            self.obstacles[row.assessment.obstacle.name.lower().replace("_", "-")] += 1


def readiness(instance: Instance, actor: Actor, *, now: int) -> Iterator[ReportRow]:
    """Every user in scope, one row for each device with offline data of theirs."""
    within = verify_somewhere(actor, Permission.REPORT_VIEW)  # before the first row is asked for
    return _rows(instance, actor, within, now)


def forecast(instance: Instance, actor: Actor, *, now: int) -> Iterator[ForecastRow]:
    """Who could not sign in with their token if the network died now, or at some time within a week of now."""
    rows = readiness(instance, actor, now=now)
    return (found for row in rows if (found := _forecast_of(row, now)) is not None)


@dataclass(frozen=True)
class ReadinessPage:
    """The rows of some users; `next`: the login after which there are more."""

    rows: tuple[ReportRow, ...]
    next: str | None


@dataclass(frozen=True)
class ForecastPage:
    """Those of some users who are in the forecast; `next`: the login after which there are more users."""

    rows: tuple[ForecastRow, ...]
    next: str | None


def readiness_page(instance: Instance, actor: Actor, limit: int = BATCH, after: str = "", *, now: int) -> ReadinessPage:
    """The rows of at most `limit` users, from the first login after `after`; a page has a snapshot of its own."""
    within = verify_somewhere(actor, Permission.REPORT_VIEW)
    with instance.database.read() as connection:
        batch = accounts.list_accounts(connection, limit, after, within)
        rows = tuple(_batch_rows(connection, instance, actor, _Rules.of(connection), batch, now))
    return ReadinessPage(rows, batch[-1].login if len(batch) == limit else None)


def forecast_page(instance: Instance, actor: Actor, limit: int = BATCH, after: str = "", *, now: int) -> ForecastPage:
    """The forecast for at most `limit` users, from the first login after `after`."""
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
    """What is the same for many users: asked once."""

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
        whose = (account.login, account.name, account.domain)
        if account.id not in on_devices:
            yield ReportRow(*whose, "", None, False, assess_without_device(state, now))
        for device in on_devices.get(account.id, ()):
            place = (device.id, account.id)
            used = [seedless_token(instance.vault, each) for each in tokens.get(place, ())]
            policy = rules.effective_in(domain_id, device.domain_id)
            has = replace(held.get(place, Held()), last_contact=device.last_contact)
            assessment = assess(state, device_state(device), policy, used, has, now)
            name = device.name if actor.sees(device.domain_id) else ELSEWHERE
            yield ReportRow(*whose, name, device.last_contact, device.stale, assessment)


def _held(connection: Connection, ids: Sequence[str], now: int) -> dict[tuple[str, str], Held]:
    """By device and account."""
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
