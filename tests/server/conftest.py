"""Both doors of a fresh server: in memory where the kind of database is not the point, else on both."""

from collections.abc import Iterator

import pytest

from sparekey.storage import schema
from sparekey.storage.engine import open_engine
from sparekey.storage.unit_of_work import Database
from tests.builders import an_instance
from tests.server.doors import Doors, doors_of
from tests.server.operation_world import Original, World, a_world, an_original


@pytest.fixture
def doors(memory_database: Database) -> Iterator[Doors]:
    """A fresh server in memory."""
    with doors_of(an_instance(memory_database)) as doors:
        yield doors


@pytest.fixture
def any_doors(database: Database) -> Iterator[Doors]:
    """A fresh server: the test runs on an SQLite file and on PostgreSQL."""
    with doors_of(an_instance(database), threads=16) as doors:
        yield doors


@pytest.fixture(scope="session")
def original() -> Iterator[Original]:
    """Build the original of which every world is a copy."""
    database = Database(open_engine("sqlite://"))
    schema.upgrade(database.engine)
    yield an_original(database)
    database.close()


@pytest.fixture
def world(original: Original) -> Iterator[World]:
    """A small server on which every operation can be carried out."""
    with a_world(original) as world:
        yield world
