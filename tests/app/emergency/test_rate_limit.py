"""An operator who shows many codes within an hour is warned, then stopped. An administrator can raise the limit."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sparekey.app.audit_log.alarms import list_alarms
from sparekey.app.authorisation import scope_of
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency import rate_limit
from sparekey.app.emergency.online import Terms, end, give_fixed
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.lookup import get_domain
from sparekey.app.people import roles
from sparekey.app.people.domains import add_domain
from sparekey.app.people.users import add_user, set_enabled
from sparekey.app.tokens.life_cycle import remove
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import BadInput, NotAllowed, NotFound
from sparekey.core.permissions import PREDEFINED, Actor, Grant, Permission
from sparekey.storage.emergency.rate_limit import insert_showing, shown_since
from tests.app.administrators import an_administrator
from tests.builders import CALLED_BACK, NOW, PIN, ROOT, User, a_filled_device, a_user, edit_policy, logged_events

HOUR = 3_600
FEW = {"showings_warn": "2", "showings_limit": "4"}
CHIEF = "domain administrator"


def an_operator(server: Instance, login: str, role: str = CHIEF, domain: str = TOP_DOMAIN) -> Actor:
    account_id = add_user(server, ROOT, login, domain, now=NOW)
    with server.database.read() as connection:
        domain_id = get_domain(connection, ROOT, domain, Permission.DOMAIN_VIEW).id
        grant = Grant(PREDEFINED[role], scope_of(connection, domain_id))
    return Actor(f"user:{account_id}", (grant,), account_id)


def a_caller(server: Instance) -> User:
    user = a_user(server, pin=PIN)
    a_filled_device(server, user)
    return user


def show(server: Instance, actor: Actor, user: User, now: int) -> str:
    """Show a code, and return the operator's warning."""
    return emergency.show(server, actor, CodeKind.TOKENCODE, user.serial, None, Showing("badge"), now=now).warning


def test_an_operator_is_warned_above_one_limit_and_stopped_at_another(
    any_server: Instance,
) -> None:
    edit_policy(any_server, FEW)
    user, alice, bob = a_caller(any_server), an_operator(any_server, "alice"), an_operator(any_server, "bob")
    warnings = [show(any_server, alice, user, NOW + number) for number in range(4)]
    assert warnings[:2] == ["", ""]
    assert all("more than 2" in warning and "limit is 4" in warning for warning in warnings[2:])
    (alarm,) = logged_events(any_server, Action.ALARM_OPERATOR_BUSY)
    assert (alarm.actor, alarm.account_id, json.loads(alarm.detail)) == (
        alice.name,
        alice.account_id,
        {"operator": alice.name},
    )
    for now in (NOW + 4, NOW + HOUR - 1):
        with pytest.raises(NotAllowed, match="4 emergency codes within an hour") as told:
            show(any_server, alice, user, now)
        assert "operator lift" in told.value.do
    assert len(logged_events(any_server, Action.EMERGENCY_SHOWN)) == 4
    assert len(logged_events(any_server, Action.ALARM_OPERATOR_STOPPED)) == 2
    stopped, busy = list_alarms(any_server, ROOT)
    assert (stopped.action, stopped.times, busy.action) == ("alarm.operator-stopped", 2, "alarm.operator-busy")
    assert show(any_server, bob, user, NOW + 4) == ""  # each operator for themselves
    show(any_server, alice, user, NOW + HOUR)  # the first one is an hour old
    with pytest.raises(NotAllowed):
        show(any_server, alice, user, NOW + HOUR)


def test_online_emergency_access_counts_too(server: Instance) -> None:
    edit_policy(server, FEW)
    user = a_caller(server)
    for _ in range(3):
        show(server, ROOT, user, NOW)
    given = give_fixed(server, ROOT, user.serial, Terms(), CALLED_BACK, now=NOW)
    assert "more than 2" in given.warning
    with pytest.raises(NotAllowed, match="4 emergency codes"):
        give_fixed(server, ROOT, user.serial, Terms(), CALLED_BACK, now=NOW)
    with pytest.raises(NotAllowed, match="4 emergency codes"):
        show(server, ROOT, user, NOW)


def test_every_shown_code_counts(any_server: Instance) -> None:
    edit_policy(any_server, FEW)
    alice = an_operator(any_server, "alice")
    for number in range(4):
        user = a_user(any_server, pin=PIN)
        give_fixed(any_server, alice, user.serial, Terms(), CALLED_BACK, now=NOW + number)
        if number % 2:
            end(any_server, alice, user.serial, now=NOW + number)
        else:
            remove(any_server, alice, user.serial, assigned_too=True, now=NOW + number)
    with pytest.raises(NotAllowed, match="4 emergency codes"):
        give_fixed(any_server, alice, a_user(any_server, pin=PIN).serial, Terms(), CALLED_BACK, now=NOW + 4)
    with any_server.database.read() as connection:
        times = shown_since(connection, alice.name, 0)
    assert sorted(times) == [NOW + number for number in range(4)]
    give_fixed(any_server, alice, a_user(any_server, pin=PIN).serial, Terms(), CALLED_BACK, now=NOW + HOUR + 3)
    with any_server.database.read() as connection:
        assert list(shown_since(connection, alice.name, 0)) == [NOW + HOUR + 3]  # the others are forgotten


def test_another_administrator_raises_an_operator_s_limit_for_a_while(server: Instance) -> None:
    edit_policy(server, FEW)
    user, alice = a_caller(server), an_operator(server, "alice")
    for _ in range(4):
        show(server, alice, user, NOW)
    lift = rate_limit.lift(server, ROOT, "alice", 2, now=NOW)
    assert lift == rate_limit.Lift(alice.name, NOW + 2 * HOUR)
    (row,) = logged_events(server, Action.OPERATOR_LIFTED)
    assert (row.actor, row.account_id, json.loads(row.detail)) == (
        "os:root",
        alice.account_id,
        {"operator": alice.name, "until": NOW + 2 * HOUR},
    )
    for _ in range(6):
        show(server, alice, user, NOW + 2 * HOUR - 1)
    with pytest.raises(NotAllowed):
        show(server, alice, user, NOW + 2 * HOUR)


def test_a_list_counts_codes_per_operator_and_shows_raised_limits(server: Instance) -> None:
    add_domain(server, ROOT, "Elsewhere", now=NOW)
    user, alice = a_caller(server), an_operator(server, "alice")
    stranger = an_operator(server, "stranger", CHIEF, "Elsewhere")
    for actor, now in ((ROOT, NOW - HOUR), (ROOT, NOW), (alice, NOW), (alice, NOW)):
        show(server, actor, user, now)
    rate_limit.lift(server, ROOT, "stranger", 1, now=NOW)
    listed = rate_limit.list_operators(server, ROOT, now=NOW)
    assert not listed.cut
    assert [(view.operator, view.name, view.shown, view.lifted_until) for view in listed.items] == [
        (alice.name, "alice", 2, None),
        ("os:root", "os:root", 1, None),
        (stranger.name, "stranger", 0, NOW + HOUR),
    ]
    assert [view.name for view in rate_limit.list_operators(server, stranger, now=NOW).items] == ["stranger"]
    with pytest.raises(NotAllowed):
        rate_limit.list_operators(server, an_operator(server, "helper", "help desk"), now=NOW)


def test_a_list_that_is_too_long_reports_its_cut(server: Instance) -> None:
    with server.database.write() as connection:
        for number in range(rate_limit.MOST_LISTED + 1):
            insert_showing(connection, f"{number:032x}", f"client:{number}", NOW, 0)
        insert_showing(connection, "busy", f"client:{rate_limit.MOST_LISTED}", NOW, 0)
    listed = rate_limit.list_operators(server, ROOT, now=NOW)
    assert (len(listed.items), listed.cut) == (rate_limit.MOST_LISTED, True)
    assert (listed.items[0].operator, listed.items[0].shown) == (f"client:{rate_limit.MOST_LISTED}", 2)


def test_s42_a_number_that_is_lowered_within_the_hour_raises_its_alarm(any_server: Instance) -> None:
    user, alice = a_caller(any_server), an_operator(any_server, "alice")
    edit_policy(any_server, {"showings_warn": "9", "showings_limit": "20"})
    assert [show(any_server, alice, user, NOW) for _ in range(4)] == [""] * 4
    edit_policy(any_server, {"showings_warn": "2"})
    for second in range(3):
        assert "more than 2" in show(any_server, alice, user, NOW + second)
    assert len(logged_events(any_server, Action.ALARM_OPERATOR_BUSY)) == 1


def test_root_alone_is_told_to_create_an_administrator(server: Instance) -> None:
    edit_policy(server, {"showings_warn": "1", "showings_limit": "1"})
    user = a_caller(server)
    show(server, ROOT, user, NOW)

    def told(actor: Actor) -> str:
        with pytest.raises(NotAllowed, match="1 emergency code within") as stopped:
            show(server, actor, user, NOW)
        return stopped.value.do

    assert "make an administrator first" in told(ROOT)
    assert "`sparekey admin link`" in told(ROOT)
    add_domain(server, ROOT, "Elsewhere", now=NOW)
    an_administrator(server, ("help desk", TOP_DOMAIN))  # may not lift
    an_administrator(server, (CHIEF, "Elsewhere"))  # may not lift root's limit
    unable, _ = an_administrator(server, (CHIEF, TOP_DOMAIN))  # cannot sign in
    set_enabled(server, ROOT, unable.login, enabled=False, now=NOW)
    assert "make an administrator first" in told(ROOT)
    alone = an_operator(server, "alone")
    show(server, alone, user, NOW)
    assert "make an administrator" not in told(alone)  # root is there
    roles.add_role(server, ROOT, "lifter", ["operator.lift"], now=NOW)
    an_administrator(server, ("lifter", TOP_DOMAIN))
    assert told(ROOT).startswith("in an outage, ask another person")


def test_operators_cannot_raise_their_own_limit(server: Instance) -> None:
    alice = an_operator(server, "alice")
    for actor, name in ((alice, "alice"), (ROOT, "os:root"), (ROOT, "os:another")):
        with pytest.raises(NotAllowed, match="cannot lift your own limit"):
            rate_limit.lift(server, actor, name, now=NOW)
    rate_limit.lift(server, an_operator(server, "bob"), "alice", now=NOW)
    rate_limit.lift(server, an_operator(server, "carol"), "os:root", now=NOW)
    assert len(logged_events(server, Action.OPERATOR_LIFTED)) == 2


def test_raising_a_limit_needs_its_permission(server: Instance) -> None:
    add_domain(server, ROOT, "Elsewhere", now=NOW)
    an_operator(server, "alice")
    helper = an_operator(server, "helper", "help desk")
    stranger = an_operator(server, "stranger", CHIEF, "Elsewhere")
    with pytest.raises(NotAllowed, match=r"operator\.lift"):
        rate_limit.lift(server, helper, "alice", now=NOW)
    with pytest.raises(NotFound):
        rate_limit.lift(server, stranger, "alice", now=NOW)
    with pytest.raises(NotAllowed, match="in all security domains"):
        rate_limit.lift(server, stranger, "os:root", now=NOW)
    with pytest.raises(NotFound):
        rate_limit.lift(server, ROOT, "nobody", now=NOW)
    for hours in (0, -1, 25):
        with pytest.raises(BadInput):
            rate_limit.lift(server, ROOT, "alice", hours, now=NOW)


def test_of_many_requests_at_once_no_more_than_the_limit_are_shown(any_server: Instance) -> None:
    edit_policy(any_server, {"showings_warn": "2", "showings_limit": "5"})
    users = [a_caller(any_server) for _ in range(4)]
    start = threading.Barrier(16)

    def one(number: int) -> bool:
        start.wait(timeout=60)
        try:
            show(any_server, ROOT, users[number % len(users)], NOW)
        except NotAllowed:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(one, range(16))) == 5
    assert len(logged_events(any_server, Action.EMERGENCY_SHOWN)) == 5
    assert len(logged_events(any_server, Action.ALARM_OPERATOR_BUSY)) == 1


def test_a_refusal_for_another_reason_counts_no_code(server: Instance) -> None:
    edit_policy(server, {"showings_warn": "1", "showings_limit": "1"})
    user = a_user(server)
    for _ in range(3):
        with pytest.raises(NotAllowed, match="no device holds"):
            show(server, ROOT, user, NOW)
    show(server, ROOT, a_caller(server), NOW)
