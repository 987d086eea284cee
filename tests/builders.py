"""Builders for tests of the server's domain: an instance, users with tokens, devices that hold their units.

The real use cases create everything. Only the keystore is a fake (checked against its contract in tests/contract), and
a PIN is hashed once. A user has no PIN unless the test gives one, because sealing for a PIN costs its slow hash.
"""

import functools
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from sparekey.app.devices import devices as app_devices
from sparekey.app.devices.devices import EnrolmentRequest
from sparekey.app.devices.invitations import invite
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.second_person import Wanted, request_approval
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import DEFAULT_POLICY, TOP_DOMAIN, Instance, log
from sparekey.app.lookup import get_account, get_assigned_token, get_token
from sparekey.app.offline.device_sign_in import DeviceSignIn, sign_in_on_device
from sparekey.app.offline.events import take_events
from sparekey.app.offline.sealing import seal_for_device
from sparekey.app.offline.sync import acknowledge, sync_users
from sparekey.app.people.users import add_user
from sparekey.app.policies import policies
from sparekey.app.row_seals import protect
from sparekey.app.server.initialise import initialise
from sparekey.app.sign_in.anonymous import log_refusals
from sparekey.app.sign_in.pin_changes import store_pin
from sparekey.app.sign_in.verification import SignInInterface, sign_in
from sparekey.app.tokens.tokens import NewToken, add_token
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.emergency.acts import OperatorAct
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.permissions import Actor, Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import LockoutPolicy
from sparekey.core.sign_in.outcome import Denied, Granted, Outcome
from sparekey.core.sign_in.pins import PinVerifier, new_verifier
from sparekey.core.tokens import Totp
from sparekey.json_value import Json
from sparekey.passcode import new_code
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.devices import devices, receipts
from sparekey.storage.people.accounts import Account
from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import Token
from sparekey.storage.unit_of_work import Database
from sparekey.wire.agent_api import HeldUnit, UnitName, UnitRequest, UserSync
from sparekey.wire.enrolment import proof_message
from sparekey.wire.events import NO_EVENT, EventKind, OfflineEvent
from sparekey.wire.signing import sign
from tests.memory_keystore import MemoryKeystore
from tests.quick_argon2 import present_argon2

DAY = 86_400
MIDNIGHT = 1_800_057_600
NOW = MIDNIGHT - 600  # ten minutes before a UTC day ends: the rest of that day has few records
CALLED_BACK = Showing("call back")
ROOT = Actor.of_system("os:root")
HELP_DESK = Actor.of_system("os:helpdesk")
LIMIT = LockoutPolicy().most_failures
REST = SignInInterface("client:web")
PIN = "4711abcd"

# Cheap to seal; the defaults of a policy have their own tests.
LIGHT = {"protection_level": "light", "days": "1"}
# Policy fields that a token without a PIN needs.
PIN_LESS = {"allow_tokens_without_pin": "on", "days": "1"}

_numbers = itertools.count(1)


def an_instance(
    database: Database,
    *,
    policy: Mapping[str, str] = LIGHT,
    lockout: Mapping[str, str] | None = None,
    now: int = NOW,
) -> Instance:
    """A new server in an empty database; `policy`, `lockout`: fields of the default ones, as a person writes them."""
    keystore = MemoryKeystore()
    vault = initialise(database, keystore, ROOT, now)
    instance = Instance("one", database, keystore, vault, ca_certificate=b"the CA")
    if lockout:
        edit_policy(instance, lockout, kind=PolicyKind.LOCKOUT, now=now)
    if policy:
        edit_policy(instance, policy, now=now)
    return instance


def elsewhere(instance: Instance, database: Database, name: str = "one") -> Instance:
    """Return the same server over another connection to its database, or over a copy of it."""
    protect(database, instance.vault, lambda: NOW)
    return replace(instance, name=name, database=database)


def ask_for_passcode(
    connection: Connection,
    actor: Actor,
    account_id: str,
    device_id: str,
    showing: Showing = CALLED_BACK,
    now: int = NOW,
) -> None:
    """Request the approval to show a passcode."""
    wanted = Wanted(OperatorAct.PASSCODE_SHOWN, account_id, "", showing, device_id)
    request_approval(connection, actor, wanted, now)


def edit_policy(
    instance: Instance,
    fields: Mapping[str, str],
    name: str = DEFAULT_POLICY,
    now: int = NOW,
    kind: PolicyKind = PolicyKind.OFFLINE,
) -> None:
    policies.set_fields(instance, ROOT, kind, name, fields, confirmed=True, now=now)


@dataclass(frozen=True)
class User:
    """A user with one token."""

    login: str
    account_id: str
    serial: str
    token_id: str
    totp: Totp
    pin: str

    def step(self, now: int, ahead: int = 0) -> int:
        """The interval that the token shows; its clock is `ahead` seconds ahead."""
        return (now + ahead) // self.totp.interval

    def typed(self, now: int, ahead: int = 0) -> Secret[str]:
        """Return the user's passcode: PIN and tokencode."""
        return Secret(self.pin + self.totp.code(self.step(now, ahead)))

    def wrong(self, now: int) -> Secret[str]:
        """The PIN and a tokencode that the token does not show at any time near."""
        near = {self.totp.code(step) for step in range(self.step(now) - 3, self.step(now) + 4)}
        return Secret(self.pin + next(code for code in _codes(self.totp.digits) if code not in near))


def _codes(digits: int) -> list[str]:
    return [f"{number:0{digits}d}" for number in range(10)]


def a_user(
    instance: Instance,
    login: str = "",
    *,
    pin: str = "",
    with_pin: bool = False,
    token: NewToken = NewToken(),
    domain: str = TOP_DOMAIN,
    now: int = NOW,
) -> User:
    """A user with a token: with this PIN, or one that is used without a PIN (`with_pin`: one is still to be set)."""
    login = login or f"user{next(_numbers)}"
    account_id = add_user(instance, ROOT, login, domain, now=now)
    return a_token(instance, login, account_id, pin=pin, with_pin=with_pin, token=token, now=now)


def a_token(
    instance: Instance,
    login: str,
    account_id: str,
    *,
    pin: str = "",
    with_pin: bool = False,
    token: NewToken = NewToken(),
    now: int = NOW,
) -> User:
    """One more token; the user as seen from it."""
    added = add_token(instance, ROOT, login, replace(token, with_pin=bool(pin) or with_pin), now=now)
    if pin:
        _set_pin(instance, added.serial, pin, now)
    with instance.database.read() as connection:
        token_id = get_token(connection, ROOT, added.serial, Permission.TOKEN_VIEW).id
    totp = added.otp
    assert isinstance(totp, Totp)
    return User(login, account_id, added.serial, token_id, totp, pin)


def _set_pin(instance: Instance, serial: str, pin: str, now: int) -> None:
    """Set a PIN like `tokens.set_pin`, except that each PIN is hashed once for all tests."""
    with instance.database.write() as connection:
        token = get_assigned_token(connection, ROOT, serial, Permission.PIN_SET)
        store_pin(connection, instance, token, _verifier(pin), now, counts_from=None)
        log(connection, now, ROOT, Action.TOKEN_PIN_SET, account=token.account_id, token=token.id, serial=serial)


def _verifier(pin: str) -> PinVerifier:
    return _verifier_by(pin, present_argon2())


@functools.cache
def _verifier_by(pin: str, _: type) -> PinVerifier:
    """Return the PIN's verifier. Tests with the quick and with the real Argon2id need different ones."""
    return new_verifier(pin)


def submit(
    instance: Instance,
    user: User,
    now: int,
    typed: Secret[str] | None = None,
    *,
    ahead: int = 0,
    interface: SignInInterface = REST,
) -> Outcome:
    """Submit this text for the user at a server interface and return the outcome. None: the right passcode."""
    return sign_in(instance, interface, user.login, user.typed(now, ahead) if typed is None else typed, now).outcome


def granted(outcome: Outcome) -> Granted:
    """Return the outcome as a success, or fail."""
    assert isinstance(outcome, Granted), outcome
    return outcome


def denied(outcome: Outcome) -> Denied:
    """Return the outcome as a refusal, or fail."""
    assert isinstance(outcome, Denied), outcome
    return outcome


def account_row(instance: Instance, login: str) -> Account:
    with instance.database.read() as connection:
        return get_account(connection, ROOT, login, Permission.USER_VIEW)


def token_row(instance: Instance, serial: str) -> Token:
    with instance.database.read() as connection:
        return get_token(connection, ROOT, serial, Permission.TOKEN_VIEW)


def set_end(instance: Instance, user: User, *, token: int | None = None, account: int | None = None) -> None:
    """Give the token or the account an end. No use case does so yet."""
    with instance.database.write() as connection:
        if token is not None:
            tokens.update_token(connection, user.token_id, expires_at=token)
        if account is not None:
            update_rows(connection, tables.account, [tables.account.c.id == user.account_id], {"expires_at": account})


def set_mail(instance: Instance, user: User, address: str) -> None:
    """Set the address of the user's notices; empty: none."""
    with instance.database.write() as connection:
        update_rows(connection, tables.account, [tables.account.c.id == user.account_id], {"mail": address})


_NO_MORE = 2**40  # unix seconds: after every test


def logged_events(instance: Instance, *actions: Action, limit: int = 1000) -> list[AuditRow]:
    """Return the audit events of these actions, oldest first, with those of refused unknown names at the end."""
    log_refusals(instance.database, _NO_MORE)
    with instance.database.read() as connection:
        return list(
            reversed(audit_events.list_rows(connection, audit_events.AuditFilter(actions=actions), limit=limit))
        )


@dataclass
class Device:
    """An enrolled computer. Like the agent, it stores its units and signs its events."""

    instance: Instance
    device_id: str
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    check: dict[str, bytes] = field(default_factory=dict)  # by account: the key under which secrets are wrapped
    held: dict[tuple[str, str, str, int], tuple[HeldUnit, bytes]] = field(default_factory=dict)
    events: list[OfflineEvent] = field(default_factory=list)

    @property
    def row(self) -> devices.Device:
        """The device as the server has it."""
        device = app_devices.find_device(self.instance, self.device_id)
        assert device is not None
        return device

    def sign_in(self, user: User, now: int, typed: Secret[str] | None = None) -> DeviceSignIn:
        """An online sign-in here; None: with the right passcode."""
        check = self.check.get(user.account_id, b"")
        typed = user.typed(now) if typed is None else typed
        result = sign_in_on_device(self.instance, self.row, user.login, typed, check, now)
        if isinstance(result.outcome, Granted) and result.key.check:
            self.check[user.account_id] = result.key.check
        return result

    def answer(self, user: User, reply_to: Secret[str], text: str, now: int) -> DeviceSignIn:
        """Answer a challenge of a sign-in on this device."""
        check = self.check.get(user.account_id, b"")
        return sign_in_on_device(self.instance, self.row, user.login, Secret(text), check, now, reply_to)

    def report(self, now: int) -> list[UserSync]:
        """Report the held units, and return the server's answer."""
        units, row = [unit for unit, _ in self.held.values()], self.row
        with self.instance.database.write() as connection:
            return sync_users(connection, self.instance, row, units, now)

    def sync(self, now: int) -> list[UserSync]:
        """Report the held units, drop those that the server withholds, and return its answer."""
        users = self.report(now)
        kept = {(user.user, keep.kind, keep.token) for user in users for keep in user.keep}
        self.held = {name: unit for name, unit in self.held.items() if name[:3] in kept}
        return users

    def sync_of(self, user: User, now: int) -> UserSync:
        """Return the part of the server's answer about one user."""
        return next(said for said in self.sync(now) if said.user == user.account_id)

    def fetch(self, user: User, name: UnitName, generation: int, now: int) -> bytes:
        """Return the sealed unit of this name."""
        request = UnitRequest(
            user=user.account_id, kind=name.kind, token=name.token, day=name.day, generation=generation
        )
        return seal_for_device(self.instance, self.row, request, now=now)

    def hold(self, user: User, name: UnitName, said: UserSync, now: int) -> bytes:
        """Fetch a unit, keep it, and acknowledge it."""
        unit = self.fetch(user, name, said.generation, now)
        unit_hash, row = hashlib.sha256(unit), self.row
        with self.instance.database.write() as connection:
            (receipt,) = receipts.find_receipts(connection, self.device_id, [unit_hash.digest()])
            assert acknowledge(connection, row, [unit_hash.digest()], now) == 1
        self.held[user.account_id, name.kind, name.token, name.day] = self.as_held(
            user, name, unit, said.generation, receipt.version
        )
        return unit

    def as_held(self, user: User, name: UnitName, unit: bytes, generation: int, version: int) -> tuple[HeldUnit, bytes]:
        """Return the unit as the device reports it."""
        unit_hash = hashlib.sha256(unit).hexdigest()
        held = HeldUnit(
            user=user.account_id,
            kind=name.kind,
            token=name.token,
            day=name.day,
            generation=generation,
            version=version,
            unit_hash=unit_hash,
        )
        return held, unit

    def contact(self, user: User, now: int) -> list[UnitName]:
        """Sync, then fetch the wanted units for today and for emergencies. Return the names of the fetched units."""
        said = self.sync_of(user, now)
        names = [name for name in said.wanted if name.day in (0, now // DAY)]
        for name in names:
            self.hold(user, name, said, now)
        return names

    def event(self, user: User | None = None, kind: EventKind = EventKind.GRANTED, at: int = NOW, **more: Json) -> None:
        """Add an offline event to the device's chain."""
        previous = self.events[-1].hash() if self.events else NO_EVENT
        values = {"method": "", "token": "", "step": 0, "version": 0, "check": "", "reason": ""} | more
        event = OfflineEvent(
            number=len(self.events) + 1,
            at=at,
            kind=kind,
            user=user.account_id if user else "",
            login=user.login if user else "",
            previous=previous.hex(),
            **values,  # type: ignore[arg-type] # a builder
        )
        self.events.append(self.signed(event))

    def signed(self, event: OfflineEvent) -> OfflineEvent:
        """Return the event with this device's signature."""
        return replace(event, signature=sign(self.private_key, event.signed_bytes()).hex())

    def offline_success(self, user: User, now: int, ahead: int = 0) -> None:
        """The user signed in offline with the token at `now`; its days are here from an online sign-in before."""
        with self.instance.database.write() as connection:
            devices.use_token_on_device(connection, self.device_id, user.token_id, user.account_id, now)
        check = self.check.get(user.account_id, b"").hex()
        self.event(user, at=now, method="tokencode", token=user.token_id, step=user.step(now, ahead), check=check)

    def upload(self, now: int, events: list[OfflineEvent] | None = None) -> int:
        """Hand over events; None: all of them."""
        return take_events(self.instance, self.row, self.events if events is None else events, now=now)


def a_device(
    instance: Instance,
    name: str = "",
    *,
    domain: str = TOP_DOMAIN,
    supports_offline: bool = True,
    hardware_bound: bool = False,
    now: int = NOW,
) -> Device:
    """A device that was invited and has enrolled. Its name is its own wish, so that it may be another one's, too."""
    name = name or f"laptop{next(_numbers)}"
    code = invite(instance, ROOT, f"invited{next(_numbers)}", domain, now=now)
    private_key = ec.generate_private_key(ec.SECP256R1())
    enrolment = an_enrolment(code.secret, private_key, supports_offline, hardware_bound, name)
    enrolled = app_devices.enrol(instance, enrolment, now=now)
    return Device(instance, enrolled.device_id, private_key)


def an_invited_device(server: Instance, name: str = "laptop", **wish: object) -> EnrolmentRequest:
    """Return the enrolment request of a device invited under this name, with these members changed."""
    code = invite(server, ROOT, name, now=NOW)
    return replace(an_enrolment(code.secret, ec.generate_private_key(ec.SECP256R1())), **wish)  # type: ignore[arg-type] # members


def an_enrolment(
    secret: Secret[bytes],
    private_key: ec.EllipticCurvePrivateKey,
    supports_offline: bool = True,
    hardware_bound: bool = False,
    name: str = "",
) -> EnrolmentRequest:
    """Return the enrolment request of a device with this key."""
    public_key = private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    proof = sign(private_key, proof_message(secret.reveal(), public_key))
    return EnrolmentRequest(secret, public_key, proof, name, supports_offline, hardware_bound)


def a_filled_device(instance: Instance, user: User, name: str = "", *, now: int = NOW) -> Device:
    """A device on which the user has signed in with the token, and that holds today's days and the emergency codes."""
    device = a_device(instance, name, now=now)
    granted(device.sign_in(user, now).outcome)
    device.contact(user, now)
    return device


def shown_code(instance: Instance, user: User, device: str | None = None, *, now: int = NOW) -> str:
    """The canonical offline emergency tokencode, as the help desk reads it out."""
    return show(instance, user, device, now=now).code.reveal()


def show(
    instance: Instance, user: User, device: str | None = None, kind: CodeKind = CodeKind.TOKENCODE, *, now: int = NOW
) -> emergency.ShownCode:
    name = user.serial if kind is CodeKind.TOKENCODE else user.login
    return emergency.show(instance, HELP_DESK, kind, name, device, CALLED_BACK, now=now)


def another_code(code: str) -> str:
    """A canonical code of as many groups that is not this one."""
    return next(other for other in iter(lambda: new_code(len(code) // 5), "") if other != code)
