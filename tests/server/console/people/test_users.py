"""The pages of users, in this process: the list, the dashboard, why, edits, files, and the one search box."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from sqlalchemy import event

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import users
from sparekey.app.tokens import tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.explain.online import Deed
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.server.console.reports import why
from sparekey.server.console.site import CONSOLE
from sparekey.server.web import cookies
from tests.builders import DAY, NOW, ROOT, a_device, a_user, account_row, denied, logged_events, submit
from tests.server.asgi import Reply, ask
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, OUTSIDE, World, an_administrator
from tests.server.page_world import header, marked, visit

LIST = "/console/users"
ALICE = f"{LIST}/alice"
MOST_STATEMENTS = 11  # to the database, for one page


def page(world: World, path: str, token: Secret[str], form: Mapping[str, str] | None = None) -> Reply:
    """Return the server's answer to a browser."""
    method, shape = "GET" if form is None else "POST", path.partition("?")[0]
    shapes = [each for each in CONSOLE.pages if each.method == method]
    found = next(each for each in shapes if re.fullmatch(re.sub(r"{\w+}", "[^/]+", each.path), shape))
    return run(visit(world, found, token, form, path=path))


def text(reply: Reply) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", reply.body.decode()).split())


def sent_on(reply: Reply) -> tuple[int, str]:
    return reply.status, unquote(header(reply, "location"))


@pytest.fixture
def admin(world: World) -> Secret[str]:
    return an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)


@pytest.fixture
def desk(world: World) -> Secret[str]:
    return an_administrator(world.instance, "help desk", INSIDE)


def test_an_unknown_user_leaves_the_search_box(world: World, desk: Secret[str]) -> None:
    reply = page(world, f"{LIST}/nobody", desk)
    assert reply.status == 404
    assert 'role="search"' in reply.body.decode()


def many(world: World, count: int) -> list[str]:
    logins = [f"user{number:03d}" for number in range(count)]
    for login in logins:
        users.add_user(world.instance, ROOT, login, INSIDE, f"Person {login[-3:]}", now=NOW)
    return logins


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Collect the database statements of the block."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.split(maxsplit=1)[0] not in {"BEGIN", "PRAGMA"}:
            seen.append(statement)

    event.listen(world.instance.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(world.instance.database.engine, "before_cursor_execute", note)


def test_a_list_goes_on_where_it_ended_and_keeps_its_filters(world: World, admin: Secret[str]) -> None:
    logins = many(world, 60)
    first = page(world, f"{LIST}?text=person&state=enabled&domain={INSIDE}", admin).body.decode()
    assert logins[49] in first
    assert logins[50] not in first
    (way_on,) = re.findall(r'rel="next" href="([^"]+)"', first)
    assert "state=enabled" in way_on
    second = text(page(world, LIST + way_on.replace("&amp;", "&"), admin))
    assert logins[50] in second
    assert logins[49] not in second


def test_a_list_is_filtered(world: World, admin: Secret[str]) -> None:
    users.set_enabled(world.instance, ROOT, "alice", enabled=False, now=NOW)
    for query, found in (("state=disabled", True), ("state=locked", False), (f"domain={OUTSIDE}", False)):
        shown = text(page(world, f"{LIST}?{query}", admin))
        assert ("alice" in shown) is found, query
    assert "No matching users" in text(page(world, f"{LIST}?text=zzz", admin))


def test_a_menu_offers_allowed_actions(world: World, admin: Secret[str], desk: Secret[str]) -> None:
    denied(submit(world.instance, world.alice, NOW, world.alice.wrong(NOW)))
    acts = {"/unlock", "/edit", "/disable", "/move", "/emergency", "/why"}
    auditor = an_administrator(world.instance, "auditor", INSIDE)
    for token, offered in (
        (admin, acts),
        (desk, {"/unlock", "/emergency", "/why"}),
        (auditor, {"/emergency", "/why"}),
    ):
        for address in (f"{LIST}?text=alice", ALICE):
            shown = page(world, address, token).body.decode()
            assert {act for act in acts if re.search(f'(href|action)="{ALICE}{act}"', shown)} == offered, address
            assert ("new-token?user=alice" in shown) is (token is admin)


def test_several_users_are_disabled_after_a_confirmation(world: World, admin: Secret[str]) -> None:
    many(world, 2)
    form = {"logins": "user000 user001"}
    asked = page(world, f"{LIST}/enabled?text=user", admin, form)
    assert "Disable 2 users" in text(asked)
    assert logged_events(world.instance, Action.USER_DISABLED) == []
    done = page(world, f"{LIST}/enabled?text=user", admin, form | {"sure": "yes"})
    assert sent_on(done) == (303, f"{LIST}?text=user")
    assert not account_row(world.instance, "user001").enabled
    assert page(world, f"{LIST}/enabled", admin, form | {"on": "yes"}).status == 303
    assert account_row(world.instance, "user001").enabled
    assert "No user is selected" in text(page(world, f"{LIST}/unlock", admin, {}))


@pytest.mark.parametrize(
    ("act", "form", "action"),
    [
        ("enabled", {"on": ""}, Action.USER_DISABLED),
        ("unlock", {}, Action.ACCOUNT_UNLOCKED),
        ("edit", {"name": "Alice Other", "mail": "other@example.org", "end": ""}, Action.USER_CHANGED),
        ("move", {"domain": OUTSIDE}, Action.USER_MOVED),
    ],
)
def test_each_form_of_the_page_has_its_effect(
    act: str, form: Mapping[str, str], action: Action, world: World, admin: Secret[str]
) -> None:
    denied(submit(world.instance, world.alice, NOW, world.alice.wrong(NOW)))
    assert sent_on(page(world, f"{ALICE}/{act}", admin, form)) == (303, ALICE)
    assert len(logged_events(world.instance, action)) == 1


def test_an_edit_of_the_name_keeps_the_expiry(world: World, admin: Secret[str]) -> None:
    end = NOW + 40 * DAY + 123
    users.edit_user(world.instance, ROOT, "alice", users.UserEdit(expires_at=end), now=NOW)
    day = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d")
    assert f'value="{day}"' in page(world, f"{ALICE}/edit", admin).body.decode()
    page(world, f"{ALICE}/edit", admin, {"name": "Alice", "mail": "", "end": day})
    assert (account_row(world.instance, "alice").name, account_row(world.instance, "alice").expires_at) == (
        "Alice",
        end,
    )
    page(world, f"{ALICE}/edit", admin, {"name": "Alice", "mail": "", "end": ""})
    assert account_row(world.instance, "alice").expires_at is None


def test_a_mistake_is_shown_with_the_typed_text(world: World, admin: Secret[str]) -> None:
    typed = {"user": "new", "name": "New", "mail": "no mail", "domain": INSIDE}
    refused = page(world, "/console/new-user", admin, typed)
    assert refused.status == 400
    assert 'value="no mail"' in refused.body.decode()
    assert sent_on(page(world, "/console/new-user", admin, typed | {"mail": ""})) == (303, f"{LIST}/new")
    assert "new" in text(page(world, f"{LIST}/new", admin))


def test_the_dashboard_explains_a_refusal(world: World, desk: Secret[str]) -> None:
    for second in range(5):
        denied(submit(world.instance, world.alice, NOW + second, world.alice.wrong(NOW)))
    shown = text(page(world, ALICE, desk))
    assert "The user is locked. Locked since" in shown
    assert "Sign-in refused Wrong passcode" in shown
    assert "Signed in" in text(page(world, f"{ALICE}/activity", desk))


def test_no_page_of_a_user_asks_more_than_it_may(world: World, desk: Secret[str]) -> None:
    for name in ("one", "two", "three"):
        a_device(world.instance, name, domain=INSIDE).sign_in(world.alice, NOW + 60)
    for path in (
        LIST,
        f"{LIST}?text=a&domain={INSIDE}",
        ALICE,
        f"{ALICE}/why",
        f"{ALICE}/activity",
        "/console/search?for=a",
    ):
        with statements(world) as asked:
            page(world, path, desk)
        assert len(asked) <= MOST_STATEMENTS, (path, asked)


def test_the_explanation_names_remedies_on_pages(world: World, admin: Secret[str], desk: Secret[str]) -> None:
    tokens.set_lost(world.instance, ROOT, world.alice.serial, lost=True, now=NOW)
    for second in range(5):
        denied(submit(world.instance, world.alice, NOW + second, world.alice.wrong(NOW)))
    users.set_enabled(world.instance, ROOT, "alice", enabled=False, now=NOW)
    shown = page(world, f"{ALICE}/why", admin)
    for words in ("Enable the user", "Unlock the user", "Mark the token as found", "Online"):
        assert words in text(shown)
    assert "sparekey " not in text(shown)
    assert f'href="/console/tokens/{world.alice.serial}"' in shown.body.decode()
    # the help desk may not enable users: the page says which permission is missing
    for_desk = page(world, f"{ALICE}/why", desk).body.decode()
    assert re.search(r"<div>\s*Enable the user\s*</div>", for_desk)
    assert re.search(r"<a [^>]+>\s*Unlock the user\s*</a>", for_desk)


def test_each_deed_has_words_and_a_page() -> None:
    assert why._DEEDS.keys() == set(Deed)


def sent_file(world: World, token: Secret[str], content: str, **form: str) -> Reply:
    parts = [
        f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in marked(token, form).items()
    ]
    parts.append(f'--limit\r\nContent-Disposition: form-data; name="file"; filename="users.csv"\r\n\r\n{content}')
    headers = {
        "host": "localhost",
        "cookie": f"{cookies.SESSION}={token.reveal()}",
        "origin": "https://localhost",
        "content-type": "multipart/form-data; boundary=limit",
    }
    body = "".join([*parts, "\r\n--limit--\r\n"]).encode()
    return run(ask(world.interfaces.app, "POST", "/console/user-imports", body, headers))


def test_a_file_is_checked_before_it_is_imported(world: World, admin: Secret[str]) -> None:
    content = "login,name,mail\nnew1,New One,new1@example.org\nalice,Alice,\nb d,Bad,\n"
    checked = sent_file(world, admin, content, domain=INSIDE)
    assert "1 user can be imported, 2 lines rejected" in text(checked)
    assert "kept as it is" in text(checked)
    assert logged_events(world.instance, Action.USERS_IMPORTED) == []
    (mark,) = re.findall(r'name="checked" value="(\w+)"', checked.body.decode())
    for other, without in ((content + "new2,,\n", mark), (content, "")):
        assert sent_file(world, admin, other, domain=INSIDE, do="import", checked=without).status in {400, 409}
    assert logged_events(world.instance, Action.USERS_IMPORTED) == []
    done = sent_file(world, admin, content, domain=INSIDE, do="import", checked=mark)
    assert "1 user imported, 2 lines rejected" in text(done)
    assert account_row(world.instance, "new1").mail == "new1@example.org"
    assert "first line names" in text(sent_file(world, admin, "who\nme\n", domain=INSIDE))


def test_a_file_without_mistakes_leads_to_the_list(world: World, admin: Secret[str]) -> None:
    checked = sent_file(world, admin, "login\nnew1\n", domain=INSIDE)
    (mark,) = re.findall(r'name="checked" value="(\w+)"', checked.body.decode())
    assert sent_on(sent_file(world, admin, "login\nnew1\n", domain=INSIDE, do="import", checked=mark)) == (303, LIST)


def test_one_box_finds_everything(world: World, admin: Secret[str]) -> None:
    """A search with one hit leads straight to it, otherwise to the hits."""
    users.edit_user(world.instance, ROOT, "alice", users.UserEdit(mail="alice@example.org"), now=NOW)
    users.add_user(world.instance, ROOT, "alicia", INSIDE, now=NOW)
    for typed in ("alice", "ALICE", "alice%40example.org", world.alice.serial):
        assert sent_on(page(world, f"/console/search?for={typed}", admin)) == (303, ALICE), typed
    for typed, there in (
        ("laptop", f"/console/devices/{world.device_id}"),
        (world.spare, f"/console/tokens/{world.spare}"),
    ):
        assert sent_on(page(world, f"/console/search?for={typed}", admin)) == (303, there), typed
    both = text(page(world, "/console/search?for=ali", admin))
    assert "alice" in both
    assert "alicia" in both
    assert "No matches for" in text(page(world, "/console/search?for=zzz", admin))
    assert "Enter a search term" in text(page(world, "/console/search", admin))


def test_s63_the_search_box_finds_nothing_elsewhere(world: World) -> None:
    desk = an_administrator(world.instance, "help desk", OUTSIDE)
    users.add_user(world.instance, ROOT, "olga", OUTSIDE, now=NOW)
    for typed in ("alice", world.alice.serial, "laptop"):
        found = page(world, f"/console/search?for={typed}", desk)
        assert "No matches for" in text(found), typed
    assert "alice" not in text(page(world, LIST, desk))
    for path in (ALICE, f"{ALICE}/why", f"{ALICE}/activity"):
        there, nowhere = page(world, path, desk), page(world, path.replace("alice", "nobody"), desk)
        assert there.status == nowhere.status == 404
        assert text(there) == text(nowhere).replace("nobody", "alice")
    assert sent_on(page(world, "/console/search?for=olga", desk)) == (303, f"{LIST}/olga")


def test_a_user_may_be_called_as_a_page_is(world: World, admin: Secret[str]) -> None:
    for login in ("enabled", "unlock", "new-user"):
        a_user(world.instance, login, domain=INSIDE)
        assert f"<dd>{login}</dd>" in page(world, f"{LIST}/{login}", admin).body.decode()


def test_a_disabled_rule_is_not_shown_as_passed(world: World, desk: Secret[str]) -> None:
    shown = text(page(world, f"{ALICE}/why", desk))
    assert f"temporary tokencodes token {world.alice.serial} off None." in shown
    assert f"offline emergency tokencode at the server token {world.alice.serial} off Not allowed." in shown


def test_a_lost_token_is_shown_as_working_until_the_next_contact(world: World, desk: Secret[str]) -> None:
    tokens.set_lost(world.instance, ROOT, world.alice.serial, lost=True, now=NOW)
    shown = text(page(world, ALICE, desk))
    assert "Still accepted until the next contact of this device: token, at most until" in shown
    assert "its days are gone" not in shown
    assert "or until its next contact" in shown
    assert "Still accepted until that contact: the tokencode of" in text(page(world, f"{ALICE}/why", desk))
