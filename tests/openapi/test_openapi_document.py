"""The published description against the server that publishes it: schemathesis asks what the description allows, and
what it does not, and looks whether every answer is as described.

Not looked at: whether whatever has the right form is accepted (a name may be taken, a PIN too easy), and whether every
request is refused without a token, which `test_s63_operations` does.
"""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.rest.registry import OPERATIONS
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.server import openapi
from sparekey.server.application import create_application
from sparekey.server.service import Service
from sparekey.server.settings import Settings
from sparekey.storage import schema
from tests.builders import an_instance
from tests.server.operation_world import Original, World, a_world, an_administrator, an_original
from tests.shared_statements import open_database
from tools.counts import Count

load_all_checks()
_LOOKED_AT = [
    check
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    )
    for check in CHECKS.get_by_names([name])
]


def _labels() -> list[str]:
    """Every operation of the description."""
    database = open_database("sqlite://")
    schema.upgrade(database.engine)
    service = Service.of(an_instance(database, policy={}), Settings())
    paths = openapi.document(create_application(service).routes)["paths"]
    service.close()
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


LABELS = _labels()
# A text too long may be a body too large.
_CONFIG = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 409, 413]}}}
)


@pytest.fixture(scope="module")
def original() -> Iterator[Original]:
    database = open_database("sqlite://")
    schema.upgrade(database.engine)
    yield an_original(database)
    database.close()


def test_every_operation_is_described() -> None:
    assert {f"{each.method} {each.path}" for each in OPERATIONS} < set(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_every_answer_is_as_described(original: Original, count: Count, label: str) -> None:
    with ExitStack() as stack:
        world = stack.enter_context(a_world(original))
        token = an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        document = _document(world)
        method, _, path = label.partition(" ")
        operation = document[path][method]
        for mode in schemathesis.GenerationMode:
            about = _known(world) if mode is schemathesis.GenerationMode.POSITIVE else {}
            with suppress(Unsatisfiable):  # nothing can be wrong with a request that carries nothing
                _look(operation.as_strategy(generation_mode=mode), about, headers, count(small=4, full=500))


def _document(world: World) -> Any:
    """Return the published document without the token: every request here has the right one."""
    described = openapi.document(world.interfaces.app.routes)
    for methods in described["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
    document = schemathesis.openapi.from_dict(dict(described), config=_CONFIG)
    document.app = world.interfaces.app
    return document


def _known(world: World) -> dict[str, str]:
    """Return names of existing objects, which random names would hardly ever hit."""
    return {"login": "alice", "serial": world.alice.serial, "domain": "Sales", "name": "Sales"}


def _look(cases: st.SearchStrategy[Any], known: dict[str, str], headers: dict[str, str], examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=[*HealthCheck], database=None)
    @given(case=cases, is_known=st.booleans())
    def ask(case: Any, is_known: bool) -> None:
        if is_known:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = known.get(name, case.path_parameters[name])
        reply = case.call(headers=headers)
        case.validate_response(reply, checks=_LOOKED_AT)

    ask()
