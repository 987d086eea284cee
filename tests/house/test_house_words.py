"""House rule of words: a person can read every text that the audit log can contain."""

import pytest

from sparekey.agent.ground.outcome import RefusalReason as OnDevice
from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.audit_log.words import REASONS, WORDS, happened, refused_for
from sparekey.core.reasons import Reason
from sparekey.wire.events import EventKind

# answers and reports of a device; "" and "granted" are no refusals
REFUSALS = sorted({*Reason, *(each.value for each in OnDevice if each), *EventKind} - {EventKind.GRANTED})


@pytest.mark.parametrize("action", list(Action))
def test_every_action_has_a_phrase(action: Action) -> None:
    assert WORDS.get(action), f"say in core/audit_log/words.py what {action.value} is"
    assert happened(action)[0].isupper()
    assert not happened(action).endswith(".")


@pytest.mark.parametrize("reason", REFUSALS)
def test_every_refusal_has_a_phrase(reason: str) -> None:
    assert REASONS.get(reason), f"say in core/audit_log/words.py what {reason} is"
    assert refused_for(reason)[0].isupper()
    assert not refused_for(reason).endswith(".")


def test_no_two_actions_are_called_the_same() -> None:
    assert len(set(WORDS.values())) == len(WORDS)


def test_successes_have_no_reason_and_unknown_names_are_shown_unchanged() -> None:
    assert refused_for(OK) == ""
    assert happened("rocket.launched-twice") == "Rocket launched twice"
    assert refused_for("out-of-fuel") == "Out of fuel"
