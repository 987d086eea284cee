"""What is told to whoever comes over a network: no more than a server says at its door (S07).

- Strangers try that door, and nobody sees them there. Who has data on this device, who is blocked, and what caller and
  help desk agree on a code by, is for whoever sits at the computer, and for the agent's log.
- What the device refuses alone is one sentence, and leaves at one time: what it hashed meanwhile does not show.
- What is true of the device whoever asks (busy, not enrolled, no keys) is said.
"""

from dataclasses import replace
from typing import Final

from sparekey.agent.ground.outcome import LoginAnswer, Mode, Reason, Refusal, Result, refused
from sparekey.agent.ground.state import State

# Seconds from where the device began to judge alone: longer than its search for a tokencode takes on two cores. All of
# `places.MOST_OF_REMOTE` in line are answered before a shim gives up (120 s).
FLOOR: Final = 5.0
_MORE = "Its server is out of reach: this computer says more on its own screen."


def answer_for_remote(answer: LoginAnswer, state: State) -> LoginAnswer:
    """The same answer as far as it is for strangers."""
    if answer.result in (Result.GRANTED, Result.ASK):
        return answer
    if answer.mode is Mode.OFFLINE:
        return refused(Refusal(Reason.WRONG_PASSCODE), Mode.OFFLINE, f"{_MORE} {_help_text(state)}")
    if answer.reason is Reason.NOT_MAPPED:
        return refused(Refusal(Reason.WRONG_PASSCODE), answer.mode)
    if answer.misread:  # what the server says to everybody, without what this device holds
        return replace(answer, message=Refusal(answer.reason, answer.misread).sentence)
    return answer


def _help_text(state: State) -> str:
    """The one that all users of this device have; where they differ it would tell who is one."""
    texts = {user.policy.help_text for user in state.users}
    return texts.pop() if len(texts) == 1 else ""
