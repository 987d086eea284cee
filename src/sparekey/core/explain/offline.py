"""Explain whether a user can sign in on a device that is offline: every rule, and the data that the device holds.

Rules: pure; a change applies on a device only after its next contact; the data that a device holds is known from its
signed confirmations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

from sparekey.core.explain.online import Deed, Line, NamedToken, Person, RuleResult, Side, conclude, moment
from sparekey.core.offline.units import (
    DeviceState,
    Obstacle,
    account_obstacles,
    days_obstacle,
    ends_at_contact,
    is_told_of_lock,
    token_obstacle,
)
from sparekey.core.plurals import counted
from sparekey.core.policy.offline import EffectivePolicy, OfflinePolicy, ServerDown
from sparekey.durations import DAY_SECONDS

# For each obstacle: the policy field that causes it ("": none), the remedy as text with the placeholders {login},
# {serial} and {device}, and the remedies as deeds, each of which is enough.
_MENDS: Final[Mapping[Obstacle, tuple[str, str, tuple[Deed, ...]]]] = {
    Obstacle.POLICY_OFF: ("enabled", "sparekey policy offline set POLICY enabled=on", (Deed.CHANGE_POLICY,)),
    Obstacle.DEVICE_REVOKED: ("", "enrol it again: sparekey device invite {device}", (Deed.INVITE_DEVICE,)),
    Obstacle.NO_OFFLINE_SUPPORT: ("", "update or replace the agent", ()),
    Obstacle.NO_HARDWARE_STORE: ("require_hardware_store", "add a TPM, or change the policy", (Deed.CHANGE_POLICY,)),
    Obstacle.ACCOUNT_CLOSED: (
        "",
        "sparekey user enable {login}, or change the expiry",
        (Deed.ENABLE_USER, Deed.CHANGE_END),
    ),
    Obstacle.ACCOUNT_LOCKED: ("", "sparekey user unlock {login}", (Deed.UNLOCK_USER,)),
    Obstacle.NEXT_TOKENCODE: (
        "",
        "let the user sign in online once, or: sparekey user unlock {login}",
        (Deed.UNLOCK_USER,),
    ),
    Obstacle.TOKEN_LOST: (
        "",
        "sparekey token found {serial}, or sparekey token replace {serial}",
        (Deed.FIND_TOKEN, Deed.REPLACE_TOKEN),
    ),
    Obstacle.TOKEN_DISABLED: ("", "sparekey token enable {serial}", (Deed.ENABLE_TOKEN,)),
    Obstacle.TOKEN_EXPIRED: ("", "sparekey token replace {serial}", (Deed.REPLACE_TOKEN,)),
    Obstacle.NO_PIN: ("", "sparekey token set-pin {serial}", (Deed.SET_PIN,)),
    Obstacle.PIN_MUST_CHANGE: ("", "let the user sign in online once and choose a new PIN", ()),
    Obstacle.PASSCODE_TOO_SHORT: (
        "minimum_passcode_length",
        "a longer PIN: sparekey token set-pin {serial}",
        (Deed.SET_PIN, Deed.CHANGE_POLICY),
    ),
    Obstacle.PIN_LESS_NOT_ALLOWED: (
        "allow_tokens_without_pin",
        "sparekey policy offline set POLICY allow_tokens_without_pin=on",
        (Deed.CHANGE_POLICY,),
    ),
    Obstacle.PIN_LESS_TOO_WEAK: (
        "protection_level",
        "assign a token with 8 digits, or change the policy",
        (Deed.CHANGE_POLICY,),
    ),
    Obstacle.EMERGENCY_OFF: ("", "switch it on: sparekey policy offline set POLICY", (Deed.CHANGE_POLICY,)),
}
_SERVER_DOWN: Final[Mapping[ServerDown, str]] = {
    ServerDown.ON: "all offline data can be used",
    ServerDown.EMERGENCY_ONLY: "only emergency codes can be used until the server answers",
    ServerDown.OFF: "no offline data can be used until the server answers",
}
TOKENCODE: Final = "tokencode"
EMERGENCY_TOKENCODE: Final = "emergency tokencode"
EMERGENCY_PASSCODE: Final = "emergency passcode"
_NEXT_CONTACT: Final = "connect the device to the server"
_SIGN_IN_ONCE: Final = "let the user sign in once on the device while it is online"


@dataclass(frozen=True)
class HeldData:
    """Days or events of one token that the device has confirmed, and the end of their validity."""

    serial: str
    ends_at: int


@dataclass(frozen=True)
class ConfirmedCode:
    """An emergency code that the device has confirmed; no serial: the passcode."""

    serial: str
    version: int
    not_after: int


@dataclass(frozen=True)
class OnDevice:
    """The user on one device."""

    name: str
    state: DeviceState
    policy: EffectivePolicy
    serials: tuple[str, ...]  # tokens used here, the one used last first
    data: tuple[HeldData, ...]
    codes: tuple[ConfirmedCode, ...]
    stale: bool  # the server has changes since its last contact
    last_contact: int | None
    in_sight: bool = True  # visible to the caller; otherwise the name is left out

    @property
    def words(self) -> str:
        return f"device {self.name}"

    def find_data(self, serial: str, now: int) -> HeldData | None:
        """Return the data of a token that is still valid."""
        return next((code for code in self.data if code.serial == serial and code.ends_at > now), None)

    def find_code(self, serial: str, now: int) -> ConfirmedCode | None:
        """Return the code of a token that is still valid; serial "": the passcode."""
        return next((code for code in self.codes if code.serial == serial and code.not_after > now), None)


def explain_offline(person: Person, device: OnDevice, now: int) -> list[Line]:
    """Return a line for everything that decides a sign-in on this device, the conclusion first."""
    lines = [*_device_lines(person, device, now)]
    if not device.serials:
        lines.append(
            Line(
                Side.OFFLINE,
                device.words,
                "a token was used here",
                RuleResult.STOPS,
                Obstacle.NO_TOKEN_USED,
                device.words,
                _SIGN_IN_ONCE,
            )
        )
    for serial in device.serials:
        token = next((item for item in person.tokens if item.serial == serial), None)
        if token is not None:
            lines += _token_lines(device, token, now)
    lines += [_passcode_line(person, device, now), _server_down_line(device), *_policy_lines(device)]
    return [conclude(Side.OFFLINE, device.words, offline_ways(person, device, now)), *lines]


def _passing_line(person: Person, device: OnDevice, now: int) -> Iterator[Line]:
    """Return a line for data that the device still accepts and loses at its next contact."""
    ended = [reason.words for reason in passing(person, device, now)]
    if ended:
        why = f"still accepted until that contact: {'; '.join(ended)}"
        yield Line(Side.OFFLINE, device.words, "until its next contact", RuleResult.WAITS, why, device.words)


def explain_without_device(person: Person) -> Line:
    """Return the result for a user without offline data on any device."""
    return Line(
        Side.OFFLINE,
        f"user {person.account.login}",
        "sign-in",
        RuleResult.STOPS,
        Obstacle.NO_TOKEN_USED,
        "no device",
        _SIGN_IN_ONCE,
    )


@dataclass(frozen=True)
class Opening:
    """One way to sign in on a device that is offline; without a serial: the passcode."""

    kind: str  # tokencode, emergency tokencode, emergency passcode
    serial: str
    until: int
    version: int = 0  # of an emergency code

    @property
    def words(self) -> str:
        of = f" of {self.serial}" if self.serial else ""
        return f"the {self.kind}{of} until {moment(self.until)}"


def accepted(person: Person, device: OnDevice, now: int) -> list[Opening]:
    """Return everything that the device accepts until its next contact.

    Later changes on the server, and whether the user has the token at hand, do not matter here.
    """
    found = []
    blocked = is_told_of_lock(person.account, device.last_contact, now)
    for token in person.tokens:
        data, code = device.find_data(token.serial, now), device.find_code(token.serial, now)
        if data is not None and not blocked:
            found.append(Opening(TOKENCODE, token.serial, data.ends_at))
        if code is not None:
            found.append(Opening(EMERGENCY_TOKENCODE, token.serial, code.not_after, code.version))
    passcode = device.find_code("", now)
    if passcode is not None:
        found.append(Opening(EMERGENCY_PASSCODE, "", passcode.not_after, passcode.version))
    return found


def openings(person: Person, device: OnDevice, now: int) -> list[Opening]:
    """Return the part of `accepted` that lets the user in: an enabled user who has all tokens that are not lost."""
    if device.state.revoked or not person.account.enabled:
        return []
    states = {token.serial: token.state for token in person.tokens if token.state.unusable(now) is None}
    return [
        opening
        for opening in accepted(person, device, now)
        if not opening.serial
        or (opening.serial in states and not (opening.kind == TOKENCODE and states[opening.serial].lost))
    ]


def passing(person: Person, device: OnDevice, now: int) -> list[Opening]:
    """Return the part of `accepted` that the next contact of the device will end, as the server decides now."""
    states = {token.serial: token.state for token in person.tokens}
    used = [states[serial] for serial in device.serials if serial in states]
    return [
        opening
        for opening in accepted(person, device, now)
        if ends_at_contact(
            person.account,
            device.state,
            device.policy,
            used,
            states.get(opening.serial),
            now,
            days=opening.kind == TOKENCODE,
        )
    ]


def offline_ways(person: Person, device: OnDevice, now: int) -> list[str]:
    """Return `openings` as text."""
    return [opening.words for opening in openings(person, device, now)]


def _device_lines(person: Person, device: OnDevice, now: int) -> Iterator[Line]:
    login = person.account.login
    obstacles = account_obstacles(person.account, device.state, device.policy, now)
    for obstacle in obstacles:
        yield _obstacle(device, "offline data", obstacle, RuleResult.STOPS, login=login)
    if not obstacles:
        yield Line(
            Side.OFFLINE,
            device.words,
            "offline data",
            RuleResult.OK,
            "allowed for this user on this device",
            device.policy.sources["enabled"],
        )
    if person.account.locked(now):
        yield _obstacle(device, "new offline data", Obstacle.ACCOUNT_LOCKED, RuleResult.WAITS, login=login)
    elif person.account.in_next_tokencode_mode:
        yield _obstacle(device, "new offline data", Obstacle.NEXT_TOKENCODE, RuleResult.WAITS, login=login)
    if is_told_of_lock(person.account, device.last_contact, now):
        why = "the device knows that the user is locked; it accepts only emergency codes until its next contact"
        mend = f"sparekey user unlock {login}, and {_NEXT_CONTACT}"
        yield Line(
            Side.OFFLINE,
            device.words,
            "tokencodes",
            RuleResult.STOPS,
            why,
            device.words,
            mend,
            (Deed.UNLOCK_USER,),
            login,
        )
    seen = f"last contact {moment(device.last_contact)}" if device.last_contact is not None else "no contact yet"
    if device.stale:
        why = f"changes are waiting; the device has older data until its next contact ({seen})"
        yield Line(Side.OFFLINE, device.words, "up to date", RuleResult.WAITS, why, device.words, _NEXT_CONTACT)
    else:
        yield Line(Side.OFFLINE, device.words, "up to date", RuleResult.OK, seen, device.words)
    yield from _passing_line(person, device, now)


def _token_lines(device: OnDevice, token: NamedToken, now: int) -> Iterator[Line]:
    about = f"{token.words} on {device.name}"
    too_many = token.serial not in device.serials[: device.policy.values.tokens_per_user]
    obstacle = days_obstacle(token.state, device.state, device.policy, now)
    data = device.find_data(token.serial, now)
    if obstacle is not None:
        yield _obstacle(device, "tokencode", obstacle, RuleResult.STOPS, about=about, serial=token.serial)
    elif too_many:
        yield Line(
            Side.OFFLINE,
            about,
            "tokencode",
            RuleResult.STOPS,
            f"other tokens were used here more recently; policy limit per user: {device.policy.values.tokens_per_user}",
            device.policy.sources["tokens_per_user"],
            _SIGN_IN_ONCE,
        )
    elif data is None:
        yield Line(
            Side.OFFLINE,
            about,
            "tokencode",
            RuleResult.STOPS,
            "the device has no offline data of this token",
            device.words,
            _NEXT_CONTACT,
        )
    else:
        why = f"{counted(max(data.ends_at - now, 0) // DAY_SECONDS, 'day')} left, until {moment(data.ends_at)}"
        yield Line(Side.OFFLINE, about, "tokencode", RuleResult.OK, why, device.words)
    no_code = token_obstacle(token.state, device.state, device.policy, now)
    if no_code is None and not device.policy.values.emergency_tokencode:
        no_code = Obstacle.EMERGENCY_OFF
    yield _code_line(device, about, "emergency tokencode", token.serial, no_code, now)


def _passcode_line(person: Person, device: OnDevice, now: int) -> Line:
    about = f"user {person.account.login} on {device.name}"
    obstacle = None if device.policy.values.emergency_passcode else Obstacle.EMERGENCY_OFF
    if obstacle is None and not device.serials:
        obstacle = Obstacle.NO_TOKEN_USED
    return _code_line(device, about, "emergency passcode", "", obstacle, now)


def _code_line(device: OnDevice, about: str, rule: str, serial: str, obstacle: Obstacle | None, now: int) -> Line:
    code = device.find_code(serial, now)
    if code is not None and obstacle is not None:
        end = moment(code.not_after)
        why = f"the device erases version {code.version} at its next contact, {end} at the latest. {obstacle}"
        return Line(Side.OFFLINE, about, rule, RuleResult.WAITS, why, device.words)
    if code is not None:
        why = f"the device holds version {code.version}, until {moment(code.not_after)}"
        return Line(Side.OFFLINE, about, rule, RuleResult.OK, why, device.words)
    if obstacle is Obstacle.EMERGENCY_OFF:
        field = "emergency_tokencode" if serial else "emergency_passcode"
        mend = f"sparekey policy offline set POLICY {field}=on"
        return Line(
            Side.OFFLINE,
            about,
            rule,
            RuleResult.STOPS,
            obstacle,
            device.policy.sources[field],
            mend,
            (Deed.CHANGE_POLICY,),
        )
    if obstacle is not None:
        return _obstacle(device, rule, obstacle, RuleResult.STOPS, about=about, serial=serial)
    return Line(Side.OFFLINE, about, rule, RuleResult.STOPS, Obstacle.NOT_DOWNLOADED, device.words, _NEXT_CONTACT)


def _server_down_line(device: OnDevice) -> Line:
    """Return a line for the use of offline data while the server is down: there is a route to it, but no answer."""
    allowed = device.policy.values.server_down
    verdict = RuleResult.OK if allowed is ServerDown.ON else RuleResult.WAITS
    return Line(
        Side.OFFLINE,
        device.words,
        "while the server is down",
        verdict,
        _SERVER_DOWN[allowed],
        device.policy.sources["server_down"],
    )


def _policy_lines(device: OnDevice) -> Iterator[Line]:
    """Return a line for each field of the effective policy, with its source."""
    for field in fields(OfflinePolicy):
        value = getattr(device.policy.values, field.name)
        words = ("on" if value else "off") if isinstance(value, bool) else str(value)
        yield Line(
            Side.OFFLINE, device.words, f"policy {field.name}", RuleResult.OK, words, device.policy.sources[field.name]
        )


def _obstacle(
    device: OnDevice,
    rule: str,
    obstacle: Obstacle,
    verdict: RuleResult,
    *,
    about: str = "",
    login: str = "",
    serial: str = "",
) -> Line:
    field, mend, deeds = _MENDS.get(obstacle, ("", _NEXT_CONTACT, ()))
    source = device.policy.sources[field] if field else about or device.words
    mend = mend.format(login=login, serial=serial, device=device.name)
    name = device.name if Deed.INVITE_DEVICE in deeds else serial or login
    return Line(Side.OFFLINE, about or device.words, rule, verdict, obstacle, source, mend, deeds, name)
