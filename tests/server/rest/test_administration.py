"""Administration over REST: the shape of requests, paging through lists, the content of answers."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from sparekey.app.audit import SYSTEM
from sparekey.app.notices import raise_alarm
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from tests.builders import NOW, PIN, a_device, a_user, logged_events
from tests.server.asgi import Reply, ask
from tests.server.interfaces import Interfaces, run
from tests.server.operation_world import an_administrator


@pytest.fixture
def carol_anywhere(any_interfaces: Interfaces) -> "Administrator":
    """Return an administrator on an SQLite file and on PostgreSQL."""
    return Administrator(any_interfaces, an_administrator(any_interfaces.instance, SUPER_ADMINISTRATOR, "SystemDomain"))


@pytest.fixture
def carol(interfaces: Interfaces) -> "Administrator":
    return Administrator(interfaces, an_administrator(interfaces.instance, SUPER_ADMINISTRATOR, "SystemDomain"))


class Administrator:
    """An administrator with every permission."""

    def __init__(self, interfaces: Interfaces, token: Secret[str]) -> None:
        self.interfaces = interfaces
        self._headers = {"Authorization": f"Bearer {token.reveal()}"}

    def asks(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return run(ask(self.interfaces.app, method, path, content, self._headers, **more))

    def pages(self, path: str, cursor: str = "after") -> Iterator[list[Any]]:
        found = self.asks("GET", path).json
        yield found["items"]
        while found["next"] is not None:
            found = self.asks("GET", f"{path}&{cursor}={quote(str(found['next']))}").json
            yield found["items"]


def test_a_list_is_read_page_by_page(carol_anywhere: Administrator) -> None:
    logins = {a_user(carol_anywhere.interfaces.instance).login for _ in range(7)}
    pages = [*carol_anywhere.pages("/v1/users?limit=3")]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert logins < {user["login"] for page in pages for user in page}
    serials = [token["serial"] for page in carol_anywhere.pages("/v1/tokens?limit=3") for token in page]
    assert len(set(serials)) == len(serials) == 8
    rows = [row["id"] for page in carol_anywhere.pages("/v1/audit?limit=5", "before") for row in page]
    assert rows == sorted(rows, reverse=True)
    assert rows == [row.id for row in reversed(logged_events(carol_anywhere.interfaces.instance))]


def test_devices_of_one_name_are_read_page_by_page(carol_anywhere: Administrator) -> None:
    made = [a_device(carol_anywhere.interfaces.instance, name).device_id for name in ("b", "a", "b", "b", "c")]
    pages = [*carol_anywhere.pages("/v1/devices?limit=2")]
    assert [device["name"] for page in pages for device in page] == ["a", "b", "b", "b", "c"]
    assert {device["device_id"] for page in pages for device in page} == set(made)


def test_alarms_are_read_page_by_page(carol_anywhere: Administrator) -> None:
    for action in (action for action in Action if action.is_alarm):
        with carol_anywhere.interfaces.instance.database.write() as connection:
            raise_alarm(connection, NOW, SYSTEM, action)
    found = [alarm["id"] for page in carol_anywhere.pages("/v1/alarms?limit=2") for alarm in page]
    whole = carol_anywhere.asks("GET", "/v1/alarms").json["items"]
    assert found == [alarm["id"] for alarm in whole]
    assert len(set(found)) == sum(action.is_alarm for action in Action)


def test_a_list_without_pages_reports_its_cut(carol: Administrator) -> None:
    grants, operators = (carol.asks("GET", path).json for path in ("/v1/role-grants", "/v1/operators"))
    assert (len(grants["items"]), grants["cut"], operators) == (1, False, {"items": [], "cut": False})


@pytest.mark.parametrize("name", ["Sales/Bern", "100 %", "a?b#c", "%2F", "Zürich", "...", "a&b=c", "+1"])
def test_a_name_may_be_anything_that_can_be_a_name(carol: Administrator, name: str) -> None:
    assert carol.asks("POST", "/v1/domains", {"name": name}).status == 200
    assert carol.asks("GET", f"/v1/domains/{quote(name, safe='')}").json["view"]["name"] == name
    assert carol.asks("DELETE", f"/v1/domains/{quote(name, safe='')}").status == 204


BAD = {
    "an unknown member": ("POST", "/v1/domains", {"name": "x", "more": 1}),
    "a missing member": ("POST", "/v1/users", {"login": "x"}),
    "a wrong type": ("POST", "/v1/domains", {"name": 7}),
    "no object": ("POST", "/v1/domains", ["x"]),
    "a doubled member": ("POST", "/v1/domains", b'{"name":"a","name":"b"}'),
    "no JSON": ("POST", "/v1/domains", b"\xff"),
    "a fraction": ("POST", "/v1/clients", b'{"name":"x","expires_at":1.5}'),
    "a number too large": ("POST", "/v1/clients", {"name": "x", "expires_at": 2**53}),
    "NUL": ("POST", "/v1/domains", {"name": "a\x00b"}),
    "half a character": ("POST", "/v1/domains", b'{"name":"\\ud800"}'),
    "a long text": ("POST", "/v1/domains", {"name": "x" * 5_000}),
    "no such kind": ("GET", "/v1/policies/other", None),
    "no UTF-8": ("GET", "/v1/users/%ff", None),
    "NUL in the path": ("GET", "/v1/users/%00", None),
    "an unknown query": ("GET", "/v1/users?more=1", None),
    "a doubled query": ("GET", "/v1/users?limit=1&limit=2", None),
    "no query": ("GET", "/v1/users?limit", None),
    "no number": ("GET", "/v1/users?limit=ten", None),
    "no limit": ("GET", "/v1/users?limit=0", None),
    "too much": ("GET", "/v1/users?limit=10001", None),
    "a query beside a body": ("POST", "/v1/domains?name=x", {"name": "x"}),
    "no hex": ("POST", "/v1/user-imports", {"data": "zz"}),
    "half a byte": ("POST", "/v1/user-imports", {"data": "abc"}),
    "a body where none belongs": ("POST", "/v1/users/x/unlock", {"login": "x"}),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_refused_in_words(carol: Administrator, case: str) -> None:
    method, path, body = BAD[case]
    reply = carol.asks(method, path, body)
    assert (reply.status, reply.error) == (400, "bad-request"), reply
    assert set(reply.json) == {"error", "message", "do"}


def test_a_secret_that_was_sent_is_in_no_answer(carol: Administrator) -> None:
    serial = a_user(carol.interfaces.instance, pin=PIN).serial
    for pin in ("canary7F3A7F3A", "1111", [PIN], {"a": PIN}):
        reply = carol.asks("PUT", f"/v1/tokens/{serial}/pin", {"pin": pin})
        assert reply.status == 400
        for secret in ("canary", "1111", PIN):
            assert secret not in reply.body.decode()


def test_a_secret_shown_once_is_only_in_the_answer(carol: Administrator) -> None:
    user = a_user(carol.interfaces.instance)
    key = carol.asks("POST", "/v1/clients", {"name": "vpn"}).json["key"]
    code = carol.asks("POST", "/v1/device-invitations", {"name": "laptop"}).json["code"]
    token = carol.asks("POST", f"/v1/users/{user.login}/tokens", {"with_pin": False}).json
    seed = token["parameters"]["seed"]
    assert (key[:4], len(code), len(seed)) == ("spk_", 47, 40)
    kept = repr(logged_events(carol.interfaces.instance))
    assert not any(secret in kept for secret in (key, code, seed))


def test_a_large_body_is_not_read(carol: Administrator) -> None:
    assert carol.asks("POST", "/v1/domains", b"x" * 70_000).status == 413
    assert carol.asks("POST", "/v1/domains", b"x" * 70_000, announced=False).status == 413


def test_an_unknown_caller_is_refused_before_the_body_is_read(interfaces: Interfaces) -> None:
    reply = run(ask(interfaces.app, "POST", "/v1/domains", b"x" * 70_000, {"Authorization": "Bearer spk_no"}))
    assert reply.status == 401


def test_a_wrong_method_lists_the_allowed_ones(interfaces: Interfaces) -> None:
    reply = run(ask(interfaces.app, "PATCH", "/v1/domains"))
    assert (reply.status, reply.error) == (405, "no-such-route")
    assert dict(reply.headers)[b"allow"]


def test_the_description_names_permission_and_second_factor(interfaces: Interfaces) -> None:
    described = run(ask(interfaces.app, "GET", "/openapi.json")).json
    add = described["paths"]["/v1/users"]["post"]
    assert (add["operationId"], add["x-permission"], add["x-second-factor"]) == ("users.add_user", "user.add", False)
    assert add["security"] == [{"session": []}, {"client": []}]
    assert set(described["components"]["securitySchemes"]) == {"session", "client"}
    named = {each["name"] for operation in _operations(described) for each in operation.get("parameters", ())}
    assert {"login", "limit", "after"} <= named
    assert not {"now", "actor", "instance"} & named  # the server sets the time and the actor, not the caller


def _operations(described: Any) -> list[Any]:
    return [operation for path in described["paths"].values() for operation in path.values()]
