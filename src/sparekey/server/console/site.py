"""The site of the Security Console: its navigation, and the pages of every noun."""

from typing import Final

from sparekey.app.sessions.administrators import find_session, refresh_second_factor
from sparekey.app.sessions.passkey_sign_ins import has_passkey, refresh_with_passkey
from sparekey.core.permissions import Permission
from sparekey.server.console import settings
from sparekey.server.console.audit_log import alarms
from sparekey.server.console.audit_log import events as audit
from sparekey.server.console.devices import devices
from sparekey.server.console.emergency import approvals
from sparekey.server.console.emergency import offline as emergency
from sparekey.server.console.emergency import online as online_emergency
from sparekey.server.console.people import domains, roles, users
from sparekey.server.console.people import imports as user_imports
from sparekey.server.console.policies import policies
from sparekey.server.console.reports import home, readiness, reports, search, why
from sparekey.server.console.sessions import account, clients
from sparekey.server.console.tokens import imports as token_imports
from sparekey.server.console.tokens import new as new_token
from sparekey.server.console.tokens import tokens
from sparekey.server.web import cookies
from sparekey.server.web.site import Link, Passkeys, Sessions, Site

SIGN_IN: Final = "/console/sign-in"
SIGN_OUT: Final = "/console/sign-out"
HOME: Final = "/console"
WELCOME: Final = "/console/welcome"

_P: Final = Permission
CONSOLE: Final = Site(
    name="Security Console",
    search="search-box.html",
    home=HOME,
    sign_in=SIGN_IN,
    sign_out=SIGN_OUT,
    sessions=Sessions(
        cookies.SESSION,
        lambda visit, token: find_session(visit.instance, token, visit.now),
        refresh_second_factor,
        networks=lambda service: service.admin_networks,
        pool=lambda service: service.administration,
        passkeys=Passkeys(account.SECOND_FACTOR_CHALLENGE, has_passkey, refresh_with_passkey),
    ),
    navigation=(
        ("", (Link("Home", HOME),)),
        ("Identity", (Link("Users", "/console/users", _P.USER_VIEW), Link("Roles", "/console/roles", _P.ROLE_VIEW))),
        (
            "Authentication",
            (Link("Tokens", "/console/tokens", _P.TOKEN_VIEW), Link("Policies", "/console/policies", _P.POLICY_VIEW)),
        ),
        (
            "Access",
            (
                Link("Devices", "/console/devices", _P.DEVICE_VIEW),
                Link("API clients", "/console/clients", _P.CLIENT_VIEW),
            ),
        ),
        (
            "Administration",
            (
                Link("Security domains", "/console/domains", _P.DOMAIN_VIEW),
                Link("Audit", "/console/audit", _P.AUDIT_VIEW),
                Link("Sessions", account.SESSIONS, _P.SESSION_VIEW),
                Link("Instances", "/console/instances", _P.INSTANCE_MANAGE),
                Link("Settings", "/console/settings", _P.INSTANCE_MANAGE),
            ),
        ),
    ),
    pages=(
        *home.pages.all,
        *users.pages.all,
        *users.new_pages.all,
        *user_imports.pages.all,
        *why.pages.all,
        *search.pages.all,
        *tokens.pages.all,
        *new_token.pages.all,
        *token_imports.pages.all,
        *clients.pages.all,
        *domains.pages.all,
        *emergency.pages.all,
        *online_emergency.pages.all,
        *alarms.pages.all,
        *approvals.pages.all,
        *readiness.pages.all,
        *roles.pages.all,
        *devices.pages.all,
        *policies.pages.all,
        *audit.pages.all,
        *reports.pages.all,
        *settings.pages.all,
        *account.pages.all,
    ),
    account=account.ACCOUNT,
)
