"""The messages of the agent API, version 1 (spec/agent-api.md): one request and one reply for each path.

Every request but `trust` and `enrol` is signed by the device's key (wire.signing). Byte strings are lower-case hex.
Times are unix seconds of the server. A member that does not apply is "" or 0.
"""

from dataclasses import dataclass, field
from typing import Final

from sparekey.wire.events import OfflineEvent
from sparekey.wire.messages import TYPED, at_most

PREFIX: Final = "/agent/v1"
TRUST: Final = f"{PREFIX}/trust"
ENROL: Final = f"{PREFIX}/enrol"
SIGN_INS: Final = f"{PREFIX}/sign-ins"
EVENTS: Final = f"{PREFIX}/events"
SYNC: Final = f"{PREFIX}/sync"
UNITS: Final = f"{PREFIX}/units"
ACKNOWLEDGEMENTS: Final = f"{PREFIX}/acknowledgements"

UNIT_MEDIA_TYPE: Final = "application/octet-stream"

# The most that a message can need: the largest values of a policy, and of the tokens that a user can have.
MOST_USERS: Final = 50  # with offline data on one device
MOST_TOKENS: Final = 4  # of one user
MOST_UNITS: Final = MOST_TOKENS * (61 + 1) + 1  # of one user: today, 60 days and a code for each token; the passcode
MOST_HELD: Final = 2 * MOST_USERS * MOST_UNITS  # a staged generation lies beside the current one
MOST_EVENTS: Final = 200  # at once
MOST_HASHES: Final = 1_000  # at once
MOST_EXEMPT: Final = 64
MOST_SIGNING_KEYS: Final = 4
MOST_GROUPS: Final = 8  # of a code
MOST_OBSTACLES: Final = 8


@dataclass(frozen=True, kw_only=True)
class ErrorReply:
    """Any refusal of a request that is not a refused sign-in."""

    error: str  # a word for programs: unknown-device, revoked, stale-time, bad-request, not-allowed, stale, ...
    message: str  # the problem
    do: str  # the next step for the user
    server_time: int = 0
    retry_after: int = 0  # seconds after which the request may be sent again


@dataclass(frozen=True, kw_only=True)
class TrustReply:
    """GET trust: the CA and the signing key. The device accepts them only if the pin in the enrolment code matches."""

    ca_certificate: str  # DER
    signing_key: str  # Ed25519, 32 bytes


@dataclass(frozen=True, kw_only=True)
class EnrolRequest:
    """POST enrol: the one-time secret, and the public half of the key made on the device."""

    secret: str
    public_key: str  # P-256, SubjectPublicKeyInfo, DER
    proof: str  # DER signature by that key over "sparekey/1/enrol" || secret || public key
    name: str  # device name; "" for the one in the invitation
    supports_offline: bool
    hardware_bound: bool


@dataclass(frozen=True, kw_only=True)
class EnrolReply:
    """The identity of the new device, and the keys that it pins."""

    device: str  # id, never used again
    name: str
    signing_keys: list[str] = field(metadata=at_most(MOST_SIGNING_KEYS))  # pinned Ed25519 keys that may sign units
    checkpoint_key: str  # Ed25519; signs audit checkpoints
    server_time: int


@dataclass(frozen=True, kw_only=True)
class SignInRequest:
    """POST sign-ins: the passcode. `check` names the offline key under which the secrets of the device are wrapped.

    With `reply_to`, `passcode` is the answer to the challenge that a reply sent under it.
    """

    login: str = field(metadata=TYPED)
    passcode: str = field(repr=False, metadata=TYPED)
    check: str
    reply_to: str = field(repr=False, default="", metadata=TYPED)


@dataclass(frozen=True, kw_only=True)
class SignInReply:
    """Granted, denied, or a challenge. A denial gives no reason but the misread groups."""

    result: str  # granted | denied | ask
    misread: list[int] = field(metadata=at_most(MOST_GROUPS))
    user: str  # account id
    method: str
    token: str
    step: int
    check: str  # of `offline_key`
    offline_key: str  # the key that `check` of the request names, or the user's current key on this device
    server_time: int
    ask: str = ""  # new-pin | confirm-pin | next-tokencode
    text: str = ""  # the challenge, for the user
    reply_to: str = ""  # 16 random bytes; valid for one answer, within two minutes, from this device and for this login


@dataclass(frozen=True, kw_only=True)
class EventsRequest:
    """POST events: in order, without gaps, from the first that the server does not have."""

    events: list[OfflineEvent] = field(metadata=at_most(MOST_EVENTS))


@dataclass(frozen=True, kw_only=True)
class EventsReply:
    """The number of the last event that the server has stored."""

    last_number: int  # the server has all events up to this one
    server_time: int


@dataclass(frozen=True, kw_only=True)
class HeldUnit:
    """One unit on the device."""

    user: str
    kind: str
    token: str
    day: int  # days since 1970-01-01 UTC; 0 for emergency units
    generation: int
    version: int
    unit_hash: str  # SHA-256 of the unit as received


@dataclass(frozen=True, kw_only=True)
class SyncRequest:
    """POST sync: the units on the device, and the newest audit checkpoint, which it keeps as a witness."""

    held: list[HeldUnit] = field(metadata=at_most(MOST_HELD))
    checkpoint: str
    hardware_bound: bool
    protection: str = ""  # a word of `Protection` (core.offline.units)
    # local accounts that sign in without a passcode
    exempt: list[str] = field(default_factory=list, metadata=at_most(MOST_EXEMPT))


@dataclass(frozen=True, kw_only=True)
class UnitName:
    """The slot of a unit: one unit is kept for each."""

    kind: str
    token: str
    day: int = 0


@dataclass(frozen=True, kw_only=True)
class KeptKind:
    """The kind and token of units that may stay on the device."""

    kind: str
    token: str


@dataclass(frozen=True, kw_only=True)
class UsedStep:
    """The last used step of a token, on any device or at the server. Steps up to it are used up."""

    token: str
    step: int


@dataclass(frozen=True, kw_only=True)
class DevicePolicy:
    """The policy values that the device itself enforces (docs/policy.md, "Offline policy")."""

    offline_failures: int
    warn_days: int
    server_down: str  # on | emergency-codes-only | off
    help_text: str
    os_password: bool
    pin_lock: bool = False


@dataclass(frozen=True, kw_only=True)
class UserSync:
    """The state of one user on this device, as the server sets it."""

    user: str
    login: str
    generation: int
    check: str  # of the offline key of that generation
    keep: list[KeptKind] = field(metadata=at_most(2 * MOST_TOKENS + 1))  # all else of this user is erased at once
    last_day: int  # days after this one are erased at once
    tokencodes_blocked: (
        bool  # locked at the server: tokencodes are refused until it is unlocked, emergency codes are not
    )
    used: list[UsedStep] = field(metadata=at_most(MOST_TOKENS))
    policy: DevicePolicy
    wanted: list[UnitName] = field(metadata=at_most(MOST_UNITS))  # to fetch, in this order
    # sentences with the reasons why data are missing
    obstacles: list[str] = field(metadata=at_most(MOST_OBSTACLES))


@dataclass(frozen=True, kw_only=True)
class SyncReply:
    """The state of all users on this device. Users who are not listed have no data here any more."""

    server_time: int
    device_name: str
    signing_keys: list[str] = field(metadata=at_most(MOST_SIGNING_KEYS))
    checkpoint: str  # the newest, signed; the device keeps it as a witness
    users: list[UserSync] = field(metadata=at_most(MOST_USERS))  # a user who is not listed has no data here any more
    last_event: int
    next_sync: int  # seconds from now


@dataclass(frozen=True, kw_only=True)
class UnitRequest:
    """POST units: answered with the sealed unit itself (application/octet-stream)."""

    user: str
    kind: str
    token: str
    day: int
    generation: int


@dataclass(frozen=True, kw_only=True)
class AcknowledgementRequest:
    """POST acknowledgements: these units are on the device's disk."""

    unit_hashes: list[str] = field(default_factory=list, metadata=at_most(MOST_HASHES))


@dataclass(frozen=True, kw_only=True)
class AcknowledgementReply:
    """The number of units that the server has marked as stored."""

    acknowledged: int
    server_time: int
