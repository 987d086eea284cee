"""The definition of a site: its navigation, its sessions, and its pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparekey.app.instance import Instance
from sparekey.app.sessions.administrators import Session
from sparekey.app.sign_in.verification import SignInResult
from sparekey.core.permissions import Actor, Permission
from sparekey.core.sign_in.passkeys import RelyingParty
from sparekey.secret import Secret
from sparekey.server.service import Service
from sparekey.server.web.pages import Page
from sparekey.server.web.visits import Visit
from sparekey.server.work import WorkPool


@dataclass(frozen=True)
class Link:
    """One entry of the navigation; hidden from visitors without the `permission`."""

    words: str
    to: str
    permission: Permission | None = None


@dataclass(frozen=True)
class Passkeys:
    """Passkeys as a second factor at a site. `challenge`: the address of the challenge; `known`: True if the owner of
    the session has a passkey for this place."""

    challenge: str
    known: Callable[[Instance, RelyingParty, Session], bool]
    refresh: Callable[[Instance, str, RelyingParty, Session, str, int], SignInResult]


@dataclass(frozen=True)
class Sessions:
    """The sessions of a site: their cookie, and functions that find one and refresh its second factor.

    `networks`: the allowed addresses; empty: all. `pool`: the threads for its pages, so that one site cannot delay
    another. `passkeys` None: passkeys are no second factor here.
    """

    cookie: str
    find: Callable[[Visit, Secret[str]], Session | None]
    refresh: Callable[[Instance, str, Session, Secret[str], Secret[str], int], SignInResult]
    networks: Callable[[Service], tuple[str, ...]]
    pool: Callable[[Service], WorkPool]
    passkeys: Passkeys | None = None


@dataclass(frozen=True)
class Site:
    """One site of pages: its name, navigation, sign-in, sessions and pages.

    `account`: the address of the visitor's account page, `search`: the template of the search box; "" for none.
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
        """Return the navigation for the permissions of this actor."""
        groups = [
            (words, [link for link in links if link.permission is None or _has(actor, link.permission)])
            for words, links in self.navigation
        ]
        return [(words, links) for words, links in groups if links]


def _has(actor: Actor, permission: Permission) -> bool:
    within = actor.domains_with(permission)
    return within is None or bool(within)
