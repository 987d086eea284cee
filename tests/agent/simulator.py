"""A server in memory behind `ports.Server`: it seals real units, at light and with few records, so that days are quick.

It keeps its own time, apart from the device's clock. Peppers are small through the hidden seam: what is right opens at
once, what is wrong costs the whole search.
"""

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sparekey.agent.ground.ports import AgentApi, Distance, NotReached, Refused
from sparekey.passcode import new_code, normalise
from sparekey.sealed import (
    EMERGENCY,
    LIGHT,
    PinHash,
    SealPlan,
    check_of,
    day_not_after,
    new_offline_key,
    pin_part,
    seal_previous,
)
from sparekey.sealed.seal import _seal_from_parts
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind
from sparekey.wire.agent_api import (
    AcknowledgementReply,
    AcknowledgementRequest,
    DevicePolicy,
    ErrorReply,
    EventsReply,
    EventsRequest,
    KeptKind,
    SignInReply,
    SignInRequest,
    SyncReply,
    SyncRequest,
    UnitName,
    UnitRequest,
    UsedStep,
    UserSync,
)
from sparekey.wire.events import EventKind, OfflineEvent
from tests.agent.clocks import NOON

DAY = 86400
RECORDS = 12
DEVICE = "device-1"
POLICY = DevicePolicy(offline_failures=3, warn_days=1, server_down="on", help_text="Call 4321.", os_password=False)


@dataclass
class SimulatedToken:
    """A token; `code` stands for its seed. With interval 0 it counts, and shows the code of counter `pressed`."""

    token: str
    with_pin: bool = True
    digits: int = 6
    interval: int = 60
    drift: int = 0
    last_step: int = -1
    lost: bool = False
    pressed: int = 0
    pack_first: int = 0  # of the last sealed pack
    seed: bytes = field(default_factory=lambda: secrets.token_bytes(20))

    def step(self, now: int) -> int:
        return now // self.interval + self.drift if self.interval else self.pressed

    def window(self, now: int) -> range:
        """The steps that the server accepts, used ones among them.

        The first is three steps back (the real server: one), because a loaded machine can take more than a minute
        from a code's making to its sending.
        """
        if not self.interval:
            return range(max(self.last_step, 0), self.last_step + 11)
        return range(self.step(now) - 3, self.step(now) + 2)

    def code(self, step: int) -> str:
        value = int.from_bytes(hmac.digest(self.seed, step.to_bytes(8, "big"), "sha1")[:8], "big")
        return f"{value % 10**self.digits:0{self.digits}}"


@dataclass
class SimulatedUser:
    """One user, one token, the codes that the device may hold."""

    user: str
    login: str
    pin: str
    token: SimulatedToken
    generation: int = 1
    key: Secret[bytes] = field(default_factory=new_offline_key)
    confirmed: Secret[bytes] | None = None
    pin_hash: PinHash | None = None
    tokencode: str = ""
    passcode: str = field(default_factory=lambda: new_code(3))
    version: int = 1
    enabled: bool = True
    locked: bool = False
    pin_must_change: bool = False
    next_code_wanted: bool = False
    policy: DevicePolicy = POLICY
    days: int = 1
    codes_end: int = NOON + 30 * DAY

    def __post_init__(self) -> None:
        self.set_pin(self.pin)
        self.tokencode = new_code(2 if self.token.with_pin else 3)

    def set_pin(self, pin: str) -> None:
        self.pin = pin
        salt = secrets.token_bytes(16)
        hashed = Secret(pin_part(pin.encode(), salt, 19456, 2))
        self.pin_hash = PinHash(salt, 19456, 2, hashed) if self.token.with_pin else None

    def renew(self) -> None:
        """Start a new generation with a new key, as a PIN change does."""
        self.generation += 1
        self.key = new_offline_key()


@dataclass(frozen=True)
class Challenge:
    """An open challenge: its login, its time, and the data behind it, for example the typed step or the PIN to
    confirm."""

    login: str
    ask: str
    asked_at: int
    step: int
    pin: str = ""


class SimulatedServer:
    """The agent API for one device. Its time stands still until a test sets `now`, or it follows a clock."""

    def __init__(self, now: int = NOON, clock: Callable[[], int] | None = None) -> None:
        self._clock = clock or (lambda: now)
        self.signing = Ed25519PrivateKey.generate()
        self.users: dict[str, SimulatedUser] = {}
        self.unreachable: Distance | None = None
        self.revoked = False
        self.seals_nonsense = False
        self.names_nobody = False
        self.breaks_at = ""
        self.cut_at = ""
        self.events_taken: list[OfflineEvent] = []
        self.acknowledged: list[str] = []
        self.calls: list[str] = []
        self.checks_named: list[str] = []
        self.protections: list[str] = []
        self.sealed: list[bytes] = []
        self.checkpoint = "checkpoint-1"
        self.extra_steps: list[UsedStep] = []
        self.challenges: dict[str, Challenge] = {}
        self.challenge_text = "A PIN has 4 to 8 digits."
        self.challenge_kind = ""

    @property
    def signing_key(self) -> bytes:
        return self.signing.public_key().public_bytes_raw()

    def add_user(self, login: str = "alice", pin: str = "2468", token: SimulatedToken | None = None) -> SimulatedUser:
        user = SimulatedUser(f"user-{login}", login, pin, token or SimulatedToken(f"token-{login}", with_pin=bool(pin)))
        self.users[login] = user
        return user

    @property
    def now(self) -> int:
        """The server's time, in seconds."""
        return self._clock()

    @now.setter
    def now(self, seconds: int) -> None:
        """Stop the clock at this time."""
        self._clock = lambda: seconds

    @contextlib.contextmanager
    def connect(self) -> Iterator[AgentApi]:
        yield self

    def allow(self, seconds: float) -> None:
        assert seconds > 0

    def events(self, request: EventsRequest) -> EventsReply:
        self._arrive("events")
        for event in request.events:
            assert event.number == len(self.events_taken) + 1
            self.events_taken.append(event)
            if event.kind == EventKind.GRANTED:
                user = self._by_id(event.user)
                if event.method == "tokencode":
                    user.token.last_step = max(user.token.last_step, event.step)
                if event.check == check_of(user.key).hex():
                    user.confirmed = user.key
        return EventsReply(last_number=len(self.events_taken), server_time=self.now)

    def sign_in(self, request: SignInRequest) -> SignInReply:
        self._arrive("sign_in")
        self.checks_named.append(request.check)
        user = self.users.get(request.login)
        if user is None or not user.enabled or user.locked:
            return self._denied()
        if request.reply_to:
            return self._answered(user, request)
        method, step = self._decide(user, request.passcode)
        if not method:
            return self._denied()
        if method == "tokencode" and (user.pin_must_change or user.next_code_wanted):
            word = "new-pin" if user.pin_must_change else "next-tokencode"
            return self._ask(Challenge(user.login, word, self.now, step))
        return self._granted(user, request, method, step)

    def _denied(self) -> SignInReply:
        return SignInReply(
            result="denied",
            misread=[],
            user="",
            method="",
            token="",
            step=0,
            check="",
            offline_key="",
            server_time=self.now,
        )

    def _ask(self, challenge: Challenge) -> SignInReply:
        reply_to = secrets.token_hex(16)
        self.challenges[reply_to] = challenge
        word = self.challenge_kind or challenge.ask
        return replace(self._denied(), result="ask", ask=word, text=self.challenge_text, reply_to=reply_to)

    def _answered(self, user: SimulatedUser, request: SignInRequest) -> SignInReply:
        challenge, answer = self.challenges.pop(request.reply_to, None), request.passcode
        if challenge is None or challenge.login != user.login or self.now > challenge.asked_at + 120:
            return self._denied()
        if challenge.ask == "new-pin":
            fits = answer.isdecimal() and 4 <= len(answer) <= 8
            following = Challenge(user.login, "confirm-pin" if fits else "new-pin", self.now, challenge.step, answer)
            return self._ask(following)
        if challenge.ask == "confirm-pin":
            if answer != challenge.pin:
                return self._denied()
            user.set_pin(answer)
            user.renew()
            user.pin_must_change = False
            return self._granted(user, request, "tokencode", challenge.step)
        if answer != user.token.code(challenge.step + 1):
            return self._denied()
        user.token.last_step = challenge.step + 1
        user.next_code_wanted = False
        return self._granted(user, request, "tokencode", user.token.last_step)

    def _granted(self, user: SimulatedUser, request: SignInRequest, method: str, step: int) -> SignInReply:
        key = user.key
        if user.confirmed is not None and check_of(user.confirmed).hex() == request.check:
            key = user.confirmed
        if request.check in ("", check_of(user.key).hex()):
            user.confirmed = user.key
        token = user.token.token
        return SignInReply(
            result="granted",
            misread=[],
            user=user.user,
            method=method,
            token=token,
            step=step,
            check=check_of(key).hex(),
            offline_key=key.reveal().hex(),
            server_time=self.now,
        )

    def sync(self, request: SyncRequest) -> SyncReply:
        self._arrive("sync")
        self.protections.append(request.protection)
        named = [user for user in self.users.values() if user.token.last_step >= 0 and not self.names_nobody]
        users = [self._said(user, request) for user in named]
        return SyncReply(
            server_time=self.now,
            device_name="laptop",
            signing_keys=[self.signing_key.hex()],
            checkpoint=self.checkpoint,
            users=users,
            last_event=len(self.events_taken),
            next_sync=3600,
        )

    def unit(self, request: UnitRequest) -> bytes:
        self._arrive("unit")
        user = self._by_id(request.user)
        if request.generation != user.generation:
            raise Refused(ErrorReply(error="stale", message="the data are being made anew", do="sync again"))
        if self.seals_nonsense:
            return b"nonsense"
        unit = self.seal(user, UnitName(kind=request.kind, token=request.token, day=request.day))
        self.sealed.append(unit)
        return unit

    def acknowledge(self, request: AcknowledgementRequest) -> AcknowledgementReply:
        self._arrive("acknowledge")
        self.acknowledged += request.unit_hashes
        return AcknowledgementReply(acknowledged=len(request.unit_hashes), server_time=self.now)

    def seal(self, user: SimulatedUser, name: UnitName) -> bytes:
        """Seal this unit now."""
        confirmed = user.confirmed
        renewed = confirmed is not None and check_of(confirmed) != check_of(user.key)
        plan = SealPlan(
            kind=UnitKind(name.kind),
            device=DEVICE,
            user=user.user,
            login=user.login,
            token=name.token,
            generation=user.generation,
            level=EMERGENCY,
            pin=user.pin_hash if name.kind != UnitKind.EMERGENCY_PASSCODE else None,
            offline_key=user.key,
            not_after=user.codes_end,
            sealed_at=self.now,
            version=user.version,
            previous=seal_previous(user.key, confirmed) if renewed and confirmed else b"",
        )
        if name.kind == UnitKind.DAY:
            return self._seal_day(user, plan, name.day)
        if name.kind == UnitKind.EVENTS:
            return self._seal_events(user, plan)
        code = user.passcode if name.kind == UnitKind.EMERGENCY_PASSCODE else user.tokencode
        return self._seal(plan, [(0, code)])

    def _seal_day(self, user: SimulatedUser, plan: SealPlan, day: int) -> bytes:
        token = user.token
        first_of_day = day * DAY // token.interval + token.drift
        first = max(first_of_day, token.step(self.now), token.last_step + 1)
        codes = [(i, token.code(i)) for i in range(first, min(first + RECORDS, first_of_day + DAY // token.interval))]
        plan = replace(
            plan,
            level=LIGHT,
            version=0,
            interval=token.interval,
            drift=token.drift,
            window=1,
            digits=token.digits,
            not_after=day_not_after(day),
        )
        return self._seal(plan, codes)

    def _seal_events(self, user: SimulatedUser, plan: SealPlan) -> bytes:
        token = user.token
        token.pack_first = token.last_step + 1
        codes = [(i, token.code(i)) for i in range(token.pack_first, token.pack_first + RECORDS)]
        end = (self.now // DAY + user.days + 1) * DAY
        plan = replace(plan, level=LIGHT, version=0, window=5, digits=token.digits, not_after=end)
        return self._seal(plan, codes)

    def _seal(self, plan: SealPlan, codes: list[tuple[int, str]]) -> bytes:
        return _seal_from_parts(plan, codes, self.signing.sign, secrets.token_bytes(32), [0] * len(codes))

    def _decide(self, user: SimulatedUser, passcode: str) -> tuple[str, int]:
        token = user.token
        for step in token.window(self.now):
            right = passcode == (user.pin if token.with_pin else "") + token.code(step)
            if right and step > token.last_step and not token.lost:
                token.last_step = step
                return "tokencode", step
        return ("emergency-passcode", 0) if normalise(passcode) == user.passcode else ("", 0)

    def _said(self, user: SimulatedUser, request: SyncRequest) -> UserSync:
        today = self.now // DAY
        token = user.token.token
        codes = [UnitName(kind="emergency-tokencode", token=token), UnitName(kind="emergency-passcode", token="")]
        nearest, *others = self._names_of(user.token, today, user.days)
        names = codes if user.token.lost else [nearest, *codes, *others]
        names = names if user.enabled else []
        have = {
            (unit.kind, unit.token, unit.day): unit.version
            for unit in request.held
            if unit.user == user.user and unit.generation == user.generation
        }
        missing = [
            name
            for name in names
            if have.get((name.kind, name.token, name.day), -1) != (user.version if "emergency" in name.kind else 0)
            or (name.kind == "events" and user.token.last_step >= user.token.pack_first + RECORDS // 2)
        ]
        return UserSync(
            user=user.user,
            login=user.login,
            generation=user.generation,
            check=check_of(user.key).hex(),
            keep=[KeptKind(kind=kind, token=name) for kind, name in {(name.kind, name.token): 0 for name in names}],
            last_day=today + user.days,
            tokencodes_blocked=user.locked,
            used=[UsedStep(token=token, step=user.token.last_step), *self.extra_steps],
            policy=user.policy,
            wanted=[] if user.locked else missing,
            obstacles=[],
        )

    def _names_of(self, token: SimulatedToken, today: int, days: int) -> list[UnitName]:
        if not token.interval:
            return [UnitName(kind="events", token=token.token)]
        return [UnitName(kind="day", token=token.token, day=today + number) for number in range(days + 1)]

    def _by_id(self, user: str) -> SimulatedUser:
        return next(each for each in self.users.values() if each.user == user)

    def _arrive(self, call: str) -> None:
        if call == self.cut_at:
            self.unreachable = Distance.OFFLINE
        if self.unreachable is not None:
            raise NotReached(self.unreachable, "simulated")
        if call == self.breaks_at:
            raise RuntimeError("broken on purpose")
        self.calls.append(call)
        if self.revoked:
            raise Refused(ErrorReply(error="revoked", message="this device is revoked", do="enrol it again"))


def unit_hash(unit: bytes) -> str:
    return hashlib.sha256(unit).hexdigest()
