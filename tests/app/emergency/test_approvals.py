"""S43: where policy says so, two operators show a passcode, once, within fifteen minutes, all in the audit log."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from sparekey.app.authorisation import scope_of
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.approvals import (
    ApprovalState,
    ApprovalView,
    approve,
    decide_in,
    list_approvals,
    refuse,
)
from sparekey.app.emergency.second_person import APPROVAL_SECONDS, ApprovalNeeded
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.lookup import get_domain
from sparekey.app.people.domains import add_domain
from sparekey.app.people.users import add_user
from sparekey.app.policies.policies import add_policy, assign_policy
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import Conflict, NotAllowed, NotFound
from sparekey.core.permissions import PREDEFINED, SUPER_ADMINISTRATOR, Actor, Grant, Permission
from sparekey.core.policy.kinds import PolicyKind
from tests.app.administrators import an_administrator
from tests.builders import (
    NOW,
    PIN,
    ROOT,
    Device,
    User,
    a_device,
    a_filled_device,
    a_user,
    edit_policy,
    granted,
    logged_events,
)
from tools.counts import Count

SUPER = Actor("user:super", (Grant(frozenset(Permission), None),))
ON = {"days": "1", "passcode_approval": "on"}
BADGE = Showing("badge", "in person", "T-1")


@pytest.fixture
def home(server: Instance) -> "Home":
    return Home(server)


class Home:
    """A server where a passcode needs approval, a user whose device holds one, two operators."""

    def __init__(self, server: Instance, login: str = "") -> None:
        edit_policy(server, ON)
        self.server = server
        self.user = a_user(server, login)
        self.device = a_filled_device(server, self.user, "laptop")
        self.alice = an_operator(server, "operator-alice", "help desk")
        self.bob = an_operator(server, "operator-bob", "domain administrator")

    def show(self, actor: Actor | None = None, now: int = NOW, showing: Showing = BADGE) -> str:
        shown = emergency.show(
            self.server,
            actor or self.alice,
            CodeKind.PASSCODE,
            self.user.login,
            self.device.device_id,
            showing,
            now=now,
        )
        return shown.code.reveal()

    def asks(self, actor: Actor | None = None, now: int = NOW, showing: Showing = BADGE) -> str:
        """The id of the request that waits after that."""
        with pytest.raises(ApprovalNeeded) as told:
            self.show(actor, now, showing)
        (waiting,) = self.waiting(actor or self.alice, now)
        assert waiting.id in told.value.message
        assert waiting.id in told.value.do
        return waiting.id

    def waiting(self, actor: Actor, now: int = NOW) -> list[ApprovalView]:
        """Return this operator's undecided requests."""
        views = self.listed(ROOT, now)
        return [view for view in views if view.state is ApprovalState.WAITING and view.asked_by == actor.name]

    def listed(self, actor: Actor, now: int = NOW) -> list[ApprovalView]:
        return list_approvals(self.server, actor, now=now)

    def approved(self, actor: Actor | None = None, now: int = NOW) -> str:
        request = self.asks(actor, now)
        approve(self.server, self.bob, request, now=now)
        return request


def an_operator(server: Instance, login: str, role: str, domain: str = TOP_DOMAIN) -> Actor:
    """An administrator with this predefined role in this domain."""
    account_id = add_user(server, ROOT, login, domain, now=NOW)
    with server.database.read() as connection:
        domain_id = get_domain(connection, ROOT, domain, Permission.DOMAIN_VIEW).id
        grant = Grant(PREDEFINED[role], scope_of(connection, domain_id))
    return Actor(f"user:{account_id}", (grant,), account_id)


def test_s43_nothing_is_shown_before_an_approval(home: Home) -> None:
    request = home.asks()
    assert logged_events(home.server, Action.EMERGENCY_SHOWN) == []
    (view,) = home.listed(home.bob)
    assert (view.id, view.state, view.user, view.device) == (request, ApprovalState.WAITING, home.user.login, "laptop")
    assert (view.caller, view.note, view.ticket, view.asked_by) == ("badge", "in person", "T-1", home.alice.name)
    assert home.asks(now=NOW + 60) == request  # to ask again makes no second request
    done = approve(home.server, home.bob, request, now=NOW + 60)
    assert (done.state, done.decided_by) == (ApprovalState.APPROVED, home.bob.name)
    assert len(home.show(now=NOW + 61)) == 15


def test_s43_an_approved_code_is_shown_once(home: Home) -> None:
    request = home.approved()
    home.show()
    assert [view.state for view in home.listed(home.bob)] == [ApprovalState.USED]
    assert home.asks(now=NOW + 1) != request


def test_s43_operators_cannot_approve_their_own_requests(home: Home) -> None:
    for actor in (home.bob, ROOT):
        request = home.asks(actor)
        for decide in (approve, refuse):
            with pytest.raises(NotAllowed, match="own request"):
                decide(home.server, actor, request, now=NOW)
        home.asks(actor)


def test_s43_two_names_of_the_operating_system_are_one_person(home: Home) -> None:
    request = home.asks(Actor.of_system("os:alice"))
    with pytest.raises(NotAllowed, match="own request"):
        approve(home.server, Actor.of_system("os:bob"), request, now=NOW)
    approve(home.server, home.bob, request, now=NOW)
    home.show(Actor.of_system("os:alice"))


def test_s43_root_and_a_user_are_two_people(home: Home) -> None:
    approve(home.server, ROOT, home.asks(), now=NOW)
    home.show()


def test_s43_a_program_cannot_approve(home: Home) -> None:
    program = Actor("client:c", (Grant(frozenset(Permission), None),))
    with pytest.raises(NotAllowed):
        approve(home.server, program, home.asks(), now=NOW)


def test_s43_a_program_cannot_request_approval(home: Home) -> None:
    # else who holds its key would ask with it, and approve as themselves
    program = Actor("client:c", (Grant(frozenset(Permission), None),))
    with pytest.raises(NotAllowed, match="only a person"):
        home.show(program)
    assert list_approvals(home.server, ROOT, now=NOW) == []


def test_s43_an_approval_is_for_the_operator_who_asked(home: Home) -> None:
    home.approved()
    carol = an_operator(home.server, "operator-carol", "help desk")
    home.asks(carol)
    home.asks(home.bob)
    home.show()


def test_s43_an_approval_is_for_this_user_and_this_device(home: Home) -> None:
    home.approved()
    other = a_user(home.server)
    granted(home.device.sign_in(other, NOW + 30).outcome)
    home.device.contact(other, NOW + 30)
    tower = a_device(home.server, "tower")
    granted(tower.sign_in(home.user, NOW + 60).outcome)
    tower.contact(home.user, NOW + 60)
    for user, device in ((other, home.device), (home.user, tower)):
        with pytest.raises(ApprovalNeeded):
            _show_on(home, user, device)
    _show_on(home, home.user, home.device)


def _show_on(home: Home, user: User, device: Device) -> None:
    emergency.show(home.server, home.alice, CodeKind.PASSCODE, user.login, device.device_id, BADGE, now=NOW + 90)


def test_s43_a_list_names_each_requester_and_possible_approvers(home: Home) -> None:
    """As `approve` itself decides: a console offers no button that is refused."""
    add_domain(home.server, ROOT, "Elsewhere", now=NOW)
    above, _ = an_administrator(home.server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    tower = a_filled_device(home.server, above, "tower", now=NOW + 30)
    home.asks(ROOT)
    refuse(home.server, home.bob, home.asks(), now=NOW)
    home.asks()
    home.asks(home.bob)
    for actor in (SUPER, ROOT):
        with pytest.raises(ApprovalNeeded):
            emergency.show(home.server, actor, CodeKind.PASSCODE, above.login, tower.device_id, BADGE, now=NOW + 30)
    expected: dict[str, tuple[int, int]] = {}
    readers = {
        "alice": home.alice,
        "bob": home.bob,
        "root": ROOT,
        "another root": Actor.of_system("os:somebody"),
        "super": SUPER,
        "program": Actor("client:c", (Grant(frozenset(Permission), None),)),
        "stranger": an_operator(home.server, "stranger", "domain administrator", "Elsewhere"),
    }
    for name, actor in readers.items():
        views = home.listed(actor, NOW + 60)
        for view in views:
            assert view.decidable is _decides(home, actor, view.id), (name, view)
        expected[name] = (sum(view.yours for view in views), sum(view.decidable for view in views))
    assert expected == {
        "alice": (2, 0),
        "bob": (1, 2),
        "root": (2, 3),
        "another root": (2, 3),
        "super": (1, 4),
        "program": (0, 0),
        "stranger": (0, 0),
    }


def _decides(home: Home, actor: Actor, request: str) -> bool:
    """Return True if this actor may approve the request, without a change."""
    try:
        with home.server.database.write() as connection, connection.begin_nested() as taken_back:
            decide_in(connection, actor, request, approved=True, now=NOW + 60)
            taken_back.rollback()
    except (NotAllowed, NotFound, Conflict):
        return False
    return True


def test_requests_come_page_by_page(any_server: Instance) -> None:
    home = Home(any_server)
    made = []
    for number in range(7):
        made.append(home.asks(now=NOW + number // 3))
        refuse(any_server, home.bob, made[-1], now=NOW + number // 3)
    whole = [view.id for view in home.listed(home.bob, NOW + 60)]
    assert sorted(whole) == sorted(made)
    found: list[str] = []
    while page := list_approvals(any_server, home.bob, 2, found[-1] if found else "", now=NOW + 60):
        found += [view.id for view in page]
    assert found == whole
    assert list_approvals(any_server, home.bob, 2, "nothing", now=NOW + 60) == []


def test_root_alone_is_told_to_create_an_administrator(server: Instance) -> None:
    edit_policy(server, ON)
    user = a_user(server)
    a_filled_device(server, user)

    def told(now: int) -> str:
        with pytest.raises(ApprovalNeeded) as needed:
            emergency.show(server, ROOT, CodeKind.PASSCODE, user.login, None, BADGE, now=now)
        return needed.value.do

    for second in range(2):  # when it is asked for, and while it waits
        assert "make an administrator first" in told(NOW + second)
        assert "`sparekey admin link`" in told(NOW + second)
    add_domain(server, ROOT, "Elsewhere", now=NOW)
    an_administrator(server, ("domain administrator", "Elsewhere"))
    assert "make an administrator first" in told(NOW + 2)
    an_administrator(server, ("domain administrator", TOP_DOMAIN))
    assert told(NOW + 3).startswith("ask another person to approve request")


def test_s43_a_request_is_good_for_fifteen_minutes(home: Home) -> None:
    late = home.asks()
    with pytest.raises(Conflict, match="expired"):
        approve(home.server, home.bob, late, now=NOW + APPROVAL_SECONDS)
    assert home.asks(now=NOW + APPROVAL_SECONDS) != late
    home.approved(ROOT)
    with pytest.raises(ApprovalNeeded):
        home.show(ROOT, now=NOW + APPROVAL_SECONDS)


def test_s43_a_denied_request_shows_nothing_and_is_decided_once(home: Home) -> None:
    request = home.asks()
    refuse(home.server, home.bob, request, now=NOW)
    for decide in (approve, refuse):
        with pytest.raises(Conflict, match="already refused"):
            decide(home.server, ROOT, request, now=NOW)
    with pytest.raises(ApprovalNeeded, match="the previous request was refused"):
        home.show()


def test_s43_approving_needs_the_permission_in_the_user_s_domain(home: Home) -> None:
    add_domain(home.server, ROOT, "Elsewhere", now=NOW)
    request = home.asks()
    carol = an_operator(home.server, "operator-carol", "help desk")
    with pytest.raises(NotAllowed, match=r"emergency\.approve"):
        approve(home.server, carol, request, now=NOW)
    stranger = an_operator(home.server, "stranger", "domain administrator", "Elsewhere")
    for decide in (approve, refuse):
        with pytest.raises(NotFound):
            decide(home.server, stranger, request, now=NOW)
    with pytest.raises(NotFound):
        approve(home.server, home.bob, "nothing", now=NOW)
    assert home.listed(carol) == home.listed(stranger) == []
    assert [view.id for view in home.listed(home.bob)] == [request]
    assert [view.id for view in home.listed(home.alice)] == [request]  # one's own


@pytest.mark.parametrize("strict_side", ["user", "device"])
def test_s43_the_stricter_of_user_s_and_device_s_policy_is_in_force(server: Instance, strict_side: str) -> None:
    add_domain(server, ROOT, "Strict", now=NOW)
    add_policy(server, ROOT, PolicyKind.OFFLINE, "Two people", ON, now=NOW)
    assign_policy(server, ROOT, PolicyKind.OFFLINE, "Two people", "Strict", now=NOW)
    user = a_user(server, domain="Strict" if strict_side == "user" else TOP_DOMAIN)
    device = a_device(server, domain="Strict" if strict_side == "device" else TOP_DOMAIN)
    granted(device.sign_in(user, NOW).outcome)
    device.contact(user, NOW)
    with pytest.raises(ApprovalNeeded):
        emergency.show(server, ROOT, CodeKind.PASSCODE, user.login, None, BADGE, now=NOW)


def test_a_tokencode_and_a_passcode_without_that_policy_are_shown_by_one_person(home: Home) -> None:
    user = a_user(home.server, pin=PIN)
    a_filled_device(home.server, user)
    emergency.show(home.server, home.alice, CodeKind.TOKENCODE, user.serial, None, BADGE, now=NOW)
    with pytest.raises(ApprovalNeeded):
        edit_policy(home.server, {"passcode_approval": "off"})
    (waiting,) = home.waiting(ROOT)
    approve(home.server, home.bob, waiting.id, now=NOW)
    edit_policy(home.server, {"passcode_approval": "off"})
    home.show()


def test_s43_the_shown_code_is_the_one_that_was_approved(home: Home) -> None:
    home.approved()
    home.show(showing=Showing("somebody I do not know"))
    (shown,) = logged_events(home.server, Action.EMERGENCY_SHOWN)
    assert json.loads(shown.detail)["caller"] == "badge"


def test_s43_each_step_is_logged(home: Home) -> None:
    request = home.approved()
    home.show()
    second = home.asks()
    refuse(home.server, home.bob, second, now=NOW)
    asked, again = logged_events(home.server, Action.APPROVAL_ASKED)
    (given,) = logged_events(home.server, Action.APPROVAL_GIVEN)
    (refused,) = logged_events(home.server, Action.APPROVAL_REFUSED)
    (shown,) = logged_events(home.server, Action.EMERGENCY_SHOWN)
    for row, actor in ((asked, home.alice), (given, home.bob), (refused, home.bob), (again, home.alice)):
        assert (row.actor, row.account_id, row.device_id) == (actor.name, home.user.account_id, home.device.device_id)
    assert [json.loads(row.detail)["approval"] for row in (asked, given, again, refused)] == [
        request,
        request,
        second,
        second,
    ]
    detail = json.loads(shown.detail)
    assert (shown.actor, detail["approval"], detail["approved_by"]) == (home.alice.name, request, home.bob.name)
    actions = [row.action for row in emergency.history(home.server, ROOT, CodeKind.PASSCODE, home.user.login)]
    assert actions == ["approval.refused", "approval.asked", "emergency.shown", "approval.given", "approval.asked"]


def test_s43_an_action_that_cannot_be_logged_does_not_happen(home: Home) -> None:
    request = home.asks()
    with _full_audit_log(home.server), pytest.raises(Exception, match="no room"):
        approve(home.server, home.bob, request, now=NOW)
    assert home.listed(home.bob)[0].state is ApprovalState.WAITING
    approve(home.server, home.bob, request, now=NOW)
    with _full_audit_log(home.server), pytest.raises(Exception, match="no room"):
        home.show()
    home.show()  # the approval was not used up


class _full_audit_log:  # noqa: N801 -- reads as a function
    """A context in which no event can be added to the audit log (SQLite)."""

    def __init__(self, server: Instance) -> None:
        self._server = server

    def __enter__(self) -> None:
        self._run("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END")

    def __exit__(self, *_: object) -> None:
        self._run("DROP TRIGGER full")

    def _run(self, statement: str) -> None:
        with self._server.database.write() as connection:
            connection.execute(text(statement))


def at_once(number: int, act: Callable[[], str]) -> list[str]:
    """Run `act` many times at once; return the results, "" for refusals."""
    start = threading.Barrier(number)

    def one(_: int) -> str:
        start.wait(timeout=60)
        try:
            return act()
        except (ApprovalNeeded, Conflict):
            return ""

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def test_s43_of_several_executions_at_once_one_is_shown_the_code(any_server: Instance, count: Count) -> None:
    home = Home(any_server)
    edit_policy(any_server, {"showings_warn": "1000", "showings_limit": "1000"})
    for number in range(count(small=5, full=100)):
        now = NOW + number
        home.approved(now=now)
        shown = at_once(8, lambda now=now: home.show(now=now))  # type: ignore[misc]
        assert sum(map(bool, shown)) == 1
        # the others made a new request, together one: deny it, so that the next round begins without requests
        (waiting,) = home.waiting(home.alice, now)
        refuse(any_server, home.bob, waiting.id, now=now)


def test_s43_of_an_approval_and_a_denial_at_once_one_counts(any_server: Instance) -> None:
    home = Home(any_server)
    carol = an_operator(any_server, "operator-carol", "domain administrator")
    for number in range(5):
        request = home.asks(now=NOW + number)
        ways = iter([(approve, home.bob), (refuse, carol)] * 4)

        def decide(now: int = NOW + number, request: str = request, ways: object = ways) -> str:
            way, actor = next(ways)  # type: ignore[call-overload] # an iterator
            return str(way(any_server, actor, request, now=now).state)

        assert sum(map(bool, at_once(8, decide))) == 1
        decided = [
            *logged_events(any_server, Action.APPROVAL_GIVEN),
            *logged_events(any_server, Action.APPROVAL_REFUSED),
        ]
        assert len(decided) == number + 1
        if home.listed(home.bob, NOW + number)[0].state is ApprovalState.APPROVED:
            home.show(now=NOW + number)
