"""Costs of pages over much data: at most 60 KB in transit, ten database queries.

Every page of both consoles is read, by an unlimited administrator and by one with a narrow scope, and every form is
sent. The reads before a form's change count, its writes do not.
"""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event

from sparekey.app.instance import TOP_DOMAIN
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from sparekey.server.selfservice.site import SELF_SERVICE
from sparekey.server.web.pages import Page
from sparekey.storage import schema
from sparekey.storage.engine import WRITES
from tests.builders import NOW
from tests.server.asgi import Reply
from tests.server.crowd import gather
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, Original, World, a_world, an_administrator, an_original
from tests.server.page_world import address_of, header, visit
from tests.server.self_service_visitor import signed_in
from tests.shared_statements import open_database

MOST_BYTES, MOST_STATEMENTS = 60_000, 11
MOST_OF_FORMS = 16  # the action of a form reads, too, before it changes anything
# Search texts, for pages with a search.
QUERIES = {
    "/console/search": "for=person",
    "/console/users": "text=person&state=enabled",
    "/console/tokens": "text=person",
    "/console/devices": "text=desk",
    "/console/clients": "text=client",
    "/console/audit": "user=alice&result=ok",
    "/console/policies:effective": "user=alice&device=laptop",
}


def ids(pages: list[Page]) -> list[str]:
    return [f"{each.method} {each.path}" for each in pages]


LOOKED_AT = [each for each in CONSOLE.pages if not each.changes]
FORMS = [each for each in CONSOLE.pages if each.changes]


@pytest.fixture(scope="module")
def crowded() -> Iterator[Original]:
    database = open_database("sqlite://")
    schema.upgrade(database.engine)
    yield an_original(database, gather)
    database.close()


@pytest.fixture(scope="module")
def crowd(crowded: Original) -> Iterator[World]:
    """Yield a crowded world, for reading only."""
    with a_world(crowded) as world:
        yield world


@pytest.fixture(scope="module", params=[TOP_DOMAIN, INSIDE], ids=["everywhere", "in Sales"])
def admin(request: pytest.FixtureRequest, crowd: World) -> Secret[str]:
    return an_administrator(crowd.instance, SUPER_ADMINISTRATOR, request.param)


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Collect the database reads of the block, without its writes."""
    seen: list[str] = []

    def note(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if not connection.get_execution_options().get(WRITES) and not statement.startswith(
            ("BEGIN", "ROLLBACK", "PRAGMA")
        ):
            seen.append(statement)

    event.listen(world.instance.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(world.instance.database.engine, "before_cursor_execute", note)


def verify_cheap(reply: Reply, asked: list[str], most: int = MOST_STATEMENTS) -> None:
    assert reply.status < 500, reply
    assert len(asked) <= most, f"{len(asked)}:\n" + "\n".join(asked)
    if header(reply, "content-type").startswith("text/html"):
        size = len(gzip.compress(reply.body))
        assert size < MOST_BYTES, size


@pytest.mark.parametrize("page", LOOKED_AT, ids=ids(LOOKED_AT))
def test_a_page_costs_little_however_much_there_is(crowd: World, admin: Secret[str], page: Page) -> None:
    address = address_of(crowd, page)
    for each in [address] + ([f"{address}?{QUERIES[page.path]}"] if page.path in QUERIES else []):
        with statements(crowd) as asked:
            reply = run(visit(crowd, page, admin, path=each))
        verify_cheap(reply, asked)


@pytest.mark.parametrize("page", FORMS, ids=ids(FORMS))
def test_the_answer_to_a_form_costs_little(crowded: Original, page: Page) -> None:
    with a_world(crowded) as world:
        admin = an_administrator(world.instance, SUPER_ADMINISTRATOR, INSIDE)
        with statements(world) as asked:
            reply = run(visit(world, page, admin))
        verify_cheap(reply, asked, MOST_OF_FORMS)


@pytest.mark.parametrize("page", SELF_SERVICE.pages, ids=ids(list(SELF_SERVICE.pages)))
def test_a_page_of_self_service_costs_little(crowded: Original, page: Page) -> None:
    with a_world(crowded) as world:
        world.interfaces.now[0] = NOW + 3_600
        alice = signed_in(world.interfaces, world.alice)
        with statements(world) as asked:
            reply = alice.ask(page, world.alice.serial, world.device_id)
        verify_cheap(reply, asked, MOST_OF_FORMS if page.changes else MOST_STATEMENTS)
