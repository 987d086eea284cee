"""Everything that the device remembers, as one value: it is read, changed and committed as a whole.

Strict JSON both ways: a state that is not exactly as expected is not used. It holds piece keys, so it never prints.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from sparekey.agent.ground.device_time import TimeState
from sparekey.agent.ground.ports import StoreUnreadable
from sparekey.wire.agent_api import DevicePolicy, UnitName
from sparekey.wire.events import OfflineEvent
from sparekey.wire.messages import BadMessage, decode, encode

FORMAT: Final = 1
NO_POLICY: Final = DevicePolicy(offline_failures=1, warn_days=0, server_down="off", help_text="", os_password=False)


@dataclass(frozen=True)
class Piece:
    """Records of at most an hour (or the header part, first = count = 0), under a key of their own.

    The key stands here, or behind a PIN lock: then `locked` is the key as the lock's public half encrypts it.
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
    """A key pair that locks the keys of pieces; its private half comes back for one PIN alone (`pin_lock`)."""

    token: str
    pin_salt: str  # of the units that it locks: new at every PIN change
    lock_salt: str  # 16 bytes, made here
    public_key: str  # X25519
    sealed: str = field(repr=False)  # the private half, as `ports.PinLocks` keeps it


@dataclass(frozen=True)
class UnitEntry:
    """One unit on this device: what it says about itself, and where and under which keys its bytes lie."""

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
    pieces: list[Piece] = field(repr=False)  # in the order of the file; the header part first
    erased_through: int  # every record up to this one is gone
    given_up_through: int = -1  # up to this one they go, though some of them would still have opened

    @property
    def with_pin(self) -> bool:
        return bool(self.pin_salt)

    @property
    def is_given_up(self) -> bool:
        """Records are missing that should be here: the server is to make the unit again."""
        return self.given_up_through >= self.first

    @property
    def slot(self) -> UnitName:
        """One unit is kept for each."""
        return UnitName(self.kind, self.token, self.day)

    @property
    def is_emergency(self) -> bool:
        return self.kind.startswith("emergency-")

    @property
    def age(self) -> tuple[int, int, int]:
        """The later wins its slot."""
        return (self.generation, self.version, self.sealed_at)

    @property
    def last(self) -> int:
        return self.first + self.count - 1


@dataclass(frozen=True)
class TokenUse:
    """What happened with one token on this device."""

    token: str
    last_used: int = -1  # no record up to this one opens any more
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
    staged_generation: int = 0  # known from the server, not current yet
    staged_check: str = ""
    awaited: list[UnitName] = field(default_factory=list)  # when these are on disk, the staged generation is current
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
        """The latest that the server has named."""
        return self.staged_generation or self.generation

    @property
    def known_check(self) -> str:
        return self.staged_check or self.check

    @property
    def current_units(self) -> list[UnitEntry]:
        """Those that may open."""
        return [entry for entry in self.units if entry.generation == self.generation]

    def token_use(self, token: str) -> TokenUse:
        return next((use for use in self.tokens if use.token == token), TokenUse(token))

    def with_token(self, use: TokenUse) -> "UserState":
        return replace(self, tokens=[*(each for each in self.tokens if each.token != use.token), use])


@dataclass(frozen=True)
class Enrolment:
    """Which device this is, and what it trusts."""

    device: str
    name: str
    servers: list[str]  # https://host:port, tried in this order
    ca_certificate: str  # DER
    signing_keys: list[str]
    checkpoint_key: str


@dataclass(frozen=True)
class State:
    """The whole."""

    format: int
    enrolment: Enrolment
    time: TimeState = TimeState()
    users: list[UserState] = field(default_factory=list)
    events: list[OfflineEvent] = field(default_factory=list)  # not yet uploaded
    last_event: int = 0
    last_event_hash: str = ""
    checkpoint: str = ""
    next_sync: int = 0  # seconds after the last contact
    exempt: list[str] = field(default_factory=list)  # as the server was told last
    revoked: bool = False  # by the server's last word

    def find_user(self, login: str) -> UserState | None:
        """The user who is called so on this device."""
        return next((user for user in self.users if user.login == login), None)

    def get_user(self, user: str) -> UserState:
        """By account id; KeyError."""
        for each in self.users:
            if each.user == user:
                return each
        raise KeyError(user)

    def has_user(self, user: str) -> bool:
        return any(each.user == user for each in self.users)

    def with_user(self, user: UserState) -> "State":
        """That user as given, in the place where it stood."""
        if not self.has_user(user.user):
            return replace(self, users=[*self.users, user])
        return replace(self, users=[user if each.user == user.user else each for each in self.users])


def new_state(enrolment: Enrolment) -> State:
    """Of a device that was enrolled just now."""
    return State(FORMAT, enrolment)


def state_to_bytes(state: State) -> bytes:
    return encode(state)


def state_from_bytes(data: bytes) -> State:
    """Raises `StoreUnreadable`."""
    try:
        state = decode(State, data)
    except BadMessage as error:
        raise StoreUnreadable("damaged", f"the store's state cannot be read ({error.where}); enrol anew") from error
    if state.format != FORMAT:
        raise StoreUnreadable("damaged", "the store is of another version; update the agent, or enrol anew")
    return state
