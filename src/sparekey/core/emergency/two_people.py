"""Decides if two actors are two people, as far as names can tell (ADR 11).

Rules:
- A user is a person.
- All actors from the operating system of the server count as one person, because root can take any name there.
- A program can neither approve nor ask for an approval, because the approver may hold its key.
"""

from sparekey.core.permissions import Actor

_USER = "user:"
_SYSTEM = "os:"


def is_person(actor: Actor) -> bool:
    """Return True if the actor is a person, not a program."""
    return actor.name.startswith((_USER, _SYSTEM))


def is_system(actor: Actor) -> bool:
    """Return True if the actor comes from the operating system of the server."""
    return actor.name.startswith(_SYSTEM)


def is_same_person(actor: Actor, first: str) -> bool:
    """Return True if `actor` and the actor named `first` are the same person."""
    return actor.name == first or (actor.name.startswith(_SYSTEM) and first.startswith(_SYSTEM))


def is_second_person(actor: Actor, first: str) -> bool:
    """Return True if `actor` may approve a request of the actor named `first`."""
    return is_person(actor) and not is_same_person(actor, first)
