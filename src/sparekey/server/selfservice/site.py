"""The self-service console as one site: its navigation and its pages, of users' own sessions."""

from typing import Final

from sparekey.app.user_sessions import find_session, refresh_second_factor
from sparekey.server.selfservice import devices, home, tokens, trials
from sparekey.server.web import cookies
from sparekey.server.web.sites import Link, Sessions, Site

HOME: Final = "/self-service"
SIGN_IN: Final = f"{HOME}/sign-in"
SIGN_OUT: Final = f"{HOME}/sign-out"

SELF_SERVICE: Final = Site(
    name="Self-service",
    home=HOME,
    sign_in=SIGN_IN,
    sign_out=SIGN_OUT,
    sessions=Sessions(
        cookies.SELF_SERVICE, find_session, refresh_second_factor,
        networks=lambda service: service.settings.self_service_networks, pool=lambda service: service.self_service,
    ),
    navigation=(
        ("", (Link("Home", HOME),)),
        ("Be prepared", (
            Link("Try your passcode", f"{HOME}/passcode"),
            Link("If you lose your token", f"{HOME}/emergency"),
        )),
        ("Look back", (Link("Activity", f"{HOME}/activity"),)),
    ),
    pages=(*home.pages.all, *trials.pages.all, *tokens.pages.all, *devices.pages.all),
)  # fmt: skip
