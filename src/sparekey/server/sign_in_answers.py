"""Sign-ins for REST and the agent API: a grant is fast, a refusal leaves at the floor, and an error never grants.

Rules: every error on the way is a refusal (S09), logged if that is still possible; only if the database cannot be
reached, which affects all callers alike, the reply says so, so that a device may use its offline data.
"""

from collections.abc import Callable
from typing import TypeVar

from sparekey.app.instance import log
from sparekey.app.sign_in.verification import SignInInterface
from sparekey.core.audit_log.actions import Action
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Asked, Denied, Granted, Outcome
from sparekey.server.replies import UNAVAILABLE, RequestRejected, is_unavailable, log_unforeseen
from sparekey.server.service import Service
from sparekey.server.work import Busy, WorkPool

R = TypeVar("R")


async def judge(
    service: Service,
    arrived: float,
    interface: SignInInterface,
    now: int,
    verify: Callable[[], R],
    outcome_of: Callable[[R], Outcome],
    pool: WorkPool | None = None,
) -> R | Denied:
    """Return the result of `verify` if it grants or asks; every other case is a refusal, at the floor.

    A challenge follows only a correct passcode, so that it reveals no more than a success. `pool`: the threads to use
    instead of those for sign-ins. Raises RequestRejected or Busy.
    """
    judged = await _verified(service, interface, now, verify, pool or service.sign_ins)
    if not isinstance(judged, Denied) and isinstance(outcome_of(judged), Granted | Asked):
        return judged
    await service.floor.wait(arrived)
    if judged is _UNREACHED:
        raise RequestRejected(503, UNAVAILABLE.error, UNAVAILABLE.message, UNAVAILABLE.do)
    return judged


_UNREACHED = Denied(Reason.INTERNAL_ERROR)


async def _verified(
    service: Service, interface: SignInInterface, now: int, verify: Callable[[], R], pool: WorkPool
) -> R | Denied:
    try:
        return await pool.run(verify)
    except Busy:
        raise
    except Exception as error:  # noqa: BLE001 -- S09: whatever happened, the answer is no
        log_unforeseen(error)
        if is_unavailable(error):
            return _UNREACHED
    await _put_on_record(service, interface, now)
    return Denied(Reason.INTERNAL_ERROR)


async def _put_on_record(service: Service, interface: SignInInterface, now: int) -> None:
    def write() -> None:
        with service.instance.database.write() as connection:
            reason = Reason.INTERNAL_ERROR
            log(connection, now, interface.actor, Action.SIGN_IN_DENIED, result=reason, device=interface.device_id)

    try:
        await service.contacts.run(write)
    except Exception as error:  # noqa: BLE001 -- it is refused with or without a record
        log_unforeseen(error)
