"""Instances for the tests of the use cases: in memory where the kind of database is not the point, else on both."""

import pytest

from sparekey.app.instance import Instance
from sparekey.storage.unit_of_work import Database
from tests.builders import an_instance


@pytest.fixture
def server(memory_database: Database) -> Instance:
    """A fresh server in memory."""
    return an_instance(memory_database)


@pytest.fixture
def any_server(database: Database) -> Instance:
    """A fresh server: the test runs on an SQLite file and on PostgreSQL."""
    return an_instance(database)
