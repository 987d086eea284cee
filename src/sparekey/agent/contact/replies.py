"""The checks of all that the server sends: sync replies and units. No I/O.

- A sync reply names the generation and the check of its key. A unit never does.
- A higher generation is staged beside the current one. When its emergency units and today's days are on disk, it
  becomes current in one step and older units go. Until then the old units open.
- There is one unit for each (token, kind, UTC day). The later (generation, version, sealing time) wins; an earlier one
  is refused.
- Units that the server does not list as kept go at once. A user who is not listed has no data here any more.
- The keys that sign units are pinned at enrolment. A sync reply can drop a key, but not add one.
"""

from collections.abc import Sequence
from dataclasses import replace

from sparekey.agent.ground.device_time import TOLERANCE, ClockReading, at_contact
from sparekey.agent.ground.secret_purposes import still_allowed
from sparekey.agent.ground.state import State, UnitEntry, UserState
from sparekey.durations import DAY_SECONDS
from sparekey.sealed import Header, SealedUnit, Superseded, Unopened, verify_unit
from sparekey.unit_kind import EMERGENCY_KINDS, UnitKind
from sparekey.wire.agent_api import HeldUnit, SyncReply, UnitName, UnitRequest, UserSync

SOON = 600  # seconds after a contact in which the next one counts as the same


class NotWanted(Unopened):
    """A valid unit that was not requested, or that is not later than the one on the device."""

    word = "not wanted"


def after_contact(state: State, reading: ClockReading, server_time: int) -> State:
    """Return the state with the server's time. The learnt shifts of tokens' clocks are reset: the clock of
    this device may have caused them."""
    users = [replace(user, tokens=[replace(use, learnt_shift=0) for use in user.tokens]) for user in state.users]
    return replace(state, time=at_contact(state.time, reading, server_time), users=users)


def after_sync(state: State, reply: SyncReply, reading: ClockReading) -> State:
    """Return the state with all changes of a sync reply. The units are fetched by the caller."""
    state = after_contact(state, reading, reply.server_time)
    today = reply.server_time // DAY_SECONDS
    users = [_merged(state, user_sync, today) for user_sync in reply.users]
    still_trusted = [key for key in state.enrolment.signing_keys if key in reply.signing_keys]
    enrolment = replace(
        state.enrolment, name=reply.device_name, signing_keys=still_trusted or state.enrolment.signing_keys
    )
    return replace(
        state,
        users=users,
        enrolment=enrolment,
        events=[event for event in state.events if event.number > reply.last_event],
        checkpoint=reply.checkpoint,
        next_sync=reply.next_sync,
        revoked=False,
    )


def is_news(before: State, after: State) -> bool:
    """Return True if a sync reply must be written to disk.

    It must if it changes more than the usual facts of a contact, or if the last write is a while ago.

    Anyone at a login makes a device contact its server, and with a TPM each write of the state wears the counter.
    """
    at, then = after.time, before.time
    passed = at.contact_monotonic - then.contact_monotonic
    is_recent = at.contact_boot == then.contact_boot and 0 <= passed < SOON
    as_expected = abs(at.contact - then.contact - passed) <= TOLERANCE
    # The server varies the interval at random, so only a clearly different one is news.
    interval = abs(after.next_sync - before.next_sync) * 4 <= before.next_sync
    same = replace(after, time=then, checkpoint=before.checkpoint, next_sync=before.next_sync)
    return not (is_recent and as_expected and interval and same == before)


def held_units(state: State) -> list[HeldUnit]:
    """Return the units to report as held. Units without records that should still open are left out."""
    return [
        HeldUnit(
            user=user.user,
            kind=unit.kind,
            token=unit.token,
            day=unit.day,
            generation=unit.generation,
            version=unit.version,
            unit_hash=unit.unit_hash,
        )
        for user in state.users
        for unit in user.units
        if not unit.is_given_up
    ]


def missing_units(user: UserState, wanted: Sequence[UnitName]) -> list[UnitRequest]:
    """Return the units to fetch, in the server's order."""
    generation = user.known_generation
    return [
        UnitRequest(user=user.user, kind=name.kind, token=name.token, day=name.day, generation=generation)
        for name in wanted
    ]


def verify_received(state: State, unit: bytes, asked: UnitRequest) -> SealedUnit:
    """Verify a unit at receipt (spec/offline-day.md, Opening, steps 1 to 3 without time) and against the request.
    Raises Unopened with its word."""
    user = state.get_user(asked.user)
    keys = [bytes.fromhex(key) for key in state.enrolment.signing_keys]
    sealed = verify_unit(unit, keys, state.enrolment.device, user.known_generation)
    header = sealed.header
    if header.user != user.user or header.login != user.login:
        raise NotWanted("sealed for another user")
    if header.generation > user.known_generation or header.check.hex() != user.known_check:
        raise NotWanted("sealed in a generation, or to a key, that no sync reply has named")
    if (header.kind.value, header.token, header.slot_day) != (asked.kind, asked.token, asked.day):
        raise NotWanted("another unit than the one asked for")
    _verify_later(user, header)
    return sealed


def after_receipt(state: State, user: str, entry: UnitEntry) -> State:
    """Return the state with the new unit in its slot. It may complete a staged generation."""
    holder = state.get_user(user)
    others = [unit for unit in holder.units if not (unit.slot == entry.slot and unit.generation == entry.generation)]
    return state.with_user(_promoted(replace(holder, units=[*others, entry])))


def after_refusal(state: State, asked: UnitRequest) -> State:
    """Return the state after the server refused to make this unit. A staged generation no longer waits for it."""
    if not state.has_user(asked.user):
        return state
    user = state.get_user(asked.user)
    awaited = [name for name in user.awaited if name != UnitName(kind=asked.kind, token=asked.token, day=asked.day)]
    return state.with_user(_promoted(replace(user, awaited=awaited)))


def without_data(state: State) -> State:
    """Return the state without any unit or secret."""
    return replace(state, users=[])


def after_revoking(state: State) -> State:
    """Return the state of a revoked device: no data, and the mark of the revocation."""
    return replace(without_data(state), revoked=True)


def _verify_later(user: UserState, header: Header) -> None:
    slot = UnitName(kind=header.kind.value, token=header.token, day=header.slot_day)
    age = (header.generation, header.version, header.sealed_at)
    if any(unit.slot == slot and unit.age >= age for unit in user.units):
        raise Superseded("not later than the unit that is held")


def _merged(state: State, user_sync: UserSync, today: int) -> UserState:
    user = (
        state.get_user(user_sync.user) if state.has_user(user_sync.user) else UserState(user_sync.user, user_sync.login)
    )
    if user_sync.generation < user.known_generation:
        # A generation never falls, so this server has lost data. The device obeys its refusals and ignores its offers.
        lost = "The server knows less than this device: it was restored from a backup. Tell your administrator."
        return replace(_keeping(user, user_sync), obstacles=[*user_sync.obstacles, lost])
    user = _keeping(_with_generation(user, user_sync, today), user_sync)
    user = replace(
        user,
        login=user_sync.login,
        policy=user_sync.policy,
        tokencodes_blocked=user_sync.tokencodes_blocked,
        obstacles=list(user_sync.obstacles),
    )
    return _promoted(user)


def _with_generation(user: UserState, user_sync: UserSync, today: int) -> UserState:
    if user_sync.generation == user.generation or not user.units:
        # Another key in the same generation means that the server was restored: no unit of the old key opens any more.
        units = user.units if user_sync.check == user.check else []
        return replace(
            user,
            generation=user_sync.generation,
            check=user_sync.check,
            staged_generation=0,
            staged_check="",
            awaited=[],
            units=units,
        )
    if user_sync.generation == user.staged_generation and user_sync.check == user.staged_check:
        staged = user
    else:
        staged = replace(user, units=user.current_units)
    awaited = [name for name in user_sync.wanted if name.kind in EMERGENCY_KINDS or name.day in (0, today)]
    held = {unit.slot for unit in staged.units if unit.generation == user_sync.generation}
    awaited += [name for name in user.awaited if name in held and name not in awaited]
    return replace(staged, staged_generation=user_sync.generation, staged_check=user_sync.check, awaited=awaited)


def _keeping(user: UserState, user_sync: UserSync) -> UserState:
    kept = {(keep.kind, keep.token) for keep in user_sync.keep}
    units = [
        unit
        for unit in user.units
        if (unit.kind, unit.token) in kept and (unit.kind != UnitKind.DAY or unit.day <= user_sync.last_day)
    ]
    for used in user_sync.used:
        use = user.token_use(used.token)
        user = user.with_token(replace(use, last_used=max(use.last_used, used.step)))
    return replace(user, units=units, secrets=still_allowed(user.secrets, user_sync.policy))


def _promoted(user: UserState) -> UserState:
    """Return the user with the staged generation as the current one, if every awaited unit of it is held.

    If none is awaited (a locked user gets no new units), the old units stay until the server withholds them.
    """
    if not user.staged_generation or not user.awaited:
        return user
    staged = [unit for unit in user.units if unit.generation == user.staged_generation]
    held = {unit.slot for unit in staged}
    if any(name not in held for name in user.awaited):
        return user
    return replace(
        user,
        generation=user.staged_generation,
        check=user.staged_check,
        staged_generation=0,
        staged_check="",
        awaited=[],
        units=staged,
    )
