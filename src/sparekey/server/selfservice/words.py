"""What the self-service console says to people who are no administrators: their devices, tokens and record."""

from collections.abc import Mapping, Sequence
from typing import Final

from sparekey.app.self_service.own import OwnDevice, OwnEvent
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.words import happened, refused_for
from sparekey.core.explain.readiness import Readiness
from sparekey.core.offline.units import Obstacle
from sparekey.core.plurals import counted

_MENDS: Final[Mapping[Obstacle, str]] = {
    Obstacle.POLICY_OFF: "Your organisation does not allow signing in on this device without the network.",
    Obstacle.DEVICE_REVOKED: "This device was taken out of service.",
    Obstacle.NO_OFFLINE_SUPPORT: "The program on this device cannot work without the network. Ask the help desk for a "
    "newer one.",
    Obstacle.NO_HARDWARE_STORE: "This device lacks the security chip that your organisation asks for.",
    Obstacle.ACCOUNT_CLOSED: "Your account is closed. Call the help desk.",
    Obstacle.ACCOUNT_LOCKED: "Your account is locked. Call the help desk.",
    Obstacle.NEXT_TOKENCODE: "Wrong passcodes came in a row. Sign in once more on this device, and enter the following "
    "code too when it asks.",
    Obstacle.NO_TOKEN_USED: "Sign in on this device with your token once, while it has the network.",
    Obstacle.NOT_DOWNLOADED: "It has not fetched your data yet. Leave it on, with the network, for some minutes.",
    Obstacle.TOKEN_LOST: "Your token is reported lost. Call the help desk.",
    Obstacle.TOKEN_DISABLED: "Your token is disabled. Call the help desk.",
    Obstacle.TOKEN_EXPIRED: "Your token has expired. Ask the help desk for another one.",
    Obstacle.NO_PIN: "Your token has no PIN yet. Set one.",
    Obstacle.PIN_MUST_CHANGE: "Your PIN has to be changed first. Change it here, or at your next sign-in.",
    Obstacle.PASSCODE_TOO_SHORT: "Your PIN is too short for signing in without the network. Choose a longer one.",
    Obstacle.PIN_LESS_NOT_ALLOWED: "A token without a PIN does not work without the network here. Ask the help desk "
    "for one with a PIN.",
    Obstacle.PIN_LESS_TOO_WEAK: "A token like yours does not work without the network on this device. Ask the help "
    "desk for another one.",
    Obstacle.EMERGENCY_OFF: "Your organisation does not allow emergency codes on this device.",
}
# What is said otherwise to administrators, who have others in mind.
_HAPPENED: Final[Mapping[str, str]] = {
    Action.ACCOUNT_LOCKED: "Your account was locked",
    Action.ACCOUNT_UNLOCKED: "Your account was unlocked",
    Action.USER_ENABLED: "Your account was enabled",
    Action.USER_DISABLED: "Your account was disabled",
    Action.USER_CHANGED: "Your name or address was changed",
    Action.EMERGENCY_SHOWN: "Your emergency code was shown",
    Action.DEVICE_REVOKED: "A device that you use was taken out of service",
    Action.DEVICE_STOLEN: "A device that you use was reported stolen: its data and codes ended",
}


def mend(obstacle: Obstacle | None) -> str:
    """What keeps new data from a device, and what its user can do; "": nothing does."""
    return _MENDS[obstacle] if obstacle is not None else ""


def summary(devices: Sequence[OwnDevice]) -> str:
    """On how many of them the user would get in, and how."""
    ready = [each.judged.readiness for each in devices]
    with_token, with_code = ready.count(Readiness.TOKENCODE), ready.count(Readiness.EMERGENCY_CODE)
    if with_token == len(ready):
        return "You would get in with your token on " + ("this device." if len(ready) == 1 else "all your devices.")
    parts = [f"with your token on {with_token}"] if with_token else []
    parts += [f"with a code from the help desk on {with_code}"] if with_code else []
    if not parts:
        return "You would not get in on " + ("this device." if len(ready) == 1 else "any of your devices.")
    return f"Of {counted(len(ready), 'device')} you would get in {', and '.join(parts)}."


def clock(drift: int | None) -> str:
    """How a token's clock goes, by the seconds that it is ahead; "": it has none."""
    if drift is None:
        return ""
    if drift == 0:
        return "agrees with the server's"
    way = "ahead of" if drift > 0 else "behind"
    return f"about {counted(abs(drift), 'second')} {way} the server's, which is allowed for"


def event(happening: OwnEvent) -> str:
    """What happened, as a phrase; with the reason where it was refused."""
    said = _HAPPENED.get(happening.action) or happened(happening.action)
    why = refused_for(happening.result)
    if happening.action == Action.DEVICE_EVENT and why:
        return why
    return f"{said}: {why[:1].lower()}{why[1:]}" if why else said


def where(happening: OwnEvent) -> str:
    """By whom, or where."""
    name = happening.name or "something that is gone"
    return {
        "you": "by you, here",
        "help desk": "by the help desk" + (f", for {happening.device}" if happening.device else ""),
        "device": f"on {name}",
        "program": f"through {name}",
        "self-service": f"here, from {name}",
        "console": f"in the Security Console, from {name}",
    }.get(happening.by, "")
