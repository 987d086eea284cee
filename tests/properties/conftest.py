"""One instance for all examples of a property: each example brings its own users."""

from collections.abc import Iterator

import pytest

from sparekey.app.instance import Instance
from tests.builders import an_instance
from tests.conftest import SERVICES
from tests.shared_statements import open_database


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=SERVICES)])
def shared_server(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A server that all examples of a module share: SQLite in memory, and PostgreSQL."""
    if request.param == "sqlite":
        database = open_database("sqlite://")
        yield an_instance(database)
        database.close()
        return
    postgresql = request.getfixturevalue("postgresql_server")
    url = postgresql.create_database()
    database = open_database(url)
    yield an_instance(database)
    database.close()
    postgresql.drop_database(url)
