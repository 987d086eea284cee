"""The dashboard of a user: the account, the working ways to sign in, the devices with their data, recent activity.

Rules:
- It uses the rules that decide sign-ins (`why`), so that it cannot contradict them.
- An administrator who may view a user also sees the user's recent activity with the reason of every refusal, because
  callers ask about it. The whole audit log and alarms need other permissions.
- Objects outside the reader's domains have no name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import NamedEvent, with_names
from sparekey.app.devices.used_codes import UsedCodesView, of_user
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
from sparekey.core.sign_in.authenticate import AccountState
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.people.accounts import Account

SHOWN: Final = 20  # events
_NOT_ACTIVITY: Final = ("alarm", "alarms", "session", "unit", "role", "policy", "domain", "client", "server", "key")
ACTIVITY: Final = tuple(action for action in Action if action.partition(".")[0] not in _NOT_ACTIVITY)
# the rules of core.explain.offline that prevent new data for a device, or the use of its present data
_ABOUT_DATA: Final = ("offline data", "new offline data", "tokencodes", "a token was used here", "tokencode")


@dataclass(frozen=True)
class TokenNow:
    """A token of the user. `refused`: the reason why its tokencodes are refused now; None: they are accepted."""

    serial: str
    type: str
    digits: int
    with_pin: bool
    pin_set: bool
    pin_asked: bool  # the next sign-in asks for a new PIN
    pin_set_at: int | None
    enabled: bool
    lost: bool
    expires_at: int | None
    refused: Reason | None
    offline_code_online: bool
    temporary: str  # kind of its online emergency access: fixed or one-time tokencodes; "": none
    temporary_until: int | None


@dataclass(frozen=True)
class DeviceNow:
    """A device with offline data of the user.

    `holds`: the data that it accepts until its next contact. `ends`: those of them that this contact ends. `opens`: the
    data with which the user can sign in there while it reaches no server. `problem`: a sentence on the problem that
    prevents new data, or the use of the present data; "": there is none.
    """

    device_id: str  # "": outside the reader's domains
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
        """The tokencode that works longest."""
        tokencodes = (opening for opening in self.holds if opening.kind == TOKENCODE)
        return max(tokencodes, key=lambda opening: opening.until, default=None)

    @property
    def codes(self) -> tuple[Opening, ...]:
        """The emergency codes."""
        return tuple(opening for opening in self.holds if opening.kind != TOKENCODE)


@dataclass(frozen=True)
class ConsoleCount:
    """The count of failures at the administrators' interfaces. `locked_until` None: only a person ends the lock."""

    failures: int
    locked_since: int | None
    locked_until: int | None


@dataclass(frozen=True)
class Dashboard:
    """The dashboard of one user at one moment.

    `closed`: the reason why no passcode of this account works now, except at the administrators' interfaces.
    `locked_until`: None: only a person ends the lock. `console`: the count at the administrators' interfaces; None: the
    user has no role. `ways`: the factors that a server interface accepts. `roles`: those that the reader may see.
    `passkeys`: their number. `used`: the codes that devices used up.
    """

    user: UserView
    created_at: int
    locked_since: int | None
    locked_until: int | None
    console: ConsoleCount | None
    most_failures: int
    next_tokencode: bool
    closed: Reason | None
    ways: tuple[str, ...]
    tokens: tuple[TokenNow, ...]
    devices: tuple[DeviceNow, ...]
    activity: tuple[NamedEvent, ...]
    roles: tuple[GrantView, ...]
    passkeys: int
    used: Sequence[UsedCodesView]


def show_dashboard(instance: Instance, actor: Actor, login: str, *, now: int) -> Dashboard:
    """Return everything on the page of a user. It changes nothing. Raises NotFound or NotAllowed."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        person = person_of(connection, instance, account)
        sees_tokens = actor.may(Permission.TOKEN_VIEW, account.domain_id)
        sees_devices = sees_tokens and actor.may(Permission.DEVICE_VIEW, account.domain_id)
        on_devices = devices_of(connection, actor, person, account, now) if sees_devices else []
        state = person.account
        found = roles_and_passkeys(connection, actor, account)
        return Dashboard(
            user=view_of(account),
            created_at=account.created_at,
            locked_since=state.failures.locked_at if state.locked(now) else None,
            locked_until=state.failures.ends_at(state.lockout),
            console=_console(person.console if found.holds_a_role else None, now),
            most_failures=state.lockout.most_failures,
            next_tokencode=state.in_next_tokencode_mode,
            closed=state.closed(now),
            ways=tuple(online_ways(person, now)) if sees_tokens else (),
            tokens=_tokens(person, now) if sees_tokens else (),
            devices=tuple(_device(person, device, now) for device in on_devices),
            activity=tuple(_rows(connection, actor, account, SHOWN, None)),
            roles=found.roles,
            passkeys=found.passkeys,
            used=of_user(connection, actor, account.id, now) if sees_devices else (),
        )


def list_activity(
    instance: Instance, actor: Actor, login: str, limit: int = 50, before: int | None = None
) -> list[NamedEvent]:
    """Return the events about a user, newest first. `before`: only rows with an id less than this."""
    with instance.database.read() as connection:
        account = get_account(connection, actor, login, Permission.USER_VIEW)
        return _rows(connection, actor, account, limit, before)


def _console(state: AccountState | None, now: int) -> ConsoleCount | None:
    if state is None:
        return None
    count = state.failures
    return ConsoleCount(count.failures, count.locked_at if state.locked(now) else None, count.ends_at(state.lockout))


def _rows(connection: Connection, actor: Actor, account: Account, limit: int, before: int | None) -> list[NamedEvent]:
    wanted = AuditFilter(account_id=account.id, actions=ACTIVITY)
    found = audit_events.list_rows(connection, wanted, limit=limit, before=before)
    return with_names(connection, actor, found)


def _tokens(person: Person, now: int) -> tuple[TokenNow, ...]:
    return tuple(_token(token, person.account.token_policy, now) for token in person.tokens)


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
    # A token without a PIN is usable: its tokencode alone leads to a new PIN.
    return token.state.out_of_use(now) if unusable in (None, Reason.NO_PIN) else unusable


def _device(person: Person, device: OnDevice, now: int) -> DeviceNow:
    lines = (line for line in explain_offline(person, device, now) if line.rule in _ABOUT_DATA)
    problem = next((line.why for line in lines if line.verdict is not RuleResult.OK), "")
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
