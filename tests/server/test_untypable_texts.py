"""Text that no database can store, or that is too long, in every field, query and path: refused with a reason.

On PostgreSQL, the stricter one: it takes no NUL in a text, no half character and no number beyond its type.
"""

import inspect
import json
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people.domains import add_domain
from sparekey.app.rest.registry import OPERATIONS
from sparekey.app.sessions import users as user_sessions
from sparekey.app.sessions.clients import add_client
from sparekey.core.errors import Conflict
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web import cookies
from sparekey.server.web.pages import Page
from sparekey.server.web.rendering import MARK_FIELD
from sparekey.server.web.site import Site
from sparekey.wire import agent_api as api
from sparekey.wire.events import OfflineEvent
from tests.builders import LIGHT, NOW, PIN, ROOT, Device, a_device, a_user, an_instance, granted
from tests.clean_databases import CleanDatabases
from tests.server.asgi import Reply, ask
from tests.server.interfaces import interfaces_of, run
from tests.server.operation_world import INSIDE, OUTSIDE, World, an_administrator, request_of
from tests.server.page_world import address_of
from tests.server.self_service_visitor import placed
from tests.shared_statements import open_database
from tools.counts import Count

pytestmark = pytest.mark.services
_NEVER = ("%00", "a%00b", "%1B[2J", "%C2%85", "%ED%A0%80", "%FF")
_LONG = ("x" * 5_000, "9" * 40)
_READ = re.compile(r"\b(?:query|form|fields)\.(?:text|get|secret|flag|number|day|all)\(\s*\"([\w-]+)\"")
every_site = pytest.mark.parametrize("site", [CONSOLE, SELF_SERVICE], ids=lambda site: site.name)


@dataclass(frozen=True)
class Strict:
    """A world on PostgreSQL, and its callers."""

    world: World
    device: Device
    tokens: dict[str, Secret[str]] = field(default_factory=dict)

    def session(self, site: Site) -> Secret[str]:
        """Begin the session of an administrator who may have every page."""
        if site is CONSOLE:
            return an_administrator(self.world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
        alice, token = self.world.alice, user_sessions.new_token()
        with self.world.instance.database.write() as connection:
            granted = Granted(alice.account_id, alice.login, Method.TOKENCODE, alice.token_id)
            user_sessions.begin_session(connection, token, granted, NOW)
        return token

    def asks(self, site: Site, page: Page, sent: str, path: str = "") -> Reply:
        """Request the page with these fields, in its query or its form."""
        token = self.tokens.get(site.name) or self.tokens.setdefault(site.name, self.session(site))
        headers = {"host": "localhost", "cookie": f"{site.sessions.cookie}={token.reveal()}"}
        path, body = path or self.address_of(site, page), b""
        if page.changes:
            headers["content-type"] = "application/x-www-form-urlencoded"
            body = f"{MARK_FIELD}={cookies.new_mark(token)}&{sent}".encode()
        elif sent:
            path += f"?{sent}"
        reply = run(ask(self.world.interfaces.app, page.method, path, body, headers))
        if reply.status == 303 and site.sign_in in str(reply.headers) and cookies.SAID not in str(reply.headers):
            del self.tokens[site.name]  # an earlier action ended it
            return self.asks(site, page, sent, path)
        return reply

    def address_of(self, site: Site, page: Page) -> str:
        if site is CONSOLE:
            return address_of(self.world, page)
        return placed(page, self.world.alice.serial, self.world.device_id)


@pytest.fixture
def strict(clean_databases: CleanDatabases) -> Iterator[Strict]:
    with clean_databases.one() as url, closing(open_database(url)) as database:
        instance = an_instance(database, policy=LIGHT)
        for name in (INSIDE, OUTSIDE):
            add_domain(instance, ROOT, name, now=NOW)
        alice = a_user(instance, "alice", pin=PIN, domain=INSIDE)
        device = a_device(instance, "laptop", domain=INSIDE)
        granted(device.sign_in(alice, NOW).outcome)
        add_client(instance, ROOT, "crm", INSIDE, now=NOW)
        with interfaces_of(instance) as interfaces:
            yield Strict(World(interfaces, alice, a_user(instance, domain=INSIDE).serial, device.device_id), device)


def fields_of(page: Page) -> list[str]:
    """Return the names of all fields that pages of its module read."""
    source = inspect.getsource(inspect.getmodule(page.handler))  # type: ignore[arg-type] # a handler is in a module
    return sorted({*_READ.findall(source)} - {MARK_FIELD})


@every_site
def test_untypable_text_is_refused_in_every_field_and_query(strict: Strict, site: Site) -> None:
    for number, page in enumerate(site.pages):
        value, names = _NEVER[number % len(_NEVER)], [*fields_of(page), "unknown"]
        for sent in (f"{names[number % len(names)]}={value}", "a%00b=x"):
            reply = strict.asks(site, page, sent)
            assert reply.status == 400, (page.method, page.path, sent, reply)


@every_site
def test_text_that_is_too_long_is_refused_with_a_reason(strict: Strict, site: Site, count: Count) -> None:
    for number, page in enumerate(sorted(site.pages, key=lambda page: page.changes)):
        names = fields_of(page)
        together = "&".join(f"{name}={{0}}" for name in names[:12])
        for sent in (together, *(f"{name}={{0}}" for name in names[: count(small=0, full=100)])):
            for value in (_LONG * 2)[number % 2 : number % 2 + count(small=1, full=2)]:
                reply = strict.asks(site, page, sent.format(value))
                assert reply.status < 500, (page.method, page.path, sent, value[:5], reply)


@every_site
def test_untypable_names_in_paths_are_not_found(strict: Strict, site: Site) -> None:
    for page in [each for each in site.pages if "{" in each.path]:
        for value in ("%00", _LONG[0], "%F0%9F%94%91'%22%25"):
            path = re.sub(r"{\w+}", lambda _, value=value: value, page.path)  # type: ignore[misc] # mypy cannot infer a lambda with a default
            reply = strict.asks(site, page, "", path)
            assert reply.status in (400, 404) or (reply.status in (200, 303) and value not in _NEVER), (
                path[:90],
                reply,
            )


def test_programs_are_refused_alike(strict: Strict) -> None:
    world, token = strict.world, strict.session(CONSOLE)
    seen: dict[str, object] = {}
    not_kept: dict[object, tuple[object, ...]] = {
        str: ("\x00", "a\x00b", "x" * 4_096),
        int: (2**53 - 1, -(2**53) + 1),
    }
    for operation in OPERATIONS:
        with suppress(Conflict):  # it exists already
            seen |= request_of(world, operation)
        right = {member.name: seen[member.name] for member in operation.members if member.name in seen}
        for member in operation.members:
            for value in not_kept.get(member.kind, ()):
                reply = run(world.ask(operation, {**right, member.name: value}, token))
                assert reply.status < 500, (operation.name, member.name, repr(value)[:9], reply)
                assert reply.status in (400, 404) or "\x00" not in str(value), (operation.name, member.name, reply)


def test_devices_are_refused_alike(strict: Strict) -> None:
    interfaces, device, huge = strict.world.interfaces, strict.device, 2**53 - 1
    alice, token = strict.world.alice.account_id, strict.world.alice.token_id
    for text in ("\x00", "a\x00", "\ud800", "x" * 4_096):
        event = OfflineEvent(
            number=1,
            at=huge,
            kind=text,
            user=text,
            login=text,
            method=text,
            token=text,
            step=huge,
            version=huge,
            check=text,
            reason=text,
            previous=text,
        )
        held = api.HeldUnit(
            user=text, kind=text, token=text, day=huge, generation=huge, version=huge, unit_hash="00" * 32
        )
        for path, message in (
            (api.SYNC, api.SyncRequest(held=[held], checkpoint="", hardware_bound=False)),
            (api.SYNC, api.SyncRequest(held=[replace(held, user=alice)], checkpoint=text, hardware_bound=False)),
            (api.UNITS, api.UnitRequest(user=text, kind="day", token=token, day=20_000, generation=1)),
            (api.UNITS, api.UnitRequest(user=alice, kind="day", token=text, day=huge, generation=huge)),
            (api.UNITS, api.UnitRequest(user=alice, kind=text, token=token, day=-huge, generation=-huge)),
            (api.ACKNOWLEDGEMENTS, api.AcknowledgementRequest(unit_hashes=[text])),
            (api.EVENTS, api.EventsRequest(events=[event])),
            (api.SIGN_INS, api.SignInRequest(login=text, passcode=text, check="", reply_to=text)),
            (
                api.ENROL,
                api.EnrolRequest(
                    secret="00", public_key="00", proof="00", name=text, supports_offline=True, hardware_bound=False
                ),
            ),
        ):
            body = json.dumps(asdict(message)).encode()
            reply = run(interfaces.signed(device, path, body))
            assert reply.status < 500, (path, repr(text)[:9], reply)
    for text in ("\x00", "\ud800"):
        for path in ("/v1/sign-ins", "/v1/sessions"):
            body = json.dumps({"user": text, "passcode": text, "reply_to": text}).encode()
            reply = run(ask(interfaces.app, "POST", path, body, {"authorization": f"Bearer {interfaces.key.reveal()}"}))
            assert (reply.status, reply.json.get("result")) in ((200, "denied"), (400, None)), reply
