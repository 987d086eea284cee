"""Sign-ins for REST and the agent API: a grant is sent at once, a refusal at the floor, and an error never grants.

Rules:
- Every error on the way is a refusal (S09). It is logged if logging still works.
- Only an unreachable database has a reply of its own, so that a device may use its offline data. This reveals nothing,
  because it affects all callers alike.
"""

from collections.abc import Callable

from sparekey.app.instance import log
from sparekey.app.sign_in.verification import SignInInterface, SignInResult
from sparekey.core.audit_log.actions import Action
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Asked, Denied, Granted
from sparekey.core.sign_in.typed_text import read_typed
from sparekey.secret import Secret
from sparekey.server.errors import UNAVAILABLE, RequestRejected, is_unavailable, log_unforeseen
from sparekey.server.service import Service
from sparekey.server.work import Busy, WorkPool


async def run_sign_in(
    service: Service,
    arrived: float,
    interface: SignInInterface,
    now: int,
    typed: Secret[str],
    verify: Callable[[], SignInResult],
    pool: WorkPool | None = None,
) -> SignInResult:
    """Return the result of `verify` if it grants or asks; every other case is a refusal, at the floor.

    A challenge follows only a correct passcode, so that it reveals no more than a success. `typed`: the text that is
    verified; empty for a passkey. `pool`: the threads to use instead of those for sign-ins. Raises RequestRejected or
    Busy.
    """
    result = await _verified(service, interface, now, verify, pool or service.sign_ins)
    if isinstance(result.outcome, Granted | Asked):
        return result
    await service.floor.wait(arrived, len(read_typed(typed, service.instance.installed.latest).pins))
    if result is _UNREACHED:
        raise RequestRejected(503, UNAVAILABLE.error, UNAVAILABLE.message, UNAVAILABLE.do)
    return result


_UNREACHED = SignInResult(Denied(Reason.INTERNAL_ERROR))


async def _verified(
    service: Service, interface: SignInInterface, now: int, verify: Callable[[], SignInResult], pool: WorkPool
) -> SignInResult:
    try:
        return await pool.run(verify)
    except Busy:
        raise
    except Exception as error:  # noqa: BLE001 -- S09: any error is a refusal
        log_unforeseen(error)
        if is_unavailable(error):
            return _UNREACHED
    await _log_error(service, interface, now)
    return SignInResult(Denied(Reason.INTERNAL_ERROR))


async def _log_error(service: Service, interface: SignInInterface, now: int) -> None:
    def write() -> None:
        with service.instance.database.write() as connection:
            reason = Reason.INTERNAL_ERROR
            log(connection, now, interface.actor, Action.SIGN_IN_DENIED, result=reason, device=interface.device_id)

    try:
        await service.contacts.run(write)
    except Exception as error:  # noqa: BLE001 -- the refusal does not depend on its event
        log_unforeseen(error)
