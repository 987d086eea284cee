"""What people are told by mail: one text for each thing, with places for a few facts.

Rules: a text has no place for a code, a PIN or a passcode, and takes no fact that it has no place for (S65); a subject
holds no fact at all, so that no name can become a header; whatever a device or a user chose for a name stands in the
text as one line of printable characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from string import Formatter
from typing import Final

from sparekey.core.audit_log.actions import Action

_LONGEST_FACT: Final = 256
_NOT_YOU: Final = "If you did not expect this, call your help desk at once."


class Notice(StrEnum):
    """What a user is told about their own account."""

    CODE_SHOWN = "code-shown"
    CODE_RESET = "code-reset"
    CODE_ONLINE = "code-online"
    CODE_NOT_ONLINE = "code-not-online"
    CODE_USED = "code-used"
    TEMPORARY_ACCESS = "temporary-access"
    TEMPORARY_OWN = "temporary-own"
    TEMPORARY_USED = "temporary-used"
    PIN_SET = "pin-set"
    PIN_CLEARED = "pin-cleared"
    TOKEN_ASSIGNED = "token-assigned"
    TOKEN_UNASSIGNED = "token-unassigned"
    TOKEN_REPLACED = "token-replaced"
    TOKEN_LOST = "token-lost"
    TOKEN_FOUND = "token-found"
    TOKEN_ENABLED = "token-enabled"
    TOKEN_DISABLED = "token-disabled"
    PASSKEY_ADDED = "passkey-added"
    PASSKEY_REMOVED = "passkey-removed"
    DEVICE_ADDED = "device-added"
    DEVICE_REVOKED = "device-revoked"
    DEVICE_STOLEN = "device-stolen"
    ACCOUNT_LOCKED = "account-locked"
    ADDRESS_CHANGED = "address-changed"


@dataclass(frozen=True)
class Letter:
    """A subject of one line, and a text."""

    subject: str
    body: str


_USER: Final[Mapping[Notice, tuple[str, str]]] = {
    Notice.CODE_SHOWN: (
        "An offline emergency code of yours was shown",
        "The help desk was shown your offline emergency {kind} for the device {device}. The code itself is never sent "
        "by mail.",
    ),
    Notice.CODE_RESET: (
        "Your offline emergency code is being replaced",
        "Your offline emergency {kind} is replaced at your next online sign-in. Until then the old one goes on working "
        "on your devices.",
    ),
    Notice.CODE_ONLINE: (
        "Your offline emergency code works online now",
        "The offline emergency tokencode of your token {serial} is accepted for online sign-ins, too.",
    ),
    Notice.CODE_NOT_ONLINE: (
        "Your offline emergency code no longer works online",
        "The offline emergency tokencode of your token {serial} is no longer accepted for online sign-ins.",
    ),
    Notice.CODE_USED: (
        "Somebody signed in as you with an emergency code",
        "Your offline emergency {kind} was used {where}.",
    ),
    Notice.TEMPORARY_ACCESS: (
        "Temporary access to your account was set up",
        "The help desk set up temporary emergency access for your token {serial}.",
    ),
    Notice.TEMPORARY_OWN: (
        "One-time tokencodes for your account were made",
        "Somebody who signed in as you to the self-service console made one-time tokencodes that take the place of "
        "your token {serial}. If it was not you, call the help desk at once, and remove your passkeys.",
    ),
    Notice.TEMPORARY_USED: (
        "Somebody signed in as you with a temporary tokencode",
        "A temporary emergency tokencode of yours was used {where}.",
    ),
    Notice.PIN_SET: ("The PIN of your token was set", "The PIN of your token {serial} was set or changed."),
    Notice.PIN_CLEARED: ("The PIN of your token was cleared", "The PIN of your token {serial} was cleared."),
    Notice.TOKEN_ASSIGNED: ("You were given a token", "The token {serial} was assigned to you."),
    Notice.TOKEN_UNASSIGNED: (
        "A token is no longer yours",
        "The token {serial} was taken from you. Its codes are refused from now on.",
    ),
    Notice.TOKEN_REPLACED: (
        "Your token was replaced",
        "Your token {serial} was replaced by the token {by}. The old one's codes are refused from now on.",
    ),
    Notice.TOKEN_LOST: (
        "Your token was reported lost",
        "Your token {serial} was marked as lost. Its codes are refused from now on.",
    ),
    Notice.TOKEN_FOUND: (
        "Your token is no longer reported lost",
        "Your token {serial} is no longer marked as lost. Its codes are accepted again.",
    ),
    Notice.TOKEN_ENABLED: (
        "Your token was enabled",
        "Your token {serial} was enabled. Its codes are accepted from now on.",
    ),
    Notice.TOKEN_DISABLED: (
        "Your token was disabled",
        "Your token {serial} was disabled. Its codes are refused from now on.",
    ),
    Notice.PASSKEY_ADDED: (
        "A passkey was added to your account",
        "Whoever has it can sign in as you to the consoles from now on.",
    ),
    Notice.PASSKEY_REMOVED: (
        "A passkey was removed from your account",
        "It is refused from now on.",
    ),
    Notice.DEVICE_ADDED: (
        "You signed in on another device",
        "You signed in on the device {device}, which had no data of yours. It may keep data with which you can sign in "
        "offline.",
    ),
    Notice.DEVICE_REVOKED: (
        "A device that you use was taken out of service",
        "The device {device} was taken out of service. You can no longer sign in on it.",
    ),
    Notice.DEVICE_STOLEN: (
        "A device that you use was reported stolen",
        "The device {device} was reported stolen. What it held of yours is being replaced.",
    ),
    Notice.ACCOUNT_LOCKED: (
        "Your account is locked",
        "Your account was locked after too many failed sign-ins. Online sign-ins are refused until it is unlocked.",
    ),
    Notice.ADDRESS_CHANGED: (
        "Notices about your account go elsewhere from now on",
        "This mail address was taken out of your account. It gets no more notices.",
    ),
}

# What each alarm says; an alarm without a line here is told by its name.
_ALARM: Final[Mapping[Action, str]] = {
    Action.ALARM_AUDIT_ROLLED_BACK: "The audit record lacks what a checkpoint vouches for: it was rolled back or "
    "altered. Run `sparekey audit verify`.",
    Action.ALARM_STEP_USED_TWICE: "One tokencode was used online and offline, by different attempts.",
    Action.ALARM_EMERGENCY_UNSHOWN: "An emergency code was used that nobody was shown.",
    Action.ALARM_UNEXPECTED_SUCCESS: "A device reports an offline sign-in with a token whose days it never had.",
    Action.ALARM_EVENTS_MISSING: "Events of a device are missing or do not follow one another.",
    Action.ALARM_TLS_FAILURE: "A device reached something that was not this server.",
    Action.ALARM_CLOCK: "The clock of a device cannot be believed.",
    Action.ALARM_OPERATOR_BUSY: "An operator is shown more emergency codes within an hour than policy expects.",
    Action.ALARM_OPERATOR_STOPPED: "An operator was shown as many emergency codes within an hour as policy allows, and "
    "asked for another one. In an outage, somebody else lifts that with `sparekey operator lift`.",
    Action.ALARM_PASSKEY_COPIED: "A passkey was refused because its authenticator has counted less than before: there "
    "may be a copy of it. Ask its owner, and remove it.",
}


def letter_to_user(notice: Notice, login: str, at: int, facts: Mapping[str, str]) -> Letter:
    """The words of a notice; `at` in unix seconds. Raises ValueError for a fact too many or too few."""
    subject, text = _USER[notice]
    places = {name for _, name, _, _ in Formatter().parse(text) if name}
    if places != facts.keys():
        raise ValueError(f"the notice {notice} has places for {sorted(places)}, not for {sorted(facts)}")
    said = text.format_map({name: _one_line(fact) for name, fact in facts.items()})
    return Letter(subject, f"{said}\n\nAccount: {_one_line(login)}\nTime: {utc(at)}\n\n{_NOT_YOU}\n")


def letter_of_alarm(action: Action, alarm_id: str, at: int, facts: Mapping[str, object]) -> Letter:
    """The words to administrators; `facts` as the audit row has them. Raises ValueError if it is no alarm."""
    if not action.is_alarm:
        raise ValueError(f"{action} is no alarm")
    what = action.value.partition(".")[2].replace("-", " ")
    lines = [f"{name}: {_one_line(str(fact))}" for name, fact in facts.items() if fact not in (None, "")]
    said = "\n".join((alarm_sentence(action), "", f"Time: {utc(at)}", *lines))
    do = f"When you have looked at it: sparekey alarm acknowledge {alarm_id}"
    return Letter(f"Alarm: {what}", f"{said}\n\n{do}\n")


def alarm_sentence(action: Action) -> str:
    """What this alarm says, in a sentence."""
    return _ALARM.get(action, f"{action.value}: see the audit record.")


def utc(at: int) -> str:
    """A unix second as people read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _one_line(text: str) -> str:
    shown = "".join(each if each.isprintable() else "?" for each in text)
    return shown if len(shown) <= _LONGEST_FACT else shown[:_LONGEST_FACT] + "..."
