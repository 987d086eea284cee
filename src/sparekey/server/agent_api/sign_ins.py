"""Online sign-ins on a device."""

from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sparekey.app.offline.device_sign_in import DeviceSignIn, sign_in_on_device
from sparekey.app.sign_in.verification import SignInInterface, SignInResult
from sparekey.core.sign_in.outcome import Asked, Denied, Granted
from sparekey.secret import Secret
from sparekey.server.agent_api.device_limits import Lane, Rate, Share, finished
from sparekey.server.agent_api.enrolment import unhex
from sparekey.server.agent_api.signed_requests import HEADERS, Expected, signed_request
from sparekey.server.floor import Floor
from sparekey.server.json_replies import answer
from sparekey.server.openapi import Messages, described_route
from sparekey.server.service import Service
from sparekey.server.sign_in_floor import run_sign_in
from sparekey.wire import agent_api as api

_EXPECTED: Final = Expected(api.SignInRequest, 16_384, Share(Lane.SHORT, Rate.SIGN_INS))


def routes(service: Service) -> list[Route]:
    """Return the route for POST of sign-ins."""
    messages = Messages(
        request=api.SignInRequest, reply=api.SignInReply, errors=(400, 401, 403, 413, 429, 503), headers=HEADERS
    )

    async def sign_in(request: Request) -> Response:
        """Sign in a user on a device. The result is granted, denied, or a challenge.

        A grant has the key that opens the secrets which the device keeps for the user. All denials are alike. The
        answer to a challenge is another sign-in with its `reply_to`.
        """
        arrived = Floor.arrival()
        async with signed_request(service, request, _EXPECTED) as signed:
            asked = signed.message
            typed, check = Secret(asked.passcode), unhex(asked.check, "check")
            reply_to = Secret(asked.reply_to) if asked.reply_to else None

            def verify() -> DeviceSignIn:
                return sign_in_on_device(
                    service.instance, signed.device, asked.login, typed, check, signed.now, reply_to
                )

            interface = SignInInterface(f"device:{signed.device.id}", signed.device.id)
            result = await finished(run_sign_in(service, arrived, interface, signed.now, typed, verify))
            return answer(_reply(result, signed.now))

    return [described_route("POST", api.SIGN_INS, sign_in, "agent: sign-in", messages)]


def _reply(result: SignInResult, now: int) -> api.SignInReply:
    outcome = result.outcome
    if isinstance(outcome, Asked):
        name = result.reply_to.reveal() if result.reply_to else ""
        reply = api.SignInReply(
            result="ask",
            misread=[],
            user="",
            method="",
            token="",
            step=0,
            check="",
            offline_key="",
            server_time=now,
        )
        return replace(reply, ask=outcome.ask, text=outcome.text, reply_to=name)
    if not isinstance(result, DeviceSignIn) or not isinstance(outcome, Granted):
        misread = list(outcome.misread) if isinstance(outcome, Denied) else []
        return api.SignInReply(
            result="denied",
            misread=misread,
            user="",
            method="",
            token="",
            step=0,
            check="",
            offline_key="",
            server_time=now,
        )
    key = result.key
    return api.SignInReply(
        result="granted",
        misread=[],
        user=outcome.account_id,
        method=outcome.method,
        token=outcome.token_id or "",
        step=outcome.step or 0,
        check=key.check.hex(),
        offline_key=key.offline_key.reveal().hex() if key.offline_key else "",
        server_time=now,
    )
