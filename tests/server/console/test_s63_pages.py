"""S61, S62, S63 over every page of the Security Console, as data: every caller, every place, every form."""

import re
from html.parser import HTMLParser

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.rest.operation import NEEDS_FRESH
from sparekey.app.sessions.administrators import FRESH_SECONDS, IDLE_SECONDS
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Permission
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from sparekey.server.web.pages import FORM, Page
from tests.builders import NOW, ROOT, a_user, logged_events
from tests.server.interfaces import run
from tests.server.operation_world import OUTSIDE, World, an_administrator, session_of
from tests.server.page_world import header, marked, visit

every_page = pytest.mark.parametrize(
    "page", CONSOLE.pages, ids=[f"{each.method} {each.path}" for each in CONSOLE.pages]
)
every_form = pytest.mark.parametrize(
    "page", [each for each in CONSOLE.pages if each.changes], ids=[each.path for each in CONSOLE.pages if each.changes]
)
_INSIDE_NAMES = ("alice", "laptop", "crm")


def effects(instance: Instance) -> list[AuditRow]:
    """Everything that administrators did."""
    return [row for row in logged_events(instance, limit=10_000) if row.actor.startswith("user:")]


def session_with(world: World, permissions: frozenset[Permission], domain: str = TOP_DOMAIN) -> Secret[str]:
    """Return the session of an administrator who has exactly these permissions in this domain."""
    names = sorted(permission.value for permission in permissions)
    roles.add_role(world.instance, ROOT, "just so", names, now=NOW)
    user = a_user(world.instance)
    roles.grant(world.instance, ROOT, "just so", HolderKind.USER, user.login, domain, now=NOW)
    return session_of(world.instance, user)


@every_page
def test_s63_a_visitor_without_a_session_is_redirected_to_sign_in(world: World, page: Page) -> None:
    over = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    before = effects(world.instance)
    replies = [run(visit(world, page, token)) for token in (None, Secret("sps_wrong"), Secret("spk_wrong"))]
    world.interfaces.now[0] = NOW + IDLE_SECONDS
    replies.append(run(visit(world, page, over)))
    for reply in replies:
        assert (reply.status, header(reply, "location").partition("?")[0]) == (303, CONSOLE.sign_in), reply
    assert effects(world.instance) == before


@every_page
def test_s63_all_other_permissions_are_not_enough(world: World, page: Page) -> None:
    if page.permission is None:
        return  # for every signed-in user; its use cases decide on its content
    token = session_with(world, frozenset(Permission) - {page.permission})
    before = effects(world.instance)
    reply = run(visit(world, page, token))
    assert reply.status == 403, reply.body.decode()[-2000:]
    assert effects(world.instance) == before


@every_page
def test_s63_objects_out_of_scope_are_on_no_page(world: World, page: Page) -> None:
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, OUTSIDE)
    before = effects(world.instance)
    reply = run(visit(world, page, token))
    assert reply.status < 500, reply
    if page.changes:
        assert effects(world.instance) == before or "{" not in page.path
        return
    shown = re.sub(r"<(nav|header).*?</\1>", "", reply.body.decode(), flags=re.DOTALL)
    shown = re.sub(r"a (stolen )?laptop", "", shown)  # any laptop, not that one
    asked_for = {name for name in _INSIDE_NAMES if name in page.path} | (
        set(_INSIDE_NAMES) if reply.status in (403, 404) else set()
    )
    for name in {*_INSIDE_NAMES, world.spare} - asked_for:
        assert name not in shown, f"{name} on {page.path}"


@every_form
def test_s61_a_form_of_another_site_or_sign_in_does_nothing(world: World, page: Page) -> None:
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    other = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    before = effects(world.instance)
    replies = [
        run(visit(world, page, token, {"mark": ""})),
        run(visit(world, page, token, marked(other, {}))),
        run(visit(world, page, token, headers={"origin": "https://elsewhere.example"})),
        run(visit(world, page, token, headers={"sec-fetch-site": "same-site"})),
        run(visit(world, page, token, headers={"host": "elsewhere.example"})),
    ]
    assert [reply.status for reply in replies] == [403, 403, 403, 403, 421]
    assert effects(world.instance) == before


@every_page
def test_s62_dangerous_actions_require_the_second_factor(world: World, page: Page) -> None:
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    world.interfaces.now[0] = NOW + FRESH_SECONDS
    before = effects(world.instance)
    reply = run(visit(world, page, token))
    asked = b'name="second-factor"' in reply.body
    assert asked is page.fresh, reply.body.decode()[-2000:]
    assert not page.fresh or effects(world.instance) == before
    if page.changes and page.permission in NEEDS_FRESH:
        assert page.fresh, f"{page.path} does something dangerous and is not marked as fresh"


@every_page
def test_s61_no_page_runs_a_script_that_is_not_ours(world: World, page: Page) -> None:
    token = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    reply = run(visit(world, page, token))
    policy = header(reply, "content-security-policy")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (header(reply, "cache-control"), header(reply, "x-content-type-options")) == ("no-store", "nosniff")
    if header(reply, "content-type").startswith("text/html"):
        nonce = re.search(r"script-src 'nonce-([\w-]{20,})'", policy)
        assert nonce is not None
        _verify_inert(reply.body.decode(), nonce.group(1))


def _verify_inert(page: str, nonce: str) -> None:
    """Check that the page has no script without a source and a nonce, no handler, no style, and no script address."""

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            values = dict(attrs)
            assert tag not in {"style", "iframe", "object", "embed", "base"}, tag
            assert not [name for name in values if name.startswith("on") or name == "style"], (tag, values)
            for name in ("href", "src", "action", "formaction"):
                assert not (values.get(name) or "").lower().lstrip().startswith(("javascript:", "data:text")), values
            if tag == "script":
                assert values.get("src", "").startswith("/assets/")  # type: ignore[union-attr] # an empty one fails
                assert values.get("nonce") == nonce

    Reader().feed(page)


@pytest.mark.parametrize("page", [each for each in CONSOLE.pages if each.largest > FORM], ids=lambda page: page.path)
def test_s08_a_user_without_permission_cannot_upload(world: World, page: Page) -> None:
    """The server refuses before it reads the body: the announced length is above every limit."""
    auditor = an_administrator(world.instance, "auditor", TOP_DOMAIN)
    over = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
    headers = {"content-type": "multipart/form-data", "content-length": str(10**10)}
    for token, status in ((None, 303), (auditor, 403), (over, 413)):
        assert run(visit(world, page, token, announced=False, headers=headers)).status == status
