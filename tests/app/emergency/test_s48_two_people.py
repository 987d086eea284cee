"""S48: where policy asks for two people, no acts of one operator replace both factors of a user."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from sqlalchemy import func, select

from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.approvals import approve, in_words, list_approvals
from sparekey.app.emergency.online import Terms
from sparekey.app.emergency.second_person import ApprovalNeeded
from sparekey.app.instance import DEFAULT_POLICY, TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.admin_links import make_link
from sparekey.app.people.domains import add_domain
from sparekey.app.people.roles import HolderKind
from sparekey.app.people.users import NEVER, UserEdit, add_user, edit_user, move_user, unlock
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.policies.policies import add_policy, assign_policy, make_default, remove_policy, set_fields
from sparekey.app.sign_in.challenge_answers import answer_challenge
from sparekey.app.sign_in.verification import sign_in
from sparekey.app.tokens.life_cycle import assign, replace
from sparekey.app.tokens.tokens import (
    NewToken,
    add_token,
    clear_pin,
    set_enabled,
    set_expiry,
    set_lost,
    set_pin,
)
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.acts import MOST_UNLOCKS
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import NotAllowed, SparekeyError
from sparekey.core.permissions import Actor, Grant, Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.sign_in.outcome import Asked
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from sparekey.storage.tables import outbox
from tests.builders import (
    CALLED_BACK,
    DAY,
    NOW,
    REST,
    ROOT,
    User,
    a_device,
    a_filled_device,
    a_user,
    denied,
    edit_policy,
    granted,
    logged_events,
    set_mail,
    submit,
    token_row,
)
from tests.token_stock import a_stocked_token

OWN_PIN, OPERATORS_PIN, CHANGED_PIN = "own98765", "desk1357", "bert1357"
TWO = {"passcode_approval": "on"}
LATER = NOW + 600  # the acts begin


class Place:
    """A server with two people, a domain "Plain" without, and users whose factors are their own."""

    def __init__(self, server: Instance) -> None:
        self.server = server
        add_domain(server, ROOT, "Plain", now=NOW)
        add_policy(server, ROOT, PolicyKind.OFFLINE, "One person", {"days": "1"}, now=NOW)
        assign_policy(server, ROOT, PolicyKind.OFFLINE, "One person", "Plain", now=NOW)
        edit_policy(server, TWO | {"showings_limit": "1000", "showings_warn": "1000"})
        self.anna, self.bert = self.operator("anna"), self.operator("bert")

    def operator(self, login: str) -> Actor:
        account_id = add_user(self.server, ROOT, login, TOP_DOMAIN, now=NOW)
        return Actor(f"user:{account_id}", (Grant(frozenset(Permission), None),), account_id)

    def user(self) -> User:
        """A user whom root enrolled, with a PIN of their own, and a device that holds an emergency code."""
        user = a_user(self.server, pin=OWN_PIN)
        device = a_filled_device(self.server, user)
        assert device.held
        return user

    def enrolled_by(self, operator: Actor) -> User:
        """A user whose only token this operator added."""
        login = f"enrolled{operator.account_id}"
        account_id = add_user(self.server, operator, login, TOP_DOMAIN, now=NOW)
        added = add_token(self.server, operator, login, NewToken(), now=NOW)
        set_pin(self.server, operator, added.serial, Secret(OWN_PIN), now=NOW)
        assert isinstance(added.otp, Totp)
        token_id = token_row(self.server, added.serial).id
        user = User(login, account_id, added.serial, token_id, added.otp, OWN_PIN)
        granted(submit(self.server, user, NOW))
        return user

    def approve(self, operator: Actor, by: Actor, now: int) -> None:
        waiting = [view for view in list_approvals(self.server, by, now=now) if view.asked_by == operator.name]
        approve(self.server, by, waiting[0].id, now=now)


@pytest.fixture
def place(server: Instance) -> Place:
    return Place(server)


@dataclass(frozen=True)
class Act:
    """An act on a user, and what another operator does before it."""

    do: Callable[[Place, Actor, User, int], object]
    before: Callable[[Place, Actor, User, int], object] = lambda *_: None


def _disable(place: Place, actor: Actor, user: User, now: int) -> None:
    set_enabled(place.server, actor, user.serial, enabled=False, now=now)


def _enable(place: Place, actor: Actor, user: User, now: int) -> None:
    set_enabled(place.server, actor, user.serial, enabled=True, now=now)


def _expire(place: Place, actor: Actor, user: User, now: int) -> None:
    set_expiry(place.server, actor, user.serial, expires_at=now, now=now)


def _lose(place: Place, actor: Actor, user: User, now: int) -> None:
    set_lost(place.server, actor, user.serial, lost=True, now=now)


def _find(place: Place, actor: Actor, user: User, now: int) -> None:
    set_lost(place.server, actor, user.serial, lost=False, now=now)


def _prolong(place: Place, actor: Actor, user: User, now: int) -> None:
    set_expiry(place.server, actor, user.serial, expires_at=None, now=now)


def _fixed(place: Place, actor: Actor, user: User, now: int) -> None:
    online_emergency.give_fixed(place.server, actor, user.serial, Terms(), CALLED_BACK, now=now)


def _one_time(place: Place, actor: Actor, user: User, now: int) -> None:
    online_emergency.give_one_time(place.server, actor, user.serial, 2, Terms(), CALLED_BACK, now=now)


def _shown(place: Place, actor: Actor, user: User, now: int) -> None:
    emergency.show(place.server, actor, CodeKind.TOKENCODE, user.serial, None, CALLED_BACK, now=now)


def _replaced(place: Place, actor: Actor, user: User, now: int) -> None:
    serial = a_stocked_token(place.server, now=now).serial
    replace(place.server, actor, user.serial, serial, now=now)


def _set_pin(place: Place, actor: Actor, user: User, now: int) -> None:
    set_pin(place.server, actor, user.serial, Secret(OPERATORS_PIN), now=now)


def _clear_pin(place: Place, actor: Actor, user: User, now: int) -> None:
    clear_pin(place.server, actor, user.serial, now=now)


def _user_enabled(enabled: bool) -> Callable[[Place, Actor, User, int], None]:
    def do(place: Place, actor: Actor, user: User, now: int) -> None:
        set_user_enabled(place.server, actor, user.login, enabled=enabled, now=now)

    return do


def _user_expiry(seconds: int | None) -> Callable[[Place, Actor, User, int], None]:
    def do(place: Place, actor: Actor, user: User, now: int) -> None:
        end = NEVER if seconds is None else now + seconds
        edit_user(place.server, actor, user.login, UserEdit(expires_at=end), now=now)

    return do


FIRST = {"set a PIN": Act(_set_pin), "clear the PIN": Act(_clear_pin)}
# Each leaves the user's token and PIN so that the acts of FIRST are still possible.
SECOND = {
    "fixed": Act(_fixed),
    "one-time": Act(_one_time),
    "tokencode": Act(_shown),
    "enabled": Act(_enable, _disable),
    "found": Act(_find, _lose),
    "prolonged": Act(_prolong, _expire),
    "user enabled": Act(_user_enabled(True), _user_enabled(False)),
    "user prolonged": Act(_user_expiry(None), _user_expiry(-1)),
}


@pytest.mark.parametrize("second", SECOND)
def test_s48_a_pin_and_a_code_need_two_people(place: Place, second: str) -> None:
    """In both orders; what the first operator may not do, the second does."""
    code = SECOND[second]
    for name, pin in FIRST.items():
        user = place.user()
        code.before(place, place.bert, user, LATER)
        pin.do(place, place.anna, user, LATER)
        before = token_row(place.server, user.serial)
        # A token without a PIN gets no temporary codes at all.
        refusal = ApprovalNeeded if name == "set a PIN" else SparekeyError
        with pytest.raises(refusal):
            code.do(place, place.anna, user, LATER + 1)
        assert token_row(place.server, user.serial) == before, name
        if name == "set a PIN":  # without a PIN, the code is all that one needs
            code.do(place, place.bert, user, LATER + 2)
        user = place.user()
        code.before(place, place.bert, user, LATER)
        code.do(place, place.anna, user, LATER)
        before = token_row(place.server, user.serial)
        with pytest.raises(ApprovalNeeded, match="you alone could sign in as"):
            pin.do(place, place.anna, user, LATER + 1)
        assert token_row(place.server, user.serial) == before, name
        pin.do(place, place.bert, user, LATER + 2)


def _pinless(place: Place) -> User:
    user = a_user(place.server)
    granted(submit(place.server, user, NOW))
    return user


BOTH: dict[str, Callable[[Place, Actor, User, int], object]] = {
    "add a token": lambda place, actor, user, now: add_token(place.server, actor, user.login, NewToken(), now=now),
    "add a token without a PIN": lambda place, actor, user, now: add_token(
        place.server, actor, user.login, NewToken(with_pin=False), now=now
    ),
    "assign a token": lambda place, actor, user, now: assign(
        place.server, actor, a_stocked_token(place.server, now=now).serial, user.login, now=now
    ),
    "assign a token, to enable it later": lambda place, actor, user, now: assign(
        place.server, actor, a_stocked_token(place.server, now=now).serial, user.login, enable=False, now=now
    ),
    "replace a token without its PIN": lambda place, actor, user, now: replace(
        place.server, actor, user.serial, a_stocked_token(place.server, now=now).serial, keep_pin=False, now=now
    ),
    "a code for a token without a PIN": lambda place, actor, _, now: _fixed(place, actor, _pinless(place), now),
    "a passcode": lambda place, actor, user, now: emergency.show(
        place.server, actor, CodeKind.PASSCODE, user.login, None, CALLED_BACK, now=now
    ),
    "a link": lambda place, actor, user, now: make_link(place.server, actor, user.login, now=now),
    "move to one person": lambda place, actor, user, now: move_user(place.server, actor, user.login, "Plain", now=now),
    "edit the policy": lambda place, actor, _, now: _edit_as(place, actor, now),
    "assign another policy": lambda place, actor, _, now: assign_policy(
        place.server, actor, PolicyKind.OFFLINE, "One person", TOP_DOMAIN, confirmed=True, now=now
    ),
    "another default": lambda place, actor, _, now: make_default(
        place.server, actor, PolicyKind.OFFLINE, "One person", confirmed=True, now=now
    ),
}


def _edit_as(place: Place, actor: Actor, now: int) -> None:
    fields = {"passcode_approval": "off"}
    set_fields(place.server, actor, PolicyKind.OFFLINE, DEFAULT_POLICY, fields, confirmed=True, now=now)


@pytest.mark.parametrize("name", BOTH)
def test_s48_an_act_that_gives_both_factors_needs_two_people(place: Place, name: str) -> None:
    user = place.user()
    events = len(logged_events(place.server))
    with pytest.raises(ApprovalNeeded):
        BOTH[name](place, place.anna, user, LATER)
    changed = [row.action for row in logged_events(place.server)[events:] if row.actor == place.anna.name]
    assert changed == [Action.APPROVAL_ASKED]
    if "without a PIN" in name and "code" in name:
        return  # each time for another user
    place.approve(place.anna, place.bert, LATER)
    if name not in ("assign a token", "assign a token, to enable it later", "replace a token without its PIN"):
        BOTH[name](place, place.anna, user, LATER + 1)  # the others take another token each time


def test_s48_an_approved_act_is_done_once_and_logged(place: Place) -> None:
    user = place.user()
    _set_pin(place, place.anna, user, LATER)
    with pytest.raises(ApprovalNeeded) as needed:
        _fixed(place, place.anna, user, LATER)
    (view,) = list_approvals(place.server, place.bert, now=LATER)
    assert view.id in needed.value.message
    assert view.id in needed.value.do
    assert "`" not in needed.value.do  # the console shows it
    assert in_words(view) == f"give temporary tokencodes ({user.serial}) of {user.login}"
    assert (view.user, view.subject, view.device, view.caller) == (user.login, user.serial, "", CALLED_BACK.caller)
    with pytest.raises(NotAllowed, match="own request"):
        approve(place.server, place.anna, view.id, now=LATER)
    with pytest.raises(ApprovalNeeded):  # an approval of something else
        _shown(place, place.anna, user, LATER)
    approve(place.server, place.bert, view.id, now=LATER)


def test_s48_an_approval_is_used_up(place: Place) -> None:
    user = place.user()
    _set_pin(place, place.anna, user, LATER)
    with pytest.raises(ApprovalNeeded):
        _fixed(place, place.anna, user, LATER)
    place.approve(place.anna, place.bert, LATER)
    _fixed(place, place.anna, user, LATER + 1)
    (used,) = logged_events(place.server, Action.APPROVAL_USED)
    assert (used.actor, used.account_id, used.token_id) == (place.anna.name, user.account_id, user.token_id)
    assert json.loads(used.detail)["approved_by"] == place.bert.name
    with pytest.raises(ApprovalNeeded):
        _fixed(place, place.anna, user, LATER + 2)


def test_s48_it_counts_as_long_as_it_works(place: Place) -> None:
    user = place.user()
    _set_pin(place, place.anna, user, LATER)
    for days in (1, 40):
        with pytest.raises(ApprovalNeeded):
            _fixed(place, place.anna, user, LATER + days * DAY)
    _choose_pin(place, user, LATER + 41 * DAY)
    _fixed(place, place.anna, user, LATER + 41 * DAY + 60)  # the PIN was set more than a day ago
    with pytest.raises(ApprovalNeeded):
        _clear_pin(place, place.anna, user, LATER + 44 * DAY)  # the tokencode works for seven days
    online_emergency.end(place.server, place.bert, user.serial, now=LATER + 44 * DAY)
    _clear_pin(place, place.anna, user, LATER + 44 * DAY)


def test_s48_within_a_day_it_counts_even_if_it_has_ended(place: Place) -> None:
    user = place.user()
    _fixed(place, place.anna, user, LATER)
    online_emergency.end(place.server, place.anna, user.serial, now=LATER)
    with pytest.raises(ApprovalNeeded):
        _set_pin(place, place.anna, user, LATER + DAY - 1)
    _set_pin(place, place.anna, user, LATER + DAY)


def _choose_pin(place: Place, user: User, now: int) -> None:
    """Let the user change the PIN at a sign-in, which an operator asks for."""
    typed = Secret(CHANGED_PIN + user.totp.code(user.step(now)))
    set_pin(place.server, place.bert, user.serial, Secret(CHANGED_PIN), must_change=True, now=now)
    asked = sign_in(place.server, REST, user.login, typed, now)
    for _ in range(2):
        assert isinstance(asked.outcome, Asked)
        assert asked.reply_to is not None
        asked = answer_challenge(place.server, REST, user.login, asked.reply_to, Secret("mine2468"), now)
    granted(asked.outcome)


def test_s48_enrolling_a_new_user_needs_one_person(place: Place) -> None:
    login = "newcomer"
    add_user(place.server, place.anna, login, TOP_DOMAIN, now=LATER)
    added = add_token(place.server, place.anna, login, NewToken(), now=LATER)
    for pin in ("slip8642", OPERATORS_PIN):
        set_pin(place.server, place.anna, added.serial, Secret(pin), now=LATER)
    with pytest.raises(ApprovalNeeded):  # a second token, which the operator could keep
        add_token(place.server, place.anna, login, NewToken(), now=LATER)
    # An operator who joins later finds a user with factors of their own.
    set_pin(place.server, place.bert, added.serial, Secret("bert7531"), now=LATER)
    with pytest.raises(ApprovalNeeded):
        set_pin(place.server, place.anna, added.serial, Secret("desk8642"), now=LATER)


def test_s48_who_imported_a_token_may_know_its_seed(place: Place) -> None:
    user = place.user()
    stocked = a_stocked_token(place.server)  # by root
    with pytest.raises(ApprovalNeeded):
        assign(place.server, place.bert, stocked.serial, user.login, now=LATER)
    place.approve(place.bert, place.anna, LATER)
    assign(place.server, place.bert, stocked.serial, user.login, now=LATER)
    set_pin(place.server, place.bert, stocked.serial, Secret("bert7531"), now=LATER)  # it belongs to that approval
    with pytest.raises(ApprovalNeeded):
        set_pin(place.server, ROOT, stocked.serial, Secret("root7531"), now=LATER + 2 * DAY)
    set_pin(place.server, place.anna, stocked.serial, Secret("anna7531"), now=LATER + 2 * DAY)


def test_s48_unlocking_again_and_again_is_guessing(place: Place) -> None:
    user = place.user()
    _set_pin(place, place.anna, user, LATER)
    for _ in range(MOST_UNLOCKS):
        denied(submit(place.server, user, LATER, user.wrong(LATER)))
        assert unlock(place.server, place.anna, user.login, now=LATER)
    denied(submit(place.server, user, LATER, user.wrong(LATER)))
    with pytest.raises(ApprovalNeeded):
        unlock(place.server, place.anna, user.login, now=LATER)
    assert unlock(place.server, place.bert, user.login, now=LATER)


def test_s48_a_program_counts_as_everybody_and_cannot_ask(place: Place) -> None:
    program = Actor("client:portal", (Grant(frozenset(Permission), None),), None)
    user = place.enrolled_by(program)
    with pytest.raises(ApprovalNeeded):
        _set_pin(place, place.anna, user, LATER)
    other = place.user()
    _fixed(place, place.anna, other, LATER)
    with pytest.raises(NotAllowed, match="only a person"):
        _set_pin(place, program, other, LATER)
    assert [view.user for view in list_approvals(place.server, place.bert, now=LATER)] == [user.login]


def test_s48_all_names_of_the_operating_system_are_one_person(place: Place) -> None:
    user = place.enrolled_by(place.bert)
    _set_pin(place, Actor.of_system("os:one"), user, LATER)
    with pytest.raises(ApprovalNeeded):
        _fixed(place, Actor.of_system("os:two"), user, LATER)


def test_s48_an_account_that_the_operator_made_is_no_second_person(place: Place) -> None:
    user = place.user()
    add_user(place.server, place.anna, "accomplice", TOP_DOMAIN, now=LATER)
    add_token(place.server, place.anna, "accomplice", NewToken(), now=LATER)
    roles.grant(place.server, ROOT, "super administrator", HolderKind.USER, "accomplice", TOP_DOMAIN, now=LATER)
    account_id = next(row.account_id for row in logged_events(place.server, Action.ROLE_GRANTED))
    accomplice = Actor(f"user:{account_id}", place.bert.grants, account_id)
    with pytest.raises(ApprovalNeeded):
        add_token(place.server, place.anna, user.login, NewToken(), now=LATER)
    (view,) = list_approvals(place.server, accomplice, now=LATER)
    with pytest.raises(NotAllowed, match="gave you both of your factors"):
        approve(place.server, accomplice, view.id, now=LATER)
    (view,) = list_approvals(place.server, place.bert, now=LATER)
    assert view.decidable


def test_s48_the_policy_of_a_device_with_data_of_the_user_counts(server: Instance) -> None:
    add_domain(server, ROOT, "Strict", now=NOW)
    add_policy(server, ROOT, PolicyKind.OFFLINE, "Two people", {"days": "1"} | TWO, now=NOW)
    assign_policy(server, ROOT, PolicyKind.OFFLINE, "Two people", "Strict", now=NOW)
    anna = Actor("user:anna", (Grant(frozenset(Permission), None),), "anna")
    for where, strict in (("Strict", True), (TOP_DOMAIN, False)):
        user = a_user(server, pin=OWN_PIN)
        device = a_device(server, domain=where)
        granted(device.sign_in(user, NOW).outcome)
        device.contact(user, NOW)
        set_pin(server, anna, user.serial, Secret(OPERATORS_PIN), now=LATER)
        if strict:
            with pytest.raises(ApprovalNeeded):
                online_emergency.give_fixed(server, anna, user.serial, Terms(), CALLED_BACK, now=LATER)
        else:
            online_emergency.give_fixed(server, anna, user.serial, Terms(), CALLED_BACK, now=LATER)


def test_s48_a_policy_that_is_removed_needs_two_people(server: Instance) -> None:
    add_domain(server, ROOT, "Strict", now=NOW)
    add_policy(server, ROOT, PolicyKind.OFFLINE, "Two people", TWO, now=NOW)
    assign_policy(server, ROOT, PolicyKind.OFFLINE, "Two people", "Strict", now=NOW)
    with pytest.raises(ApprovalNeeded):
        remove_policy(server, ROOT, PolicyKind.OFFLINE, "Two people", confirmed=True, now=NOW)
    (view,) = list_approvals(server, ROOT, now=NOW)
    assert (view.user, view.subject) == ("", "Two people")
    within = Actor("user:below", (Grant(frozenset(Permission), frozenset(["d"])),), "below")
    assert list_approvals(server, within, now=NOW) == []
    with pytest.raises(SparekeyError):
        approve(server, within, view.id, now=NOW)
    approve(server, Actor("user:above", (Grant(frozenset(Permission), None),), "above"), view.id, now=NOW)
    remove_policy(server, ROOT, PolicyKind.OFFLINE, "Two people", confirmed=True, now=NOW)


def test_s48_the_user_hears_of_each_act(place: Place) -> None:
    for name, act in {**FIRST, **SECOND}.items():
        user = place.user()
        act.before(place, place.bert, user, LATER)
        set_mail(place.server, user, f"{user.login}@example.org")
        act.do(place, place.anna, user, LATER)
        assert _mails(place.server, user) == 1, name
    user = place.user()
    set_mail(place.server, user, f"{user.login}@example.org")
    denied(submit(place.server, user, LATER, user.wrong(LATER)))
    unlock(place.server, place.anna, user.login, now=LATER)
    assert _mails(place.server, user) == 1
    move = place.user()
    set_mail(place.server, move, f"{move.login}@example.org")
    with pytest.raises(ApprovalNeeded):
        make_link(place.server, place.anna, move.login, now=LATER)
    assert _mails(place.server, move) == 0
    place.approve(place.anna, place.bert, LATER)
    make_link(place.server, place.anna, move.login, now=LATER)
    assert _mails(place.server, move) == 1


def _mails(server: Instance, user: User) -> int:
    with server.database.read() as connection:
        query = select(func.count()).select_from(outbox).where(outbox.c.account_id == user.account_id)
        return connection.execute(query).scalar_one()


def test_s48_of_two_acts_at_once_one_needs_a_second_person(any_server: Instance) -> None:
    place = Place(any_server)
    for _ in range(3):
        user = place.user()
        start = threading.Barrier(2)

        def at_once(
            act: Callable[[Place, Actor, User, int], None], user: User = user, start: threading.Barrier = start
        ) -> bool:
            start.wait(timeout=60)
            try:
                act(place, place.anna, user, LATER)
            except ApprovalNeeded:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(at_once, (_set_pin, _fixed)))
        assert sorted(done) == [False, True]
