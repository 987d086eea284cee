"""One laptop for all journeys of a test process; each journey finds it online and running, and leaves it so."""

from collections.abc import Iterator

import pytest

from tests.journeys.linux.laptop import Laptop, a_laptop


@pytest.fixture(scope="session")
def shared_laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    with a_laptop(tmp_path_factory.mktemp("laptop")) as laptop:
        yield laptop


@pytest.fixture
def laptop(shared_laptop: Laptop) -> Iterator[Laptop]:
    yield shared_laptop
    shared_laptop.tidy_up()
