"""`sparekey emergency fixed|one-time|end|status`, `approval`, `operator lift`, and names in lists of the audit log."""

import os
import pwd
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.approvals import approve
from sparekey.app.emergency.second_person import ApprovalNeeded
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people.users import add_user
from sparekey.app.sessions.users import interface_name
from sparekey.app.sign_in.verification import SignInInterface
from sparekey.clock import now as clock_now
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.permissions import Actor, Grant, Permission
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import PIN, ROOT, User, a_filled_device, a_user, granted, submit
from tests.cli.server.commands import CommandResult, Operator

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CALLER = ("--caller", "called back")
ME = f"os:{pwd.getpwuid(os.getuid()).pw_name}"


@contextmanager
def opened(operator: Operator) -> Iterator[Instance]:
    instance = open_instance(operator.data, read_settings(operator.data, {}))
    try:
        yield instance
    finally:
        instance.database.close()


@pytest.fixture
def alice(operator: Operator) -> User:
    """Create Alice, who has signed in on her laptop, which holds her codes."""
    operator.runs("policy", "offline", "set", "Default", "protection_level=light", "days=2")
    with opened(operator) as instance:
        alice = a_user(instance, "alice", pin=PIN, now=clock_now())
        a_filled_device(instance, alice, "laptop", now=clock_now())
    return alice


def an_administrator(operator: Operator, login: str) -> Actor:
    """Create another user, who may do everything. No operator gave them a factor, so they can approve."""
    with opened(operator) as instance:
        account_id = add_user(instance, ROOT, login, TOP_DOMAIN, now=clock_now())
    return Actor(f"user:{account_id}", (Grant(frozenset(Permission), None),), account_id)


def test_a_fixed_code_is_shown_once_and_works(operator: Operator, alice: User) -> None:
    given = operator.runs("emergency", "fixed", alice.serial, *CALLER, "--lifetime", "3", "--if-available", "end").json
    (code,) = given["codes"]
    assert re.fullmatch(r"[2-9A-HJKMNP-TV-Z]{8}", code)
    assert [len(words) for words in given["spelling"]] == [8]
    assert RFC3339.fullmatch(given["expires"])
    assert (given["kind"], given["if_available"], given["needs_pin"], given["replaced"]) == (
        "fixed",
        "end",
        True,
        False,
    )
    status = operator.runs("emergency", "status", alice.serial).json["online"]
    assert (status["kind"], status["codes"], status["left"], status["given_by"]) == ("fixed", 1, 1, ME)
    assert code not in operator.runs("emergency", "history", alice.serial).out
    assert code not in operator.runs("audit", "list").out
    with opened(operator) as instance:
        granted(submit(instance, alice, clock_now(), Secret(PIN + code)))
    seen = operator.sees("emergency", "status", alice.serial).out
    assert f"by {ME}" in seen
    assert "its first use ends this access" in seen


def test_a_set_is_printed_with_instructions(operator: Operator, alice: User) -> None:
    said = operator.sees("emergency", "one-time", alice.serial, *CALLER, "--count", "3", "--no-expiry")
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines] == ["code"] * 3 + ["works", "expires", "to", "token"]
    assert len(lines[0].split()) == 2 + 8
    assert lines[3] == "works     once each"
    assert lines[4] == "expires   never"
    assert lines[5] == "to type   the PIN, then the code"
    assert "until you end" in lines[6]
    assert "These codes cannot be shown again" in said.words
    again = operator.sees("emergency", "fixed", alice.serial, *CALLER)
    assert "replaces the token's previous temporary access" in again.words
    code = lines[0].split()[1]
    with opened(operator) as instance:
        submit(instance, alice, clock_now(), Secret(PIN + code))
    assert operator.runs("emergency", "status", alice.serial).json["online"]["last_used"] is None


def test_ended_access_is_gone(operator: Operator, alice: User) -> None:
    operator.runs("emergency", "fixed", alice.serial, *CALLER)
    assert "Ended the temporary online access" in operator.sees("emergency", "end", alice.serial).words
    assert operator.runs("emergency", "status", alice.serial).json["online"] is None
    assert "no temporary online access" in operator.sees("emergency", "status", alice.serial).words
    operator.fails("emergency", "end", alice.serial)
    actions = [row["action"] for row in operator.runs("emergency", "history", alice.serial).json["history"]]
    assert actions == ["emergency.ended", "emergency.temporary"]


def test_an_impossible_access_is_refused_with_the_next_step(operator: Operator, alice: User) -> None:
    for arguments, code in (
        (("emergency", "fixed", alice.serial), 2),
        (("emergency", "one-time", alice.serial, *CALLER), 2),
        (("emergency", "one-time", alice.serial, *CALLER, "--count", "0"), 1),
        (("emergency", "fixed", alice.serial, *CALLER, "--lifetime", "0"), 1),
        (("emergency", "fixed", alice.serial, *CALLER, "--lifetime", "2", "--no-expiry"), 2),
        (("emergency", "fixed", alice.serial, *CALLER, "--if-available", "perhaps"), 2),
        (("emergency", "fixed", alice.serial, *CALLER, "--no-expiry", "--if-available", "after-lifetime"), 1),
        (("emergency", "fixed", "nothing", *CALLER), 1),
    ):
        operator.fails(*arguments, code=code)
    assert operator.runs("emergency", "status", alice.serial).json["online"] is None


def test_a_passcode_waits_for_a_second_person(operator: Operator, alice: User) -> None:
    operator.runs("policy", "offline", "set", "Default", "passcode_approval=on")
    bob = an_administrator(operator, "bob")
    asked = ("emergency", "passcode", "show", "alice", "--caller", "badge")
    waits = operator.fails(*asked, code=4)
    assert waits.json["error"] == "approval-needed"
    (request,) = operator.runs("approval", "list").json["approvals"]
    assert (request["state"], request["user"], request["device"], request["asker"]) == (
        "waiting",
        "alice",
        "laptop",
        ME,
    )
    assert request["id"] in waits.json["do"]
    own = operator.fails("approval", "approve", request["id"])
    assert "own request" in own.json["message"]
    operator.fails("approval", "refuse", "nothing")
    with opened(operator) as instance:
        approve(instance, bob, request["id"], now=clock_now())
    listed = operator.sees("approval", "list").out
    assert "\tbob" in listed
    assert "approved" in listed
    assert operator.runs(*asked).json["code"].count("-") == 2
    operator.fails(*asked, code=4)


def test_another_operator_s_request_is_decided_by_command(operator: Operator, alice: User) -> None:
    operator.runs("policy", "offline", "set", "Default", "passcode_approval=on")
    bob = an_administrator(operator, "bob")
    for word, state in (("approve", "approved"), ("refuse", "refused")):
        with opened(operator) as instance, pytest.raises(ApprovalNeeded):
            emergency.show(instance, bob, CodeKind.PASSCODE, "alice", None, Showing("x"), now=clock_now())
        waiting = operator.runs("approval", "list").json["approvals"]
        request = next(each["id"] for each in waiting if each["state"] == "waiting")
        done = operator.runs("approval", word, request).json
        assert (done["state"], done["asker"], done["decider"]) == (state, "bob", ME)
        with opened(operator) as instance:
            if state == "approved":
                emergency.show(instance, bob, CodeKind.PASSCODE, "alice", None, Showing("x"), now=clock_now())


def test_an_operator_is_warned_stopped_and_allowed_to_continue(operator: Operator, alice: User) -> None:
    operator.runs("policy", "offline", "set", "Default", "showings_warn=1", "showings_limit=2")
    asked = ("emergency", "show", alice.serial, "--caller", "badge")
    assert operator.runs(*asked).json["warning"] == ""
    assert "more than 1" in operator.runs(*asked).json["warning"]
    assert "operator lift" in operator.fails(*asked).json["do"]
    operator.fails("operator", "lift", ME)
    assert operator.runs("operator", "list").json["operators"] == [
        {"operator": ME, "name": ME, "shown": 2, "lifted_until": None}
    ]
    an_administrator(operator, "bob")
    lifted = operator.runs("operator", "lift", "bob", "--hours", "2").json
    assert RFC3339.fullmatch(lifted["until"])
    assert "can show codes without a limit until" in operator.sees("operator", "lift", "bob").words


def test_lists_of_the_audit_log_show_names_and_in_json_ids_too(operator: Operator, alice: User) -> None:
    bob = an_administrator(operator, "bob")
    with opened(operator) as instance:
        shown = emergency.show(instance, bob, CodeKind.TOKENCODE, alice.serial, None, Showing("x"), now=clock_now())
        emergency.set_online(instance, bob, alice.serial, allowed=True, now=clock_now())
        granted(submit(instance, alice, clock_now(), Secret(PIN + shown.code.reveal())))
    used, _, showing = operator.runs("emergency", "history", alice.serial).json["history"]
    assert (showing["actor"], showing["by"], showing["user"], showing["token"], showing["device"]) == (
        bob.name,
        "bob",
        "alice",
        alice.serial,
        "laptop",
    )
    assert (showing["account_id"], showing["token_id"]) == (alice.account_id, alice.token_id)
    assert used["detail"]["operator"] == bob.name
    assert used["people"] == {"operator": "bob"}
    for listed in (operator.sees("emergency", "history", alice.serial), operator.sees("audit", "list")):
        line = _line(listed, "emergency.shown")
        assert "\tbob\t" in line
        assert "\tlaptop\t" in line
        assert alice.account_id not in line
        assert "operator: bob" in _line(listed, "emergency.used")
    line = _line(operator.sees("audit", "list"), "emergency.shown")
    assert f"\talice\t{alice.serial}\tlaptop\t" in line


def test_details_show_dates_and_interfaces_in_words(operator: Operator, alice: User) -> None:
    operator.runs("emergency", "fixed", alice.serial, *CALLER)
    with opened(operator) as instance:
        submit(
            instance,
            alice,
            clock_now(),
            alice.wrong(clock_now()),
            interface=SignInInterface(interface_name("192.0.2.7")),
        )
    given = _line(operator.sees("audit", "list"), "emergency.temporary").split("\t")[-1]
    assert re.search(rf"expires: {RFC3339.pattern}(,|$)", given)
    assert alice.serial not in given
    refused = _line(operator.sees("audit", "list", "--by", "192.0.2.7"), "sign-in.denied")
    assert "\t192.0.2.7, signing in to self-service\t" in refused


def _line(said: CommandResult, action: str) -> str:
    return next(line for line in said.out.splitlines() if f"\t{action}\t" in line)
