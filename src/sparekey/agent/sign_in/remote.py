"""The answers to remote users: no more than the server tells at its own login (S07).

- Strangers can try a login over the network. Which users have data on this device, which are blocked, and the
  help-desk text appear only at the computer itself and in the agent's log.
- Every refusal by the device alone is the same sentence, sent after the same time, so that hashing does not show.
- Reasons that are true of the device for every user (busy, not enrolled, no keys) are shown.
"""

from dataclasses import replace
from typing import Final

from sparekey.agent.ground.outcome import LoginAnswer, Mode, Refusal, RefusalReason, Result, refused
from sparekey.agent.ground.state import State

# Seconds since the device began to decide alone: longer than a search for a tokencode takes on two cores. All remote
# attempts in the queue (`connection_limits.MOST_OF_REMOTE`) are answered before a login shim gives up after 120 s.
FLOOR: Final = 5.0
_MORE = "The server cannot be reached. The screen of this computer shows more."


def answer_for_remote(answer: LoginAnswer, state: State) -> LoginAnswer:
    """Return the answer without the parts that strangers must not see."""
    if answer.result in (Result.GRANTED, Result.ASK):
        return answer
    if answer.mode is Mode.OFFLINE:
        return refused(Refusal(RefusalReason.WRONG_PASSCODE), Mode.OFFLINE, f"{_MORE} {_help_text(state)}")
    if answer.reason is RefusalReason.NOT_MAPPED:
        return refused(Refusal(RefusalReason.WRONG_PASSCODE), answer.mode)
    if answer.misread:  # the server names misread groups to everyone; leave out the facts about this device
        return replace(answer, message=Refusal(answer.reason, answer.misread).sentence)
    return answer


def _help_text(state: State) -> str:
    """Return the help text that all users of this device share. If they differ, return none.

    Safe because a text of some users would tell which users have data here.
    """
    texts = {user.policy.help_text for user in state.users}
    return texts.pop() if len(texts) == 1 else ""
