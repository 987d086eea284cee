"""The complete memory of the device as one value: it is read, changed and committed as a whole.

It is strict JSON: a state with any unexpected member is rejected. It holds piece keys, so it never prints them.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from sparekey.agent.ground.device_time import TimeState
from sparekey.agent.ground.ports import ENROL_AGAIN, StoreUnreadable
from sparekey.unit_kind import EMERGENCY_KINDS
from sparekey.wire.agent_api import DevicePolicy, UnitName
from sparekey.wire.events import OfflineEvent
from sparekey.wire.messages import BadMessage, decode, encode

FORMAT: Final = 1
NO_POLICY: Final = DevicePolicy(offline_failures=1, warn_days=0, server_down="off", help_text="", os_password=False)


@dataclass(frozen=True)
class Piece:
    """Records of at most an hour, or the header part (first = count = 0), under a key of their own.

    The key is stored here in clear, or behind a PIN lock: then `locked` is the key, encrypted to the lock's public
    half.
    """

    first: int
    count: int
    key: str = field(repr=False, default="")
    locked: str = field(repr=False, default="")

    @property
    def last(self) -> int:
        return self.first + self.count - 1


@dataclass(frozen=True)
class PinLock:
    """A key pair that locks the keys of pieces. Only the PIN brings its private half back (`pin_lock`)."""

    token: str
    pin_salt: str  # of the units that it locks; new at every PIN change
    lock_salt: str  # 16 bytes, made here
    public_key: str  # X25519
    sealed: str = field(repr=False)  # the private half, as `ports.PinLocks` keeps it


@dataclass(frozen=True)
class UnitEntry:
    """One unit on this device: its header, and where its bytes and keys are."""

    kind: str
    token: str
    day: int
    generation: int
    version: int
    sealed_at: int
    not_after: int
    interval: int
    drift: int
    window: int
    first: int
    count: int
    digits: int
    pin_salt: str
    unit_hash: str
    file: str
    header_size: int
    pieces: list[Piece] = field(repr=False)  # in the order of the file, the header part first
    erased_through: int  # every record up to this one is erased
    given_up_through: int = -1  # records up to this one are erased although some could still open

    @property
    def with_pin(self) -> bool:
        return bool(self.pin_salt)

    @property
    def is_given_up(self) -> bool:
        """Return True if records are missing that should still open. The server must then make the unit again."""
        return self.given_up_through >= self.first

    @property
    def slot(self) -> UnitName:
        """Return the slot of the unit. The device keeps one unit for each slot."""
        return UnitName(kind=self.kind, token=self.token, day=self.day)

    @property
    def is_emergency(self) -> bool:
        return self.kind in EMERGENCY_KINDS

    @property
    def age(self) -> tuple[int, int, int]:
        """Return the sort key by which the later unit wins its slot."""
        return (self.generation, self.version, self.sealed_at)

    @property
    def last(self) -> int:
        return self.first + self.count - 1


@dataclass(frozen=True)
class TokenUse:
    """The use of one token on this device."""

    token: str
    last_used: int = -1  # no record up to this one opens
    learnt_shift: int = 0  # intervals
    used_at: int = 0
    accepted_here: int = -1  # the last step that the server accepted at a sign-in on this device


@dataclass(frozen=True)
class WrappedSecret:
    """A secret under `unlock(purpose)` of the offline key that `check` names."""

    purpose: str
    check: str
    sealed: str = field(repr=False)


@dataclass(frozen=True)
class UserState:
    """One user on this device."""

    user: str
    login: str
    generation: int = 0  # of the units that open; 0: none yet
    check: str = ""  # of that generation's offline key
    staged_generation: int = 0  # named by the server, not current yet
    staged_check: str = ""
    awaited: list[UnitName] = field(default_factory=list)  # units without which the staged generation is not current
    wrapped_check: str = ""
    failures: int = 0
    emergency_failures: int = 0
    emergency_failed_boot: str = ""
    emergency_failed_monotonic: int = 0
    tokencodes_blocked: bool = False
    policy: DevicePolicy = NO_POLICY
    tokens: list[TokenUse] = field(default_factory=list)
    units: list[UnitEntry] = field(default_factory=list)
    secrets: list[WrappedSecret] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    pin_locks: list[PinLock] = field(default_factory=list)

    @property
    def known_generation(self) -> int:
        """Return the latest generation that the server has named."""
        return self.staged_generation or self.generation

    @property
    def known_check(self) -> str:
        return self.staged_check or self.check

    @property
    def current_units(self) -> list[UnitEntry]:
        """Return the units that may open."""
        return [entry for entry in self.units if entry.generation == self.generation]

    def token_use(self, token: str) -> TokenUse:
        return next((use for use in self.tokens if use.token == token), TokenUse(token))

    def with_token(self, use: TokenUse) -> "UserState":
        return replace(self, tokens=[*(other for other in self.tokens if other.token != use.token), use])


@dataclass(frozen=True)
class Enrolment:
    """The identity of this device, and the keys that it trusts."""

    device: str
    name: str
    servers: list[str]  # https://host:port, tried in this order
    ca_certificate: str  # DER
    signing_keys: list[str]
    checkpoint_key: str


@dataclass(frozen=True)
class State:
    """The complete state."""

    format: int
    enrolment: Enrolment
    time: TimeState = TimeState()
    users: list[UserState] = field(default_factory=list)
    events: list[OfflineEvent] = field(default_factory=list)  # not yet uploaded
    last_event: int = 0
    last_event_hash: str = ""
    checkpoint: str = ""
    next_sync: int = 0  # seconds after the last contact
    exempt: list[str] = field(default_factory=list)  # as last sent to the server
    revoked: bool = False  # in the last message of the server

    def find_user(self, login: str) -> UserState | None:
        """Return the user with this login on this device."""
        return next((user for user in self.users if user.login == login), None)

    def get_user(self, user: str) -> UserState:
        """Return the user with this account id. Raises KeyError."""
        for found in self.users:
            if found.user == user:
                return found
        raise KeyError(user)

    def has_user(self, user: str) -> bool:
        return any(other.user == user for other in self.users)

    def with_user(self, user: UserState) -> "State":
        """Return the state with this user, in the place of the earlier one."""
        if not self.has_user(user.user):
            return replace(self, users=[*self.users, user])
        return replace(self, users=[user if other.user == user.user else other for other in self.users])


def new_state(enrolment: Enrolment) -> State:
    """Return the state of a newly enrolled device."""
    return State(FORMAT, enrolment)


def state_to_bytes(state: State) -> bytes:
    return encode(state)


def state_from_bytes(data: bytes) -> State:
    """Return the state. Raises StoreUnreadable if it is damaged or of another version."""
    try:
        state = decode(State, data)
    except BadMessage as error:
        raise StoreUnreadable(
            "damaged", f"the state of the store cannot be read ({error.where}); {ENROL_AGAIN}"
        ) from error
    if state.format != FORMAT:
        raise StoreUnreadable("damaged", f"the store is of another version; update the agent, or {ENROL_AGAIN}")
    return state
