"""A server with a small tree of domains, people in it, administrators with roles, devices that hold all."""

from sparekey.app.authorisation import actor_of
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.domains import add_domain
from sparekey.app.people.roles import HolderKind
from sparekey.core.permissions import Actor
from tests.builders import NOW, PIN, ROOT, Device, User, a_device, a_user, granted

# Sales and Support are beside one another; Bern is below Sales.
TREE = {"Sales": TOP_DOMAIN, "Bern": "Sales", "Support": TOP_DOMAIN}


def add_tree(server: Instance) -> None:
    for name, parent in TREE.items():
        add_domain(server, ROOT, name, parent, now=NOW)


def an_administrator(
    server: Instance, *granted: tuple[str, str], login: str = "", domain: str = TOP_DOMAIN
) -> tuple[User, Actor]:
    """A user with a token and these roles, each (role, domain); and the same as an actor."""
    user = a_user(server, login, pin=PIN, domain=domain)
    for role, where in granted:
        roles.grant(server, ROOT, role, HolderKind.USER, user.login, where, now=NOW)
    return user, actor_again(server, user)


def actor_again(server: Instance, user: User) -> Actor:
    """Return the actor with the user's current rights."""
    with server.database.read() as connection:
        return actor_of(connection, user.account_id)


def a_full_device(server: Instance, user: User, name: str = "") -> Device:
    """A device that holds everything that it may."""
    device = a_device(server, name)
    granted(device.sign_in(user, NOW).outcome)
    said = device.sync_of(user, NOW)
    for unit in said.wanted:
        device.hold(user, unit, said, NOW)
    return device
