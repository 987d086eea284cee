"""Texts of the emergency pages: obstacles, where to remove them, and the events of a code's history."""

import json
from collections.abc import Mapping
from typing import Final

from sparekey.app.audit_log.named_rows import NamedEvent
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.words import happened
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.emergency.online import EmergencyKind, IfAvailable
from sparekey.core.offline.units import Obstacle
from sparekey.core.permissions import Permission
from sparekey.core.plurals import counted

# Obstacles in words that can be read out on the telephone. The others use the sentence of the obstacle itself.
SENTENCES: Final[Mapping[Obstacle, str]] = {
    Obstacle.NO_TOKEN_USED: (
        "The user must sign in once on this device with the token, while the device is online. Until then there is no "
        "code."
    ),
    Obstacle.NO_OFFLINE_SUPPORT: "This device does not support offline sign-in. Update or replace its Sparekey agent.",
    Obstacle.EMERGENCY_OFF: "The policy does not allow devices to download this emergency code. Turn it on there.",
    Obstacle.POLICY_OFF: (
        "Offline authentication is off in the policy of the user's or the device's security domain. Turn it on there."
    ),
    Obstacle.TOKEN_EXPIRED: (
        "An expired token cannot be given emergency access. Assign another token to the user, or replace this one."
    ),
}

# Where to remove an obstacle: the page ("policy", "user", "token" or "device"), the text of the link, and the
# permission without which the link is not offered.
MENDS: Final[Mapping[Obstacle, tuple[str, str, Permission]]] = {
    Obstacle.POLICY_OFF: ("policy", "Open the policies", Permission.POLICY_VIEW),
    Obstacle.EMERGENCY_OFF: ("policy", "Open the policies", Permission.POLICY_VIEW),
    Obstacle.NO_HARDWARE_STORE: ("policy", "Open the policies", Permission.POLICY_VIEW),
    Obstacle.PIN_LESS_NOT_ALLOWED: ("policy", "Open the policies", Permission.POLICY_VIEW),
    Obstacle.PIN_LESS_TOO_WEAK: ("policy", "Open the policies", Permission.POLICY_VIEW),
    Obstacle.ACCOUNT_CLOSED: ("user", "Open the user", Permission.USER_VIEW),
    Obstacle.PASSCODE_TOO_SHORT: ("token", "Open the token", Permission.TOKEN_VIEW),
    Obstacle.NO_PIN: ("token", "Open the token", Permission.TOKEN_VIEW),
    Obstacle.PIN_MUST_CHANGE: ("token", "Open the token", Permission.TOKEN_VIEW),
    Obstacle.TOKEN_DISABLED: ("token", "Open the token", Permission.TOKEN_VIEW),
    Obstacle.TOKEN_EXPIRED: ("token", "Open the token", Permission.TOKEN_VIEW),
    Obstacle.DEVICE_REVOKED: ("device", "Open the device", Permission.DEVICE_VIEW),
    Obstacle.NO_OFFLINE_SUPPORT: ("device", "Open the device", Permission.DEVICE_VIEW),
}

# Choices for the token while emergency access lasts, in the order of the form.
TURNS_UP: Final[Mapping[IfAvailable, str]] = {
    IfAvailable.DENY: "Deny the token while emergency access lasts",
    IfAvailable.END: "Allow it at any time, and end emergency access at its first use",
    IfAvailable.AFTER_LIFETIME: "Allow it only after the lifetime has passed",
}

_KINDS: Final[Mapping[str, str]] = {
    CodeKind.TOKENCODE: "offline emergency tokencode",
    CodeKind.PASSCODE: "offline emergency passcode",
    EmergencyKind.FIXED: "temporary fixed tokencode",
    EmergencyKind.ONE_TIME: "one-time tokencode",
}

# A sentence for each fact of an event, in this order.
_CIRCUMSTANCES: Final[Mapping[str, str]] = {
    "caller": "The operator identified the caller: {}.",
    "reported_by": "The theft was reported by {}.",
    "ticket": "The ticket is {}.",
    "note": "The operator noted: {}.",
    "approved_by": "The request was approved by {}.",
    "asked_by": "The request was made by {}.",
}


def told(row: NamedEvent) -> str:
    """Return one event of a code's history as a sentence, without its time and its actor."""
    detail = json.loads(row.detail)
    match row.action:
        case Action.EMERGENCY_SHOWN:
            said = _with_device(row, "Showed {code} on {device}", "Showed {code}")
        case Action.EMERGENCY_RESET:
            said = f"Reset the code for {counted(detail.get('devices', 0), 'device')}"
        case Action.EMERGENCY_ONLINE:
            said = "Allowed online use of the code" if detail.get("allowed") else "Ended online use of the code"
        case Action.EMERGENCY_USED:
            said = _with_device(row, "{kind} was used on {device}", "{kind} was used online")
        case Action.EMERGENCY_REPLACED:
            said = _with_device(
                row,
                "Version {old} of the code on {device} was replaced by version {new}",
                "Version {old} of the code was replaced by version {new}",
            )
        case Action.EMERGENCY_TEMPORARY if detail.get("kind") == EmergencyKind.FIXED:
            said = "Gave a temporary fixed tokencode"
        case Action.EMERGENCY_TEMPORARY:
            said = f"Gave {counted(detail.get('codes', 1), 'one-time tokencode')}"
        case _:
            said = _with_device(row, "{event} ({device})", "{event}")
    return said


def _with_device(row: NamedEvent, on_device: str, elsewhere: str) -> str:
    """Fill in the sentence that names a device, or the other one if the event names none."""
    detail = json.loads(row.detail)
    facts = {
        "device": row.device,
        "kind": _KINDS.get(detail.get("kind", ""), "emergency code"),
        "code": f"version {detail['version']} of the code" if "version" in detail else "the code",
        "old": detail.get("old"),
        "new": detail.get("new"),
        "event": happened(row.action),
    }
    said = (on_device if row.device else elsewhere).format(**facts)
    return said[:1].upper() + said[1:]


def circumstances(row: NamedEvent) -> str:
    """Return a sentence for each fact that the operator entered, and for the approval; "" if there are none."""
    facts = json.loads(row.detail) | row.people  # names of people instead of ids
    sentences = [
        _CIRCUMSTANCES[name].format(str(facts[name]).rstrip(".")) for name in _CIRCUMSTANCES if facts.get(name)
    ]
    return " ".join(sentences)
