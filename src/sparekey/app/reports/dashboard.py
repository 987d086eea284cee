"""The dashboard of a user: who they are, what works now, on which device until when, and what happened last.

Rules: it asks what the decisions themselves ask (`why`), so that it cannot say something else; whoever may look at a
user sees what happened last to them, with the reason of every refusal, for that is what a caller asks about: the whole
record is another permission, and so are alarms; what lies outside the reader's domains has no name.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import NamedEvent, with_names
from sparekey.app.instance import Instance
from sparekey.app.lookup import get_account
from sparekey.app.people.roles import GrantView, roles_and_passkeys
from sparekey.app.people.users import UserView, view_of
from sparekey.app.reports.why import devices_of, person_of
from sparekey.core.audit_log.actions import Action
from sparekey.core.explain.offline import TOKENCODE, OnDevice, Opening, accepted, explain_offline, openings, passing
from sparekey.core.explain.online import NamedToken, Person, RuleResult, online_ways
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.reasons import Reason
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.people.accounts import Account

SHOWN: Final = 20  # of what happened last
_NOT_ACTIVITY: Final = ("alarm", "alarms", "session", "unit", "role", "policy", "domain", "client", "server", "key")
ACTIVITY: Final = tuple(each for each in Action if each.partition(".")[0] not in _NOT_ACTIVITY)
# of core.explain.offline's lines: what keeps new data from a device, or those that it has from being used
_ABOUT_DATA: Final = ("offline data", "new offline data", "tokencodes", "a token was used here", "tokencode")


@dataclass(frozen=True)
class TokenNow:
    """A token of the user. `refused`: why its tokencodes are not accepted now; None: they are."""

    serial: str
    type: str
    digits: int
    with_pin: bool
    pin_set: bool
    pin_asked: bool  # a new one at the next sign-in
    pin_set_at: int | None
    enabled: bool
    lost: bool
    expires_at: int | None
    refused: Reason | None
    offline_code_online: bool
    temporary: str  # fixed or one-time tokencodes that stand in for it; "": none do
    temporary_until: int | None


@dataclass(frozen=True)
class DeviceNow:
    """A device with offline data of the user. `holds`: what it accepts until its next contact; `ends`: that of it which
    this contact ends; `opens`: that with which the user gets in there while it reaches no server.

    `problem`: what keeps new data from it, or the present ones from being used, in a sentence; "": nothing.
    """

    device_id: str  # "": out of the reader's sight
    name: str
    revoked: bool
    stale: bool
    last_contact: int | None
    holds: tuple[Opening, ...]
    ends: tuple[Opening, ...]
    opens: tuple[Opening, ...]
    problem: str

    @property
    def data(self) -> Opening | None:
        """The tokencode that opens longest."""
        return max((each for each in self.holds if each.kind == TOKENCODE), key=lambda each: each.until, default=None)

    @property
    def codes(self) -> tuple[Opening, ...]:
        """Emergency codes."""
        return tuple(each for each in self.holds if each.kind != TOKENCODE)


@dataclass(frozen=True)
class Dashboard:
    """`closed`: why nobody signs in to this account now. `ways`: what a server interface accepts.
    `roles`: those that the reader may know of. `passkeys`: how many."""

    user: UserView
    created_at: int
    locked_since: int | None
    most_failures: int
    next_tokencode: bool
    closed: Reason | None
    ways: tuple[str, ...]
    tokens: tuple[TokenNow, ...]
    devices: tuple[DeviceNow, ...]
    activity: tuple[NamedEvent, ...]
    roles: tuple[GrantView, ...]
    passkeys: int


def show_dashboard(instance: Instance, actor: Actor, login: str, *, now: int) -> Dashboard:
    """Everything on one page. Looks, and changes nothing."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        person = person_of(connection, instance, account)
        sees_tokens = actor.may(Permission.TOKEN_VIEW, account.domain_id)
        sees_devices = sees_tokens and actor.may(Permission.DEVICE_VIEW, account.domain_id)
        on = devices_of(connection, actor, person, account, now) if sees_devices else []
        state = person.account
        held, passkeys = roles_and_passkeys(connection, actor, account)
        return Dashboard(
            user=view_of(account),
            created_at=account.created_at,
            locked_since=state.failures.locked_at if state.locked(now) else None,
            most_failures=state.lockout.most_failures,
            next_tokencode=state.in_next_tokencode_mode,
            closed=state.closed(now),
            ways=tuple(online_ways(person, now)) if sees_tokens else (),
            tokens=_tokens(person, now) if sees_tokens else (),
            devices=tuple(_device(person, each, now) for each in on),
            activity=tuple(_rows(connection, actor, account, SHOWN, None)),
            roles=held,
            passkeys=passkeys,
        )


def list_activity(
    instance: Instance, actor: Actor, login: str, limit: int = 50, before: int | None = None
) -> list[NamedEvent]:
    """What happened to a user, newest first: events with ids less than `before`."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        return _rows(connection, actor, account, limit, before)


def _rows(connection: Connection, actor: Actor, account: Account, limit: int, before: int | None) -> list[NamedEvent]:
    wanted = AuditFilter(account_id=account.id, actions=ACTIVITY)
    found = audit_events.list_rows(connection, wanted, limit=limit, before=before)
    return with_names(connection, actor, found)


def _tokens(person: Person, now: int) -> tuple[TokenNow, ...]:
    return tuple(_token(each, person.account.token_policy, now) for each in person.tokens)


def _token(token: NamedToken, policy: TokenPolicy, now: int) -> TokenNow:
    state = token.state
    access = state.emergency if state.emergency is not None and not state.emergency.ended(now) else None
    return TokenNow(
        serial=token.serial,
        type=state.otp.kind,
        digits=state.digits,
        with_pin=state.with_pin,
        pin_set=state.pin is not None,
        pin_asked=state.needs_new_pin(now, policy),
        pin_set_at=state.pin_set_at,
        enabled=state.enabled,
        lost=state.lost,
        expires_at=state.expires_at,
        refused=_refused(token, now),
        offline_code_online=state.offline_code_online,
        temporary=access.kind if access is not None else "",
        temporary_until=access.expires_at if access is not None else None,
    )


def _refused(token: NamedToken, now: int) -> Reason | None:
    unusable = token.state.unusable(now)
    # without a PIN the tokencode alone leads to a new one
    return token.state.out_of_use(now) if unusable in (None, Reason.NO_PIN) else unusable


def _device(person: Person, device: OnDevice, now: int) -> DeviceNow:
    lines = (each for each in explain_offline(person, device, now) if each.rule in _ABOUT_DATA)
    problem = next((each.why for each in lines if each.verdict is not RuleResult.OK), "")
    return DeviceNow(
        device_id=device.state.device_id if device.in_sight else "",
        name=device.name,
        revoked=device.state.revoked,
        stale=device.stale,
        last_contact=device.last_contact,
        holds=tuple(accepted(person, device, now)),
        ends=tuple(passing(person, device, now)),
        opens=tuple(openings(person, device, now)),
        problem=problem,
    )
