"""What a site of pages is: its navigation, how it knows who visits, and its pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparekey.app.instance import Instance
from sparekey.app.sessions.administrators import Session
from sparekey.app.sign_in.verification import Verdict
from sparekey.core.permissions import Actor, Permission
from sparekey.core.sign_in.passkeys import Place
from sparekey.secret import Secret
from sparekey.server.service import Service
from sparekey.server.web.pages import Page
from sparekey.server.web.visits import Visit
from sparekey.server.work import WorkPool


@dataclass(frozen=True)
class Link:
    """One place in the navigation; `permission`: whoever has it nowhere does not see the link."""

    words: str
    to: str
    permission: Permission | None = None


@dataclass(frozen=True)
class Passkeys:
    """How a passkey is a second factor at a site: `question`: the address where the browser asks what is to be signed;
    `known`: whether whoever has the session has a passkey for this place.
    """

    question: str
    known: Callable[[Instance, Place, Session], bool]
    refresh: Callable[[Instance, str, Place, Session, str, int], Verdict]


@dataclass(frozen=True)
class Sessions:
    """How a site knows who visits: the cookie of its sessions, and what finds one and refreshes its second factor.

    `networks`: from where they come; empty: from anywhere. `pool`: where the pages are made, so that one site keeps no
    other waiting. `passkeys` None: they are no second factor here.
    """

    cookie: str
    find: Callable[[Visit, Secret[str]], Session | None]
    refresh: Callable[[Instance, str, Session, Secret[str], Secret[str], int], Verdict]
    networks: Callable[[Service], tuple[str, ...]]
    pool: Callable[[Service], WorkPool]
    passkeys: Passkeys | None = None


@dataclass(frozen=True)
class Site:
    """What one site of pages is: its name, its navigation, where one signs in and who did, and its pages.

    `account`: the page of whoever is signed in, `search`: the template of the box at the top; "": there is none.
    """

    name: str
    home: str
    sign_in: str
    sign_out: str
    sessions: Sessions
    navigation: Sequence[tuple[str, Sequence[Link]]]
    pages: Sequence[Page]
    account: str = ""
    search: str = ""

    def links_for(self, actor: Actor) -> list[tuple[str, list[Link]]]:
        """The navigation as far as this actor can use it."""
        groups = [
            (words, [link for link in links if link.permission is None or _has(actor, link.permission)])
            for words, links in self.navigation
        ]
        return [(words, links) for words, links in groups if links]


def _has(actor: Actor, permission: Permission) -> bool:
    within = actor.domains_with(permission)
    return within is None or bool(within)
