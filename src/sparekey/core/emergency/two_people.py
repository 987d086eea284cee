"""Decides if two actors are two people, as far as names can tell (ADR 11).

Rules:
- A user is a person.
- All actors from the operating system of the server count as one person, because root can take any name there.
- A program can neither approve nor ask for an approval, because the approver may hold its key. For the same reason its
  acts count as acts of every operator (`may_be_same_person`).
"""

from sparekey.core.permissions import Actor

_USER = "user:"
_SYSTEM = "os:"
_PROGRAM = "client:"


def is_person(actor: Actor) -> bool:
    """Return True if the actor is a person, not a program."""
    return actor.name.startswith((_USER, _SYSTEM))


def is_system(actor: Actor) -> bool:
    """Return True if the actor comes from the operating system of the server."""
    return actor.name.startswith(_SYSTEM)


def is_same_person(actor: Actor, first: str) -> bool:
    """Return True if `actor` and the actor named `first` are the same person."""
    return actor.name == first or (actor.name.startswith(_SYSTEM) and first.startswith(_SYSTEM))


def may_be_same_person(name: str, other: str) -> bool:
    """Return True if the actors with these names may be one person: a person may hold the key of any program."""
    both = (name, other)
    return name == other or any(map(_is_program, both)) or all(each.startswith(_SYSTEM) for each in both)


def is_second_person(actor: Actor, first: str) -> bool:
    """Return True if `actor` may approve a request of the actor named `first`."""
    return is_person(actor) and not is_same_person(actor, first)


def _is_program(name: str) -> bool:
    return name.startswith(_PROGRAM)
