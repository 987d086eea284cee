"""A visit: who asks for which page, with what, when, and in which time zone they live."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sparekey.app.instance import Instance
from sparekey.app.sessions.administrators import Session
from sparekey.core.errors import NotAllowed, SparekeyError
from sparekey.core.permissions import Actor, Permission
from sparekey.core.sign_in.passkeys import Place
from sparekey.server.settings import Settings
from sparekey.server.web.fields import Fields
from sparekey.server.web.places import place_of
from sparekey.server.web.replies import Shown


@dataclass(frozen=True)
class Visit:
    """One request, as a handler sees it.

    `path`: what the path names, decoded. `error`: what was wrong with the form that came back. `partial`: only a part
    of the page is put in place (htmx). `address`: from where it came; `administrators_too`: whether they may come from
    there. `host`: the name of ours that it was sent to, with the port.
    """

    instance: Instance
    settings: Settings
    now: int
    url: str  # path and query, for the way back
    address: str = ""
    administrators_too: bool = False
    host: str = ""
    session: Session | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    query: Fields = field(default_factory=Fields)
    form: Fields = field(default_factory=Fields)
    zone: tzinfo = UTC
    partial: bool = False
    error: SparekeyError | None = None

    @property
    def actor(self) -> Actor:
        """Who signed in. Raises NotAllowed where nobody did: only pages that need no session may ask without one."""
        if self.session is None:
            raise NotAllowed("you are not signed in", "sign in")
        return self.session.actor

    @property
    def place(self) -> Place | None:
        """Where passkeys can be used from this page; None: they are bound to names, and this is an address."""
        return place_of(self.host)

    @property
    def sends_mail(self) -> bool:
        """Whether there is a mail server that takes notices: a mail is promised only where one can be sent."""
        return bool(self.settings.smtp_host)

    def may(self, permission: Permission, domain: str | None = None) -> bool:
        """Whether the visitor has it anywhere, or in the security domain of this name: what one may not do is not
        offered. "": over what belongs to no domain."""
        if domain is not None:
            known = self.session.domain_ids if self.session is not None else {}
            return self.actor.may(permission, None) or self.actor.may(permission, known.get(domain))
        within = self.actor.domains_with(permission)
        return within is None or bool(within)

    def show(self, template: str, *, secret: bool = False, **values: object) -> Shown:
        """The page of this template."""
        return Shown(template, values, secret=secret)


def zone_of(name: str) -> tzinfo:
    """The time zone that the browser named; UTC where there is none of this name."""
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
