"""An administrator far from the server: logs in, runs the commands of the contract over REST, and logs out."""

import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.app.tokens import tokens
from sparekey.clock import now
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import PIN, ROOT, User, a_user
from tests.challenges import make_suspicious
from tests.cli.server.commands import CommandResult, sparekey
from tests.server.serving import Serving, a_data_directory, serving

pytestmark = pytest.mark.services

_TOKENS = "serial,type,seed\nT9,totp,00112233445566778899aabbccddeeff00112233\n"


@dataclass
class Office:
    """A running server, and an administrator at another computer."""

    served: Serving
    carol: User
    ca: Path
    state: Path
    used: int = 0  # codes of Carol's token that were used

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.served.port}"

    def passcode(self) -> str:
        """Return PIN and code."""
        return PIN + self.code()

    def code(self) -> str:
        """Return the next of the three codes that are right at any time, without waiting."""
        self.used += 1
        return self.carol.totp.code(self.carol.step(now()) - 2 + self.used)

    def says(self, *arguments: str, typed: str = "", user: str = "carol", code: int = 0) -> CommandResult:
        said = sparekey("--server", self.url, "--as", user, *arguments, "--json", typed=typed)
        assert said.code == code, said
        return said

    def does(self, *arguments: str, typed: str = "", user: str = "carol") -> Any:
        return self.says(*arguments, typed=typed, user=user).json

    def fails(self, *arguments: str, typed: str = "", user: str = "carol", code: int = 1) -> Any:
        said = self.says(*arguments, typed=typed, user=user, code=code)
        assert set(said.json) == {"schema", "error", "message", "do"}
        assert "Traceback" not in said.words
        return said.json

    def logs_in(self) -> Any:
        return self.does("login", "--ca", str(self.ca), typed=self.passcode() + "\n")

    def file(self, name: str, content: str) -> Path:
        path = self.ca.parent / name
        path.write_text(content)
        return path

    def here(self, *arguments: str) -> Any:
        """Run the same command as root on the server."""
        said = sparekey("--data", str(self.served.data), *arguments, "--json")
        assert said.code == 0, said
        return said.json


def at_any_second(result: Any) -> Any:
    """Return a result without the second in which it was made, which the forecast names for a user without data."""
    if not isinstance(result, dict) or "rows" not in result:
        return result
    return {**result, "rows": [{**row, "at": ""} if row.get("when") == "now" else row for row in result["rows"]]}


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    for name in ("SPAREKEY_DATA", "SPAREKEY_SERVER", "SPAREKEY_AS", "SPAREKEY_SERVER_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data = a_data_directory(tmp_path)
    instance = open_instance(data, read_settings(data, {}))
    carol = a_user(instance, "carol", pin=PIN, now=now())
    roles.grant(instance, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, "carol", TOP_DOMAIN, now=now())
    instance.database.close()
    ca = tmp_path / "ca.pem"
    ca.write_bytes((data / "keys" / "ca.pem").read_bytes())
    with serving(data) as served:
        yield Office(served, carol, ca, tmp_path / "state")


def test_remote_commands_have_the_same_results(office: Office) -> None:
    assert office.logs_in()["result"] == "granted"
    office.does("domain", "add", "Sales/Bern")
    office.does("user", "add", "alice", "--domain", "Sales/Bern", "--name", "Alice Ångström")
    token = office.does("token", "add", "--user", "alice", "--type", "totp", "--qr")
    assert token["otpauth"].startswith("otpauth://totp/")
    office.does("token", "set-pin", token["serial"], typed="4711abcd")
    office.does("policy", "token", "add", "Strict", "pin_minimum=6")
    office.does("policy", "token", "assign", "Strict", "--domain", "Sales/Bern")
    key = office.does("client", "add", "vpn", "--domain", "Sales/Bern")["key"]
    assert len(office.does("device", "invite", "laptop-17")["code"]) == 47
    office.does("role", "grant", "help desk", "alice", "--domain", "Sales/Bern")
    same = [
        ["user", "list"],
        ["user", "show", "alice"],
        ["token", "list"],
        ["token", "show", token["serial"]],
        ["domain", "list"],
        ["domain", "show", "Sales/Bern"],
        ["policy", "token", "list"],
        ["policy", "token", "show", "Strict"],
        ["policy", "effective", "alice"],
        ["client", "list"],
        ["device", "list"],
        ["role", "list"],
        ["role", "show", "help desk"],
        ["emergency", "held", token["serial"]],
        ["emergency", "history", token["serial"]],
        ["audit", "list", "--user", "alice"],
        ["report", "readiness"],
        ["user", "list", "--limit", "1", "--after", "alice"],
        ["alarm", "list"],
        ["approval", "list"],
        ["operator", "list"],
        ["report", "forecast"],
        ["role", "list"],
        ["emergency", "passcode", "held", "alice"],
        ["token", "import", str(office.file("tokens.csv", _TOKENS)), "--dry-run"],
        ["user", "import", str(office.file("users.csv", "login\nbob\nalice\n")), "--dry-run"],
    ]
    for words in same:
        assert at_any_second(office.does(*words)) == at_any_second(office.here(*words)), words
    office.does("token", "import", str(office.file("tokens.csv", _TOKENS)))
    assert office.here("token", "show", "T9")["type"] == "totp"
    assert office.does("user", "why", "alice")["rules"]
    actors = {row["actor"] for row in office.does("audit", "list", "--action", "token.pin-set")["rows"]}
    assert actors - {ROOT.name} == {f"user:{office.carol.account_id}"}  # root set Carol's own PIN
    status, answer = office.served.ask("GET", "/v1/users", headers={"Authorization": f"Bearer {key}"})
    assert (status, answer["error"]) == (403, "not-allowed")  # a program without a role


def test_refusals_of_the_server_are_shown_unchanged(office: Office) -> None:
    office.logs_in()
    for words in (["user", "show", "nobody"], ["domain", "add", TOP_DOMAIN], ["user", "add", "no good"]):
        assert office.fails(*words)["error"] in ("not-found", "conflict", "bad-input")
        local = sparekey("--data", str(office.served.data), *words, "--json")
        assert office.fails(*words) == local.json
    instance = open_instance(office.served.data, read_settings(office.served.data, {}))
    roles.grant(instance, ROOT, "auditor", HolderKind.USER, "carol", TOP_DOMAIN, now=now())
    tokens.set_enabled(instance, ROOT, a_user(instance, "dora", now=now()).serial, enabled=False, now=now())
    users.set_enabled(instance, ROOT, "dora", enabled=False, now=now())
    instance.database.close()
    assert office.fails("login", "--ca", str(office.ca), user="dora", typed="123456")["error"] == "denied"


def test_a_session_is_kept_for_its_owner_alone_and_ends(office: Office) -> None:
    missing = office.fails("user", "list")
    assert missing["error"] == "not-signed-in"
    assert f"sparekey login --server {office.url} --as carol" in missing["do"]
    assert office.fails("login", "--ca", str(office.ca), typed="000000")["error"] == "denied"
    office.logs_in()
    (kept,) = (office.state / "sparekey" / "sessions").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    token = json.loads(kept.read_text())["token"]
    office.does("user", "list")
    kept.chmod(0o644)
    assert "other users" in office.fails("user", "list")["message"]
    kept.chmod(0o600)
    assert office.does("logout")["ended"] is True
    assert not kept.exists()
    status, _ = office.served.ask("GET", "/v1/users", headers={"Authorization": f"Bearer {token}"})
    assert status == 401
    assert office.does("logout")["ended"] is False


def test_challenges_of_the_server_are_answered(office: Office) -> None:
    instance = open_instance(office.served.data, read_settings(office.served.data, {}))
    make_suspicious(instance, office.carol)
    instance.database.close()
    asked = office.says("login", "--ca", str(office.ca), typed=office.passcode(), code=1).json
    assert (asked["result"], asked["ask"]) == ("ask", "next-tokencode")
    assert office.fails("user", "list")["error"] == "not-signed-in"
    answered = office.does("login", "--ca", str(office.ca), "--reply-to", asked["reply_to"], typed=office.code())
    assert answered["result"] == "granted"
    office.does("user", "list")


def test_another_login_ends_the_session_before(office: Office) -> None:
    office.logs_in()
    (kept,) = (office.state / "sparekey" / "sessions").iterdir()
    before = json.loads(kept.read_text())["token"]
    office.does("login", typed=office.passcode())  # its CA was kept
    status, _ = office.served.ask("GET", "/v1/users", headers={"Authorization": f"Bearer {before}"})
    assert status == 401
    office.does("user", "list")


def test_an_untrusted_server_gets_no_secrets(office: Office, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = a_data_directory(tmp_path / "other") / "keys" / "ca.pem"
    for ca in (["--ca", str(other)], []):
        refused = office.fails("login", *ca, typed=office.passcode())
        assert refused["error"] == "unreachable"
        assert "--ca FILE" in refused["do"]
    assert office.fails("login", "--ca", str(tmp_path / "none"), typed="1")["error"] == "bad-input"
    log = office.served.log.read_text()
    assert "sessions" not in log


@pytest.mark.parametrize(
    "words", [["init"], ["serve"], ["config", "check"], ["doctor"], ["audit", "verify"], ["audit", "chain"]]
)
def test_local_commands_are_refused_remotely_with_a_reason(words: list[str]) -> None:
    said = sparekey("--server", "https://127.0.0.1:1", "--as", "carol", *words, "--json")
    assert (said.code, said.json["error"]) == (1, "bad-input")
    assert "server itself" in said.json["message"]


def test_one_server_at_a_time() -> None:
    said = sparekey("--server", "https://127.0.0.1:1", "--data", "x", "user", "list", "--json")
    assert (said.code, said.json["error"]) == (2, "usage")
    said = sparekey("--server", "https://127.0.0.1:1", "user", "list", "--json")
    assert (said.code, said.json["error"]) == (2, "usage")
    for url in ("ftp://x", "https://", "https://u:p@x", "http://192.0.2.1", "https://x/y", "https://x:y"):
        said = sparekey("--server", url, "--as", "c", "login", "--json", typed="1")
        assert (said.code, said.json["error"]) == (1, "bad-input"), url
