"""The server's commands: results as JSON and for people, and refusals with a reason."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from sparekey.cli.server.main import COMMANDS
from sparekey.cli.server.output import in_words, rfc3339
from sparekey.clock import monotonic
from sparekey.clock import now as clock_now
from sparekey.core.policy.offline import FIELDS
from sparekey.server.settings import Settings, read_settings
from sparekey.wiring.doctor import compare_floor
from sparekey.wiring.server import open_instance
from tests.builders import User, a_filled_device, a_user
from tests.cli.server.commands import Operator, sparekey
from tests.server.serving import SPAREKEY

SEED = "3132333435363738393031323334353637383930"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_the_story_of_a_user(operator: Operator) -> None:
    assert operator.runs("domain", "add", "Sales").json["parent"] == "SystemDomain"
    operator.runs("user", "add", "alice", "--domain", "Sales", "--name", "Alice Example")
    added = operator.runs("token", "add", "--user", "alice", "--serial", "T1", "--seed-stdin", typed=f"{SEED}\n")
    assert added.json["serial"] == "T1"
    operator.runs("token", "set-pin", "T1", typed="4711abcd\n")
    (token,) = operator.runs("token", "list", "--user", "alice").json["tokens"]
    assert (token["type"], token["domain"]) == ("totp", "Sales")
    assert operator.sees("token", "list").out.splitlines()[1].startswith("T1\ttotp\talice\tSales\t")
    assert (token["pin_set"], token["enabled"], token["lost"], token["user"]) == (True, True, False, "alice")
    for command, member, value in (
        ("lost", "lost", True),
        ("found", "lost", False),
        ("disable", "enabled", False),
        ("enable", "enabled", True),
        ("clear-pin", "pin_set", False),
    ):
        operator.runs("token", command, "T1")
        assert operator.runs("token", "show", "T1").json[member] is value
    for command, value in (("disable", False), ("enable", True)):
        operator.runs("user", command, "alice")
        assert operator.runs("user", "show", "alice").json["enabled"] is value
    assert operator.runs("user", "unlock", "alice").json["cleared"] is False
    assert "Nothing to unlock: alice" in operator.sees("user", "unlock", "alice").words
    assert operator.runs("audit", "list", "--action", "account.unlocked").json["rows"] == []
    shown = operator.runs("user", "show", "alice").json
    assert (shown["domain"], shown["name"], shown["tokens"]) == ("Sales", "Alice Example", ["T1"])
    operator.runs("user", "move", "alice", "--domain", "SystemDomain")
    assert operator.runs("user", "list").json["users"][0]["domain"] == "SystemDomain"


def test_a_seed_is_shown_only_where_it_was_asked_for(operator: Operator) -> None:
    operator.runs("user", "add", "alice")
    given = operator.runs("token", "add", "--user", "alice", "--seed-stdin", typed=SEED)
    assert SEED not in given.out + given.words
    shown = operator.runs("token", "add", "--user", "alice", "--show-seed").json
    assert len(bytes.fromhex(shown["seed_hex"])) == 20
    assert "otpauth" not in shown
    qr = operator.sees("token", "add", "--user", "alice", "--no-pin", "--digits", "8", "--qr")
    assert qr.out.startswith("otpauth://totp/Sparekey:alice?secret=")
    stored = operator.runs("token", "list")
    assert shown["seed_hex"] not in stored.out


@pytest.mark.parametrize(
    "seed", ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "gezd gnbv gy3t qojq gezd gnbv gy3t qojq", SEED.upper(), f" {SEED}\n"]
)
def test_a_seed_may_come_in_base32_or_hex(operator: Operator, seed: str) -> None:
    operator.runs("user", "add", "alice")
    operator.runs("token", "add", "--user", "alice", "--seed-stdin", "--serial", "T1", typed=seed)


def test_policies(operator: Operator) -> None:
    operator.runs("domain", "add", "Sales")
    operator.runs("user", "add", "alice", "--domain", "Sales")
    operator.runs("policy", "offline", "add", "Travel", "days=30", "help_text=Call 4321", "enabled=yes")
    operator.runs("policy", "offline", "assign", "Travel", "--domain", "Sales")
    assert operator.runs("policy", "offline", "show", "Travel").json["fields"]["help_text"] == "Call 4321"
    effective = {row["field"]: row for row in operator.runs("policy", "effective", "alice").json["effective"]}
    assert set(effective) == set(FIELDS)
    assert (effective["days"]["value"], effective["days"]["source"]) == (30, "policy 'Travel'")
    assert operator.runs("policy", "offline", "set", "Travel", "days=7").json["tightened"] == ["days"]
    operator.runs("policy", "offline", "assign", "--default", "--domain", "Sales")
    assert {row["offline_policy"] for row in operator.runs("domain", "list").json["domains"]} == {None}
    operator.runs("policy", "offline", "remove", "Travel")
    assert [row["name"] for row in operator.runs("policy", "offline", "list").json["policies"]] == ["Default"]
    assert {row["field"] for row in operator.runs("policy", "offline", "fields").json["fields"]} == set(FIELDS)
    shown = operator.sees("policy", "offline", "show", "Default").out.splitlines()
    assert {name for name in FIELDS if any(line.startswith(f"{name}\t") for line in shown)} == set(FIELDS)


def test_devices_and_clients(operator: Operator) -> None:
    invitation = operator.runs("device", "invite", "laptop").json
    assert re.fullmatch(r"([0-9A-Z]{5}-){7}[0-9A-Z]{5}", invitation["code"])
    assert RFC3339.fullmatch(invitation["expires"])
    assert operator.runs("device", "list").json["devices"] == []
    key = operator.runs("client", "add", "vpn", "--addresses", "192.0.2.1, 2001:db8::/32").json["key"]
    assert key.startswith("spk_")
    assert operator.sees("client", "add", "web", "--expires", "2030-01-31").out.startswith("spk_")
    (vpn, web) = operator.runs("client", "list").json["clients"]
    assert (vpn["addresses"], web["expires"]) == ("192.0.2.1/32,2001:db8::/32", "2030-01-31T00:00:00Z")
    operator.runs("client", "revoke", "vpn")
    assert RFC3339.fullmatch(operator.runs("client", "list").json["clients"][0]["revoked"])


@pytest.mark.parametrize(
    ("listen", "names", "tls", "server", "more"),
    [
        ("127.0.0.1:8443", [], "local", "https://localhost:8443", "only on this machine"),
        ("127.0.0.2:8443", [], "local", "https://127.0.0.2:8443", "only on this machine"),
        ("192.0.2.7:9443", [], "local", "https://192.0.2.7:9443", ""),
        ("[2001:db8::7]:9443", [], "local", "https://[2001:db8::7]:9443", ""),
        ("0.0.0.0:8443", ["login.example.org", "192.0.2.7"], "local", "https://login.example.org:8443", ""),
        ("0.0.0.0:8443", [], "local", None, "Replace NAME:PORT"),
        ("127.0.0.1:8443", ["login.example.org"], "off", None, "Replace NAME:PORT"),
    ],
)
def test_an_invitation_names_the_server_s_address(
    operator: Operator, listen: str, names: list[str], tls: str, server: str | None, more: str
) -> None:
    path = operator.data / "sparekey.toml"
    path.write_text(f"listen = {json.dumps(listen)}\nnames = {json.dumps(names)}\ntls = {json.dumps(tls)}\n")
    assert operator.runs("device", "invite", "laptop").json["server"] == server
    words = operator.sees("device", "invite", "laptop").words
    assert f"sparekey-agent enroll --server {server or 'https://NAME:PORT'} --code -" in words
    assert more in words
    assert (str(path) in words) is bool(more)


@pytest.fixture
def alice(operator: Operator) -> User:
    """Create Alice, who has signed in on her laptop, which holds her codes."""
    operator.runs("policy", "offline", "set", "Default", "protection_level=light", "days=2")
    instance = open_instance(operator.data, read_settings(operator.data, {}))
    alice = a_user(instance, "alice", pin="4711abcd", now=clock_now())
    a_filled_device(instance, alice, "laptop", now=clock_now())
    instance.database.close()
    return alice


def test_a_code_is_shown_as_it_is_read_out(operator: Operator, alice: User) -> None:
    asked = ("emergency", "show", alice.serial, "--caller", "call back", "--note", "on a train", "--ticket", "T-7")
    shown = operator.runs(*asked).json
    assert (shown["device"], shown["version"], shown["needs_pin"]) == ("laptop", 1, True)
    assert re.fullmatch(r"[0-9A-Z]{5}-[0-9A-Z]{5}", shown["code"])
    assert [len(group) for group in shown["spelling"]] == [5, 5]
    assert RFC3339.fullmatch(shown["expires"])
    lines = operator.sees(*asked).out.splitlines()
    assert lines[0].startswith("device    laptop ")
    assert lines[1] == f"code      {shown['code']}"
    assert lines[2].startswith(f"  group 1 {shown['code'][:5]}  ")
    assert shown["expires"] in lines[4]
    assert "days" in lines[4]
    assert lines[5] == "to type   the PIN, then this code"
    assert lines[6].startswith("works     only while that computer cannot reach its server; ")
    assert f"`sparekey emergency online {alice.serial} --on`" in lines[6]
    (row, _) = operator.runs("emergency", "history", alice.serial).json["history"]
    assert (row["action"], row["detail"]["ticket"]) == ("emergency.shown", "T-7")
    assert row["actor"].startswith("os:")
    assert shown["code"] not in operator.runs("audit", "list").out


def test_the_other_commands_on_codes(operator: Operator, alice: User) -> None:
    shown = operator.runs("emergency", "passcode", "show", "alice", "--device", "laptop", "--caller", "badge").json
    assert (shown["kind"], shown["needs_pin"], shown["code"].count("-")) == ("passcode", False, 2)
    said = operator.sees("emergency", "passcode", "show", "alice", "--caller", "badge").out
    assert "replaces PIN" in said
    assert said.endswith("works     only while that computer cannot reach its server\n")
    assert operator.runs("emergency", "online", alice.serial, "--on").json["allowed"] is True
    assert operator.runs("emergency", "online", alice.serial, "--off").json["allowed"] is False
    assert operator.runs("emergency", "reset", alice.serial).json["devices"] == 1
    assert operator.runs("emergency", "passcode", "reset", "alice").json["devices"] == 1
    (held,) = operator.runs("emergency", "held", alice.serial).json["held"]
    assert (held["device"], held["version"], held["reset"]) == ("laptop", 1, True)
    assert operator.runs("emergency", "passcode", "held", "alice").json["held"]
    assert operator.runs("emergency", "passcode", "history", "alice").json["history"]
    shown = operator.runs("device", "show", "laptop").json
    units = shown["units"]
    assert (shown["hardware_bound"], shown["protection"], shown["exempt"]) == (False, "", [])
    assert {unit["kind"] for unit in units} == {"day", "emergency-tokencode", "emergency-passcode"}
    assert operator.sees("device", "show", "laptop").out.count("emergency-") == 2
    operator.runs("device", "revoke", "laptop")
    assert RFC3339.fullmatch(operator.runs("device", "list").json["devices"][0]["revoked"])


def test_a_stricter_policy_asks_first(operator: Operator, alice: User) -> None:
    refused = operator.fails("policy", "offline", "set", "Default", "days=1")
    assert refused.json["error"] == "confirmation-needed"
    assert refused.json["do"] == "send it again with `confirmed`; on the command line with --yes"
    assert operator.runs("policy", "offline", "set", "Default", "days=1", "--confirm").json["regenerated"] == 1
    operator.fails("policy", "offline", "set", "Default", "minimum_passcode_length=11")
    operator.runs("policy", "offline", "set", "Default", "minimum_passcode_length=11", "--yes")


def test_an_assignment_asks_before_it_discards(operator: Operator, alice: User) -> None:
    operator.runs("policy", "offline", "add", "Strict", "days=1")
    asked = ("policy", "offline", "assign", "Strict", "--domain", "SystemDomain")
    refused = operator.fails(*asked)
    assert "of 1 user on 1 device are discarded at the next contact and renewed." in refused.json["message"]
    assert "Renewing them takes the server about" in refused.json["message"]
    assert operator.runs(*asked, "--yes").json["policy"] == "Strict"
    operator.runs("policy", "offline", "add", "Strictest", "days=1", "minimum_passcode_length=16")
    operator.runs("policy", "offline", "default", "Strictest")  # the only user is under Strict
    assert "minimum_passcode_length" in operator.fails("policy", "offline", "remove", "Strict").json["message"]
    operator.runs("policy", "offline", "remove", "Strict", "--yes")
    assert operator.fails("policy", "offline", "default", "Strictest").json["error"] == "conflict"
    operator.runs("policy", "offline", "default", "Default")  # milder: nothing is asked
    assert "discarded" in operator.fails("policy", "offline", "default", "Strictest").json["message"]
    assert operator.runs("policy", "offline", "default", "Strictest", "--yes").json["name"] == "Strictest"


def test_at_a_terminal_a_change_asks_and_goes_on(operator: Operator, alice: User) -> None:
    asked = ("policy", "offline", "set", "Default", "days=1", "--data", str(operator.data))
    cancelled = sparekey(*asked, typed="n\n", at_terminal=True)
    assert cancelled.code != 0
    assert "The offline data of 1 user on 1 device are discarded" in cancelled.words
    assert operator.runs("policy", "offline", "show", "Default").json["fields"]["days"] == 2
    assert sparekey(*asked, typed="y\n", at_terminal=True).code == 0
    assert operator.runs("policy", "offline", "show", "Default").json["fields"]["days"] == 1


def test_the_audit_log_is_listed_and_filtered(operator: Operator, tmp_path: Path) -> None:
    operator.runs("user", "add", "alice")
    (row,) = operator.runs("audit", "list", "--user", "alice").json["rows"]
    assert (row["action"], row["detail"]["login"]) == ("user.added", "alice")
    assert "login: alice" in operator.sees("audit", "list", "--user", "alice").out
    assert operator.runs("audit", "list", "--by", "os:nobody").json["rows"] == []
    assert "'nobody'" in operator.fails("audit", "list", "--by", "nobody").json["message"]
    assert operator.runs("audit", "list", "--user", "alice", "--result", "refused").json["rows"] == []
    (only,) = operator.runs("audit", "list", "--action", "server.initialised").json["rows"]
    assert operator.runs("audit", "list", "--before", str(only["id"])).json["rows"] == []
    kept = operator.runs("audit", "chain").json["checkpoint"]
    assert operator.runs("audit", "verify").json == {
        "schema": "sparekey/audit/1",
        "whole": True,
        "witnesses": 1,
        "findings": [],
    }
    (tmp_path / "kept").write_text(kept)
    assert operator.runs("audit", "verify", "--checkpoint", str(tmp_path / "kept")).json["witnesses"] == 2
    assert "complete and unchanged" in operator.sees("audit", "verify").words


def test_a_record_that_was_tampered_with_fails(operator: Operator, tmp_path: Path) -> None:
    operator.runs("audit", "chain")
    other = Operator(tmp_path / "other")
    other.runs("init")
    other.runs("user", "add", "alice")
    (tmp_path / "kept").write_text(other.runs("audit", "chain").json["checkpoint"])
    said = sparekey("--data", str(operator.data), "audit", "verify", "--json", "--checkpoint", str(tmp_path / "kept"))
    assert said.code == 1
    assert said.json["findings"][0]["fault"] == "bad witness"


def test_settings_doctor_version(operator: Operator) -> None:
    assert operator.runs("config", "check").json["listen"] == "127.0.0.1:8443"
    findings = operator.runs("doctor").json["findings"]
    assert [row["what"] for row in findings if not row["ok"]] == []
    examined = {"settings", "certificate", "CA", "refusals", "database and keys", "default policy", "audit", "notices"}
    assert {*examined, "syslog"} == {row["what"] for row in findings}
    (operator.data / "keys" / "master.key").chmod(0o644)
    broken = sparekey("--data", str(operator.data), "doctor", "--json")
    assert broken.code == 1
    assert "chmod 600" in broken.json["findings"][-1]["words"]
    assert sparekey("version", "--json").json["version"]


def test_s07_doctor_says_that_refusals_must_be_later_than_a_hash() -> None:
    assert "after 5000 ms" in compare_floor(Settings(refusal_floor_ms=5_000))
    with pytest.raises(RuntimeError, match="refusal_floor_ms = 0; set it to "):
        compare_floor(Settings(refusal_floor_ms=0))


def test_init_takes_the_database_from_standard_input(tmp_path: Path, database_url: str) -> None:
    operator = Operator(tmp_path / "data")
    operator.runs(
        "init",
        "--database",
        "-",
        "--listen",
        "127.0.0.1:9443",
        "--name",
        "a.example",
        "--name",
        "192.0.2.1",
        typed=f"{database_url}\n",
    )
    shown = operator.runs("config", "check").json
    assert (shown["listen"], shown["names"]) == ("127.0.0.1:9443", ["a.example", "192.0.2.1"])
    assert operator.runs("domain", "list").json["domains"]


REFUSED = [
    (("init",), 1),
    (("user", "add", "alice smith"), 1),
    (("user", "add", ""), 1),
    (("user", "add", "alice", "--expires", "2020-01-01"), 1),
    (("user", "add", "alice", "--expires", "someday"), 1),
    (("user", "add", "alice", "--domain", "Nowhere"), 1),
    (("user", "show", "nobody"), 1),
    (("user", "list", "--limit", "0"), 2),
    (("user", "list", "--limit", "many"), 2),
    (("domain", "add", "x" * 101), 1),
    (("domain", "add", "SystemDomain"), 1),
    (("token", "add", "--user", "nobody", "--show-seed"), 1),
    (("token", "add", "--show-seed"), 2),
    (("token", "add", "--user", "nobody"), 2),
    (("token", "add", "--user", "nobody", "--type", "sms", "--qr"), 2),
    (("token", "add", "--user", "nobody", "--seed-stdin", "--qr"), 2),
    (("token", "add", "--user", "nobody", "--seed-stdin"), 1),
    (("token", "add", "--user", "nobody", "--qr", "--digits", "9"), 1),
    (("token", "add", "--user", "nobody", "--qr", "--expires", "tomorrow"), 1),
    (("token", "set-pin", "T9"), 1),
    (("token", "show", "T9"), 1),
    (("policy", "offline", "add", "P", "days"), 2),
    (("policy", "offline", "add", "P", "days=1", "days=2"), 2),
    (("policy", "offline", "add", "P", "days=61"), 1),
    (("policy", "offline", "add", "P", "speed=1"), 1),
    (("policy", "offline", "set", "Default"), 2),
    (("policy", "offline", "set", "Nothing", "days=1"), 1),
    (("policy", "offline", "assign", "--domain", "SystemDomain"), 2),
    (("policy", "offline", "assign", "Default", "--default", "--domain", "SystemDomain"), 2),
    (("policy", "offline", "remove", "Default"), 1),
    (("policy", "effective", "nobody"), 1),
    (("emergency", "show", "T9"), 2),
    (("emergency", "show", "T9", "--caller", "call back"), 1),
    (("emergency", "online", "T9"), 2),
    (("emergency", "passcode", "reset", "nobody"), 1),
    (("device", "invite", "x", "--hours", "0"), 2),
    (("device", "invite", " x"), 1),
    (("device", "show", "nothing"), 1),
    (("client", "add", "vpn", "--addresses", "everywhere"), 1),
    (("client", "revoke", "vpn"), 1),
    (("audit", "verify", "--checkpoint", "/nowhere"), 1),
    (("audit", "list", "--user", "nobody"), 1),
    (("nonsense",), 2),
    (("user", "nonsense"), 2),
    (("--nonsense",), 2),
]


@pytest.mark.parametrize(
    ("arguments", "code"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_an_impossible_command_is_refused_with_the_next_step(
    operator: Operator, arguments: tuple[str, ...], code: int
) -> None:
    operator.fails(*arguments, code=code)


@pytest.mark.parametrize("pin", ["", "123", "123456789", "12 34", "pin\u00e4", "1234\n5678"])
def test_an_impossible_pin_is_refused(operator: Operator, pin: str) -> None:
    operator.runs("user", "add", "alice")
    operator.runs("token", "add", "--user", "alice", "--serial", "T1", "--show-seed")
    refused = operator.fails("token", "set-pin", "T1", typed=pin)
    assert not pin or pin not in refused.out + refused.words


def test_a_missing_server_is_reported(tmp_path: Path) -> None:
    for arguments in (("user", "list"), ("config", "check"), ("serve",), ("audit", "verify")):
        assert "sparekey init" in Operator(tmp_path / "nothing").fails(*arguments).json["do"]


def test_every_command_explains_itself_with_an_example() -> None:
    seen = []
    for path in every_command():
        said = sparekey(*path, "--help")
        assert said.code == 0
        seen.append(path)
        assert "--json" in said.out, path
        if path and "Commands:" not in said.out:
            assert "Example: sparekey" in said.out, path
    assert len(seen) > 45


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    queue: list[tuple[str, ...]] = [(name,) for name in COMMANDS]
    while queue:
        path = queue.pop()
        found.append(path)
        _, _, listed = sparekey(*path, "--help").out.partition("Commands:\n")
        queue += [(*path, name) for name in re.findall(r"^  ([a-z-]+)", listed, re.MULTILINE)]
    return found


def test_times_are_shown_in_words() -> None:
    day = 86_400
    words = [in_words(at, 0) for at in (30 * day, day, 7_200, 60, 59, 0, -5)]
    assert words == [
        "in 30 days",
        "in 1 day",
        "in 2 hours",
        "in 1 minute",
        "in less than a minute",
        "already over",
        "already over",
    ]
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert rfc3339(None) is None


@pytest.mark.services
def test_the_installed_command_has_help_and_exit_statuses(tmp_path: Path) -> None:
    begun = monotonic()
    done = subprocess.run([str(SPAREKEY), "--help"], capture_output=True, text=True, check=True, timeout=60)
    print(f"sparekey --help: {monotonic() - begun:.2f} s")
    assert "Usage: sparekey" in done.stdout
    refused = subprocess.run(
        [str(SPAREKEY), "--data", str(tmp_path), "user", "list"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("sparekey: ")
