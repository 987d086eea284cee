"""Users, tokens and security domains: adding, changing, and every refusal in words."""

from collections.abc import Callable

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance, new_id
from sparekey.app.people.domains import MOST_DOMAINS, add_domain, list_domains
from sparekey.app.people.users import add_user, list_users, move_user, unlock
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.tokens.tokens import (
    MOST_AT_ONCE,
    NewToken,
    add_token,
    clear_pin,
    list_tokens,
    set_enabled,
    set_enabled_at_once,
    set_lost,
    set_pin,
    show_token,
    show_token_with_events,
)
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotFound, SparekeyError
from sparekey.core.reasons import Reason
from sparekey.secret import Secret
from sparekey.storage.people import domains
from sparekey.storage.people.domains import domain_and_below, find_domain
from tests.builders import (
    NOW,
    PIN,
    ROOT,
    a_device,
    a_user,
    account_row,
    denied,
    granted,
    logged_events,
    submit,
    token_row,
)


def test_a_user_is_added_listed_and_logged(any_server: Instance) -> None:
    add_user(any_server, ROOT, "bob", TOP_DOMAIN, "Bob Jones", now=NOW)
    add_user(any_server, ROOT, "alice", TOP_DOMAIN, now=NOW)
    views = list_users(any_server, ROOT)
    assert [(view.login, view.name, view.domain) for view in views] == [
        ("alice", "alice", TOP_DOMAIN),
        ("bob", "Bob Jones", TOP_DOMAIN),
    ]
    assert all(view.enabled and not view.locked and view.failures == 0 for view in views)
    assert [view.login for view in list_users(any_server, ROOT, limit=1, after="alice")] == ["bob"]
    assert len(logged_events(any_server, Action.USER_ADDED)) == 2


def test_a_login_name_is_unique(any_server: Instance) -> None:
    a_user(any_server, "alice")
    with pytest.raises(Conflict, match="already"):
        add_user(any_server, ROOT, "alice", TOP_DOMAIN, now=NOW)


def test_a_disabled_user_is_refused_until_enabled(any_server: Instance) -> None:
    user = a_user(any_server)
    set_user_enabled(any_server, ROOT, user.login, enabled=False, now=NOW)
    assert denied(submit(any_server, user, NOW)).reason is Reason.ACCOUNT_DISABLED
    set_user_enabled(any_server, ROOT, user.login, enabled=True, now=NOW)
    granted(submit(any_server, user, NOW))


def test_unlocking_reports_whether_it_cleared_anything(any_server: Instance) -> None:
    user = a_user(any_server)
    assert not unlock(any_server, ROOT, user.login, now=NOW)
    submit(any_server, user, NOW, user.wrong(NOW))
    assert unlock(any_server, ROOT, user.login, now=NOW)
    assert account_row(any_server, user.login).failures == 0


def test_a_token_is_added_with_a_seed_as_long_as_its_hash(any_server: Instance) -> None:
    add_user(any_server, ROOT, "alice", TOP_DOMAIN, now=NOW)
    for algorithm, size in (("sha1", 20), ("sha256", 32), ("sha512", 64)):
        added = add_token(any_server, ROOT, "alice", NewToken(8, 60, algorithm), now=NOW)
        assert len(added.parameters.seed) == size
        view = show_token(any_server, ROOT, added.serial)
        assert (view.login, view.digits, view.interval, view.algorithm) == ("alice", 8, 60, algorithm)
        assert view.enabled
        assert (view.lost, view.pin_set) == (False, False)
    assert len(list_tokens(any_server, ROOT, login="alice")) == 3


def test_a_token_keeps_the_seed_and_serial_it_was_given(server: Instance) -> None:
    seed = Secret(b"12345678901234567890")
    user = a_user(server, token=NewToken(seed=seed, serial="HW-1"))
    assert user.serial == "HW-1"
    granted(submit(server, user, NOW, Secret(user.totp.code(NOW // 30))))
    assert user.totp.seed == seed
    with pytest.raises(Conflict, match="already"):
        add_token(server, ROOT, user.login, NewToken(serial="HW-1"), now=NOW)


@pytest.mark.parametrize(
    "wish",
    [
        NewToken(digits=5),
        NewToken(interval=45),
        NewToken(algorithm="md5"),
        NewToken(seed=Secret(bytes(9))),
        NewToken(serial="a b"),
    ],
)
def test_a_token_that_cannot_be_is_refused_in_words(server: Instance, wish: NewToken) -> None:
    add_user(server, ROOT, "alice", TOP_DOMAIN, now=NOW)
    with pytest.raises(BadInput) as refused:
        add_token(server, ROOT, "alice", wish, now=NOW)
    assert refused.value.do
    assert list_tokens(server, ROOT) == []


def test_a_token_with_a_pin_works_once_the_pin_is_set(any_server: Instance) -> None:
    user = a_user(any_server, with_pin=True)
    typed = Secret(PIN + user.totp.code(user.step(NOW)))
    assert denied(submit(any_server, user, NOW, typed)).reason is Reason.NO_PIN
    set_pin(any_server, ROOT, user.serial, Secret(PIN), now=NOW)
    granted(submit(any_server, user, NOW, typed))
    set_pin(any_server, ROOT, user.serial, Secret("other1"), now=NOW)
    later = Secret(PIN + user.totp.code(user.step(NOW + 30)))
    assert denied(submit(any_server, user, NOW + 30, later)).reason is Reason.WRONG_PASSCODE
    clear_pin(any_server, ROOT, user.serial, now=NOW)
    assert not show_token(any_server, ROOT, user.serial).pin_set
    row = token_row(any_server, user.serial)
    assert (row.pin_sealed, row.pin_salt, row.pin_memory, row.pin_passes) == (None, None, None, None)


def test_a_pin_that_cannot_be_is_refused_without_repeating_it(server: Instance) -> None:
    user = a_user(server, with_pin=True)
    with pytest.raises(BadInput, match="4 to 8 letters or digits") as refused:
        set_pin(server, ROOT, user.serial, Secret("31337 31337"), now=NOW)
    assert "31337" not in f"{refused.value} {refused.value.do}"


def test_a_token_without_a_pin_is_given_none(server: Instance) -> None:
    user = a_user(server)
    with pytest.raises(Conflict, match="without a PIN"):
        set_pin(server, ROOT, user.serial, Secret(PIN), now=NOW)
    with pytest.raises(Conflict, match="without a PIN"):
        clear_pin(server, ROOT, user.serial, now=NOW)


def test_lost_and_disabled_are_flags_of_their_own(server: Instance) -> None:
    user = a_user(server)
    set_lost(server, ROOT, user.serial, lost=True, now=NOW)
    assert denied(submit(server, user, NOW)).reason is Reason.TOKEN_LOST
    set_enabled(server, ROOT, user.serial, enabled=False, now=NOW)
    assert denied(submit(server, user, NOW)).reason is Reason.TOKEN_DISABLED
    set_enabled(server, ROOT, user.serial, enabled=True, now=NOW)
    set_lost(server, ROOT, user.serial, lost=False, now=NOW)
    granted(submit(server, user, NOW))


def test_domains_are_a_tree(any_server: Instance) -> None:
    add_domain(any_server, ROOT, "Branch", now=NOW)
    add_domain(any_server, ROOT, "Office", "Branch", now=NOW)
    add_domain(any_server, ROOT, "Other", now=NOW)
    views = {view.name: view.parent for view in list_domains(any_server, ROOT)}
    assert views == {TOP_DOMAIN: None, "Branch": TOP_DOMAIN, "Office": "Branch", "Other": TOP_DOMAIN}
    with any_server.database.read() as connection:
        ids = {name: row.id for name in views if (row := find_domain(connection, name))}
        assert domain_and_below(connection, ids["Branch"]) == {ids["Branch"], ids["Office"]}
        assert domain_and_below(connection, ids[TOP_DOMAIN]) == set(ids.values())


@pytest.mark.parametrize("name", ["", "x" * 101, " x", "a\nb"])
def test_a_domain_s_name_is_1_to_100_printable_characters(server: Instance, name: str) -> None:
    with pytest.raises(BadInput, match="security domain"):
        add_domain(server, ROOT, name, now=NOW)


def test_a_domain_name_is_unique_and_its_parent_exists(server: Instance) -> None:
    add_domain(server, ROOT, "x" * 100, now=NOW)
    with pytest.raises(Conflict):
        add_domain(server, ROOT, "x" * 100, now=NOW)
    with pytest.raises(NotFound):
        add_domain(server, ROOT, "y", "nowhere", now=NOW)


def test_there_are_at_most_1000_domains(server: Instance) -> None:
    with server.database.write() as connection:
        for number in range(MOST_DOMAINS - 1):
            domains.insert_domain(connection, new_id(), f"d{number}", None)
    with pytest.raises(Conflict, match="1000"):
        add_domain(server, ROOT, "one more", now=NOW)


def test_an_unknown_object_is_reported_with_the_next_step(server: Instance) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: add_user(server, ROOT, "alice", "nowhere", now=NOW),
        lambda: add_token(server, ROOT, "nobody", NewToken(), now=NOW),
        lambda: set_pin(server, ROOT, "nothing", Secret(PIN), now=NOW),
        lambda: unlock(server, ROOT, "nobody", now=NOW),
        lambda: move_user(server, ROOT, "nobody", TOP_DOMAIN, now=NOW),
    ]
    for attempt in attempts:
        with pytest.raises(SparekeyError, match="there is no") as refused:
            attempt()
        assert "sparekey" in refused.value.do


def test_changes_that_make_offline_data_wrong_raise_the_generation_and_others_do_not(server: Instance) -> None:
    user, device = a_user(server, pin=PIN), a_device(server)
    granted(device.sign_in(user, NOW).outcome)
    generation = device.sync_of(user, NOW).generation
    add_domain(server, ROOT, "Elsewhere", now=NOW)
    rising: list[Callable[[], object]] = [
        lambda: set_pin(server, ROOT, user.serial, Secret("other1"), now=NOW),
        lambda: clear_pin(server, ROOT, user.serial, now=NOW),
        lambda: set_lost(server, ROOT, user.serial, lost=True, now=NOW),
        lambda: set_lost(server, ROOT, user.serial, lost=False, now=NOW),
        lambda: set_enabled(server, ROOT, user.serial, enabled=False, now=NOW),
        lambda: set_enabled(server, ROOT, user.serial, enabled=True, now=NOW),
        lambda: add_token(server, ROOT, user.login, NewToken(), now=NOW),
        lambda: move_user(server, ROOT, user.login, "Elsewhere", now=NOW),
    ]
    for change in rising:
        change()
        generation += 1
        assert device.sync_of(user, NOW).generation == generation
    idle: list[Callable[[], object]] = [
        lambda: clear_pin(server, ROOT, user.serial, now=NOW),  # there is none
        lambda: set_lost(server, ROOT, user.serial, lost=False, now=NOW),
        lambda: set_enabled(server, ROOT, user.serial, enabled=True, now=NOW),
        lambda: set_user_enabled(server, ROOT, user.login, enabled=False, now=NOW),
        lambda: set_user_enabled(server, ROOT, user.login, enabled=True, now=NOW),
        lambda: unlock(server, ROOT, user.login, now=NOW),
    ]
    for change in idle:
        change()
        assert device.sync_of(user, NOW).generation == generation


def test_several_tokens_are_enabled_or_disabled_at_once_or_none(any_server: Instance) -> None:
    users = [a_user(any_server) for _ in range(3)]
    serials = [user.serial for user in users]
    set_enabled(any_server, ROOT, serials[0], enabled=False, now=NOW)
    changed = set_enabled_at_once(any_server, ROOT, [*serials, serials[1]], enabled=False, now=NOW)
    assert changed == sorted(serials[1:])
    with pytest.raises(NotFound, match="SKnone"):
        set_enabled_at_once(any_server, ROOT, [*serials, "SKnone"], enabled=True, now=NOW)
    assert not any(token_row(any_server, serial).enabled for serial in serials)
    assert len(logged_events(any_server, Action.TOKEN_DISABLED)) == 3
    with pytest.raises(BadInput, match="more than"):
        set_enabled_at_once(
            any_server, ROOT, [f"SK{number}" for number in range(MOST_AT_ONCE + 1)], enabled=True, now=NOW
        )


def test_the_history_of_a_token_is_its_own_and_the_newest_first(any_server: Instance) -> None:
    alice, bob = a_user(any_server), a_user(any_server)
    submit(any_server, alice, NOW)
    set_lost(any_server, ROOT, alice.serial, lost=True, now=NOW + 1)
    set_lost(any_server, ROOT, bob.serial, lost=True, now=NOW + 1)
    rows = show_token_with_events(any_server, ROOT, alice.serial).rows
    assert [row.action for row in rows] == [Action.TOKEN_LOST, Action.SIGN_IN_GRANTED, Action.TOKEN_ADDED]
    assert show_token_with_events(any_server, ROOT, alice.serial, limit=1, before=rows[0].id).rows == [rows[1]]
