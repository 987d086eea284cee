"""Two operators at their own computers: one requests a passcode, the other approves; and an operator over the limit is
stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.clock import now
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import PIN, ROOT, User, a_filled_device, a_user, edit_policy
from tests.cli.server.commands import sparekey
from tests.server.serving import Serving, a_data_directory, serving

pytestmark = pytest.mark.services


@dataclass
class Operators:
    """A running server, and operators at other computers."""

    served: Serving

    def does(self, login: str, *arguments: str, typed: str = "", code: int = 0) -> Any:
        url = f"https://127.0.0.1:{self.served.port}"
        said = sparekey("--server", url, "--as", login, *arguments, "--json", typed=typed)
        assert said.code == code, said
        return said.json

    def here(self, *arguments: str) -> Any:
        """Run a command as root on the server."""
        said = sparekey("--data", str(self.served.data), *arguments, "--json")
        assert said.code == 0, said
        return said.json


@pytest.fixture
def operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operators]:
    """Create Helen of the help desk, Dora, who is responsible for the domain, and Alice with a laptop that holds her
    passcode."""
    for name in ("SPAREKEY_DATA", "SPAREKEY_SERVER", "SPAREKEY_AS", "SPAREKEY_SERVER_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data = a_data_directory(tmp_path)
    instance = open_instance(data, read_settings(data, {}))
    edit_policy(instance, {"protection_level": "light", "days": "1", "passcode_approval": "on"}, now=now())
    people: dict[str, User] = {}
    for login, role in (("helen", "help desk"), ("dora", "domain administrator")):
        people[login] = a_user(instance, login, pin=PIN, now=now())
        roles.grant(instance, ROOT, role, HolderKind.USER, login, TOP_DOMAIN, now=now())
    a_filled_device(instance, a_user(instance, "alice", pin=PIN, now=now()), "laptop", now=now())
    instance.database.close()
    ca = tmp_path / "ca.pem"
    ca.write_bytes((data / "keys" / "ca.pem").read_bytes())
    with serving(data) as served:
        operators = Operators(served)
        for login, user in people.items():
            operators.does(login, "login", "--ca", str(ca), typed=user.typed(now()).reveal() + "\n")
        yield operators


def test_two_people_show_a_passcode_and_the_record_names_both(operators: Operators) -> None:
    asked = ("emergency", "passcode", "show", "alice", "--caller", "badge")
    waits = operators.does("helen", *asked, code=4)
    assert waits["error"] == "approval-needed"
    (request,) = operators.does("dora", "approval", "list")["approvals"]
    assert (request["state"], request["asker"], request["user"], request["caller"]) == (
        "waiting",
        "helen",
        "alice",
        "badge",
    )
    assert (request["yours"], request["decidable"]) == (False, True)
    (own,) = operators.does("helen", "approval", "list")["approvals"]
    assert (own["yours"], own["decidable"]) == (True, False)
    assert operators.does("dora", "approval", "list", "--after", request["id"])["approvals"] == []
    operators.does("helen", "approval", "approve", request["id"], code=1)
    operators.does("dora", "approval", "approve", request["id"])
    assert operators.does("helen", *asked)["code"].count("-") == 2
    operators.does("helen", *asked, code=4)  # once
    history = operators.does("dora", "emergency", "passcode", "history", "alice")["history"]
    assert [(row["action"], row["by"]) for row in history] == [
        ("approval.asked", "helen"),
        ("emergency.shown", "helen"),
        ("approval.given", "dora"),
        ("approval.asked", "helen"),
    ]
    assert history[1]["people"] == {"approved_by": "dora"}
    (again,) = (each for each in operators.does("helen", "approval", "list")["approvals"] if each["state"] == "waiting")
    assert operators.does("dora", "approval", "refuse", again["id"])["state"] == "refused"
    assert "refused" in operators.does("helen", *asked, code=4)["message"]


def test_an_operator_over_the_limit_is_stopped_until_another_raises_it(operators: Operators) -> None:
    operators.here("policy", "offline", "set", "Default", "showings_warn=1", "showings_limit=2")
    serial = next(each["serial"] for each in operators.here("token", "list")["tokens"] if each["user"] == "alice")
    asked = ("emergency", "show", serial, "--caller", "badge")
    assert operators.does("helen", *asked)["warning"] == ""
    assert "more than 1" in operators.does("helen", *asked)["warning"]
    assert "operator lift" in operators.does("helen", *asked, code=1)["do"]
    operators.does("helen", "operator", "lift", "helen", code=1)
    operators.does("dora", "operator", "lift", "helen", "--hours", "1")
    operators.does("helen", *asked)
    (helen,) = operators.does("dora", "operator", "list")["operators"]
    assert (helen["name"], helen["shown"]) == ("helen", 3)
    alarms = {each["action"] for each in operators.here("alarm", "list")["alarms"]}
    assert alarms == {"alarm.operator-busy", "alarm.operator-stopped"}
