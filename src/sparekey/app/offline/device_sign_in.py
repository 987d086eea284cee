"""Sign in online on a device: the common verification, and the effects of a success in the same transaction."""

from dataclasses import dataclass

from sqlalchemy import Connection

from sparekey.app.instance import Instance
from sparekey.app.offline.sync import DeviceKey, after_sign_in
from sparekey.app.sign_in.challenge_answers import answer_challenge
from sparekey.app.sign_in.verification import SignInInterface, SignInResult, sign_in
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from sparekey.storage.devices.devices import Device


@dataclass(frozen=True)
class DeviceSignIn(SignInResult):
    """The result of a sign-in on a device."""

    key: DeviceKey = DeviceKey()  # empty unless granted


def sign_in_on_device(
    instance: Instance,
    device: Device,
    login: str,
    text: Secret[str],
    check: bytes,
    now: int,
    reply_to: Secret[str] | None = None,
) -> DeviceSignIn:
    """Verify a sign-in on a device, or the answer to the challenge `reply_to`.

    `check` names the offline key under which the device keeps this user's secrets; b"" if there is none yet.
    """
    keys: list[DeviceKey] = []

    def after_grant(connection: Connection, granted: Granted) -> None:
        keys.append(after_sign_in(connection, instance, device, granted, check, now))

    interface = SignInInterface(f"device:{device.id}", device.id)
    if reply_to is None:
        result = sign_in(instance, interface, login, text, now, after_grant=after_grant)
    else:
        result = answer_challenge(instance, interface, login, reply_to, text, now, after_grant=after_grant)
    return DeviceSignIn(result.outcome, result.reply_to, keys[0] if keys else DeviceKey())
