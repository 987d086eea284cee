"""Simultaneous changes of administration: the invariants hold afterwards, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

from sparekey.app.devices import devices
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import domains, roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import SparekeyError
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Permission
from tests.app.administrators import actor_again, add_tree, an_administrator
from tests.builders import NOW, ROOT, a_device, logged_events

ROUNDS = 8


def at_once(*changes: Callable[[], object]) -> list[bool]:
    """Run the changes at once; return whether each was made."""
    start = Barrier(len(changes))

    def run(change: Callable[[], object]) -> bool:
        start.wait(timeout=30)
        try:
            change()
        except SparekeyError:
            return False
        return True

    with ThreadPoolExecutor(len(changes)) as pool:
        return [*pool.map(run, changes)]


def test_s63_two_super_administrators_cannot_be_removed_at_once(any_server: Instance) -> None:
    first, second = (an_administrator(any_server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))[0] for _ in range(2))
    for _ in range(ROUNDS):
        done = at_once(
            lambda: users.set_enabled(any_server, ROOT, first.login, enabled=False, now=NOW),
            lambda: roles.revoke(
                any_server, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, second.login, TOP_DOMAIN, now=NOW
            ),
        )
        assert sorted(done) == [False, True]
        left = [user for user in (first, second) if actor_again(any_server, user).may(Permission.ROLE_MANAGE, None)]
        assert any(users.show_user(any_server, ROOT, user.login).enabled for user in left)
        users.set_enabled(any_server, ROOT, first.login, enabled=True, now=NOW)
        if second not in left:
            roles.grant(any_server, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, second.login, TOP_DOMAIN, now=NOW)


def test_two_moves_at_once_make_no_circle(any_server: Instance) -> None:
    add_tree(any_server)
    for _ in range(ROUNDS):
        done = at_once(
            lambda: domains.move_domain(any_server, ROOT, "Sales", "Support", now=NOW),
            lambda: domains.move_domain(any_server, ROOT, "Support", "Bern", now=NOW),
        )
        assert sorted(done) == [False, True]
        assert {each.name for each in domains.list_domains(any_server, ROOT)} == {
            TOP_DOMAIN,
            "Sales",
            "Bern",
            "Support",
        }
        domains.move_domain(any_server, ROOT, "Sales" if done[0] else "Support", TOP_DOMAIN, now=NOW)


def test_a_role_is_not_granted_while_it_goes(any_server: Instance) -> None:
    user, _ = an_administrator(any_server)
    for _ in range(ROUNDS):
        roles.add_role(any_server, ROOT, "desk", ["user.view"], now=NOW)
        at_once(
            lambda: roles.remove_role(any_server, ROOT, "desk", now=NOW),
            lambda: roles.grant(any_server, ROOT, "desk", HolderKind.USER, user.login, TOP_DOMAIN, now=NOW),
        )
        granted = roles.list_grants(any_server, ROOT).items
        names = {each.name for each in roles.list_roles(any_server, ROOT)}
        # either it was granted and stays, or it was removed while no user held it
        assert [each.role for each in granted] == (["desk"] if "desk" in names else [])
        if "desk" in names:
            roles.revoke(any_server, ROOT, "desk", HolderKind.USER, user.login, TOP_DOMAIN, now=NOW)
            roles.remove_role(any_server, ROOT, "desk", now=NOW)


def test_a_device_is_revoked_once_with_one_notice(any_server: Instance) -> None:
    for number in range(1, ROUNDS + 1):
        laptop = a_device(any_server)
        one = partial(devices.revoke, any_server, ROOT, laptop.device_id, now=NOW)
        several = partial(devices.revoke_at_once, any_server, ROOT, [laptop.device_id], now=NOW)
        assert at_once(several, several, one) == [True] * 3
        assert len(logged_events(any_server, Action.DEVICE_REVOKED)) == number
