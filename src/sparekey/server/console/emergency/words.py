"""The words of the emergency pages: what stands in the way and where that is mended, and what happened, as people say
it."""

import json
from collections.abc import Mapping
from typing import Final

from sparekey.app.audit_log.named_rows import RecordRow
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.words import happened
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.emergency.online import EmergencyKind, IfAvailable
from sparekey.core.offline.units import Obstacle
from sparekey.core.permissions import Permission
from sparekey.core.plurals import counted

# What stands in the way, in words for the telephone; all others say it themselves.
SENTENCES: Final[Mapping[Obstacle, str]] = {
    Obstacle.NO_TOKEN_USED: (
        "The user has to sign in with the token once on the device, while it reaches the server; until then no code "
        "is there."
    ),
    Obstacle.NO_OFFLINE_SUPPORT: "This device cannot work offline: its Sparekey agent has to be updated or replaced.",
    Obstacle.EMERGENCY_OFF: "Policy does not let devices download this emergency code. Switch it on there.",
    Obstacle.POLICY_OFF: (
        "Offline authentication is switched off by the policy of the user's or the device's security domain. "
        "Switch it on there."
    ),
    Obstacle.TOKEN_EXPIRED: (
        "An expired token cannot be given emergency access. Assign another token to the user, or replace this one."
    ),
}

# Where it is mended: "policy", "user", "token" or "device", and what the link says; whoever may not does not see it.
MENDS: Final[Mapping[Obstacle, tuple[str, str, Permission]]] = {
    Obstacle.POLICY_OFF: ("policy", "To the policies", Permission.POLICY_VIEW),
    Obstacle.EMERGENCY_OFF: ("policy", "To the policies", Permission.POLICY_VIEW),
    Obstacle.NO_HARDWARE_STORE: ("policy", "To the policies", Permission.POLICY_VIEW),
    Obstacle.PIN_LESS_NOT_ALLOWED: ("policy", "To the policies", Permission.POLICY_VIEW),
    Obstacle.PIN_LESS_TOO_WEAK: ("policy", "To the policies", Permission.POLICY_VIEW),
    Obstacle.ACCOUNT_CLOSED: ("user", "To the user", Permission.USER_VIEW),
    Obstacle.PASSCODE_TOO_SHORT: ("token", "To the token", Permission.TOKEN_VIEW),
    Obstacle.NO_PIN: ("token", "To the token", Permission.TOKEN_VIEW),
    Obstacle.PIN_MUST_CHANGE: ("token", "To the token", Permission.TOKEN_VIEW),
    Obstacle.TOKEN_DISABLED: ("token", "To the token", Permission.TOKEN_VIEW),
    Obstacle.TOKEN_EXPIRED: ("token", "To the token", Permission.TOKEN_VIEW),
    Obstacle.DEVICE_REVOKED: ("device", "To the device", Permission.DEVICE_VIEW),
    Obstacle.NO_OFFLINE_SUPPORT: ("device", "To the device", Permission.DEVICE_VIEW),
}

# What happens when the token turns up, in the order in which it is offered.
TURNS_UP: Final[Mapping[IfAvailable, str]] = {
    IfAvailable.DENY: "Deny the token",
    IfAvailable.END: "Allow it at any time, and end emergency access at its first use",
    IfAvailable.AFTER_LIFETIME: "Allow it only after the lifetime has passed",
}

_KINDS: Final[Mapping[str, str]] = {
    CodeKind.TOKENCODE: "offline emergency tokencode",
    CodeKind.PASSCODE: "offline emergency passcode",
    EmergencyKind.FIXED: "temporary fixed tokencode",
    EmergencyKind.ONE_TIME: "one-time tokencode",
}


def told(row: RecordRow) -> str:
    """One row of a code's history as a sentence, without who did it and when."""
    detail = json.loads(row.detail)
    kind = _KINDS.get(detail.get("kind", ""), "emergency code")
    where = f" on {row.device}" if row.device else ""
    version = f", version {detail['version']}" if "version" in detail else ""
    match row.action:
        case Action.EMERGENCY_SHOWN:
            said = f"Was shown the code{where}{version}"
        case Action.EMERGENCY_RESET:
            said = f"Reset the code for {counted(detail.get('devices', 0), 'device')}"
        case Action.EMERGENCY_ONLINE:
            said = "Allowed the code at the server, too" if detail.get("allowed") else "Ended its use at the server"
        case Action.EMERGENCY_USED:
            said = f"The {kind} was used{where or ' at the server'}{version}"
        case Action.EMERGENCY_REPLACED:
            said = f"The code{where} was replaced: version {detail.get('old')} by version {detail.get('new')}"
        case Action.EMERGENCY_TEMPORARY:
            many = detail.get("codes", 1)
            said = f"Gave a {kind}" if detail.get("kind") == EmergencyKind.FIXED else f"Gave {counted(many, kind)}"
        case _:
            said = happened(row.action) + where
    return said


def circumstances(row: RecordRow) -> str:
    """What the operator said of the caller, and who agreed; "": nothing."""
    detail = json.loads(row.detail)
    parts = [
        f"caller identified: {detail['caller']}" if detail.get("caller") else "",
        f"reported by {detail['reported_by']}" if detail.get("reported_by") else "",
        f"ticket {detail['ticket']}" if detail.get("ticket") else "",
        f"note: {detail['note']}" if detail.get("note") else "",
        f"approved by {row.people.get('approved_by', detail['approved_by'])}" if detail.get("approved_by") else "",
        f"asked by {row.people.get('asked_by', detail['asked_by'])}" if detail.get("asked_by") else "",
    ]
    return "; ".join(part for part in parts if part)
