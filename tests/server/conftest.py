"""The interfaces of a fresh server: in memory, or on both databases where the kind of database matters."""

from collections.abc import Iterator

import pytest

from sparekey.storage import schema
from sparekey.storage.unit_of_work import Database
from tests.builders import an_instance
from tests.server.interfaces import Interfaces, interfaces_of
from tests.server.operation_world import Original, World, a_world, an_original
from tests.shared_statements import open_database


@pytest.fixture
def interfaces(memory_database: Database) -> Iterator[Interfaces]:
    """A fresh server in memory."""
    with interfaces_of(an_instance(memory_database)) as interfaces:
        yield interfaces


@pytest.fixture
def any_interfaces(database: Database) -> Iterator[Interfaces]:
    """A fresh server: the test runs on an SQLite file and on PostgreSQL."""
    with interfaces_of(an_instance(database), threads=16) as interfaces:
        yield interfaces


@pytest.fixture(scope="session")
def original() -> Iterator[Original]:
    """Build the original of which every world is a copy."""
    database = open_database("sqlite://")
    schema.upgrade(database.engine)
    yield an_original(database)
    database.close()


@pytest.fixture
def world(original: Original) -> Iterator[World]:
    """A small server on which every operation can be carried out."""
    with a_world(original) as world:
        yield world
