"""What happened, and why something was refused, in words for people: one phrase for each name that the record uses.

Rules: a phrase stands alone, beside who did it and to whom, begins with a capital letter and has no full stop; the name
that a newer server or agent wrote is shown as it is, in plain letters.
"""

from collections.abc import Mapping
from typing import Final

from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.reasons import Reason


def happened(action: str) -> str:
    """`emergency.shown` as a person reads it."""
    return WORDS.get(action) or _plain(action)


def refused_for(result: str) -> str:
    """The reason of a refusal, or what a device reported, as a person reads it; "": it was done."""
    return "" if result == OK else REASONS.get(result) or _plain(result)


def _plain(name: str) -> str:
    words = name.replace(".", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


WORDS: Final[Mapping[str, str]] = {
    Action.SIGN_IN_GRANTED: "Signed in",
    Action.SIGN_IN_DENIED: "Sign-in refused",
    Action.SIGN_IN_ASKED: "Asked for one thing more at the sign-in",
    Action.SIGN_IN_OFFLINE: "Signed in offline",
    Action.ACCOUNT_LOCKED: "User locked",
    Action.ACCOUNT_UNLOCKED: "User unlocked",
    Action.USER_ADDED: "User added",
    Action.USER_CHANGED: "User changed",
    Action.USER_MOVED: "User moved to another domain",
    Action.USER_ENABLED: "User enabled",
    Action.USER_DISABLED: "User disabled",
    Action.USERS_IMPORTED: "Users imported from a file",
    Action.TOKEN_ADDED: "Token added",
    Action.TOKEN_IMPORTED: "Tokens imported from a file",
    Action.TOKEN_ASSIGNED: "Token assigned",
    Action.TOKEN_UNASSIGNED: "Token taken from its user",
    Action.TOKEN_ENABLED: "Token enabled",
    Action.TOKEN_DISABLED: "Token disabled",
    Action.TOKEN_LOST: "Token reported lost",
    Action.TOKEN_FOUND: "Token found again",
    Action.TOKEN_EXPIRY_SET: "Expiry of the token set",
    Action.TOKEN_PIN_SET: "PIN set",
    Action.TOKEN_PIN_CLEARED: "PIN cleared",
    Action.TOKEN_PIN_FORCED: "New PIN asked for at the next sign-in",
    Action.TOKEN_REPLACED: "Token replaced",
    Action.TOKEN_RESYNCED: "Token set to the right time or count",
    Action.TOKEN_REMOVED: "Token removed",
    Action.EMERGENCY_SHOWN: "Emergency code shown",
    Action.EMERGENCY_RESET: "Emergency code reset",
    Action.EMERGENCY_ONLINE: "Online use of the emergency code changed",
    Action.EMERGENCY_USED: "Emergency code used",
    Action.EMERGENCY_REPLACED: "Emergency code replaced",
    Action.EMERGENCY_TEMPORARY: "Temporary tokencode given",
    Action.EMERGENCY_ENDED: "Temporary access ended",
    Action.EMERGENCY_VOIDED: "Emergency codes made void",
    Action.DEVICE_INVITED: "Device invited",
    Action.DEVICE_UNINVITED: "Invitation of a device withdrawn",
    Action.DEVICE_ENROLLED: "Device enrolled",
    Action.DEVICE_RENEWED: "Certificate of the device renewed",
    Action.DEVICE_PROTECTION: "Protection of the device changed",
    Action.DEVICE_EXEMPT: "Accounts without a passcode changed on the device",
    Action.DEVICE_REVOKED: "Device revoked",
    Action.DEVICE_STOLEN: "Device reported stolen",
    Action.DEVICE_EVENT: "Reported by the device",
    Action.UNIT_SEALED: "Offline data made for the device",
    Action.DOMAIN_ADDED: "Security domain added",
    Action.DOMAIN_MOVED: "Security domain moved",
    Action.DOMAIN_REMOVED: "Security domain removed",
    Action.POLICY_ADDED: "Policy added",
    Action.POLICY_SET: "Policy changed",
    Action.POLICY_ASSIGNED: "Policy assigned to a domain",
    Action.POLICY_DEFAULT: "Policy made the default",
    Action.POLICY_REMOVED: "Policy removed",
    Action.CLIENT_ADDED: "API client added",
    Action.CLIENT_REVOKED: "API client revoked",
    Action.ROLE_ADDED: "Role added",
    Action.ROLE_CHANGED: "Role changed",
    Action.ROLE_REMOVED: "Role removed",
    Action.ROLE_GRANTED: "Role granted",
    Action.ROLE_REVOKED: "Role taken away",
    Action.SESSION_BEGUN: "Signed in as an administrator",
    Action.SESSION_REFRESHED: "Second factor shown again",
    Action.SESSION_ENDED: "Administrator's session ended",
    Action.PASSKEY_ADDED: "Passkey added",
    Action.PASSKEY_REMOVED: "Passkey removed",
    Action.ADMIN_LINK_MADE: "Link for a super administrator made",
    Action.ADMIN_LINK_USED: "Link for a super administrator used",
    Action.APPROVAL_ASKED: "Second person asked for",
    Action.APPROVAL_GIVEN: "Approved by a second person",
    Action.APPROVAL_REFUSED: "Refused by a second person",
    Action.OPERATOR_LIFTED: "Operator's limit lifted",
    Action.SERVER_INITIALISED: "Server set up",
    Action.SERVER_STARTED: "Server started",
    Action.SERVER_UPGRADED: "Database brought to a newer version",
    Action.KEY_CREATED: "Key of the server made",
    Action.ALARMS_ACKNOWLEDGED: "Alarm looked at",
    Action.ALARM_AUDIT_ROLLED_BACK: "Alarm: the record was rolled back or altered",
    Action.ALARM_STEP_USED_TWICE: "Alarm: one tokencode was used twice",
    Action.ALARM_EMERGENCY_UNSHOWN: "Alarm: an emergency code was used that nobody was shown",
    Action.ALARM_UNEXPECTED_SUCCESS: "Alarm: an offline sign-in with a token that the device never had",
    Action.ALARM_EVENTS_MISSING: "Alarm: events of the device are missing",
    Action.ALARM_TLS_FAILURE: "Alarm: the device reached something that was not this server",
    Action.ALARM_CLOCK: "Alarm: the clock of the device cannot be believed",
    Action.ALARM_OPERATOR_BUSY: "Alarm: an operator is shown more codes than expected",
    Action.ALARM_OPERATOR_STOPPED: "Alarm: an operator asked for more codes than allowed",
    Action.ALARM_PASSKEY_COPIED: "Alarm: a passkey seems to be copied",
}

REASONS: Final[Mapping[str, str]] = {
    # at a door of the server
    Reason.UNKNOWN_USER: "No user of this name",
    Reason.ACCOUNT_DISABLED: "The user is disabled",
    Reason.ACCOUNT_EXPIRED: "The user's account has expired",
    Reason.LOCKED: "The user is locked",
    Reason.NO_TOKEN: "The user has no token",
    Reason.TOKEN_DISABLED: "The token is disabled",
    Reason.TOKEN_EXPIRED: "The token has expired",
    Reason.TOKEN_LOST: "The token is lost",
    Reason.NO_PIN: "The token has no PIN yet",
    Reason.WRONG_PASSCODE: "Wrong passcode",
    Reason.ALREADY_USED: "The code was used before",
    Reason.MISREAD: "The code was misread; nothing was counted",
    Reason.NOT_A_PASSCODE: "What was typed can be no passcode; nothing was counted",
    Reason.TOKEN_IN_EMERGENCY: "Temporary access stands in for the token",
    Reason.EMERGENCY_ENDED: "Temporary access had ended",
    Reason.PINS_DIFFER: "The two new PINs differ",
    Reason.PIN_NOT_ALLOWED: "Policy does not allow this PIN",
    Reason.NO_SUCH_QUESTION: "The answer came too late, twice, or from elsewhere",
    Reason.OFFLINE_CODE_NOT_ALLOWED_ONLINE: "The emergency code is not allowed online",
    Reason.EMERGENCY_CODE_EXPIRED: "The emergency code has expired",
    Reason.ONE_FACTOR: "The token has no PIN, and this door takes two factors",
    Reason.UNKNOWN_PASSKEY: "No passkey that is known here",
    Reason.WRONG_PASSKEY: "The passkey's answer was not right",
    Reason.PASSKEY_COPIED: "The passkey seems to be copied",
    Reason.OUT_OF_SCOPE: "The user is outside what this program may see",
    Reason.INTERNAL_ERROR: "Something failed; the reason is in the log",
    # on a device, as it reports it
    "denied": "Refused offline",
    "blocked": "Blocked offline after too many failures",
    "clock-suspect": "The clock cannot be believed",
    "tls-failure": "Something that was not this server answered",
    "store-damaged": "The offline data were damaged",
    "keys-unusable": "The keys of the device could not be used",
    "pin-lockout": "The TPM took no PIN for a while, after too many wrong ones",
    "emergency-code-needed": "An emergency code is needed",
    "wait": "Had to wait after failed emergency codes",
    "clock": "The clock cannot be believed",
    "data-run-out": "The offline data had run out",
    "no-offline-data": "No offline data for this user",
    "server-down": "The server did not answer, and policy allows nothing offline meanwhile",
    "not-enrolled": "The device is not enrolled",
    "name-not-mapped": "The account on the device has no login",
    "refused-by-server": "The server refused the device",
    "answer-refused": "The answer was not accepted, or came too late",
    "broken-off": "The server did not answer any more",
    "busy": "Another sign-in was under way",
}
