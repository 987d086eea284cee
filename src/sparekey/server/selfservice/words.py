"""Texts of self-service, for users: their devices, tokens and activity."""

from collections.abc import Mapping, Sequence
from typing import Final

from sparekey.app.self_service.own import OwnDevice, OwnEvent
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.words import happened, refused_for
from sparekey.core.explain.readiness import Readiness
from sparekey.core.offline.units import Obstacle
from sparekey.core.plurals import counted

_MENDS: Final[Mapping[Obstacle, str]] = {
    Obstacle.POLICY_OFF: "Your organisation does not allow offline sign-in on this device.",
    Obstacle.DEVICE_REVOKED: "This device was taken out of service.",
    Obstacle.NO_OFFLINE_SUPPORT: "The Sparekey program on this device does not support offline sign-in. Ask the help "
    "desk to update it.",
    Obstacle.NO_HARDWARE_STORE: "This device does not have the security chip (TPM) that your organisation requires.",
    Obstacle.ACCOUNT_CLOSED: "Your account is closed. Call the help desk.",
    Obstacle.ACCOUNT_LOCKED: "Your account is locked. Call the help desk.",
    Obstacle.NEXT_TOKENCODE: "There were several wrong passcodes in a row. Sign in once more on this device, and enter "
    "the next code when it asks.",
    Obstacle.NO_TOKEN_USED: "Sign in on this device once with your token, while it is online.",
    Obstacle.NOT_DOWNLOADED: "This device has not downloaded your data yet. Keep it online for a few minutes.",
    Obstacle.TOKEN_LOST: "Your token is reported lost. Call the help desk.",
    Obstacle.TOKEN_DISABLED: "Your token is disabled. Call the help desk.",
    Obstacle.TOKEN_EXPIRED: "Your token has expired. Ask the help desk for another one.",
    Obstacle.NO_PIN: "Your token has no PIN. Set one.",
    Obstacle.PIN_MUST_CHANGE: "You must change your PIN. Change it here, or at your next sign-in.",
    Obstacle.PASSCODE_TOO_SHORT: "Your PIN is too short for offline sign-in. Choose a longer one.",
    Obstacle.PIN_LESS_NOT_ALLOWED: "A token without a PIN does not work offline on this device. Ask the help desk "
    "for one with a PIN.",
    Obstacle.PIN_LESS_TOO_WEAK: "Your type of token does not work offline on this device. Ask the help "
    "desk for another one.",
    Obstacle.EMERGENCY_OFF: "Your organisation does not allow emergency codes on this device.",
}
# Events that have another text for administrators.
_HAPPENED: Final[Mapping[str, str]] = {
    Action.ACCOUNT_LOCKED: "Your account was locked",
    Action.ACCOUNT_UNLOCKED: "Your account was unlocked",
    Action.USER_ENABLED: "Your account was enabled",
    Action.USER_DISABLED: "Your account was disabled",
    Action.USER_CHANGED: "Your name or address was changed",
    Action.EMERGENCY_SHOWN: "Your emergency code was shown",
    Action.DEVICE_REVOKED: "A device that you use was taken out of service",
    Action.DEVICE_STOLEN: "A device that you use was reported stolen, and its data and codes ended",
}


def mend(obstacle: Obstacle | None) -> str:
    """Return the obstacle to new data on a device and what its user can do, or ""."""
    return _MENDS[obstacle] if obstacle is not None else ""


def summary(devices: Sequence[OwnDevice]) -> str:
    """Return a sentence: on how many devices the user could sign in offline, and how."""
    ready = [device.assessment.readiness for device in devices]
    with_token, with_code = ready.count(Readiness.TOKENCODE), ready.count(Readiness.EMERGENCY_CODE)
    found = counted(len(ready), "device")
    if with_token == len(ready):
        return f"You could sign in with your token on {_all_of(found)}."
    if with_code == len(ready):
        return f"You could sign in on {_all_of(found)}, but only with a code from the help desk."
    if with_token and with_code:
        return f"Of {found}, {with_token} would accept your token, and {with_code} only a code from the help desk."
    if with_token:
        return f"You could sign in with your token on {with_token} of {found}."
    if with_code:
        return f"You could sign in with a code from the help desk on {with_code} of {found}."
    return f"You could not sign in on {'this device' if len(ready) == 1 else 'any of your devices'}."


def _all_of(devices: str) -> str:
    return "this device" if devices == "1 device" else "all your devices"


def clock(drift: int | None) -> str:
    """Return the accuracy of a token's clock, from the seconds that it is ahead; "" if it has no clock."""
    if drift is None:
        return ""
    if drift == 0:
        return "accurate"
    return f"about {counted(abs(drift), 'second')} {'fast' if drift > 0 else 'slow'}, which is corrected automatically"


def clock_sentence(drift: int) -> str:
    """Return the accuracy of a token's clock as a sentence."""
    return f"The clock of the token is {clock(drift)}."


def event(happening: OwnEvent) -> str:
    """Return the text of an event, with the reason if it was refused."""
    said = _HAPPENED.get(happening.action) or happened(happening.action)
    why = refused_for(happening.result)
    if happening.action == Action.DEVICE_EVENT and why:
        return why
    return f"{said}: {why[:1].lower()}{why[1:]}" if why else said


def where(happening: OwnEvent) -> str:
    """Return the actor of an event, or its place."""
    name = happening.name or "a removed device or program"
    return {
        "you": "by you, in self-service",
        "help desk": f"by the help desk, for {happening.device}" if happening.device else "by the help desk",
        "device": f"on {name}",
        "program": f"through {name}",
        "self-service": f"in self-service, from {name}",
        "console": f"in the Security Console, from {name}",
    }.get(happening.by, "")
