"""S61, S63 over every page of self-service: users reach only their own objects; a session opens nothing else."""

from dataclasses import dataclass

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web import cookies
from sparekey.server.web.pages import Page
from tests.builders import NOW, PIN, ROOT, User, a_device, a_user, logged_events, token_row
from tests.server.asgi import ask
from tests.server.interfaces import Interfaces, run
from tests.server.operation_world import session_of
from tests.server.self_service_visitor import SIGN_IN, Visitor, header, placed, said, signed_in

every_page = pytest.mark.parametrize(
    "page", SELF_SERVICE.pages, ids=[f"{each.method} {each.path}" for each in SELF_SERVICE.pages]
)
_named = [each for each in SELF_SERVICE.pages if "{" in each.path]
every_page_about_something = pytest.mark.parametrize(
    "page", _named, ids=[f"{each.method} {each.path}" for each in _named]
)


@dataclass
class Two:
    """Two users: Mallory has signed in; the other objects are Alice's."""

    interfaces: Interfaces
    mallory: Visitor
    own: User
    alice: User
    device_id: str
    own_device_id: str

    def form(self) -> dict[str, str]:
        """Return a form that every page would accept, if only the object were Mallory's."""
        step = self.alice.step(NOW) + 40
        codes = {"first": self.alice.totp.code(step), "second": self.alice.totp.code(step + 1)}
        return {"new": "93kd71", "again": "93kd71", "passcode": "1", **codes}

    def effects(self) -> list[AuditRow]:
        return [
            row
            for row in logged_events(self.interfaces.instance, limit=10_000)
            if row.account_id == self.alice.account_id
        ]


@pytest.fixture
def two(interfaces: Interfaces) -> Two:
    alice, mallory = a_user(interfaces.instance, "alice", pin=PIN), a_user(interfaces.instance, "mallory", pin=PIN)
    device = a_device(interfaces.instance, "laptop-of-alice")
    device.sign_in(alice, NOW)
    interfaces.now[0] = NOW + 60
    own = a_device(interfaces.instance, "laptop-of-mallory")
    own.sign_in(mallory, interfaces.now[0])
    interfaces.now[0] += 60
    return Two(interfaces, signed_in(interfaces, mallory), mallory, alice, device.device_id, own.device_id)


@every_page_about_something
def test_s63_objects_of_other_users_do_not_exist(two: Two, page: Page) -> None:
    """The answer is the same as for an unknown object, and nothing changes."""
    before, row, names = (
        two.effects(),
        token_row(two.interfaces.instance, two.alice.serial),
        (two.alice.serial, two.device_id),
    )
    theirs = two.mallory.ask(page, *names, form=two.form())
    nothing = two.mallory.ask(page, "SK00000000", "0" * 32, form=two.form())
    assert (theirs.status, nothing.status) == (404, 404)
    assert _without_changing(theirs.body, names) == _without_changing(nothing.body, names)
    assert two.effects() == before
    assert token_row(two.interfaces.instance, two.alice.serial) == row
    for name in ("alice", *names):
        assert name.encode() not in theirs.body


def _without_changing(body: bytes, names: tuple[str, ...]) -> list[bytes]:
    return [line for line in body.splitlines() if b"nonce" not in line and b'name="mark"' not in line and names]


@every_page
def test_s63_no_page_reveals_other_users(two: Two, page: Page) -> None:
    """With Mallory's own objects every page answers, and nothing of Alice is on it."""
    reply = two.mallory.ask(page, two.own.serial, two.own_device_id, form={**two.form(), "user": "alice"})
    assert reply.status < 500
    for name in (b"alice", two.alice.serial.encode(), two.device_id.encode()):
        assert name not in reply.body


@every_page
def test_s63_a_visitor_without_a_session_is_redirected_to_sign_in(two: Two, page: Page) -> None:
    before = two.effects()
    mallory = two.mallory.token
    assert mallory is not None
    console_too = Visitor(two.interfaces, mallory, cookie=cookies.SESSION)
    for nobody in (Visitor(two.interfaces, None), Visitor(two.interfaces, Secret("spu_wrong")), console_too):
        reply = nobody.ask(page, two.alice.serial, two.device_id)
        assert (reply.status, said(reply)) == (303, SIGN_IN)
    assert two.effects() == before


@every_page
def test_s61_a_form_of_another_site_or_sign_in_does_nothing(two: Two, page: Page) -> None:
    if not page.changes:
        return
    path = placed(page, two.own.serial, two.own_device_id)
    before = logged_events(two.interfaces.instance)
    replies = [
        two.mallory.post(path, {"mark": ""}),
        two.mallory.post(path, {"mark": cookies.new_mark(Secret("spu_of_somebody_else"))}),
        two.mallory.post(path, headers={"origin": "https://elsewhere.example"}),
        two.mallory.post(path, headers={"sec-fetch-site": "cross-site"}),
        two.mallory.post(path, headers={"host": "elsewhere.example"}),
    ]
    assert [reply.status for reply in replies] == [403, 403, 403, 403, 421]
    assert logged_events(two.interfaces.instance) == before


@every_page
def test_s61_no_page_runs_a_script_that_is_not_ours(two: Two, page: Page) -> None:
    reply = two.mallory.ask(page, two.own.serial, two.own_device_id, form=two.form())
    policy = header(reply, "content-security-policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert header(reply, "cache-control") == "no-store"
    for sign in (b" style=", b"<style", b" onclick=", b"javascript:"):
        assert sign not in reply.body


def test_s63_a_session_of_a_user_opens_nothing_of_the_administrators(two: Two) -> None:
    """Whatever roles the user holds: it is another kind of session, in another cookie."""
    _make_super_administrator(two)
    two.interfaces.now[0] += 60
    visitor = signed_in(two.interfaces, two.own)
    assert visitor.token is not None
    for page in (each for each in CONSOLE.pages if not each.changes and "{" not in each.path):
        for cookie in (cookies.SELF_SERVICE, cookies.SESSION):
            reply = Visitor(two.interfaces, visitor.token, cookie=cookie).get(page.path)
            assert (reply.status, said(reply)) == (303, CONSOLE.sign_in)
    bearer = {"Authorization": f"Bearer {visitor.token.reveal()}"}
    assert run(ask(two.interfaces.app, "GET", "/v1/users", headers=bearer)).status == 401


def test_s63_a_session_of_an_administrator_opens_no_self_service(two: Two) -> None:
    _make_super_administrator(two)
    two.interfaces.now[0] += 60
    console = session_of(two.interfaces.instance, two.own, two.interfaces.now[0])
    for cookie in (cookies.SELF_SERVICE, cookies.SESSION):
        assert said(Visitor(two.interfaces, console, cookie=cookie).get(SELF_SERVICE.home)) == SIGN_IN


def _make_super_administrator(two: Two) -> None:
    roles.grant(two.interfaces.instance, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, "mallory", TOP_DOMAIN, now=NOW)
