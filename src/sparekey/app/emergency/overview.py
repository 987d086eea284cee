"""The overview of an emergency code for its page: owner, devices with their obstacles, temporary access, requests for
approval, and history. It never contains a code.

Rules:
- It reads one snapshot, with one query for each kind of object, however many devices there are.
- It lists the devices that hold the code or to which it is assigned, and those on which the user has signed in within
  the last ninety days. So a device that does not support offline sign-in is listed with this obstacle.
- A device outside the reader's domains has no name, unless the code is assigned to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from sparekey.app.audit_log.named_rows import NamedEvent
from sparekey.app.emergency.approvals import ApprovalView, own_requests
from sparekey.app.emergency.held import HeldCode
from sparekey.app.emergency.offline import history_of
from sparekey.app.emergency.online import AccessView, access_to
from sparekey.app.instance import MICROSECONDS, Instance
from sparekey.app.lookup import ELSEWHERE, get_account, get_assigned_token
from sparekey.app.obstacles import device_state
from sparekey.app.policies_in_force import effective_on
from sparekey.app.snapshots import SeedlessToken, seedless_token
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.offline.units import DeviceState, Obstacle, code_obstacles
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.lockout import FailureCount
from sparekey.core.policy.offline import EffectivePolicy
from sparekey.core.sign_in.authenticate import AccountState
from sparekey.durations import DAY_SECONDS
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.storage.emergency.offline import DeviceOfCode
from sparekey.storage.people import accounts
from sparekey.storage.people.accounts import Account
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import Token

SEEN_DAYS: Final = 90
HISTORY_ROWS: Final = 20
# Obstacles of one device are shown in its row. All others are shown once if every device has them.
_OF_DEVICE: Final = frozenset(
    {
        Obstacle.DEVICE_REVOKED,
        Obstacle.NO_OFFLINE_SUPPORT,
        Obstacle.NO_HARDWARE_STORE,
        Obstacle.NO_TOKEN_USED,
        Obstacle.NOT_DOWNLOADED,
    }
)


@dataclass(frozen=True)
class DeviceRow:
    """One device. `obstacles`: its own obstacles, without those that every device has."""

    held: HeldCode
    obstacles: tuple[Obstacle, ...]
    can_show: bool  # it holds a valid code, and there is no obstacle
    expired: bool
    needs_approval: bool  # showing the code needs an approval

    @property
    def waits_for_contact(self) -> bool:
        """True if the device only needs its next contact to get the code."""
        return self.obstacles == (Obstacle.NOT_DOWNLOADED,)


@dataclass(frozen=True)
class TokenFacts:
    """One token of the user."""

    serial: str
    with_pin: bool
    lost: bool
    offline_code_online: bool


@dataclass(frozen=True)
class Overview:
    """The overview of one emergency code.

    `tokens`: the token of the tokencode, or for a passcode all tokens of the user. `obstacles`: the obstacles that
    every device has. `requests`: the reader's own unexpired requests for approval.
    """

    kind: CodeKind
    login: str
    name: str
    domain: str
    tokens: tuple[TokenFacts, ...]
    devices: tuple[DeviceRow, ...]
    obstacles: tuple[Obstacle, ...]
    access: AccessView | None = None
    requests: tuple[ApprovalView, ...] = ()
    history: list[NamedEvent] = field(default_factory=list)

    @property
    def holds_any(self) -> bool:
        """True if any device holds a version."""
        return any(row.held.version for row in self.devices)


def tokencode_overview(instance: Instance, actor: Actor, serial: str, *, now: int) -> Overview:
    """Return the overview of a token's offline emergency tokencode and of its temporary access.

    Raises NotFound or NotAllowed, and LookupError if the token's account is gone.
    """
    with instance.database.read() as connection:
        row = get_assigned_token(connection, actor, serial, Permission.EMERGENCY_VIEW)
        owner = accounts.find_account(connection, row.login)
        if owner is None:
            raise LookupError("a token belongs to an account that is gone")
        found = _overview(connection, instance, actor, CodeKind.TOKENCODE, owner, row, now)
        past = history_of(connection, actor, owner.id, row.id, HISTORY_ROWS)
        access = access_to(connection, actor, row.id, now)
        return replace(found, tokens=(_facts(row),), access=access, history=past)


def passcode_overview(instance: Instance, actor: Actor, login: str, *, now: int) -> Overview:
    """Return the overview of a user's offline emergency passcode. Raises NotFound or NotAllowed."""
    with instance.database.read() as connection:
        owner = get_account(connection, actor, login, Permission.EMERGENCY_VIEW)
        user_tokens = tokens.list_tokens(connection, 100, account_id=owner.id)
        found = _overview(connection, instance, actor, CodeKind.PASSCODE, owner, None, now)
        requests = tuple(own_requests(connection, actor, owner.id, now))
        past = history_of(connection, actor, owner.id, None, HISTORY_ROWS)
        facts = tuple(_facts(token) for token in user_tokens)
        return replace(found, tokens=facts, requests=requests, history=past)


def _facts(token: Token) -> TokenFacts:
    return TokenFacts(token.serial, token.with_pin, token.lost, token.offline_code_online)


def _overview(
    connection: Connection,
    instance: Instance,
    actor: Actor,
    kind: CodeKind,
    owner: Account,
    stored: Token | None,
    now: int,
) -> Overview:
    token = seedless_token(instance.vault, stored) if stored is not None else None
    found = emergency_codes.devices_of_code(
        connection, owner.id, token.token_id if token else owner.id, (now - SEEN_DAYS * DAY_SECONDS) * MICROSECONDS
    )
    policies = effective_on(connection, owner.domain_id, [device.domain_id for device in found])
    # The count of failures is irrelevant, because it prevents no code on a device.
    account = AccountState(owner.id, owner.login, owner.enabled, owner.expires_at, FailureCount(0, None, None))
    obstacles = [
        code_obstacles(
            account,
            device_state(device),
            policies[device.domain_id],
            token,
            now,
            used_here=device.token_used_here is not None,
        )
        for device in found
    ]
    shared = _shared(obstacles) if found else _without_device(account, policies[owner.domain_id], token, now)
    devices = tuple(
        _device_row(
            actor,
            kind,
            device,
            tuple(obstacle for obstacle in on_device if obstacle not in shared),
            on_device,
            policies[device.domain_id],
            now,
        )
        for device, on_device in zip(found, obstacles, strict=True)
    )
    return Overview(kind, owner.login, owner.name, owner.domain, (), devices, shared)


def _shared(obstacles: Sequence[tuple[Obstacle, ...]]) -> tuple[Obstacle, ...]:
    shared = frozenset.intersection(*(frozenset(on_device) for on_device in obstacles)) - _OF_DEVICE
    return tuple(obstacle for obstacle in obstacles[0] if obstacle in shared)


def _without_device(
    account: AccountState, policy: EffectivePolicy, token: SeedlessToken | None, now: int
) -> tuple[Obstacle, ...]:
    """Return the obstacles on any device of the user's own domain, and the one that the user has used no device."""
    able = DeviceState("", revoked=False, supports_offline=True, hardware_bound=True)
    return (*code_obstacles(account, able, policy, token, now, used_here=True), Obstacle.NO_TOKEN_USED)


def _device_row(
    actor: Actor,
    kind: CodeKind,
    device: DeviceOfCode,
    own: tuple[Obstacle, ...],
    all_found: tuple[Obstacle, ...],
    policy: EffectivePolicy,
    now: int,
) -> DeviceRow:
    assigned = device.code_id is not None
    held = HeldCode(
        device.id,
        device.name if assigned or actor.sees(device.domain_id) else ELSEWHERE,
        device.version or 0,
        device.not_after or 0,
        device.held_since or 0,
        pending=device.code_id != device.held_code_id,
        reset=device.reset_at is not None,
    )
    expired = bool(held.version) and now >= held.not_after
    if len(own) > 1:
        # this obstacle follows from the others
        own = tuple(obstacle for obstacle in own if obstacle is not Obstacle.NO_TOKEN_USED)
    if not held.version and not all_found:
        # If a token was used there, the next contact delivers the code, even if it is not generated yet.
        own = (Obstacle.NOT_DOWNLOADED if device.some_token_used else Obstacle.NO_TOKEN_USED,)
    return DeviceRow(
        held,
        own,
        bool(held.version) and not expired and not all_found,
        expired,
        kind is CodeKind.PASSCODE and policy.values.passcode_approval,
    )
