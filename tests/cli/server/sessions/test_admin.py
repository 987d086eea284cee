"""`sparekey admin link`: its output, and where it is allowed."""

import re

from tests.cli.server.commands import Operator, sparekey


def test_a_link_is_printed_with_its_code_behind_the_hash(operator: Operator) -> None:
    said = operator.runs("admin", "link").json
    assert re.fullmatch(r"https://localhost:\d+/console/welcome#[\w-]{22}", said["url"]), said
    assert said["user"] == ""
    operator.runs("user", "add", "carol")
    shown = operator.sees("admin", "link", "carol")
    assert "/console/welcome#" in shown.out
    assert "carol" in shown.out
    other = operator.runs("admin", "link").json
    assert other["url"] != said["url"]


def test_a_link_for_an_unknown_user_is_refused(operator: Operator) -> None:
    assert "no user 'nobody'" in operator.fails("admin", "link", "nobody").json["message"]


def test_a_link_is_made_on_the_server_only() -> None:
    said = sparekey("--server", "https://login.example.org", "--as", "carol", "admin", "link", "--json")
    assert said.code == 1
    assert said.json["message"] == "this command works only on the server itself"
