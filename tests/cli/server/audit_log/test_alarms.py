"""`sparekey alarm`, `sparekey audit export`, and settings of mail as `config check` shows them."""

import json
from pathlib import Path

from sparekey.app.notices import raise_alarm
from sparekey.clock import now as clock_now
from sparekey.core.audit_log.actions import Action
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.cli.server.commands import CommandResult, Operator, sparekey

CANARY = "canary-of-a-password"


def damage_checkpoint(operator: Operator) -> None:
    """Damage the checkpoints outside the database, so that the next check raises an alarm."""
    operator.runs("audit", "chain")
    (operator.data / "checkpoint").write_text("nothing of the kind\n")
    operator.runs("audit", "chain")


def test_an_alarm_is_listed_until_it_is_acknowledged(operator: Operator) -> None:
    assert operator.runs("alarm", "list").json["alarms"] == []
    damage_checkpoint(operator)
    (line,) = operator.runs("alarm", "list").json["alarms"]
    assert (line["action"], line["result"], line["times"]) == ("alarm.audit-rolled-back", "checkpoint file damaged", 1)
    assert line["last_at"].endswith("Z")
    assert operator.runs("alarm", "list", "--after", line["id"]).json["alarms"] == []
    seen = operator.sees("alarm", "list")
    assert "checkpoint file damaged" in seen.out
    assert "audit verify" in seen.words
    assert "alarm acknowledge ID" in seen.words
    operator.runs("alarm", "acknowledge", line["id"])
    assert operator.runs("alarm", "list").json["alarms"] == []
    (line,) = operator.runs("alarm", "list", "--all").json["alarms"]
    assert line["acknowledged_by"].startswith("os:")
    seen = operator.sees("alarm", "list", "--all")
    assert "acknowledged by" in seen.out.replace("_", " ")
    assert "alarm acknowledge" not in seen.words


def test_the_first_acknowledger_is_named(operator: Operator) -> None:
    damage_checkpoint(operator)
    (line,) = operator.runs("alarm", "list").json["alarms"]
    operator.runs("alarm", "acknowledge", line["id"])
    assert "has already acknowledged this alarm" in operator.fails("alarm", "acknowledge", line["id"]).json["message"]
    assert "there is no alarm" in operator.fails("alarm", "acknowledge", "abc").json["message"]


def export(operator: Operator, *options: str) -> list[dict[str, object]]:
    """Chain the events, as no server runs, and export them."""
    operator.runs("audit", "chain")
    return exported(operator.sees("audit", "export", *options))


def exported(said: CommandResult) -> list[dict[str, object]]:
    return [json.loads(line) for line in said.out.splitlines()]


def test_every_event_is_exported_and_the_next_export_goes_on(operator: Operator) -> None:
    operator.runs("user", "add", "alice")
    first = export(operator)
    assert {"server.initialised", "user.added"} <= {event["action"] for event in first}
    assert {event["schema"] for event in first} == {"sparekey/event/1"}
    operator.runs("user", "disable", "alice")
    after = str(first[-1]["batch"])
    (next_one,) = export(operator, "--after", after)
    assert (next_one["action"], next_one["user"]) == ("user.disabled", "alice")
    assert export(operator) == [*first, next_one]


def test_the_mail_password_is_not_shown(operator: Operator) -> None:
    path = Path(operator.data / "sparekey.toml")
    more = [
        'smtp_host = "mail.example.org"',
        'mail_from = "sparekey@example.org"',
        'smtp_user = "relay"',
        f'smtp_password = "{CANARY}"',
        'alarm_mail = ["one@example.org", "two@example.org"]',
    ]
    path.write_text(path.read_text() + "\n".join(more) + "\n")
    shown = operator.runs("config", "check").json
    assert (shown["smtp_password"], shown["alarm_mail"]) == ("set", ["one@example.org", "two@example.org"])
    assert CANARY not in str(shown) + operator.sees("config", "check").out
    path.write_text(path.read_text().replace('smtp_user = "relay"\n', ""))
    refused = operator.fails("config", "check")
    assert "smtp_user and smtp_password" in refused.json["message"]
    assert CANARY not in refused.out + refused.words


def test_the_doctor_reports_waiting_events(operator: Operator) -> None:
    """No server runs, so that queued and unchained events stay."""
    findings = {row["what"]: row for row in operator.runs("doctor").json["findings"]}
    assert "no mail server is configured" in findings["notices"]["words"]
    assert "no collector is configured" in findings["syslog"]["words"]
    path = operator.data / "sparekey.toml"
    more = 'smtp_host = "mail.example.org"\nmail_from = "a@example.org"\nsyslog = "logs.example.org:6514"\n'
    path.write_text(path.read_text() + more)
    findings = {row["what"]: row for row in operator.runs("doctor").json["findings"]}
    assert (findings["notices"]["ok"], findings["notices"]["words"]) == (True, "0 notices queued")
    assert (findings["syslog"]["ok"], findings["syslog"]["words"]) == (True, "sent up to batch 0")
    instance = open_instance(operator.data, read_settings(operator.data, {}))
    with instance.database.write() as connection:
        raise_alarm(connection, clock_now() - 3_600, "system", Action.ALARM_CLOCK)
    instance.database.close()
    said = sparekey("--data", str(operator.data), "doctor", "--json")
    findings = {row["what"]: row for row in said.json["findings"]}
    assert (said.code, findings["notices"]["ok"]) == (1, False)
    assert "1 notice queued since" in findings["notices"]["words"]
