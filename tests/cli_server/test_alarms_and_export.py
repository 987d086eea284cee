"""`sparekey alarm`, `sparekey audit export`, and settings of mail as `config check` shows them."""

import json
from pathlib import Path

from tests.cli_server.commands import Operator, Said

CANARY = "canary-of-a-password"


def damage_checkpoint(operator: Operator) -> None:
    """The next look at what was kept outside the database finds it damaged: an alarm."""
    operator.runs("audit", "chain")
    (operator.data / "checkpoint").write_text("nothing of the kind\n")
    operator.runs("audit", "chain")


def test_an_alarm_is_listed_until_it_is_acknowledged(operator: Operator) -> None:
    assert operator.runs("alarm", "list").json["alarms"] == []
    damage_checkpoint(operator)
    (line,) = operator.runs("alarm", "list").json["alarms"]
    assert (line["action"], line["result"], line["times"]) == ("alarm.audit-rolled-back", "checkpoint file damaged", 1)
    assert line["last_at"].endswith("Z")
    assert "checkpoint file damaged" in operator.sees("alarm", "list").out
    operator.runs("alarm", "acknowledge", line["id"])
    assert operator.runs("alarm", "list").json["alarms"] == []
    (line,) = operator.runs("alarm", "list", "--all").json["alarms"]
    assert line["acknowledged_by"].startswith("os:")
    assert "acknowledged by" in operator.sees("alarm", "list", "--all").out.replace("_", " ")


def test_who_acknowledged_first_is_said(operator: Operator) -> None:
    damage_checkpoint(operator)
    (line,) = operator.runs("alarm", "list").json["alarms"]
    operator.runs("alarm", "acknowledge", line["id"])
    assert "has acknowledged it already" in operator.fails("alarm", "acknowledge", line["id"]).json["message"]
    assert "there is no alarm" in operator.fails("alarm", "acknowledge", "abc").json["message"]


def exported(said: Said) -> list[dict[str, object]]:
    return [json.loads(line) for line in said.out.splitlines()]


def test_every_event_is_exported_and_the_next_export_goes_on(operator: Operator) -> None:
    operator.runs("user", "add", "alice")
    first = exported(operator.sees("audit", "export"))
    assert {"server.initialised", "user.added"} <= {event["action"] for event in first}
    assert {event["schema"] for event in first} == {"sparekey/event/1"}
    operator.runs("user", "disable", "alice")
    after = str(first[-1]["batch"])
    (next_one,) = exported(operator.sees("audit", "export", "--after", after))
    assert (next_one["action"], next_one["user"]) == ("user.disabled", "alice")
    assert exported(operator.sees("audit", "export")) == [*first, next_one]


def test_the_mail_password_is_not_shown(operator: Operator) -> None:
    path = Path(operator.data / "sparekey.toml")
    more = [
        'smtp_host = "mail.example.org"', 'mail_from = "sparekey@example.org"', 'smtp_user = "relay"',
        f'smtp_password = "{CANARY}"', 'alarm_mail = ["one@example.org", "two@example.org"]',
    ]  # fmt: skip
    path.write_text(path.read_text() + "\n".join(more) + "\n")
    shown = operator.runs("config", "check").json
    assert (shown["smtp_password"], shown["alarm_mail"]) == ("set", ["one@example.org", "two@example.org"])
    assert CANARY not in str(shown) + operator.sees("config", "check").out
    path.write_text(path.read_text().replace('smtp_user = "relay"\n', ""))
    refused = operator.fails("config", "check")
    assert "smtp_user and smtp_password" in refused.json["message"]
    assert CANARY not in refused.out + refused.words
