"""Texts for events and for reasons of refusals: one phrase for each name in the audit log.

Rules: a phrase stands alone, begins with a capital letter and has no full stop; a name that a newer server or agent
wrote is shown unchanged, but without punctuation.
"""

from collections.abc import Mapping
from typing import Final

from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.reasons import Reason


def happened(action: str) -> str:
    """Return the text for an action, such as `emergency.shown`."""
    return WORDS.get(action) or _plain(action)


def refused_for(result: str) -> str:
    """Return the text for the reason of a refusal or for the report of a device; "" for a success."""
    return "" if result == OK else REASONS.get(result) or _plain(result)


def _plain(name: str) -> str:
    words = name.replace(".", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


WORDS: Final[Mapping[str, str]] = {
    Action.SIGN_IN_GRANTED: "Signed in",
    Action.SIGN_IN_DENIED: "Sign-in refused",
    Action.SIGN_IN_ASKED: "Sign-in asked for more input",
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
    Action.TOKEN_UNASSIGNED: "Token unassigned",
    Action.TOKEN_ENABLED: "Token enabled",
    Action.TOKEN_DISABLED: "Token disabled",
    Action.TOKEN_LOST: "Token marked as lost",
    Action.TOKEN_FOUND: "Token marked as found",
    Action.TOKEN_EXPIRY_SET: "Token expiry changed",
    Action.TOKEN_PIN_SET: "PIN set",
    Action.TOKEN_PIN_CLEARED: "PIN cleared",
    Action.TOKEN_PIN_FORCED: "PIN change required at the next sign-in",
    Action.TOKEN_REPLACED: "Token replaced",
    Action.TOKEN_RESYNCED: "Token resynchronised",
    Action.TOKEN_ADVANCED: "Tokencodes used up by an offline sign-in",
    Action.TOKEN_REMOVED: "Token removed",
    Action.EMERGENCY_SHOWN: "Emergency code shown",
    Action.EMERGENCY_RESET: "Emergency code reset",
    Action.EMERGENCY_ONLINE: "Online use of the emergency code changed",
    Action.EMERGENCY_USED: "Emergency code used",
    Action.EMERGENCY_REPLACED: "Emergency code replaced",
    Action.EMERGENCY_TEMPORARY: "Temporary emergency access given",
    Action.EMERGENCY_ENDED: "Temporary emergency access ended",
    Action.EMERGENCY_VOIDED: "Emergency codes revoked",
    Action.DEVICE_INVITED: "Device invited",
    Action.DEVICE_UNINVITED: "Device invitation withdrawn",
    Action.DEVICE_ENROLLED: "Device enrolled",
    Action.DEVICE_RENEWED: "Device certificate renewed",
    Action.DEVICE_PROTECTION: "Device protection changed",
    Action.DEVICE_EXEMPT: "Accounts exempt from passcodes changed on the device",
    Action.DEVICE_REVOKED: "Device revoked",
    Action.DEVICE_STOLEN: "Device reported stolen",
    Action.DEVICE_EVENT: "Reported by the device",
    Action.UNIT_SEALED: "Offline data created for the device",
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
    Action.ROLE_REVOKED: "Role revoked",
    Action.SESSION_BEGUN: "Administrator signed in",
    Action.SESSION_REFRESHED: "Second factor confirmed again",
    Action.SESSION_ENDED: "Administrator's session ended",
    Action.PASSKEY_ADDED: "Passkey added",
    Action.PASSKEY_REMOVED: "Passkey removed",
    Action.ADMIN_LINK_MADE: "Super administrator link created",
    Action.ADMIN_LINK_USED: "Super administrator link used",
    Action.APPROVAL_ASKED: "Approval requested",
    Action.APPROVAL_GIVEN: "Approval given",
    Action.APPROVAL_REFUSED: "Approval refused",
    Action.APPROVAL_USED: "Approval used",
    Action.OPERATOR_LIFTED: "Operator's limit lifted",
    Action.SERVER_INITIALISED: "Server set up",
    Action.SERVER_STARTED: "Server started",
    Action.SERVER_UPGRADED: "Server upgraded",
    Action.KEY_CREATED: "Server key created",
    Action.ROWS_SEALED: "Database rows sealed",
    Action.ALARMS_ACKNOWLEDGED: "Alarm acknowledged",
    Action.ALARM_AUDIT_ROLLED_BACK: "Alarm: the audit log was rolled back or altered",
    Action.ALARM_STATE_ROLLED_BACK: "Alarm: the database contradicts the audit log",
    Action.ALARM_STEP_USED_TWICE: "Alarm: a tokencode was used twice",
    Action.ALARM_EMERGENCY_UNSHOWN: "Alarm: an emergency code was used that had not been shown",
    Action.ALARM_UNEXPECTED_SUCCESS: "Alarm: offline sign-in with a token unknown to the device",
    Action.ALARM_SUCCESS_AHEAD: "Alarm: offline sign-in with a code of the future",
    Action.ALARM_SUCCESS_IN_CONTACT: "Alarm: offline sign-in while the device was in contact",
    Action.ALARM_CODES_USED_UP: "Alarm: a device reports too many offline sign-ins",
    Action.ALARM_EVENTS_MISSING: "Alarm: device events are missing",
    Action.ALARM_TLS_FAILURE: "Alarm: the device connected to another server",
    Action.ALARM_CLOCK: "Alarm: the device clock is wrong or was set back",
    Action.ALARM_OPERATOR_BUSY: "Alarm: an operator has shown more codes than expected",
    Action.ALARM_OPERATOR_STOPPED: "Alarm: an operator reached the limit for codes",
    Action.ALARM_NAMES_LEARNT: "Alarm: an operator tried many names of other domains",
    Action.ALARM_ROW_ALTERED: "Alarm: the database was changed by another program",
    Action.ALARM_ROW_ACCEPTED: "Alarm: an altered row of the database was accepted",
    Action.ALARM_PASSKEY_COPIED: "Alarm: a passkey may have been copied",
    Action.ALARM_ADMINISTRATOR_LOCKED: "Alarm: an administrator is locked until a person unlocks them",
}

REASONS: Final[Mapping[str, str]] = {
    # at an interface of the server
    Reason.UNKNOWN_USER: "Unknown user",
    Reason.ACCOUNT_DISABLED: "The user is disabled",
    Reason.ACCOUNT_EXPIRED: "The user's account has expired",
    Reason.LOCKED: "The user is locked",
    Reason.NO_TOKEN: "The user has no token",
    Reason.TOKEN_DISABLED: "The token is disabled",
    Reason.TOKEN_EXPIRED: "The token has expired",
    Reason.TOKEN_LOST: "The token is lost",
    Reason.NO_PIN: "The token has no PIN yet",
    Reason.WRONG_PASSCODE: "Wrong passcode",
    Reason.ALREADY_USED: "The code was already used",
    Reason.USED_ON_DEVICE: "A device reported that the code was used there offline",
    Reason.MISREAD: "The code was misread (not counted as a failure)",
    Reason.NOT_A_PASSCODE: "The input is not a passcode (not counted as a failure)",
    Reason.TOKEN_IN_EMERGENCY: "Temporary emergency access replaces the token",
    Reason.EMERGENCY_ENDED: "Temporary emergency access had ended",
    Reason.PINS_DIFFER: "The two new PINs differ",
    Reason.PIN_NOT_ALLOWED: "The policy does not allow this PIN",
    Reason.NO_SUCH_CHALLENGE: "The answer came too late, twice or from another session",
    Reason.OFFLINE_CODE_NOT_ALLOWED_ONLINE: "The emergency code is not allowed online",
    Reason.EMERGENCY_CODE_EXPIRED: "The emergency code has expired",
    Reason.ONE_FACTOR: "The token has no PIN, but two factors are required here",
    Reason.UNKNOWN_PASSKEY: "Unknown passkey",
    Reason.WRONG_PASSKEY: "The response of the passkey is not valid",
    Reason.PASSKEY_COPIED: "The passkey may have been copied",
    Reason.OUT_OF_SCOPE: "The user is outside the scope of this API client",
    Reason.INTERNAL_ERROR: "Internal error; see the server log",
    # on a device, as it reports it
    "denied": "Refused offline",
    "blocked": "Blocked offline after too many failures",
    "clock-suspect": "The clock is wrong or was set back",
    "tls-failure": "Another server answered",
    "store-damaged": "The offline data was damaged",
    "keys-unusable": "The device keys could not be used",
    "pin-lockout": "The TPM was locked for a while after too many wrong PINs",
    "emergency-code-needed": "An emergency code is needed",
    "wait": "Waiting time after failed emergency codes",
    "clock": "The clock is wrong or was set back",
    "data-run-out": "The offline data had expired",
    "no-offline-data": "No offline data for this user",
    "server-down": "The server did not answer, and the policy does not allow offline sign-in while it is down",
    "not-enrolled": "The device is not enrolled",
    "name-not-mapped": "The account on the device is not mapped to a user",
    "refused-by-server": "The server rejected the device",
    "answer-refused": "The answer was wrong or came too late",
    "broken-off": "The connection to the server was lost",
    "busy": "Another sign-in was in progress",
}
