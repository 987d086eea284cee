"""The report of a device as a person reads it."""

from typing import Any

from sparekey.agent.store.pin_lock import LockState
from sparekey.cli.agent.output import HOW_AFTER_REVOKING
from sparekey.cli.agent.status_words import status_words

ALICE: dict[str, Any] = {
    "login": "alice",
    "accounts": ["alice"],
    "days_left": 13,
    "days_until": "2026-12-10T12:00:00Z",
    "days": [1],
    "event_packs": [],
    "failures": 0,
    "failures_allowed": 10,
    "emergency_code_needed": False,
    "locked_at_server": False,
    "being_renewed": False,
    "secrets": [],
    "obstacles": [],
    "notice": "",
    "help": "Help desk: 555 0100.",
    "pin_lock": {"state": "no-tpm", "words": "No lock."},
    "emergency_codes": [{"kind": "emergency-tokencode", "version": 2, "expires": "2026-12-24T00:00:00Z"}],
}
REPORT: dict[str, Any] = {
    "name": "train-laptop",
    "servers": ["https://server:8443"],
    "daemon": True,
    "time": "2026-11-27T12:00:00Z",
    "clock_wrong": False,
    "last_contact": "2026-11-27T10:00:00Z",
    "contact_trouble": "",
    "events_waiting": 0,
    "revoked": False,
    "logins_ask": True,
    "users": [ALICE],
    "protection": {"word": "tpm", "words": "the keys are in the TPM", "advice": ""},
    "names": {"mapped": {}, "number": 0, "unmapped": "same"},
    "exempt": ["root (on the console)", "rescue"],
}


def test_a_healthy_device_lists_users_and_expiries_and_suggests_nothing() -> None:
    assert status_words(REPORT).splitlines() == [
        "This computer is the device train-laptop of https://server:8443.",
        "Agent: running. Last contact 2 hours ago (2026-11-27 10:00 UTC).",
        "Protection: the keys are in the TPM.",
        "",
        "Without the network:",
        "  alice:",
        "    with the usual passcode until 2026-12-10 12:00 UTC (13 days)",
        "    with the PIN and an emergency tokencode (version 2) until 2026-12-24 00:00 UTC",
        "Without a passcode: root (on the console), rescue.",
    ]


def test_another_user_s_report_has_nothing_of_the_computer() -> None:
    report = {key: value for key, value in REPORT.items() if key not in {"protection", "names", "exempt"}}
    words = status_words(report)
    assert "alice" in words
    assert "Without a passcode" not in words


def test_a_pin_lock_is_shown_if_present_or_required() -> None:
    for state in LockState:
        words = status_words(REPORT | {"users": [ALICE | {"pin_lock": {"state": state, "words": "About the lock."}}]})
        assert ("    About the lock." in words) is (state not in {"policy-off", "no-tpm", "nothing-to-lock"})


def test_next_steps_are_at_the_end() -> None:
    blocked = ALICE | {"emergency_code_needed": True, "failures": 10, "notice": "1 day of offline data left."}
    trouble = {"daemon": False, "clock_wrong": True, "contact_trouble": "no route", "users": [blocked]}
    names = {"mapped": {"admin": "alice"}, "number": 3, "unmapped": "refused"}
    words = status_words(REPORT | trouble | {"names": names})
    assert "with the usual passcode" not in words  # it would be refused
    assert "the last try failed: no route" in words
    assert "Names: admin is alice and 2 more; other accounts have no login." in words
    to_do = words.partition("To do:\n")[2]
    for step in (
        "start the agent",
        "the clock is wrong",
        "sparekey-agent doctor",
        "alice needs an emergency code now",
        "Help desk: 555 0100.",
        "alice: 1 day of offline data left.",
    ):
        assert step in to_do


def test_a_new_device_and_one_that_grants_no_user_are_reported() -> None:
    nobody = {
        "users": [],
        "last_contact": "",
        "names": {"mapped": {}, "number": 0, "unmapped": "refused"},
        "exempt": [],
    }
    words = status_words(REPORT | nobody)
    for part in (
        "never in contact",
        "no user can sign in.",
        "sparekey-agent login USER",
        "Without a passcode: no account.",
        "Names: none; other accounts have no login.",
        "add accounts under [names]",
    ):
        assert part in words


def test_a_revoked_device_is_given_the_one_advice_that_helps() -> None:
    words = status_words(REPORT | {"revoked": True, "contact_trouble": "this device was revoked", "users": []})
    assert "Last contact 2 hours ago (2026-11-27 10:00 UTC); the device was revoked." in words
    assert words.partition("To do:\n")[2].splitlines() == [f"  - {HOW_AFTER_REVOKING}"]


def test_no_account_is_exempt_without_a_configured_login() -> None:
    words = status_words(REPORT | {"logins_ask": False})
    assert words.endswith("No login asks for a passcode yet. Exempt: root (on the console), rescue.")


def test_a_user_without_offline_access_is_shown_how_to_get_it() -> None:
    bob = ALICE | {
        "login": "bob",
        "accounts": ["bob", "builder"],
        "days_until": "",
        "emergency_codes": [],
        "obstacles": ["The token is lost."],
        "secrets": ["disk"],
        "failures": 1,
    }
    words = status_words(REPORT | {"users": [bob]})
    for part in (
        "bob, as builder on this computer:",
        "must sign in online here first",
        "The token is lost.",
        "keys kept: disk",
        "1 failed attempt of 10",
    ):
        assert part in words
