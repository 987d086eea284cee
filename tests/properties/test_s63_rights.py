"""S63: an administrator's rights agree with a simple model, over random trees, roles and grants."""

import itertools
from dataclasses import dataclass, replace

from hypothesis import assume, event, given
from hypothesis import strategies as st
from sqlalchemy import Connection

from sparekey.app.authorisation import actor_of, grants_of
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people.roles import HolderKind, grant
from sparekey.core.errors import NotAllowed, NotFound
from sparekey.core.permissions import PREDEFINED, Permission
from sparekey.storage.people import accounts, domain_tree, domains, roles
from tests.builders import NOW
from tests.properties.examples import few_examples

_numbers = itertools.count(1)


@dataclass(frozen=True)
class World:
    """Domains by number, 0 the top one; each grant is (user, role, domain)."""

    parents: list[int]  # of domain 1, 2, ...; the number of an earlier one
    moves: list[tuple[int, int]]
    own_roles: list[frozenset[Permission]]
    grants: list[tuple[int, int, int]]
    homes: tuple[int, int, int]  # the domain of each person

    def parent_of(self) -> dict[int, int]:
        """Return the parent after the moves; moves that would make a cycle are left out."""
        found = dict(enumerate(self.parents, 1))
        for domain, parent in self.moves:
            if domain in found and domain not in self.path(found, parent):
                found[domain] = parent
        return found

    @staticmethod
    def path(parents: dict[int, int], domain: int) -> list[int]:
        """The domain and all above it."""
        found = [domain]
        while found[-1] in parents:
            found.append(parents[found[-1]])
        return found

    def permissions(self, role: int) -> frozenset[Permission]:
        return [*PREDEFINED.values(), *self.own_roles][role]

    def may(self, who: int, permission: Permission, domain: int) -> bool:
        """The model: some grant to them, at the domain or above it, of a role with the permission."""
        above = self.path(self.parent_of(), domain)
        return any(
            whom == who and where in above and permission in self.permissions(role) for whom, role, where in self.grants
        )

    def rights(self, who: int) -> set[tuple[Permission, int]]:
        """Every permission in every domain where they have it."""
        everywhere = range(len(self.parents) + 1)
        return {(each, domain) for each in Permission for domain in everywhere if self.may(who, each, domain)}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 6))
    parents = [draw(st.integers(0, number)) for number in range(count)]
    moves = draw(st.lists(st.tuples(st.integers(1, count), st.integers(0, count)), max_size=3))
    own = draw(st.lists(st.frozensets(st.sampled_from(Permission), min_size=1, max_size=6), max_size=3))
    grant = st.tuples(st.integers(0, 2), st.integers(0, len(PREDEFINED) + len(own) - 1), st.integers(0, count))
    homes = draw(st.tuples(*[st.integers(0, count)] * 3))
    return World(parents, moves, own, draw(st.lists(grant, max_size=6, unique=True)), homes)


def own_names(ids: list[str], world: World) -> list[str]:
    """The names of the roles that `build` made together with these domains."""
    prefix = ids[1].partition("-")[0].replace("d", "r")
    return [f"{prefix}-{index}" for index in range(len(world.own_roles))]


def build(connection: Connection, world: World) -> tuple[list[str], list[str]]:
    """The ids of the domains and of three people."""
    number = next(_numbers)
    top = domains.find_domain(connection, TOP_DOMAIN)
    assert top is not None
    ids = [top.id]
    for index, parent in enumerate(world.parents, 1):
        ids.append(f"d{number}-{index}")
        domains.insert_domain(connection, ids[-1], ids[-1], ids[parent])
    for domain, parent in world.moves:
        if ids[parent] not in domains.domain_and_below(connection, ids[domain]):
            domain_tree.set_parent(connection, ids[domain], ids[parent])
    names = [*PREDEFINED, *(f"r{number}-{index}" for index in range(len(world.own_roles)))]
    for name, permissions in zip(names[len(PREDEFINED) :], world.own_roles, strict=True):
        roles.insert_role(connection, name, name, ",".join(permissions), NOW)
    people = [f"p{number}-{who}" for who in range(3)]
    for person, home in zip(people, world.homes, strict=True):
        accounts.insert_account(connection, person, person, person, ids[home], NOW)
    for index, (who, role, domain) in enumerate(world.grants):
        roles.insert_grant(connection, f"g{number}-{index}", names[role], people[who], ids[domain], NOW)
    return ids, people


@few_examples
@given(world=worlds())
def test_s63_rights_agree_with_the_model(shared_server: Instance, world: World) -> None:
    with shared_server.database.write() as connection:
        ids, people = build(connection, world)
        actors = [actor_of(connection, person) for person in people]
        held = [grants_of(connection, person) for person in people]
    for who, actor in enumerate(actors):
        for domain, domain_id in enumerate(ids):
            allowed = {permission for permission in Permission if actor.may(permission, domain_id)}
            assert allowed == {permission for permission in Permission if world.may(who, permission, domain)}
            assert actor.sees(domain_id) is bool(allowed)
            for permission in Permission:
                within = actor.domains_with(permission)
                assert (within is None or domain_id in within) is (permission in allowed)
            # objects without a domain need the permission at the top
            assert actor.may(Permission.POLICY_MANAGE, None) is world.may(who, Permission.POLICY_MANAGE, 0)
        for other in range(3):
            assert actor.covers(held[other]) is world.rights(who).issuperset(world.rights(other))


@few_examples
@given(world=worlds(), data=st.data())
def test_s63_a_grant_is_given_where_the_model_allows_it(
    shared_server: Instance, world: World, data: st.DataObject
) -> None:
    role = data.draw(st.integers(0, len(PREDEFINED) + len(world.own_roles) - 1))
    by, to = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2))
    domain = data.draw(st.integers(0, len(world.parents)))
    assume((to, role, domain) not in world.grants)
    with shared_server.database.write() as connection:
        ids, people = build(connection, world)
        actor = actor_of(connection, people[by])
        name = [*PREDEFINED, *own_names(ids, world)][role]
        where = domains.get_name(connection, ids[domain])
    after = replace(world, grants=[*world.grants, (to, role, domain)])
    allowed = (
        world.may(by, Permission.ROLE_MANAGE, domain)
        and world.may(by, Permission.ROLE_MANAGE, world.homes[to])
        and world.rights(by).issuperset(after.rights(to))
    )
    event(f"allowed: {allowed}")
    try:
        grant(shared_server, actor, name, HolderKind.USER, people[to], where, now=NOW)
    except (NotAllowed, NotFound):
        assert not allowed
    else:
        assert allowed
        with shared_server.database.read() as connection:
            now_has = actor_of(connection, people[to])
        for permission in Permission:
            for each, domain_id in enumerate(ids):
                assert now_has.may(permission, domain_id) is after.may(to, permission, each)
