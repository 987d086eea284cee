"""The site of self-service: its navigation, pages and sessions."""

from typing import Final

from sparekey.app.self_service.passkeys import refresh_with_passkey
from sparekey.app.sessions.administrators import Session
from sparekey.app.sessions.passkey_sign_ins import has_passkey
from sparekey.app.sessions.users import find_session, refresh_second_factor
from sparekey.secret import Secret
from sparekey.server.selfservice import devices, home, own_emergency, passkeys, tokens, trials
from sparekey.server.web import cookies
from sparekey.server.web.site import Link, Passkeys, Sessions, Site
from sparekey.server.web.visits import Visit

HOME: Final = "/self-service"
SIGN_IN: Final = f"{HOME}/sign-in"
SIGN_OUT: Final = f"{HOME}/sign-out"


def _session_of(visit: Visit, token: Secret[str]) -> Session | None:
    return find_session(visit.instance, token, visit.now, administrators_too=visit.administrators_too)


SELF_SERVICE: Final = Site(
    name="Self-service",
    home=HOME,
    sign_in=SIGN_IN,
    sign_out=SIGN_OUT,
    sessions=Sessions(
        cookies.SELF_SERVICE,
        _session_of,
        refresh_second_factor,
        networks=lambda service: service.settings.self_service_networks,
        pool=lambda service: service.self_service,
        passkeys=Passkeys(passkeys.SECOND_FACTOR_CHALLENGE, has_passkey, refresh_with_passkey),
    ),
    navigation=(
        ("", (Link("Home", HOME),)),
        (
            "Be prepared",
            (
                Link("Try your passcode", f"{HOME}/passcode"),
                Link("If you lose your token", f"{HOME}/emergency"),
                Link("Passkeys", passkeys.PASSKEYS),
            ),
        ),
        ("Look back", (Link("Activity", f"{HOME}/activity"),)),
    ),
    pages=(
        *home.pages.all,
        *trials.pages.all,
        *tokens.pages.all,
        *own_emergency.pages.all,
        *devices.pages.all,
        *passkeys.pages.all,
    ),
)
