"""Explain whether a user can sign in: every rule with its verdict, its source and its remedy.

Rules: pure. It uses the same states and functions as the decision itself (core.sign_in.authenticate,
core.offline.units), so that the two always agree. It explains states and tests no passcode, so that it needs and shows
no secret. This module covers sign-ins at the server; `core.explain.offline` covers devices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sparekey.core.emergency.online import EmergencyKind, OnlineEmergency
from sparekey.core.plurals import counted
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.authenticate import AccountState, TokenState


class RuleResult(StrEnum):
    """The result of one rule. Only `STOPS` prevents the sign-in."""

    OK = "ok"
    OFF = "off"  # not given or not allowed, which does not prevent the sign-in
    ASKS = "asks"  # the sign-in continues with one more challenge
    WAITS = "waits"  # a change is pending, or new data is held back until an obstacle is removed
    STOPS = "stops"


class Side(StrEnum):
    """The place where a rule applies: at the server, or on a device."""

    ONLINE = "online"
    OFFLINE = "offline"


class Deed(StrEnum):
    """A remedy, for pages, which show links instead of commands."""

    ENABLE_USER = "enable-user"
    CHANGE_END = "change-end"
    UNLOCK_USER = "unlock-user"
    GIVE_TOKEN = "give-token"
    ENABLE_TOKEN = "enable-token"
    REPLACE_TOKEN = "replace-token"
    FIND_TOKEN = "find-token"
    END_TEMPORARY = "end-temporary"
    SET_PIN = "set-pin"
    CHANGE_POLICY = "change-policy"
    INVITE_DEVICE = "invite-device"


@dataclass(frozen=True)
class Line:
    """One rule: its subject, verdict, reason and source, and the command that removes the obstacle.

    `deeds`: remedies for pages, each of which is enough; they apply to `name`, a login, serial number or device name.
    """

    side: Side
    about: str
    rule: str
    verdict: RuleResult
    why: str
    source: str
    mend: str = ""
    deeds: tuple[Deed, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class NamedToken:
    serial: str
    state: TokenState

    @property
    def words(self) -> str:
        return f"token {self.serial}"


@dataclass(frozen=True)
class Person:
    """The user as the server knows them now; the sources name the policies that apply to the account.

    `account`: with the count of failures everywhere but at the administrators' interfaces. `console`: with the count at
    those interfaces; None: no line explains it, because the user holds no role and cannot be tried there.
    """

    account: AccountState
    tokens: tuple[NamedToken, ...]
    lockout_source: str = ""
    token_source: str = ""
    console: AccountState | None = None


def moment(at: int) -> str:
    """Return a unix second as text, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def conclude(side: Side, about: str, ways: Sequence[str]) -> Line:
    """Return the first line of a part: the ways in which the user can sign in."""
    if ways:
        return Line(side, about, "sign-in", RuleResult.OK, f"possible with: {'; '.join(ways)}", "all rules below")
    return Line(side, about, "sign-in", RuleResult.STOPS, "not possible", "the blocking rules below")


def explain_online(person: Person, now: int) -> list[Line]:
    """Return a line for everything that decides an online sign-in, the conclusion first."""
    lines = [*_account_lines(person, now)]
    for token in person.tokens:
        lines += _token_lines(person, token, now)
    return [conclude(Side.ONLINE, _user(person), online_ways(person, now)), *lines]


def online_ways(person: Person, now: int) -> list[str]:
    """Return the kinds of input that the server accepts now, if they are typed correctly."""
    if person.account.closed(now) is not None:
        return []
    return [way for token in person.tokens for way in _ways_of(token, now)]


def _ways_of(token: NamedToken, now: int) -> Iterator[str]:
    state = token.state
    unusable = state.unusable(now)
    if unusable in (None, Reason.NO_PIN) and state.out_of_use(now) is None:
        yield f"{'PIN and tokencode' if state.pin is not None else 'tokencode'} of {token.serial}"
    if unusable is None and state.emergency is not None and state.emergency.codes and not state.emergency.ended(now):
        kind = "fixed" if state.emergency.kind is EmergencyKind.FIXED else "one-time"
        yield f"temporary {kind} tokencode for {token.serial}"
    if unusable is None and state.offline_code_online:
        yield f"offline emergency tokencode of {token.serial}, if a device holds one"


def _user(person: Person) -> str:
    return f"user {person.account.login}"


def _account_lines(person: Person, now: int) -> Iterator[Line]:
    account, about = person.account, _user(person)
    login = account.login

    def line(rule: str, *, ok: bool, why: str, source: str, mend: str, deed: Deed) -> Line:
        if ok:
            return Line(Side.ONLINE, about, rule, RuleResult.OK, why, source)
        return Line(Side.ONLINE, about, rule, RuleResult.STOPS, why, source, mend, (deed,), login)

    yield line(
        "enabled",
        ok=account.enabled,
        why="enabled" if account.enabled else "disabled",
        source=about,
        mend=f"sparekey user enable {login}",
        deed=Deed.ENABLE_USER,
    )
    end = account.expires_at
    yield line(
        "not expired",
        ok=end is None or now < end,
        why=_expiry(end),
        source=about,
        mend=f"sparekey user edit {login} --expires DATE",
        deed=Deed.CHANGE_END,
    )
    unlock = f"sparekey user unlock {login}"
    yield line(
        "not locked",
        ok=not account.locked(now),
        why=lock_words(account, now),
        source=person.lockout_source,
        mend=unlock,
        deed=Deed.UNLOCK_USER,
    )
    if person.console is not None:
        yield line(
            "not locked at the console",
            ok=not person.console.locked(now),
            why=f"{lock_words(person.console, now)}; passkeys work in any case",
            source=person.lockout_source,
            mend=unlock,
            deed=Deed.UNLOCK_USER,
        )
    yield line(
        "has a token",
        ok=bool(person.tokens),
        why=f"{len(person.tokens)} assigned",
        source=about,
        mend=f"an authenticator app: sparekey token add --user {login} --no-pin --qr; "
        f"an imported token: sparekey token assign SERIAL {login}",
        deed=Deed.GIVE_TOKEN,
    )


def lock_words(account: AccountState, now: int) -> str:
    """Return the state of a count of failures: its lock with its end, or the failures until now."""
    count, policy = account.failures, account.lockout
    if count.locked_at is None or not account.locked(now):
        failures = f"{count.failures} of {policy.most_failures} failures in a row"
        return f"{failures}, {count.without_success} without a success" if count.locks else failures
    end = count.ends_at(policy)
    until = f"until {moment(end)}" if end is not None else "until an administrator unlocks the user"
    return f"locked since {moment(count.locked_at)}, {until}"


def _expiry(end: int | None) -> str:
    return "does not expire" if end is None else f"expires {moment(end)}"


def _token_lines(person: Person, token: NamedToken, now: int) -> Iterator[Line]:
    state, serial = token.state, token.serial

    def explained(rule: str, *, ok: bool, why: str, mend: str, deed: Deed) -> Line:
        if ok:
            return Line(Side.ONLINE, token.words, rule, RuleResult.OK, why, token.words)
        return Line(Side.ONLINE, token.words, rule, RuleResult.STOPS, why, token.words, mend, (deed,), serial)

    yield explained(
        "enabled",
        ok=state.enabled,
        why="enabled" if state.enabled else "disabled",
        mend=f"sparekey token enable {serial}",
        deed=Deed.ENABLE_TOKEN,
    )
    end = state.expires_at
    yield explained(
        "not expired",
        ok=end is None or now < end,
        why=_expiry(end),
        mend=f"sparekey token replace {serial}",
        deed=Deed.REPLACE_TOKEN,
    )
    yield explained(
        "not lost",
        ok=not state.lost,
        why="lost" if state.lost else "not lost",
        mend=f"sparekey token found {serial}, or give emergency access",
        deed=Deed.FIND_TOKEN,
    )
    yield _pin_line(person, token, now)
    yield _next_tokencode_line(person, token)
    yield from _emergency_lines(token, now)


def _pin_line(person: Person, token: NamedToken, now: int) -> Line:
    state = token.state
    verdict, why = RuleResult.OK, "set" if state.with_pin else "used without one"
    if state.needs_new_pin(now, person.account.token_policy):
        verdict = RuleResult.ASKS
        why = (
            "must be changed at the next sign-in"
            if state.pin
            else "not set: the user signs in with the tokencode alone and chooses a PIN"
        )
    source = (
        person.token_source if verdict is RuleResult.ASKS and not state.pin_must_change and state.pin else token.words
    )
    return Line(Side.ONLINE, token.words, "PIN", verdict, why, source)


def _next_tokencode_line(person: Person, token: NamedToken) -> Line:
    account = person.account
    after = account.token_policy.next_tokencode_after
    asks = account.in_next_tokencode_mode
    failures = counted(account.failures.failures, "failure")
    why = f"{failures} in a row; asked after {after}" if after else f"{failures} in a row; never asked"
    verdict = RuleResult.ASKS if asks else RuleResult.OK
    return Line(Side.ONLINE, token.words, "next tokencode", verdict, why, person.token_source)


def _emergency_lines(token: NamedToken, now: int) -> Iterator[Line]:
    state = token.state
    about, access = token.words, state.emergency
    if access is None:
        yield Line(Side.ONLINE, about, "temporary tokencodes", RuleResult.OFF, "none", about)
    else:
        refused = not access.allows_token(now)
        why = " ".join(_emergency_sentences(access, now))
        verdict = RuleResult.STOPS if refused else RuleResult.OK
        mend = f"sparekey emergency end {token.serial}" if refused else ""
        deeds = (Deed.END_TEMPORARY,) if refused else ()
        yield Line(Side.ONLINE, about, "temporary tokencodes", verdict, why, about, mend, deeds, token.serial)
    verdict, allowed = (RuleResult.OK, "allowed") if state.offline_code_online else (RuleResult.OFF, "not allowed")
    yield Line(Side.ONLINE, about, "offline emergency tokencode at the server", verdict, allowed, about)


def _emergency_sentences(access: OnlineEmergency, now: int) -> Iterator[str]:
    if access.kind is EmergencyKind.FIXED:
        yield "A temporary fixed tokencode replaces the token."
    else:
        yield f"One-time tokencodes ({len(access.codes)} left) replace the token."
    if access.expires_at is None:
        yield "The access does not expire."
    else:
        yield f"The access {'expired' if access.ended(now) else 'expires'} {moment(access.expires_at)}."
    if access.allows_token(now):
        yield "The token's own codes are also accepted."
    else:
        yield "The token's own codes are rejected."
