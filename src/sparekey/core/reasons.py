"""Names of the methods of a sign-in, of its challenges, and of the reasons for a refusal."""

from enum import StrEnum


class Method(StrEnum):
    """The proof of the user's identity."""

    TOKENCODE = "tokencode"
    EMERGENCY_TOKENCODE = "emergency-tokencode"
    EMERGENCY_PASSCODE = "emergency-passcode"
    ONLINE_EMERGENCY = "online-emergency"  # a temporary fixed or one-time tokencode: at the server only
    PASSKEY = "passkey"  # at the consoles only


class ChallengeKind(StrEnum):
    """The kind of a challenge after a correct passcode."""

    NEW_PIN = "new-pin"
    CONFIRM_PIN = "confirm-pin"
    NEXT_TOKENCODE = "next-tokencode"


class Reason(StrEnum):
    """The reason of a refusal, for the audit log and for operators: outside, every refusal looks the same (S07)."""

    UNKNOWN_USER = "unknown-user"
    ACCOUNT_DISABLED = "account-disabled"
    ACCOUNT_EXPIRED = "account-expired"
    LOCKED = "locked"
    NO_TOKEN = "no-token"
    TOKEN_DISABLED = "token-disabled"
    TOKEN_EXPIRED = "token-expired"
    TOKEN_LOST = "token-lost"
    NO_PIN = "no-pin-set"
    WRONG_PASSCODE = "wrong-passcode"
    ALREADY_USED = "already-used"
    USED_ON_DEVICE = "used-on-device"  # by an offline sign-in, as a device reported
    MISREAD = "misread"
    NOT_A_PASSCODE = "not-a-passcode"
    TOKEN_IN_EMERGENCY = "token-in-emergency"  # no tokencodes of a token while it has online emergency access
    EMERGENCY_ENDED = "emergency-ended"
    PINS_DIFFER = "pins-differ"
    PIN_NOT_ALLOWED = "pin-not-allowed"
    NO_SUCH_CHALLENGE = "no-such-question"  # the answer came too late, twice, or from elsewhere
    OFFLINE_CODE_NOT_ALLOWED_ONLINE = "offline-code-not-allowed-online"
    EMERGENCY_CODE_EXPIRED = "emergency-code-expired"
    ONE_FACTOR = "one-factor"  # a token without a PIN, at an interface that needs two factors
    UNKNOWN_PASSKEY = "unknown-passkey"
    WRONG_PASSKEY = "wrong-passkey"
    PASSKEY_COPIED = "passkey-copied"  # its use count did not rise
    OUT_OF_SCOPE = "out-of-scope"
    INTERNAL_ERROR = "internal-error"
