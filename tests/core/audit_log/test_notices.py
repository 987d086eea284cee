"""The words of notices: every one can be written, none takes more than it has places for, none becomes a header."""

from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.audit_log import notices
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice, alarm_sentence, letter_of_alarm, letter_to_user

AT = 1_800_000_000


def places(notice: Notice) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(notices._USER[notice][1]) if name}


@pytest.mark.parametrize("notice", Notice)
def test_every_notice_has_words(notice: Notice) -> None:
    facts = {name: f"fact of {name}" for name in places(notice)}
    letter = letter_to_user(notice, "alice", AT, facts)
    assert all(fact in letter.body for fact in facts.values())
    assert "Account: alice\nTime: 2027-01-15 08:00:00 UTC\n" in letter.body
    assert "call your help desk" in letter.body
    assert "{" not in letter.subject + letter.body
    assert letter.subject.isprintable()


@pytest.mark.parametrize("notice", Notice)
def test_s65_no_notice_has_a_place_for_a_secret(notice: Notice) -> None:
    assert places(notice) <= {"by", "device", "failures", "kind", "serial", "until", "where"}
    facts = dict.fromkeys(places(notice), "x")
    with pytest.raises(ValueError, match="has places for"):
        letter_to_user(notice, "alice", AT, {**facts, "code": "ABCDE-FGHJK"})


def test_a_notice_that_lacks_a_fact_is_refused() -> None:
    with pytest.raises(ValueError, match="device"):
        letter_to_user(Notice.DEVICE_REVOKED, "alice", AT, {})


@given(st.text())
def test_any_name_fits_in_one_line(name: str) -> None:
    letter = letter_to_user(Notice.DEVICE_REVOKED, name, AT, {"device": name})
    plain = letter_to_user(Notice.DEVICE_REVOKED, "x", AT, {"device": "x"})
    assert letter.subject == plain.subject
    assert len(letter.body.splitlines()) == len(plain.body.splitlines())
    assert letter.body.replace("\n", "").isprintable()


def test_facts_are_not_used_as_format_strings() -> None:
    assert (
        "device {serial.__class__} was"
        in letter_to_user(Notice.DEVICE_REVOKED, "alice", AT, {"device": "{serial.__class__}"}).body
    )


@pytest.mark.parametrize("action", [action for action in Action if action.is_alarm])
def test_every_alarm_has_a_sentence(action: Action) -> None:
    letter = letter_of_alarm(action, "a" * 32, AT, {"device": "laptop", "user": None, "note": ""})
    assert alarm_sentence(action) in letter.body
    assert "see the audit log" not in alarm_sentence(action), "write a sentence for it in core/audit_log/notices.py"
    assert "device: laptop" in letter.body
    assert "user" not in letter.body.partition("Time:")[2].partition("When")[0]
    assert f"sparekey alarm acknowledge {'a' * 32}" in letter.body


def test_actions_that_are_no_alarms_have_no_notice() -> None:
    with pytest.raises(ValueError, match="no alarm"):
        letter_of_alarm(Action.TOKEN_LOST, "a", AT, {})
