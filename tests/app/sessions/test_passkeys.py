"""Passkeys of administrators: added within a session, used once per challenge, refused by every interface's rules."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import select

from sparekey.app.devices.stolen import report_stolen
from sparekey.app.emergency.online import Terms, give_fixed
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.app.sessions import passkeys
from sparekey.app.sessions.administrators import (
    FRESH_SECONDS,
    OpenedSession,
    Session,
    find_session,
    open_session,
    refresh_second_factor,
)
from sparekey.app.sessions.passkey_sign_ins import (
    ask_for_second_factor,
    ask_to_sign_in,
    open_session_with_passkey,
    refresh_with_passkey,
)
from sparekey.app.tokens import tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.online import IfAvailable
from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Denied, Granted
from sparekey.core.sign_in.passkeys import LIFETIME, RelyingParty
from sparekey.secret import Secret
from sparekey.storage.tables import passkey_challenge
from tests.app.administrators import actor_again, an_administrator
from tests.authenticators import PLACE, Authenticator, challenge_of
from tests.builders import (
    CALLED_BACK,
    DAY,
    NOW,
    PIN,
    ROOT,
    User,
    a_device,
    a_user,
    denied,
    granted,
    logged_events,
    set_end,
    submit,
)

BROWSER, ADDRESS, LATER = Secret("cookie of a browser"), "192.0.2.7", NOW + 60


def a_session(server: Instance, user: User, now: int = NOW) -> Session:
    opened = open_session(server, ADDRESS, user.login, user.typed(now), Secret(""), now)
    session = find_session(server, opened.token, now)
    assert session is not None, opened
    return session


def a_passkey(
    server: Instance, user: User, now: int = NOW, *, counts: bool = True, verifies: bool = True
) -> Authenticator:
    """One that the user has added."""
    made, session = Authenticator(counts=counts, verifies=verifies), a_session(server, user, now)
    answer = made.create(passkeys.ask_for_registration(server, PLACE, session, now))
    passkeys.add_passkey(server, PLACE, session, "key ring", answer, now)
    return made


def a_chief(server: Instance, *, others: bool = True) -> User:
    """Return a super administrator, not the last one unless the test says so."""
    if others:
        an_administrator(server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))
    return an_administrator(server, (SUPER_ADMINISTRATOR, TOP_DOMAIN))[0]


def signed_in(
    server: Instance, key: Authenticator, now: int = LATER, *, browser: Secret[str] = BROWSER
) -> OpenedSession:
    """Sign in with this authenticator; return the outcome."""
    return open_session_with_passkey(
        server, ADDRESS, PLACE, browser, key.get(ask_to_sign_in(server, PLACE, BROWSER, now)), now
    )


def refusal(opened: OpenedSession) -> Reason:
    assert isinstance(opened.outcome, Denied), opened
    assert not opened.token.reveal()
    return opened.outcome.reason


def the_only(server: Instance, user: User) -> str:
    (only,) = passkeys.list_passkeys(server, ROOT, user.login)
    return only.passkey


def test_a_passkey_opens_a_session_as_pin_and_tokencode_do(any_server: Instance) -> None:
    chief = a_chief(any_server)
    key = a_passkey(any_server, chief)
    opened = signed_in(any_server, key)
    assert isinstance(opened.outcome, Granted)
    session = find_session(any_server, opened.token, LATER)
    assert session is not None
    assert (session.login, session.is_fresh(LATER)) == (chief.login, True)
    (row,) = logged_events(any_server, Action.SIGN_IN_GRANTED)[-1:]
    assert (row.actor, row.account_id, json.loads(row.detail)["method"]) == (
        f"rest:{ADDRESS}",
        chief.account_id,
        "passkey",
    )
    (view,) = passkeys.own_passkeys(any_server, session)
    assert (view.name, view.host, view.created_at, view.last_used_at) == ("key ring", "localhost", NOW, LATER)


def test_a_passkey_that_never_counts_works_again_and_again(server: Instance) -> None:
    key = a_passkey(server, a_chief(server), counts=False)
    for at in range(3):
        assert signed_in(server, key, LATER + at).token.reveal()


def test_a_passkey_answer_works_once_for_two_minutes_in_this_browser(any_server: Instance) -> None:
    key = a_passkey(any_server, a_chief(any_server))
    answer = key.get(ask_to_sign_in(any_server, PLACE, BROWSER, LATER))

    def sent(at: int, browser: Secret[str] = BROWSER) -> OpenedSession:
        return open_session_with_passkey(any_server, ADDRESS, PLACE, browser, answer, at)

    assert sent(LATER).token.reveal()
    assert refusal(sent(LATER)) is Reason.NO_SUCH_CHALLENGE
    answer = key.get(ask_to_sign_in(any_server, PLACE, BROWSER, LATER))
    assert refusal(sent(LATER, Secret("another cookie"))) is Reason.NO_SUCH_CHALLENGE
    answer = key.get(ask_to_sign_in(any_server, PLACE, BROWSER, LATER))
    assert refusal(sent(LATER + LIFETIME)) is Reason.NO_SUCH_CHALLENGE


def test_a_challenge_for_one_purpose_serves_no_other(server: Instance) -> None:
    chief = a_chief(server)
    key, session = a_passkey(server, chief), a_session(server, chief, LATER)
    other = key.get(ask_for_second_factor(server, PLACE, session, LATER))
    same_bound = open_session_with_passkey(server, ADDRESS, PLACE, Secret(session.id), other, LATER)
    assert refusal(same_bound) is Reason.NO_SUCH_CHALLENGE


def stored_challenges(server: Instance) -> list[str]:
    """Return the ids of the stored challenges."""
    with server.database.read() as connection:
        return list(connection.execute(select(passkey_challenge.c.id)).scalars())


def test_s08_asking_for_challenges_stores_nothing(any_server: Instance) -> None:
    """Every visitor may ask, any number of times."""
    asked = {ask_to_sign_in(any_server, PLACE, BROWSER, NOW) for _ in range(20)}
    assert (len(asked), stored_challenges(any_server)) == (20, [])
    signed_in(any_server, Authenticator())  # an answer of an unknown passkey
    assert stored_challenges(any_server) == []


def test_s01_a_passkey_answer_is_accepted_once(any_server: Instance) -> None:
    key = a_passkey(any_server, a_chief(any_server), counts=False)
    challenge = ask_to_sign_in(any_server, PLACE, BROWSER, LATER)
    answer = key.get(challenge)
    opened = [open_session_with_passkey(any_server, ADDRESS, PLACE, BROWSER, answer, LATER) for _ in range(2)]
    assert [bool(each.token.reveal()) for each in opened] == [True, False]
    (kept,) = stored_challenges(any_server)[-1:]
    assert challenge_of(challenge).hex() not in kept
    assert signed_in(any_server, key, LATER + DAY + 10 * LIFETIME).token.reveal()
    assert len(stored_challenges(any_server)) == 1  # those that expired a day ago are gone


def test_an_answer_to_a_forged_challenge_is_refused(server: Instance) -> None:
    key = a_passkey(server, a_chief(server))
    asked = json.loads(ask_to_sign_in(server, PLACE, BROWSER, LATER))
    for challenge in ("", "AAAA", "A" * 54, asked["challenge"][:-2] + "AA"):
        answer = key.get(json.dumps({**asked, "challenge": challenge}))
        opened = open_session_with_passkey(server, ADDRESS, PLACE, BROWSER, answer, LATER)
        assert refusal(opened) in (Reason.NO_SUCH_CHALLENGE, Reason.WRONG_PASSKEY)


def _disabled(server: Instance, chief: User) -> None:
    users.set_enabled(server, ROOT, chief.login, enabled=False, now=LATER)


def _expired(server: Instance, chief: User) -> None:
    set_end(server, chief, account=LATER)


def _without_role(server: Instance, chief: User) -> None:
    roles.revoke(server, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, chief.login, TOP_DOMAIN, now=LATER)


def _removed(server: Instance, chief: User) -> None:
    passkeys.remove_passkey(server, ROOT, chief.login, the_only(server, chief), now=LATER)


CLOSED: dict[str, tuple[Callable[[Instance, User], None], Reason]] = {
    "disabled": (_disabled, Reason.ACCOUNT_DISABLED),
    "expired": (_expired, Reason.ACCOUNT_EXPIRED),
    "without a role": (_without_role, Reason.OUT_OF_SCOPE),
    "removed": (_removed, Reason.UNKNOWN_PASSKEY),
}


@pytest.mark.parametrize("how", CLOSED)
def test_s05_a_passkey_does_not_admit_refused_users(any_server: Instance, how: str) -> None:
    chief = a_chief(any_server)
    key, (close, reason) = a_passkey(any_server, chief), CLOSED[how]
    close(any_server, chief)
    assert refusal(signed_in(any_server, key)) is reason
    assert logged_events(any_server, Action.SIGN_IN_DENIED)[-1].result == reason


def _unverified(key: Authenticator) -> None:
    key.verifies = False


def _elsewhere(key: Authenticator) -> None:
    key.origin = "https://localhost.example.org"


def _another_key(key: Authenticator) -> None:
    key.key = Authenticator().key


def _another_owner(key: Authenticator) -> None:
    key.owner = "YW5vdGhlcg"


@pytest.mark.parametrize("change", [_unverified, _elsewhere, _another_key, _another_owner])
def test_s05_an_answer_that_is_not_right_in_everything_is_refused(
    server: Instance, change: Callable[[Authenticator], None]
) -> None:
    key = a_passkey(server, a_chief(server))
    change(key)
    assert refusal(signed_in(server, key)) is Reason.WRONG_PASSKEY


def test_an_answer_for_another_host_is_refused(server: Instance) -> None:
    key = a_passkey(server, a_chief(server))
    there = RelyingParty("example.org", ("https://localhost",))
    answer = key.get(ask_to_sign_in(server, there, BROWSER, LATER))
    for place in (there, PLACE):
        opened = open_session_with_passkey(server, ADDRESS, place, BROWSER, answer, LATER)
        assert refusal(opened) in (Reason.WRONG_PASSKEY, Reason.NO_SUCH_CHALLENGE)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "x" * 20_000, '{"rawId":"AA","response":{}}', "\ud800"])
def test_malformed_passkey_answers_are_refused_alike(server: Instance, text: str) -> None:
    opened = open_session_with_passkey(server, ADDRESS, PLACE, BROWSER, text, NOW)
    assert refusal(opened) in (Reason.WRONG_PASSKEY, Reason.UNKNOWN_PASSKEY)


def test_a_passkey_whose_count_does_not_rise_is_refused_and_an_alarm(server: Instance) -> None:
    chief = a_chief(server)
    key = a_passkey(server, chief)
    assert signed_in(server, key).token.reveal()
    key.count = 0  # a copy from before
    assert refusal(signed_in(server, key)) is Reason.PASSKEY_COPIED
    (alarm,) = logged_events(server, Action.ALARM_PASSKEY_COPIED)
    assert alarm.account_id == chief.account_id
    assert signed_in(server, key).token.reveal()


def test_wrong_passkey_answers_lock_no_user_and_a_right_one_clears_no_failures(server: Instance) -> None:
    chief = a_chief(server)
    key = a_passkey(server, chief)
    for _ in range(4):
        submit(server, chief, LATER, chief.wrong(LATER))
    key.verifies = False
    for _ in range(9):
        refusal(signed_in(server, key))
    key.verifies = True
    assert signed_in(server, key).token.reveal()
    submit(server, chief, LATER, chief.wrong(LATER))
    assert denied(submit(server, chief, LATER)).reason is Reason.LOCKED


def test_s62_a_passkey_is_a_fresh_second_factor_for_its_owner_alone(server: Instance) -> None:
    chief, other = a_chief(server), a_chief(server)
    key, foreign = a_passkey(server, chief), a_passkey(server, other)
    opened = signed_in(server, key)
    at = LATER + FRESH_SECONDS

    def session() -> Session:
        found = find_session(server, opened.token, at)
        assert found is not None
        return found

    assert not session().is_fresh(at)
    answer = foreign.get(ask_for_second_factor(server, PLACE, session(), at))
    verdict = refresh_with_passkey(server, ADDRESS, PLACE, session(), answer, at)
    assert verdict.outcome == Denied(Reason.WRONG_PASSKEY, other.account_id)
    assert not session().is_fresh(at)
    options = ask_for_second_factor(server, PLACE, session(), at)
    assert len(json.loads(options)["allowCredentials"]) == 1
    verdict = refresh_with_passkey(server, ADDRESS, PLACE, session(), key.get(options), at)
    assert isinstance(verdict.outcome, Granted)
    assert session().is_fresh(at)


def test_s05_an_emergency_code_adds_no_passkey_at_the_console(server: Instance) -> None:
    """It is for some days, and the passkey would be for good."""
    chief = a_chief(server)
    given = give_fixed(server, ROOT, chief.serial, Terms(if_available=IfAvailable.END), CALLED_BACK, now=NOW)
    opened = open_session(server, ADDRESS, chief.login, Secret(PIN + given.codes[0].reveal()), Secret(""), NOW)
    session = find_session(server, opened.token, NOW)
    assert session is not None, opened
    with pytest.raises(NotAllowed, match="emergency code"):
        passkeys.ask_for_registration(server, PLACE, session, NOW)
    answer = Authenticator().create(passkeys.ask_for_registration(server, PLACE, session, NOW, lambda *_: None))
    with pytest.raises(NotAllowed, match="emergency code"):
        passkeys.add_passkey(server, PLACE, session, "key", answer, NOW)
    assert passkeys.own_passkeys(server, session) == []
    refresh_second_factor(server, ADDRESS, session, chief.typed(LATER), Secret(""), LATER)
    answer = Authenticator().create(passkeys.ask_for_registration(server, PLACE, session, LATER))
    passkeys.add_passkey(server, PLACE, session, "key", answer, LATER)


def test_a_passkey_is_added_once_within_the_session_that_asked(server: Instance) -> None:
    chief = a_chief(server)
    session, other = a_session(server, chief), a_session(server, chief, NOW + 30)
    made = Authenticator()
    answer = made.create(passkeys.ask_for_registration(server, PLACE, session, NOW))
    with pytest.raises(BadInput, match="two minutes"):
        passkeys.add_passkey(server, PLACE, other, "key", answer, NOW)
    added = passkeys.add_passkey(server, PLACE, session, "key", answer, NOW)
    with pytest.raises(BadInput, match="sent twice"):
        passkeys.add_passkey(server, PLACE, session, "key", answer, NOW)
    again = made.create(passkeys.ask_for_registration(server, PLACE, session, NOW))
    with pytest.raises(Conflict, match="already exists"):
        passkeys.add_passkey(server, PLACE, session, "key", again, NOW)
    assert [each.passkey for each in passkeys.own_passkeys(server, session)] == [added.passkey]
    assert [row.action for row in logged_events(server, Action.PASSKEY_ADDED)] == ["passkey.added"]


def test_a_passkey_without_user_verification_is_not_taken(server: Instance) -> None:
    with pytest.raises(BadInput, match="cannot be used here"):
        a_passkey(server, a_chief(server), verifies=False)


def test_the_number_of_passkeys_is_limited(server: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passkeys, "MOST_PASSKEYS", 1)
    chief = a_chief(server)
    a_passkey(server, chief)
    with pytest.raises(Conflict, match="limit of"):
        a_passkey(server, chief, NOW + 30)


def test_removing_a_passkey_ends_all_other_sessions(any_server: Instance) -> None:
    chief = a_chief(any_server)
    key = a_passkey(any_server, chief)
    mine, thief = signed_in(any_server, key), signed_in(any_server, key)
    session = find_session(any_server, mine.token, LATER)
    assert session is not None
    assert passkeys.remove_own_passkey(any_server, session, the_only(any_server, chief), LATER) == "key ring"
    assert find_session(any_server, mine.token, LATER) is not None
    assert find_session(any_server, thief.token, LATER) is None
    with pytest.raises(NotFound):
        passkeys.remove_own_passkey(any_server, session, "0" * 32, LATER)


def test_others_remove_a_passkey_and_end_the_sessions(any_server: Instance) -> None:
    chief = a_chief(any_server)
    desk, desk_actor = an_administrator(any_server, ("help desk", TOP_DOMAIN))
    key, desk_key = a_passkey(any_server, chief), a_passkey(any_server, desk)
    opened = signed_in(any_server, desk_key)
    with pytest.raises(NotAllowed, match="rights that you do not have"):
        passkeys.remove_passkey(any_server, desk_actor, chief.login, the_only(any_server, chief), now=LATER)
    with pytest.raises(NotFound):
        passkeys.remove_passkey(any_server, ROOT, chief.login, the_only(any_server, desk), now=LATER)
    chief_actor = actor_again(any_server, chief)
    passkeys.remove_passkey(any_server, chief_actor, desk.login, the_only(any_server, desk), now=LATER)
    assert find_session(any_server, opened.token, LATER) is None
    assert refusal(signed_in(any_server, desk_key)) is Reason.UNKNOWN_PASSKEY
    assert signed_in(any_server, key).token.reveal()


def test_the_last_super_administrator_keeps_a_way_to_sign_in(any_server: Instance) -> None:
    chief = a_chief(any_server, others=False)
    a_passkey(any_server, chief)
    tokens.set_enabled(any_server, ROOT, chief.serial, enabled=False, now=LATER)  # the passkey remains
    with pytest.raises(NotAllowed, match="no super administrator"):
        passkeys.remove_passkey(any_server, ROOT, chief.login, the_only(any_server, chief), now=LATER)
    tokens.set_enabled(any_server, ROOT, chief.serial, enabled=True, now=LATER)
    passkeys.remove_passkey(any_server, ROOT, chief.login, the_only(any_server, chief), now=LATER)


def test_a_lost_token_leaves_the_passkeys_and_ends_the_sessions(server: Instance) -> None:
    chief = a_chief(server)
    key = a_passkey(server, chief)
    opened = signed_in(server, key)
    tokens.set_lost(server, ROOT, chief.serial, lost=True, now=LATER)
    assert find_session(server, opened.token, LATER) is None
    assert signed_in(server, key).token.reveal()


def test_s28_a_stolen_laptop_takes_the_passkeys_along(any_server: Instance) -> None:
    chief, bystander = a_chief(any_server), a_chief(any_server)
    key, other = a_passkey(any_server, chief), a_passkey(any_server, bystander)
    laptop = a_device(any_server)
    granted(laptop.sign_in(chief, NOW + 30).outcome)
    report = report_stolen(any_server, ROOT, laptop.device_id, now=LATER)
    assert [(each.login, each.passkeys) for each in report.users] == [(chief.login, 1)]
    assert refusal(signed_in(any_server, key)) is Reason.UNKNOWN_PASSKEY
    assert signed_in(any_server, other).token.reveal()


def test_a_user_without_a_role_has_no_use_for_one(server: Instance) -> None:
    user = a_user(server)
    opened = open_session(server, ADDRESS, user.login, user.typed(NOW), Secret(""), NOW)
    assert not opened.token.reveal()
