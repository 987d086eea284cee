"""`sparekey device stolen`: its confirmation, and its report."""

from pathlib import Path

import pytest

from sparekey.clock import now as clock_now
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import PIN, User, a_device, a_user, granted
from tests.cli.server.commands import Operator


@pytest.fixture
def alice(operator: Operator) -> User:
    """Create Alice, who has signed in on `laptop`."""
    instance = open_instance(operator.data, read_settings(Path(operator.data), {}))
    now = clock_now()
    user = a_user(instance, "alice", pin=PIN, now=now)
    granted(a_device(instance, "laptop", now=now).sign_in(user, now).outcome)
    instance.database.close()
    return user


def test_reporting_a_theft_asks_first(operator: Operator, alice: User) -> None:
    refused = operator.fails("device", "stolen", "laptop")
    assert "affects 1 user and needs a confirmation" in refused.json["message"]
    assert "--yes" in refused.json["do"]
    assert operator.runs("device", "list").json["devices"][0]["revoked"] is None


def test_a_report_lists_the_ended_access_per_user(operator: Operator, alice: User) -> None:
    said = operator.runs("device", "stolen", "laptop", "--yes", "--reported-by", "alice", "--ticket", "T-7").json
    (user,) = said["users"]
    assert user == {"user": "alice", "new_pin": [alice.serial], "disabled": [], "codes": 2}
    assert said["elsewhere"] == 0
    assert (said["schema"], said["name"]) == ("sparekey/stolen/1", "laptop")
    assert operator.runs("device", "list").json["devices"][0]["revoked"] is not None
    rows = operator.runs("audit", "list", "--action", "device.stolen").json["rows"]
    row = next(each for each in rows if "reported_by" in each["detail"])
    assert row["actor"].startswith("os:")
    assert (row["detail"]["reported_by"], row["detail"]["ticket"]) == ("alice", "T-7")


def test_people_get_lines_of_text(operator: Operator, alice: User) -> None:
    words = operator.sees("device", "stolen", "laptop", "--yes").words.splitlines()
    assert words == [
        "Reported laptop as stolen. The server refuses it from now on.",
        f"  alice: new PIN for token {alice.serial}; new emergency codes",
    ]


def test_a_second_report_mentions_the_first(operator: Operator, alice: User) -> None:
    operator.runs("device", "stolen", "laptop", "--yes")
    again = operator.runs("device", "stolen", "laptop", "--yes").json
    assert again["users"] == []
    assert again["before"]["users"] == ["alice"]
    assert again["before"]["by"].startswith("os:")
    words = operator.sees("device", "stolen", "laptop", "--yes").words
    assert f"laptop was already reported as stolen, at {again['before']['at'][:4]}" in words
    assert f"by {again['before']['by']}. Its data of alice were invalidated then" in words


def test_a_second_report_of_an_empty_device_says_that_it_held_nothing(operator: Operator) -> None:
    instance = open_instance(operator.data, read_settings(operator.data, {}))
    a_device(instance, "empty", now=clock_now())
    instance.database.close()
    assert operator.runs("device", "stolen", "empty", "--yes").json["before"] is None
    assert "It had no data of any user" in operator.sees("device", "stolen", "empty", "--yes").words


def test_an_unknown_device_is_none(operator: Operator) -> None:
    assert "no device" in operator.fails("device", "stolen", "nothing", "--yes").json["message"]
