"""The pages of tokens, in this process: lists and their filters, every act, keys that are shown once, files."""

import base64
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest
import segno
from sqlalchemy import event

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles
from sparekey.app.people.domains import add_domain
from sparekey.app.people.roles import HolderKind
from sparekey.app.tokens.imports import import_tokens, list_imports
from sparekey.app.tokens.tokens import set_expiry, set_lost, show_token
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Actor, Grant, Permission
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from sparekey.server.web import cookies
from sparekey.server.web.pages import FILE
from sparekey.storage.people import domains
from tests.builders import NOW, PIN, ROOT, a_user, denied, granted, logged_events, submit, token_row
from tests.server.asgi import Reply, ask
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, OUTSIDE, World, an_administrator, session_of
from tests.server.page_world import header, marked, visit

SAMPLES = Path(__file__).parents[3] / "token_files" / "samples"
LIST = "/console/tokens"
SEED = "3132333435363738393031323334353637383930"


def page(
    world: World, path: str, token: Secret[str], form: Mapping[str, str] | None = None, **more: Mapping[str, str]
) -> Reply:
    """Return the server's answer to a browser."""
    method, shape = "GET" if form is None else "POST", path.partition("?")[0]
    shapes = [each for each in CONSOLE.pages if each.method == method]
    found = next(each for each in shapes if re.fullmatch(re.sub(r"{\w+}", "[^/]+", each.path), shape))
    return run(visit(world, found, token, form, path=path, **more))


def text(reply: Reply) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", reply.body.decode()).split())


def sent_on(reply: Reply) -> tuple[int, str]:
    return reply.status, unquote(header(reply, "location"))


@pytest.fixture
def admin(world: World) -> Secret[str]:
    return an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)


def stock(world: World, count: int) -> list[str]:
    """Create unassigned tokens; return their serials."""
    serials = [f"T{number:03d}" for number in range(count)]
    lines = "".join(f"{serial},totp,{SEED}\n" for serial in serials)
    import_tokens(world.instance, ROOT, f"serial,type,seed\n{lines}".encode(), None, now=NOW, domain=INSIDE)
    return serials


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Collect the database statements of the block."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(world.instance.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(world.instance.database.engine, "before_cursor_execute", note)


def test_a_list_goes_on_where_it_ended_and_keeps_its_filters(world: World, admin: Secret[str]) -> None:
    serials = stock(world, 60)
    first = page(world, f"{LIST}?text=T&state=unassigned&domain={INSIDE}", admin).body.decode()
    assert serials[49] in first
    assert serials[50] not in first
    (way_on,) = re.findall(r'rel="next" href="([^"]+)"', first)
    assert "state=unassigned" in way_on
    second = text(page(world, LIST + way_on.replace("&amp;", "&"), admin))
    assert serials[50] in second
    assert serials[49] not in second


@pytest.mark.parametrize(
    ("query", "found"),
    [("text=alice", "alice"), ("state=assigned&type=totp", "alice"), ("state=lost", ""), ("type=securid", "")],
)
def test_a_list_is_filtered(world: World, admin: Secret[str], query: str, found: str) -> None:
    shown = page(world, f"{LIST}?{query}", admin)
    if found:
        assert world.alice.serial in text(shown)
        assert world.spare not in text(shown)
    else:
        assert "No matching tokens" in text(shown)


def test_a_menu_offers_allowed_actions(world: World, admin: Secret[str]) -> None:
    here = f"{LIST}/{world.alice.serial}"
    acts = {"Emergency Access Tokencodes", "Mark as lost", "Disable", "Change expiry", "Clear the PIN", "Unassign"}
    for token, offered in (
        (admin, acts),
        (an_administrator(world.instance, "help desk", INSIDE), acts - {"Unassign"}),
        (an_administrator(world.instance, "auditor", INSIDE), {"Emergency Access Tokencodes"}),
    ):
        for address in (f"{LIST}?text={world.alice.serial}", here):
            shown = text(page(world, address, token))
            assert {act for act in acts if act in shown} == offered, address


def test_a_page_offers_actions_allowed_in_the_token_s_domain(world: World) -> None:
    user = a_user(world.instance, pin=PIN)
    for role, domain in (("auditor", INSIDE), ("token administrator", OUTSIDE)):
        roles.grant(world.instance, ROOT, role, HolderKind.USER, user.login, domain, now=NOW)
    shown = text(page(world, f"{LIST}/{world.alice.serial}", session_of(world.instance, user)))
    assert "Emergency Access Tokencodes" in shown
    assert "What can be done" not in shown


@pytest.mark.parametrize(
    ("act", "form", "action"),
    [
        ("enabled", {"on": ""}, Action.TOKEN_DISABLED),
        ("lost", {"on": "yes"}, Action.TOKEN_LOST),
        ("expiry", {"until": "2031-05-01"}, Action.TOKEN_EXPIRY_SET),
        ("pin", {"new-pin": "24680bdf", "again": "24680bdf"}, Action.TOKEN_PIN_SET),
        ("clear-pin", {}, Action.TOKEN_PIN_CLEARED),
        ("unassign", {}, Action.TOKEN_UNASSIGNED),
        ("remove", {"from-user": "alice"}, Action.TOKEN_REMOVED),
    ],
)
def test_each_form_of_the_page_has_its_effect(
    act: str, form: Mapping[str, str], action: Action, world: World, admin: Secret[str]
) -> None:
    here = f"{LIST}/{world.alice.serial}"
    before = len(logged_events(world.instance, action))
    where = LIST if act == "remove" else here
    assert sent_on(page(world, f"{here}/{act}", admin, form)) == (303, where)
    assert len(logged_events(world.instance, action)) == before + 1


def test_harmful_actions_are_confirmed_first(world: World, admin: Secret[str]) -> None:
    for act, button in (("unassign", "Unassign"), ("remove", "Remove permanently"), ("clear-pin", "Clear the PIN")):
        asked = page(world, f"{LIST}/{world.alice.serial}/{act}", admin)
        assert "alice" in text(asked)
        assert f'<button class="danger">{button}</button>' in asked.body.decode()


def test_the_last_day_is_a_day_where_the_visitor_is_and_taken_away_when_empty(world: World, admin: Secret[str]) -> None:
    here = f"{LIST}/{world.alice.serial}"
    page(world, f"{here}/expiry", admin, {"until": "2031-05-01"})
    assert show_token(world.instance, ROOT, world.alice.serial).expires_at == 1_935_446_400  # midnight in UTC
    assert 'value="2031-05-01"' in page(world, here, admin).body.decode()
    page(world, f"{here}/expiry", admin, {"until": ""})
    assert show_token(world.instance, ROOT, world.alice.serial).expires_at is None
    wrong = page(world, f"{here}/expiry", admin, {"until": "1 May"})
    assert (wrong.status, "is not a date" in text(wrong)) == (400, True)


def test_an_expired_token_is_marked(world: World, admin: Secret[str]) -> None:
    set_expiry(world.instance, ROOT, world.alice.serial, expires_at=NOW, now=NOW)
    shown = text(page(world, f"{LIST}/{world.alice.serial}", admin))
    assert "An expired token cannot be given emergency access. Replace it." in shown


def test_a_history_continues_with_older_events(world: World, admin: Secret[str]) -> None:
    for number in range(25):
        set_lost(world.instance, ROOT, world.alice.serial, lost=number % 2 == 0, now=NOW + number)
    here = f"{LIST}/{world.alice.serial}"
    shown = page(world, here, admin).body.decode()
    (older,) = re.findall(r'href="(\?before=\d+)#history"', shown)
    assert "Token added" not in shown
    assert "Token added" in page(world, here + older, admin).body.decode()


def test_a_pin_is_typed_twice_and_never_shown_again(world: World, admin: Secret[str]) -> None:
    refused = page(world, f"{LIST}/{world.alice.serial}/pin", admin, {"new-pin": "24680bdf", "again": "24680bdg"})
    assert refused.status == 400
    assert "The two PINs are different" in text(refused)
    assert "A PIN has 4 to 8 letters or digits" in text(refused)  # beforehand, as at self-service
    assert b"24680bd" not in refused.body
    assert '<details class="unfolds" id="pin" open>' in refused.body.decode()


def test_a_token_is_assigned_replaced_and_keeps_the_pin(world: World, admin: Secret[str]) -> None:
    (next_one,) = stock(world, 1)
    reply = page(world, f"{LIST}/{world.alice.serial}/replace", admin, {"new": next_one, "which-pin": "keep"})
    assert sent_on(reply) == (303, f"{LIST}/{next_one}")
    assert show_token(world.instance, ROOT, next_one).pin_set
    denied(submit(world.instance, world.alice, NOW + 60))
    again = page(world, f"{LIST}/{world.alice.serial}/assign", admin, {"user": "alice", "enable": "on"})
    assert again.status == 303
    nobody = page(world, f"{LIST}/{world.spare}/assign", admin, {"user": "nobody"})
    assert (nobody.status, "There is no user" in text(nobody)) == (404, True)
    assert 'value="nobody"' in nobody.body.decode()


def test_two_codes_find_a_token_again_and_a_wrong_pair_counts(world: World, admin: Secret[str]) -> None:
    here, step = f"{LIST}/{world.alice.serial}", world.alice.step(NOW) + 100
    first, second = (world.alice.totp.code(each) for each in (step, step + 1))
    wrong = page(world, f"{here}/resync", admin, {"first": second, "second": first})
    assert (wrong.status, "counts as a failed sign-in" in text(wrong)) == (403, True)
    assert sent_on(page(world, f"{here}/resync", admin, {"first": first, "second": second})) == (303, here)
    assert "50.5 minutes fast" in text(page(world, here, admin))


def test_several_are_disabled_at_once_and_the_list_stays_as_it_was(world: World, admin: Secret[str]) -> None:
    reply = page(world, f"{LIST}/enabled?text=SK", admin, {"serial": world.alice.serial, "on": ""})
    assert sent_on(reply) == (303, f"{LIST}?text=SK")
    assert not token_row(world.instance, world.alice.serial).enabled
    nothing = page(world, f"{LIST}/enabled", admin, {"on": "yes"})
    assert (nothing.status, "No token is selected" in text(nothing)) == (400, True)


@pytest.mark.parametrize(("kind", "with_pin"), [("totp", "yes"), ("hotp", "no")])
def test_a_new_tokens_key_is_shown_once(world: World, admin: Secret[str], kind: str, with_pin: str) -> None:
    bob = a_user(world.instance, "bob", pin=PIN)
    form = {"user": "bob", "type": kind, "with-pin": with_pin, "digits": "8"}
    shown = page(world, "/console/new-token", admin, form).body.decode()
    (file,) = re.findall(r'href="data:application/octet-stream;base64,([^"]+)" download="SK\d+.txt"', shown)
    uri = base64.b64decode(file).decode().strip()
    assert re.match(rf"otpauth://{kind}/Sparekey:bob\?secret=[A-Z2-7]+&issuer=Sparekey&algorithm=SHA1&digits=8&", uri)
    (picture,) = re.findall(r'<img src="(data:image/png;base64,[^"]+)"', shown)
    assert picture == segno.make(uri, error="m").png_data_uri(scale=6, border=4)
    key = uri.partition("secret=")[2].partition("&")[0]
    serial = re.findall(r"SK\d{8}", shown)[0]
    assert serial != bob.serial
    assert show_token(world.instance, ROOT, serial).with_pin is (with_pin == "yes")
    for address in (f"{LIST}/{serial}", LIST, f"{LIST}/{serial}/remove"):
        assert key not in page(world, address, admin).body.decode().replace(" ", "")
    assert not [row for row in logged_events(world.instance) if key in row.detail]


def test_a_page_with_a_key_is_not_compressed(world: World, admin: Secret[str]) -> None:
    reply = page(world, "/console/new-token", admin, {"user": "alice"}, headers={"accept-encoding": "gzip"})
    assert (reply.status, header(reply, "content-encoding")) == (200, "")


def sent_file(world: World, token: Secret[str], content: bytes, **form: str) -> Reply:
    """A file as a browser sends it with the form."""
    parts = [
        f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in marked(token, form).items()
    ]
    parts.append(b'--limit\r\nContent-Disposition: form-data; name="file"; filename="tokens"\r\n\r\n' + content)
    headers = {
        "host": "localhost",
        "cookie": f"{cookies.SESSION}={token.reveal()}",
        "origin": "https://localhost",
        "content-type": "multipart/form-data; boundary=limit",
    }
    body = b"".join([*parts, b"\r\n--limit--\r\n"])
    return run(ask(world.interfaces.app, "POST", "/console/token-imports", body, headers))


@pytest.mark.parametrize(
    ("name", "password"),
    [("tokens.csv", ""), ("plain.pskc", ""), ("tokens.sdtid", ""), ("password.sdtid", "correct horse")],
)
def test_a_file_is_checked_before_it_is_imported(world: World, admin: Secret[str], name: str, password: str) -> None:
    content = (SAMPLES / name).read_bytes()
    reply = sent_file(world, admin, content, domain=INSIDE, password=password)
    assert "can be imported" in text(reply)
    assert logged_events(world.instance, Action.TOKEN_IMPORTED) == []
    (mark,) = re.findall(r'name="checked" value="([0-9a-f]{64})"', reply.body.decode())
    assert (password in reply.body.decode()) is (not password)
    again = {"domain": INSIDE, "password": password, "checked": mark, "do": "import"}
    imported = text(sent_file(world, admin, content, **again))
    assert re.search(r"\d+ tokens? imported", imported)
    assert len(logged_events(world.instance, Action.TOKEN_IMPORTED)) == 1


def test_only_the_file_that_was_checked_is_imported(world: World, admin: Secret[str]) -> None:
    content = f"serial,type,seed\nT1,totp,{SEED}\n".encode()
    unchecked = sent_file(world, admin, content, domain=INSIDE, do="import")
    assert (unchecked.status, "this file has not been checked yet" in text(unchecked).lower()) == (400, True)
    assert b'value="import"' not in unchecked.body
    (mark,) = re.findall(
        r'name="checked" value="([0-9a-f]{64})"', sent_file(world, admin, content, domain=INSIDE).body.decode()
    )
    other = sent_file(world, admin, content.replace(b"T1", b"T2"), domain=INSIDE, do="import", checked=mark)
    assert (other.status, "This file differs from the one that was checked" in text(other)) == (409, True)
    assert logged_events(world.instance, Action.TOKEN_IMPORTED) == []


def test_each_refused_line_is_reported_without_its_content(world: World, admin: Secret[str]) -> None:
    content = f"serial,type,seed\nT1,totp,{SEED}\n{world.spare},totp,{SEED}\nT1,totp,{SEED}\nT2,totp,nothexatall\n"
    reply = sent_file(world, admin, content.encode(), domain=INSIDE)
    shown = text(reply)
    assert "1 token can be imported, 3 rejected" in shown
    assert re.search(rf"3 {world.spare} A token with this serial number already exists", shown)
    assert "4 T1 The file has this serial number twice" in shown
    assert SEED.encode() not in reply.body
    assert b"nothexatall" not in reply.body


def test_an_invalid_and_a_missing_file_are_reported(world: World, admin: Secret[str]) -> None:
    for content, said in ((b"nonsense", "does not name the columns"), (b"", "has no file, or the file is empty")):
        reply = sent_file(world, admin, content, domain=INSIDE)
        assert (reply.status, said in text(reply)) == (400, True)


def test_a_file_that_is_too_large_is_refused_on_a_page(world: World, admin: Secret[str]) -> None:
    reply = sent_file(world, admin, b" " * FILE, domain=INSIDE)
    assert (reply.status, header(reply, "content-type")) == (413, "text/html; charset=utf-8")
    assert "Send less at once" in text(reply)


def test_s65_a_file_of_seeds_is_on_no_disk_while_it_is_read(
    world: World, admin: Secret[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))  # writing a temporary file fails
    content = f"serial,type,seed\nT1,totp,{SEED}\n" + "\n" * 2**21
    assert "1 token can be imported" in text(sent_file(world, admin, content.encode(), domain=INSIDE))


def test_file_imports_are_listed_for_the_domains_of_the_permission(world: World) -> None:
    add_domain(world.instance, ROOT, "Bern", now=NOW)
    for serial, domain in (("A1", INSIDE), ("A2", "Bern")):
        import_tokens(
            world.instance, ROOT, f"serial,type,seed\n{serial},totp,{SEED}\n".encode(), None, now=NOW, domain=domain
        )
    with world.instance.database.read() as connection:
        bern = domains.find_domain(connection, "Bern")
    assert bern is not None
    of_bern = Actor("user:x", (Grant(frozenset({Permission.TOKEN_IMPORT}), frozenset({bern.id})),))
    assert [each.domain for each in list_imports(world.instance, ROOT)] == ["Bern", INSIDE]
    (only,) = list_imports(world.instance, of_bern)
    assert (only.domain, only.added, only.refused, only.kind, only.at, only.by) == ("Bern", 1, 0, "csv", NOW, "os:root")


@pytest.mark.parametrize(("role", "domain"), [(SUPER_ADMINISTRATOR, TOP_DOMAIN), ("token administrator", INSIDE)])
def test_pages_ask_little_of_the_database_and_are_small(world: World, role: str, domain: str) -> None:
    admin = an_administrator(world.instance, role, domain)
    stock(world, 60)
    granted(submit(world.instance, world.alice, NOW + 60))
    addresses = (
        LIST,
        f"{LIST}?text=T",
        f"{LIST}/{world.alice.serial}",
        f"{LIST}/{world.alice.serial}/unassign",
        "/console/new-token",
        "/console/token-imports",
    )
    for address in addresses:
        with statements(world) as seen:
            reply = page(world, address, admin, headers={"accept-encoding": "gzip"})
        asked = [each for each in seen if each.lstrip().upper().startswith(("SELECT", "WITH", "INSERT", "UPDATE"))]
        assert (reply.status, len(asked) <= 10) == (200, True), (address, asked)
        assert len(reply.body) <= 60_000, (address, len(reply.body))
