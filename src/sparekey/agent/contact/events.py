"""The offline events that this device creates (S27).

They are numbered without gaps, chained, signed, and kept until they are uploaded.
"""

from collections.abc import Callable
from dataclasses import replace

from sparekey.agent.ground.state import State
from sparekey.wire.events import NO_EVENT, EventKind, OfflineEvent

Sign = Callable[[bytes], bytes]


def appended(
    state: State,
    sign: Sign,
    kind: EventKind,
    at: int,
    *,
    user: str = "",
    login: str = "",
    method: str = "",
    token: str = "",
    step: int = 0,
    version: int = 0,
    check: str = "",
    reason: str = "",
) -> State:
    """Return the state with one more event at the end of the chain."""
    event = OfflineEvent(
        number=state.last_event + 1,
        at=at,
        kind=kind,
        user=user,
        login=login,
        method=method,
        token=token,
        step=step,
        version=version,
        check=check,
        reason=reason,
        previous=state.last_event_hash or NO_EVENT.hex(),
    )
    signed = replace(event, signature=sign(event.signed_bytes()).hex())
    return replace(state, events=[*state.events, signed], last_event=event.number, last_event_hash=event.hash().hex())


def alarmed(state: State, sign: Sign, kind: EventKind, at: int, reason: str, user: str = "", login: str = "") -> State:
    """Return the state with an alarm event, unless one of its kind still waits to be uploaded.

    One alarm for each outage is enough.
    """
    if any(event.kind == kind for event in state.events):
        return state
    return appended(state, sign, kind, at, user=user, login=login, reason=reason)


def after_upload(state: State, last_number: int) -> State:
    """Return the state without the events up to this number, which the server has stored."""
    return replace(state, events=[event for event in state.events if event.number > last_number])
