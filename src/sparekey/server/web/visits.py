"""A visit: the visitor, the page, the input, the time, and the time zone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sparekey.app.instance import Instance
from sparekey.app.sessions.administrators import Session
from sparekey.core.errors import NotAllowed, SparekeyError
from sparekey.core.permissions import Actor, Permission
from sparekey.core.sign_in.passkeys import RelyingParty
from sparekey.server.settings import Settings
from sparekey.server.web.fields import Fields
from sparekey.server.web.page_results import Shown
from sparekey.server.web.places import place_of


@dataclass(frozen=True)
class Visit:
    """One request, as a handler sees it.

    `path`: the decoded values in the path. `error`: the mistake in a form that is shown again. `partial`: only a part
    of the page is replaced (htmx). `address`: the address of the client. `administrators_too`: True if administrators
    may use it. `host`: the name of the server in the request, with the port. `origins`: those of the consoles, from
    the settings.
    """

    instance: Instance
    settings: Settings
    now: int
    url: str  # path and query, for the way back
    address: str = ""
    administrators_too: bool = False
    host: str = ""
    origins: tuple[str, ...] = ()
    session: Session | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    query: Fields = field(default_factory=Fields)
    form: Fields = field(default_factory=Fields)
    zone: tzinfo = UTC
    partial: bool = False
    error: SparekeyError | None = None

    @property
    def actor(self) -> Actor:
        """Return the actor. Raises NotAllowed without a session."""
        if self.session is None:
            raise NotAllowed("you are not signed in", "sign in")
        return self.session.actor

    @property
    def place(self) -> RelyingParty | None:
        """Return the place for passkeys; None at an IP address, and at an address that is not in the settings."""
        return place_of(self.host, self.origins)

    @property
    def sends_mail(self) -> bool:
        """Return True if a mail server is set up: pages announce a mail only then."""
        return bool(self.settings.smtp_host)

    def may(self, permission: Permission, domain: str | None = None) -> bool:
        """Return True if the visitor has the permission anywhere, or in the security domain of this name: pages offer
        only what is allowed. "": for objects without a domain."""
        if domain is not None:
            known = self.session.domain_ids if self.session is not None else {}
            return self.actor.may(permission, None) or self.actor.may(permission, known.get(domain))
        within = self.actor.domains_with(permission)
        return within is None or bool(within)

    def show(self, template: str, *, secret: bool = False, **values: object) -> Shown:
        """Return the page of this template."""
        return Shown(template, values, secret=secret)


def zone_of(name: str) -> tzinfo:
    """Return the time zone that the browser named, or UTC if it is unknown."""
    if (
        not name
        or len(name) > 64
        or not name.replace("/", "").replace("_", "").replace("-", "").replace("+", "").isalnum()
    ):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
