"""Texts of mails: one for each notice and alarm, with placeholders for a few facts.

Rules: a text has no placeholder for a code, a PIN or a passcode, and accepts no other facts (S65); a subject contains
no facts, so that no name can become a header; names that devices or users chose are reduced to one line of printable
characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from string import Formatter
from typing import Final

from sparekey.core.audit_log.actions import Action

_LONGEST_FACT: Final = 256
_NOT_YOU: Final = "If you did not expect this, call your help desk immediately."


class Notice(StrEnum):
    """A notice to a user about their own account."""

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
    LOCKED_FOR_A_WHILE = "locked-for-a-while"
    LOCKED_UNTIL_UNLOCKED = "locked-until-unlocked"
    ACCOUNT_UNLOCKED = "account-unlocked"
    ACCOUNT_ENABLED = "account-enabled"
    ADMIN_LINK_MADE = "admin-link-made"
    ADDRESS_CHANGED = "address-changed"


@dataclass(frozen=True)
class Letter:
    """A subject of one line, and a text."""

    subject: str
    body: str


_USER: Final[Mapping[Notice, tuple[str, str]]] = {
    Notice.CODE_SHOWN: (
        "Your offline emergency code was shown",
        "The help desk viewed your offline emergency {kind} for the device {device}. The code itself is never sent "
        "by mail.",
    ),
    Notice.CODE_RESET: (
        "Your offline emergency code is being replaced",
        "Your offline emergency {kind} will be replaced at your next online sign-in. Until then your devices accept "
        "the old one.",
    ),
    Notice.CODE_ONLINE: (
        "Your offline emergency code now works online",
        "The offline emergency tokencode of your token {serial} is now also accepted for online sign-ins.",
    ),
    Notice.CODE_NOT_ONLINE: (
        "Your offline emergency code no longer works online",
        "The offline emergency tokencode of your token {serial} is no longer accepted for online sign-ins.",
    ),
    Notice.CODE_USED: (
        "An emergency code was used to sign in as you",
        "Your offline emergency {kind} was used {where}.",
    ),
    Notice.TEMPORARY_ACCESS: (
        "Temporary emergency access to your account was set up",
        "The help desk set up temporary emergency access for your token {serial}.",
    ),
    Notice.TEMPORARY_OWN: (
        "One-time tokencodes for your account were created",
        "One-time tokencodes that replace your token {serial} were created in self-service, after a sign-in as you. "
        "If you did not create them, call the help desk immediately, and remove your passkeys.",
    ),
    Notice.TEMPORARY_USED: (
        "A temporary tokencode was used to sign in as you",
        "Your temporary emergency tokencode was used {where}.",
    ),
    Notice.PIN_SET: ("The PIN of your token was set", "The PIN of your token {serial} was set or changed."),
    Notice.PIN_CLEARED: ("The PIN of your token was cleared", "The PIN of your token {serial} was cleared."),
    Notice.TOKEN_ASSIGNED: ("A token was assigned to you", "The token {serial} was assigned to you."),
    Notice.TOKEN_UNASSIGNED: (
        "A token is no longer assigned to you",
        "The token {serial} is no longer assigned to you. Its codes are no longer accepted.",
    ),
    Notice.TOKEN_REPLACED: (
        "Your token was replaced",
        "Your token {serial} was replaced by the token {by}. The codes of the old token are no longer accepted.",
    ),
    Notice.TOKEN_LOST: (
        "Your token was reported lost",
        "Your token {serial} was marked as lost. Its codes are no longer accepted.",
    ),
    Notice.TOKEN_FOUND: (
        "Your token is no longer reported lost",
        "Your token {serial} is no longer marked as lost. Its codes are accepted again.",
    ),
    Notice.TOKEN_ENABLED: (
        "Your token was enabled",
        "Your token {serial} was enabled. Its codes are now accepted.",
    ),
    Notice.TOKEN_DISABLED: (
        "Your token was disabled",
        "Your token {serial} was disabled. Its codes are no longer accepted.",
    ),
    Notice.PASSKEY_ADDED: (
        "A passkey was added to your account",
        "It can now be used to sign in as you to self-service and the consoles.",
    ),
    Notice.PASSKEY_REMOVED: (
        "A passkey was removed from your account",
        "It can no longer be used to sign in.",
    ),
    Notice.DEVICE_ADDED: (
        "You signed in on another device",
        "You signed in on the device {device} for the first time. It may store data that allows you to sign in on it "
        "offline.",
    ),
    Notice.DEVICE_REVOKED: (
        "A device that you use was taken out of service",
        "The device {device} was taken out of service. You can no longer sign in on it.",
    ),
    Notice.DEVICE_STOLEN: (
        "A device that you use was reported stolen",
        "The device {device} was reported stolen. Your offline data and codes on it are being replaced.",
    ),
    Notice.ACCOUNT_LOCKED: (
        "Your account is locked",
        "Your account was locked after too many failed sign-ins. You cannot sign in online until it is unlocked.",
    ),
    Notice.LOCKED_FOR_A_WHILE: (
        "Your account is locked for a while",
        "After too many failed sign-ins, your passcodes are refused {where} until {until}. The lock ends "
        "automatically. Your passkeys still work, and an administrator can unlock you.",
    ),
    Notice.LOCKED_UNTIL_UNLOCKED: (
        "Your account is locked until an administrator unlocks it",
        "After {failures} failed sign-ins without a success, your passcodes are refused {where}. This lock does not "
        "end automatically: ask another administrator to unlock you. Your passkeys still work.",
    ),
    Notice.ACCOUNT_UNLOCKED: (
        "Your account was unlocked",
        "The help desk unlocked your account. You can sign in again.",
    ),
    Notice.ACCOUNT_ENABLED: (
        "Your account can be used again",
        "Your account was disabled or had expired. An administrator has changed that, so that you can sign in again.",
    ),
    Notice.ADMIN_LINK_MADE: (
        "A link that gives access to your account was made",
        "An administrator made a link for your account. Its bearer gets a new way to sign in as you.",
    ),
    Notice.ADDRESS_CHANGED: (
        "This address no longer receives notices about your account",
        "This mail address was removed from your account. It receives no more notices.",
    ),
}

# One sentence for each alarm. An alarm without a sentence is reported by its name.
_ALARM: Final[Mapping[Action, str]] = {
    Action.ALARM_AUDIT_ROLLED_BACK: "The audit log does not match a signed checkpoint. It was rolled back or "
    "altered. Run `sparekey audit verify`.",
    Action.ALARM_STATE_ROLLED_BACK: "The database contradicts the audit log: a row was changed, deleted or put back "
    "without its event. Treat the database as altered by an attacker. Run `sparekey doctor --deep`.",
    Action.ALARM_STEP_USED_TWICE: "One tokencode was used twice: online and offline, in different attempts.",
    Action.ALARM_EMERGENCY_UNSHOWN: "An emergency code was used, but it had not been shown to any operator.",
    Action.ALARM_UNEXPECTED_SUCCESS: "A device reported an offline sign-in with a token for which it never had "
    "offline data.",
    Action.ALARM_SUCCESS_AHEAD: "A device reported an offline sign-in with a code that the token did not show yet. "
    "Only codes up to now count as used. If it happens again, revoke the device.",
    Action.ALARM_SUCCESS_IN_CONTACT: "A device reported offline sign-ins for times at which it was in contact with "
    "the server. Its network fails again and again, or the device lies.",
    Action.ALARM_CODES_USED_UP: "A device reported more offline sign-ins of one user than the server believes. Further "
    "reports use up no codes for now. If the user did not sign in so often, revoke the device.",
    Action.ALARM_EVENTS_MISSING: "Events of a device are missing or out of order.",
    Action.ALARM_TLS_FAILURE: "A device connected to a server that is not this one.",
    Action.ALARM_CLOCK: "A device's clock is wrong or was set back.",
    Action.ALARM_OPERATOR_BUSY: "An operator has shown more emergency codes in an hour than the policy expects.",
    Action.ALARM_OPERATOR_STOPPED: "An operator has reached the policy's hourly limit for emergency codes, and "
    "requested another one. In an outage, another person can lift the limit with `sparekey operator lift`.",
    Action.ALARM_NAMES_LEARNT: "Within an hour, an operator tried to add ten logins, serial numbers or other names "
    "that exist outside the operator's domains. The refusals reveal such names. Ask the operator.",
    Action.ALARM_ROW_ALTERED: "A row of the database was changed or added by another program than Sparekey. It is "
    "refused. Find out who can write to the database.",
    Action.ALARM_ROW_ACCEPTED: "A row of the database that another program had changed was accepted on the server "
    "with `sparekey row accept`, and decides again. If you do not know why, treat the server as taken over.",
    Action.ALARM_PASSKEY_COPIED: "A passkey was rejected because its signature counter went backwards. The passkey "
    "may have been copied. Ask its owner, and remove it.",
    Action.ALARM_ADMINISTRATOR_LOCKED: "An administrator is locked after a hundred failed sign-ins without a success. "
    "An attacker may be guessing. Passkeys still work. Find out who tries, then run `sparekey user unlock`.",
}


def letter_to_user(notice: Notice, login: str, at: int, facts: Mapping[str, str]) -> Letter:
    """Return the mail for a notice; `at` in unix seconds. Raises ValueError for a missing or an extra fact."""
    subject, text = _USER[notice]
    places = {name for _, name, _, _ in Formatter().parse(text) if name}
    if places != facts.keys():
        raise ValueError(f"the notice {notice} has places for {sorted(places)}, not for {sorted(facts)}")
    text_of_mail = text.format_map({name: _one_line(fact) for name, fact in facts.items()})
    return Letter(subject, f"{text_of_mail}\n\nAccount: {_one_line(login)}\nTime: {utc(at)}\n\n{_NOT_YOU}\n")


def letter_of_alarm(action: Action, alarm_id: str, at: int, facts: Mapping[str, object]) -> Letter:
    """Return the mail to administrators; `facts` as in the audit log. Raises ValueError if the action is no alarm."""
    if not action.is_alarm:
        raise ValueError(f"{action} is no alarm")
    what = action.value.partition(".")[2].replace("-", " ")
    lines = [f"{name}: {_one_line(str(fact))}" for name, fact in facts.items() if fact not in (None, "")]
    text_of_mail = "\n".join((alarm_sentence(action), "", f"Time: {utc(at)}", *lines))
    do = f"To acknowledge this alarm, run: sparekey alarm acknowledge {alarm_id}"
    return Letter(f"Alarm: {what}", f"{text_of_mail}\n\n{do}\n")


def alarm_sentence(action: Action) -> str:
    """Return the sentence of an alarm."""
    return _ALARM.get(action, f"{action.value}: see the audit log.")


def utc(at: int) -> str:
    """Return a unix second as text, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _one_line(text: str) -> str:
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= _LONGEST_FACT else shown[:_LONGEST_FACT] + "..."
