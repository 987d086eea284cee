"""Whether two actors are two people, as far as names can tell (ADR 11).

Rules: a user is a person; whoever acts at the operating system of the server is one and the same person, whatever name
is used there, because who is root can take any; a program is nobody who could approve, nor who could ask for an
approval, for whoever holds its key may be the one who approves.
"""

from sparekey.core.permissions import Actor

_USER = "user:"
_SYSTEM = "os:"


def is_person(actor: Actor) -> bool:
    """Whether this is somebody, and no program."""
    return actor.name.startswith((_USER, _SYSTEM))


def is_system(actor: Actor) -> bool:
    """Whether this is whoever acts at the operating system of the server."""
    return actor.name.startswith(_SYSTEM)


def is_same_person(actor: Actor, first: str) -> bool:
    """Whether what the actor named `first` asks for or does is `actor`'s own."""
    return actor.name == first or (actor.name.startswith(_SYSTEM) and first.startswith(_SYSTEM))


def is_second_person(actor: Actor, first: str) -> bool:
    """Whether `actor` may decide on what the actor named `first` asks for or does."""
    return is_person(actor) and not is_same_person(actor, first)
