"""Searches of users, tokens and devices: their fields, and the scope of the searcher."""

import pytest
from sqlalchemy import event

from sparekey.app.devices import devices
from sparekey.app.devices.devices import SILENT_AFTER, DeviceSearch, search_devices
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import domains, roles, users
from sparekey.app.people.users import UserSearch, add_user, search_users
from sparekey.app.reports.search import Found, find
from sparekey.app.tokens import tokens
from sparekey.app.tokens.imports import import_tokens
from sparekey.app.tokens.tokens import TokenSearch, search_tokens
from sparekey.core.errors import BadInput, NotAllowed, NotFound
from sparekey.core.permissions import Actor, Permission
from tests.app.administrators import add_tree, an_administrator
from tests.builders import NOW, ROOT, a_device, a_user

PEOPLE = {
    "anna.meier": ("Anna Meier", "anna.meier@example.org"),
    "bmueller": ("Björn Müller", "b.mueller@example.org"),
    "zoe@corp.local": ("Zoë Ørsted-Łukasz", ""),
    "Dirk": ("Dirk von Straßen", "d@sales.example.org"),
}


def add_people(server: Instance, domain: str = TOP_DOMAIN) -> None:
    for login, (name, mail) in PEOPLE.items():
        add_user(server, ROOT, login, domain, name, mail, now=NOW)


def logins(server: Instance, text: str = "", actor: Actor = ROOT, **wanted: str) -> list[str]:
    return [each.login for each in search_users(server, actor, UserSearch(text, **wanted))]


def serials(server: Instance, text: str = "", actor: Actor = ROOT, **wanted: str) -> list[str]:
    return [each.serial for each in search_tokens(server, actor, TokenSearch(text, **wanted), now=NOW)]


def names(server: Instance, text: str = "", actor: Actor = ROOT, *, now: int = NOW, **wanted: str) -> list[str]:
    return [each.name for each in search_devices(server, actor, DeviceSearch(text, **wanted), now=now)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann", ["anna.meier"]),
        ("MEIER", ["anna.meier"]),
        ("meier anna", ["anna.meier"]),
        ("an me", ["anna.meier"]),
        ("anna.meier@ex", ["anna.meier"]),
        ("eier", []),
        ("anna mueller", []),
        ("Müller", ["bmueller"]),
        ("muller bjorn", ["bmueller"]),
        ("Mueller Bjoern", ["bmueller"]),
        ("zoe", ["zoe@corp.local"]),
        ("ZOE@CORP", ["zoe@corp.local"]),
        ("orsted", ["zoe@corp.local"]),
        ("lukasz", ["zoe@corp.local"]),
        ("STRASSEN", ["Dirk"]),
        ("d@sales", ["Dirk"]),
        ("example", []),  # of all users
        ("d", ["Dirk"]),
        ("", ["Dirk", "anna.meier", "bmueller", "zoe@corp.local"]),
        ("  ", ["Dirk", "anna.meier", "bmueller", "zoe@corp.local"]),
        ("--", []),
        ("%", []),
        ("_", []),
    ],
)
def test_users_are_found_by_how_words_begin(server: Instance, text: str, expected: list[str]) -> None:
    add_people(server)
    assert logins(server, text) == expected


def test_a_search_of_users_goes_page_by_page(any_server: Instance) -> None:
    for number in range(10):
        a_user(any_server, f"user{number}")
    found, after = [], ""
    while page := search_users(any_server, ROOT, UserSearch("user"), 3, after):
        found.append([each.login for each in page])
        after = page[-1].login
    assert [login for page in found for login in page] == [f"user{number}" for number in range(10)]
    assert [len(page) for page in found] == [3, 3, 3, 1]


def test_users_by_state_and_domain(any_server: Instance) -> None:
    add_tree(any_server)
    for domain in ("Sales", "Bern", "Support"):
        a_user(any_server, f"user-{domain}", domain=domain)
    users.set_enabled(any_server, ROOT, "user-Bern", enabled=False, now=NOW)
    assert logins(any_server, domain="Sales") == ["user-Bern", "user-Sales"]
    assert logins(any_server, domain="Sales", state="enabled") == ["user-Sales"]
    assert logins(any_server, state="disabled") == ["user-Bern"]
    assert logins(any_server, state="locked") == []
    assert logins(any_server, "user", domain="Support", state="enabled") == ["user-Support"]


def test_a_search_finds_current_values(any_server: Instance) -> None:
    add_people(any_server)
    users.edit_user(
        any_server, ROOT, "anna.meier", users.UserEdit(name="Anna Huber", mail="huber@example.org"), now=NOW
    )
    assert logins(any_server, "huber anna") == ["anna.meier"]
    assert logins(any_server, "huber@ex") == ["anna.meier"]
    assert logins(any_server, "meier") == ["anna.meier"]  # the login name has it still
    users.edit_user(any_server, ROOT, "bmueller", users.UserEdit(name="Ben"), now=NOW)
    assert logins(any_server, "bjorn") == []


def test_tokens_are_found_by_serial_and_by_owner(any_server: Instance) -> None:
    anna, bert = a_user(any_server, "anna"), a_user(any_server, "bert")
    import_tokens(
        any_server, ROOT, b"serial,type,seed\nXY-1,totp,3132333435363738393031323334353637383930\n", None, now=NOW
    )
    assert serials(any_server, anna.serial) == [anna.serial]
    assert serials(any_server, "ann") == [anna.serial]
    assert serials(any_server, "xy") == ["XY-1"]
    assert serials(any_server, "sk") == sorted([anna.serial, bert.serial])
    assert serials(any_server, "y") == []
    assert serials(any_server, "--") == []
    assert serials(any_server, state="unassigned") == ["XY-1"]
    assert serials(any_server, state="assigned") == sorted([anna.serial, bert.serial])
    assert serials(any_server, state="disabled") == ["XY-1"]
    tokens.set_lost(any_server, ROOT, bert.serial, lost=True, now=NOW)
    tokens.set_expiry(any_server, ROOT, anna.serial, expires_at=NOW, now=NOW)
    assert serials(any_server, state="lost") == [bert.serial]
    assert serials(any_server, state="expired") == [anna.serial]
    assert serials(any_server, type="totp", state="lost") == [bert.serial]
    assert serials(any_server, type="hotp") == []


def test_devices_are_found_by_how_their_name_begins(any_server: Instance) -> None:
    add_tree(any_server)
    for name, domain in (("LAPTOP-2", "Sales"), ("laptop-1", "Bern"), ("Büro 7", "Support")):
        a_device(any_server, name, domain=domain)
    assert names(any_server, "laptop") == ["laptop-1", "LAPTOP-2"]
    assert names(any_server, "buro 7") == ["Büro 7"]
    assert names(any_server, "7") == []
    assert names(any_server, "%") == []
    assert names(any_server, domain="Sales") == ["laptop-1", "LAPTOP-2"]
    assert names(any_server, domain="Bern", state="active") == ["laptop-1"]
    assert names(any_server, state="silent") == []
    assert names(any_server, state="silent", now=NOW + SILENT_AFTER) == ["Büro 7", "laptop-1", "LAPTOP-2"]
    devices.revoke(any_server, ROOT, "laptop-1", now=NOW)
    assert names(any_server, state="revoked") == ["laptop-1"]
    assert names(any_server, "l", state="active") == ["LAPTOP-2"]
    assert names(any_server, state="silent", now=NOW + SILENT_AFTER) == ["Büro 7", "LAPTOP-2"]


def test_devices_of_one_name_go_page_by_page(any_server: Instance) -> None:
    for _ in range(5):
        a_device(any_server, "kiosk")
    found, after = [], ""
    while page := search_devices(any_server, ROOT, DeviceSearch("kiosk"), 2, after, now=NOW):
        found += [each.device_id for each in page]
        after = found[-1]
    assert len(found) == len(set(found)) == 5


def test_s63_a_search_finds_only_objects_in_scope(any_server: Instance) -> None:
    add_tree(any_server)
    for domain in (TOP_DOMAIN, "Sales", "Bern", "Support"):
        a_user(any_server, f"user-{domain}", domain=domain)
        a_device(any_server, f"device-{domain}", domain=domain)
    _, actor = an_administrator(any_server, ("help desk", "Sales"), login="helper")
    assert logins(any_server, "user", actor) == ["user-Bern", "user-Sales"]
    assert logins(any_server, "", actor) == ["user-Bern", "user-Sales"]
    found = search_tokens(any_server, actor, TokenSearch("user"), now=NOW)
    assert {each.login for each in found} == {"user-Bern", "user-Sales"}
    assert names(any_server, "device", actor) == ["device-Bern", "device-Sales"]
    with pytest.raises(NotFound):
        logins(any_server, "user", actor, domain="Support")
    box = find(any_server, actor, "device", now=NOW)
    assert [each.name for each in box.devices] == ["device-Bern", "device-Sales"]
    assert not box.users
    assert not box.tokens


def test_s63_a_page_start_reveals_no_users_out_of_scope(any_server: Instance) -> None:
    """A list in another order looks its start up by id. Out of scope, that would reveal the name."""
    add_tree(any_server)
    for number, (domain, name) in enumerate((("Sales", "Anna"), ("Support", "Ben"), ("Bern", "Zoe"))):
        users.add_user(any_server, ROOT, f"u{number}", domain, name, now=NOW)
        end = NOW + 9 * (number + 1)
        tokens.add_token(any_server, ROOT, f"u{number}", tokens.NewToken(serial=f"T{number}", expires_at=end), now=NOW)
    _, actor = an_administrator(any_server, ("help desk", "Sales"), login="helper")
    for order, first in (("name", ["u0", "u2"]), ("-name", ["u2", "u0"])):
        search = UserSearch("u", order=order)
        for after in ("u1", "nobody"):
            assert [each.login for each in search_users(any_server, actor, search, after=after)] == first
        assert [each.login for each in search_users(any_server, actor, search, after=first[0])] == first[1:]
    by_end = TokenSearch("t", order="expiry")
    for after in ("T1", "T9"):
        assert [each.serial for each in search_tokens(any_server, actor, by_end, after=after, now=NOW)] == ["T0", "T2"]


def test_s63_a_search_does_not_use_hidden_fields(server: Instance) -> None:
    add_people(server)
    token = tokens.add_token(server, ROOT, "anna.meier", tokens.NewToken(), now=NOW)
    roles.add_role(server, ROOT, "tokens only", [Permission.TOKEN_VIEW], now=NOW)
    _, actor = an_administrator(server, ("tokens only", TOP_DOMAIN), login="helper")
    with pytest.raises(NotAllowed):
        logins(server, "anna", actor)
    with pytest.raises(NotAllowed):
        names(server, "anna", actor)
    assert serials(server, token.serial, actor) == [token.serial]
    assert serials(server, "anna", actor) == []  # the name of a user is theirs to see who may look at users
    box = find(server, actor, token.serial, now=NOW)
    assert (list(box.users), [each.serial for each in box.tokens], list(box.devices)) == ([], [token.serial], [])
    assert find(server, Actor("user:nobody"), token.serial, now=NOW) == Found()


def test_one_box_finds_all_kinds(any_server: Instance) -> None:
    alice = a_user(any_server, "alice")
    a_device(any_server, "alice-laptop")
    found = find(any_server, ROOT, "alice", now=NOW)
    assert [each.login for each in found.users] == ["alice"]
    assert [each.serial for each in found.tokens] == [alice.serial]
    assert [each.name for each in found.devices] == ["alice-laptop"]
    assert find(any_server, ROOT, "  ", now=NOW) == Found()


def test_an_impossible_search_is_refused_with_a_reason(server: Instance) -> None:
    domains.add_domain(server, ROOT, "Sales", now=NOW)
    for wrong in (UserSearch(state="lost"), UserSearch("x" * 201), UserSearch(order="mail"), UserSearch(order="-")):
        with pytest.raises(BadInput):
            search_users(server, ROOT, wrong)
    for token_search in (TokenSearch(state="locked"), TokenSearch("x" * 201), TokenSearch(order="name")):
        with pytest.raises(BadInput):
            search_tokens(server, ROOT, token_search, now=NOW)
    for device_search in (DeviceSearch(state="lost"), DeviceSearch("x" * 201), DeviceSearch(order="--name")):
        with pytest.raises(BadInput):
            search_devices(server, ROOT, device_search, now=NOW)
    with pytest.raises(NotFound):
        logins(server, domain="Nowhere")


def test_a_search_asks_few_statements(any_server: Instance) -> None:
    add_tree(any_server)
    add_people(any_server, "Bern")
    a_device(any_server, "anna's", domain="Bern")
    _, actor = an_administrator(any_server, ("help desk", "Sales"), login="helper")
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(any_server.database.engine, "before_cursor_execute", note)
    for do, most in (
        (lambda: logins(any_server, "anna", actor, domain="Bern"), 3 + 3),  # to find the domain; to search
        (lambda: serials(any_server, "anna", actor), 5),
        (lambda: names(any_server, "anna", actor), 3),
        (lambda: find(any_server, actor, "anna", now=NOW), 6),
    ):
        asked.clear()
        do()
        selects = [each for each in asked if each.startswith(("SELECT", "WITH"))]
        assert len(selects) <= most, selects
