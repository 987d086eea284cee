"""The factors of a user that one operator holds, found by replaying the events of the user and of their tokens (S48).

Rules:
- The audit log is the source. It cannot be changed unnoticed (S80), and it has every act.
- Names count as people count: all names of the operating system are one person. The acts of a program count for every
  operator, because the operator may hold its key (ADR 11).
- A PIN of the operator works until its user has chosen another one. On a device that was offline since, the old PIN
  works until the device no longer has data that were sealed before.
- An operator who added, imported or assigned a token may know its codes as long as a user has it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.acts import (
    ACTS,
    COUNTED_SECONDS,
    Cause,
    Factor,
    HeldFactors,
    Lasts,
    OperatorAct,
    newest_of_each,
)
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.emergency.two_people import may_be_same_person
from sparekey.json_value import Json

BY_THE_USER: Final = "the user"  # the member `by` of the event of a PIN that its user chose

# The events that are acts, or that end the effect of one.
KIND_OF: Final[Mapping[str, OperatorAct]] = {
    Action.TOKEN_PIN_SET: OperatorAct.PIN_SET,
    Action.TOKEN_PIN_CLEARED: OperatorAct.PIN_CLEARED,
    Action.TOKEN_ADDED: OperatorAct.TOKEN_ADDED,
    Action.TOKEN_ASSIGNED: OperatorAct.TOKEN_ASSIGNED,
    Action.TOKEN_REPLACED: OperatorAct.TOKEN_REPLACED,
    Action.TOKEN_ENABLED: OperatorAct.TOKEN_ENABLED,
    Action.TOKEN_FOUND: OperatorAct.TOKEN_FOUND,
    Action.TOKEN_EXPIRY_SET: OperatorAct.TOKEN_PROLONGED,
    Action.EMERGENCY_SHOWN: OperatorAct.TOKENCODE_SHOWN,
    Action.EMERGENCY_TEMPORARY: OperatorAct.TEMPORARY_ACCESS,
    Action.USER_ENABLED: OperatorAct.USER_ENABLED,
    Action.USER_CHANGED: OperatorAct.USER_PROLONGED,
    Action.ACCOUNT_UNLOCKED: OperatorAct.USER_UNLOCKED,
    Action.ADMIN_LINK_MADE: OperatorAct.ADMIN_LINK,
}
"""The kind of act of each event. `kind_of` looks at the details, too."""
_OF_THE_ACCOUNT: Final = (
    OperatorAct.USER_UNLOCKED,
    OperatorAct.USER_ENABLED,
    OperatorAct.USER_PROLONGED,
)  # they give no factor


@dataclass(frozen=True)
class LoggedEvent:
    """One event of the audit log, in its order; `at` in unix seconds."""

    at: int
    actor: str
    action: str
    account_id: str | None
    token_id: str | None
    detail: Mapping[str, Json]


@dataclass(frozen=True)
class OwnedToken:
    """A token that the user has. `access_by`: the operator who gave its present online emergency access."""

    token_id: str
    with_pin: bool
    access_by: str | None = None


@dataclass(frozen=True)
class UserNow:
    """The present state of a user.

    `codes`: the ends of valid offline emergency tokencodes, by token and version. `sealed_since`: when the oldest valid
    data on a device were sealed, by token. `signed_in`: the user has ever signed in.
    """

    account_id: str
    tokens: tuple[OwnedToken, ...]
    signed_in: bool
    codes: Mapping[tuple[str, int], int] = field(default_factory=dict)
    sealed_since: Mapping[str, int] = field(default_factory=dict)


def kind_of(event: LoggedEvent) -> OperatorAct | None:
    """Return the kind of act that the event is; None: it is none."""
    kind = KIND_OF.get(event.action)
    match kind:
        case OperatorAct.TOKEN_ADDED if event.detail.get("imported"):
            return OperatorAct.TOKEN_IMPORTED
        case OperatorAct.TOKENCODE_SHOWN if event.detail.get("kind") == CodeKind.PASSCODE:
            return OperatorAct.PASSCODE_SHOWN
        case OperatorAct.USER_PROLONGED | OperatorAct.TOKEN_PROLONGED if not event.detail.get("prolonged"):
            return None  # it had not expired, or still has
    return kind


def held_by(operator: str, events: Sequence[LoggedEvent], user: UserNow, now: int) -> HeldFactors:
    """Return the factors of this user that the operator holds. `operator`: the actor's name.

    `events`: those of the user and of the user's tokens, oldest first. The user's own acts are no acts of an operator.
    """
    log = _Replayed(operator, user)
    for event in events:
        log.take(event)
    recent = [(kind, event.at) for kind, event in log.own if event.at > now - COUNTED_SECONDS]
    given = [*log.working(now), *_counted(recent)]
    factors = Factor.NONE
    for factor, _ in given:
        factors |= factor
    return HeldFactors(
        factors,
        newest_of_each(cause for _, cause in given),
        sum(kind is OperatorAct.USER_UNLOCKED for kind, _ in recent),
        frozenset(token.token_id for token in user.tokens if log.handed_over.get(token.token_id)),
        untouched=not user.signed_in and not log.by_others,
    )


def _counted(recent: Iterable[tuple[OperatorAct, int]]) -> Iterator[tuple[Factor, Cause]]:
    """Yield the factors of acts of the last day, whether or not they still work."""
    for kind, at in recent:
        rule = ACTS[kind]
        if rule.lasts is not Lasts.ALONE and rule.gives is not Factor.NONE:
            # A token that is added or assigned has no PIN yet: its code alone leads to the choice of one.
            opens_pin = kind in (OperatorAct.TOKEN_ADDED, OperatorAct.TOKEN_ASSIGNED)
            yield Factor.BOTH if opens_pin else rule.gives, Cause(kind, at)


class _Replayed:
    """The state after some events. Tokens by id; a PIN by its origin, None if its user chose it."""

    def __init__(self, operator: str, user: UserNow) -> None:
        self._operator, self._user = operator, user
        self.own: list[tuple[OperatorAct, LoggedEvent]] = []  # the operator's acts on this user
        self.by_others = False  # another operator gave the user a factor
        self.handed_over: dict[str, list[Cause]] = {}  # by the operator
        self._shown: list[tuple[str, int, Cause]] = []  # token and version
        self._pins: dict[str, Cause | None] = {}
        self._moved: dict[str, Cause | None] = {}  # PINs on their way to another token, by its serial
        self._former: list[tuple[str, int, Cause]] = []  # PINs of the operator that ended: token, and when

    def take(self, event: LoggedEvent) -> None:
        """Take the next event."""
        kind = kind_of(event)
        if kind is None:
            return
        by_user = self._is_by_user(event)
        own = not by_user and may_be_same_person(event.actor, self._operator)
        about_user = event.account_id == self._user.account_id
        if own and about_user:
            self.own.append((kind, event))
        if about_user and not own and kind not in _OF_THE_ACCOUNT:
            self.by_others = True
        cause = Cause(kind, event.at) if own else None
        if event.token_id is not None:
            self._take_token(kind, event, event.token_id, cause)

    def _take_token(self, kind: OperatorAct, event: LoggedEvent, token_id: str, cause: Cause | None) -> None:
        match kind:
            case OperatorAct.PIN_SET | OperatorAct.PIN_CLEARED:
                self._set_pin(token_id, cause, event.at)
            case OperatorAct.TOKEN_ADDED | OperatorAct.TOKEN_ASSIGNED | OperatorAct.TOKEN_IMPORTED:
                if cause is not None:
                    self.handed_over.setdefault(token_id, []).append(cause)
                self._pins[token_id] = self._moved.pop(str(event.detail.get("serial")), cause)
            case OperatorAct.TOKEN_REPLACED if event.detail.get("pin_kept"):
                self._moved[str(event.detail.get("by"))] = self._pins.get(token_id)
            case OperatorAct.TOKENCODE_SHOWN if cause is not None and event.account_id == self._user.account_id:
                version = event.detail.get("version")
                self._shown.append((token_id, version if isinstance(version, int) else 0, cause))

    def _set_pin(self, token_id: str, cause: Cause | None, at: int) -> None:
        former = self._pins.get(token_id)
        if former is not None:
            self._former.append((token_id, at, former))
        self._pins[token_id] = cause

    def working(self, now: int) -> Iterator[tuple[Factor, Cause]]:
        """Yield the factors that work now, each with the act that gave it."""
        with_pin = {token.token_id: token.with_pin for token in self._user.tokens}
        for token_id in {*with_pin, *self._user.sealed_since}:
            for cause in self.handed_over.get(token_id, ()):
                yield _code_of(with_pin.get(token_id, True)), cause
            pin = self._pins.get(token_id)
            if pin is not None and with_pin.get(token_id, True):
                yield Factor.PIN, pin
        for token_id, ended_at, pin in self._former:
            if self._user.sealed_since.get(token_id, ended_at) < ended_at:
                yield Factor.PIN, pin
        for token_id, version, cause in self._shown:
            if self._user.codes.get((token_id, version), 0) > now:
                yield _code_of(with_pin.get(token_id, True)), cause
        for token in self._user.tokens:
            if token.access_by is not None and self._is_own(token.access_by):
                given_at = max(
                    (event.at for kind, event in self.own if kind is OperatorAct.TEMPORARY_ACCESS), default=0
                )
                yield _code_of(token.with_pin), Cause(OperatorAct.TEMPORARY_ACCESS, given_at)

    def _is_own(self, actor: str) -> bool:
        return actor != f"user:{self._user.account_id}" and may_be_same_person(actor, self._operator)

    def _is_by_user(self, event: LoggedEvent) -> bool:
        """Return True for an act of the user: at self-service, at a sign-in, or with a link."""
        return (
            event.actor == f"user:{self._user.account_id}"
            or event.detail.get("by") == BY_THE_USER
            or event.actor.startswith("link:")
        )


def _code_of(with_pin: bool) -> Factor:
    return Factor.CODE if with_pin else Factor.BOTH
