"""Both doors of a fresh server: in memory where the kind of database is not the point, else on both."""

from collections.abc import Iterator

import pytest

from sparekey.storage.unit_of_work import Database
from tests.builders import an_instance
from tests.server.doors import Doors, doors_of


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
