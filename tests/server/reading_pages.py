"""Reading a page of the console as a person does."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

from sqlalchemy import event

from sparekey.secret import Secret
from sparekey.server.console.site import CONSOLE
from tests.server.asgi import Reply
from tests.server.interfaces import run
from tests.server.operation_world import World
from tests.server.page_world import visit

_ANY = next(page for page in CONSOLE.pages if page.method == "GET")


def look(world: World, who: Secret[str], path: str, **more: Any) -> Reply:
    """Return the page at this address, read in this session."""
    return run(visit(world, _ANY, who, path=path, **more))


def words(reply: Reply) -> str:
    """Return the text of the page as a person reads it, without the frame."""
    text = re.sub(r"<(nav|header).*?</\1>", "", reply.body.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Collect the database statements of the block."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "COMMIT")):
            seen.append(statement)

    event.listen(world.instance.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(world.instance.database.engine, "before_cursor_execute", note)
