"""Judges what the server sends against what the device knows: sync replies and units. No I/O.

- The known generation and check come in a sync reply, never from a unit.
- A higher generation is staged beside the current one: when its emergency units and today's days are on disk, it
  becomes current in one step and what is older goes. Until then the old units open.
- One unit for each (token, kind, UTC day); the later (generation, version, sealing) wins, an earlier one is refused.
- What the server does not name as kept goes at once, and a user who is not named has nothing here any more.
- Keys that sign units are pinned at enrolment: a sync reply can drop one, it cannot add one.
"""

from collections.abc import Sequence
from dataclasses import replace

from sparekey.agent.ground.device_time import TOLERANCE, ClockReading, at_contact
from sparekey.agent.ground.secret_purposes import still_allowed
from sparekey.agent.ground.state import State, UnitEntry, UserState
from sparekey.sealed import Header, SealedUnit, Superseded, UnitKind, Unopened, verify_unit
from sparekey.wire.agent_api import HeldUnit, SyncReply, UnitName, UnitRequest, UserSync

DAY_SECONDS = 86400
SOON = 600  # seconds after a contact in which the next one counts as the same


class NotWanted(Unopened):
    """A unit of ours, but not the one that was asked for, or not later than the one that is held."""

    word = "not wanted"


def after_contact(state: State, reading: ClockReading, server_time: int) -> State:
    """Time is the server's now, and what was learnt of the tokens' clocks may have been this clock's fault."""
    users = [replace(user, tokens=[replace(use, learnt_shift=0) for use in user.tokens]) for user in state.users]
    return replace(state, time=at_contact(state.time, reading, server_time), users=users)


def after_sync(state: State, reply: SyncReply, reading: ClockReading) -> State:
    """All that a sync reply changes but the fetching of units."""
    state = after_contact(state, reading, reply.server_time)
    today = reply.server_time // DAY_SECONDS
    users = [_merged(state, said, today) for said in reply.users]
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
    """Whether a sync reply has to be written down: it changes more than what a contact always changes, or the last one
    that was written down is a while ago.

    Anybody at a login makes a device ask its server, and a TPM writes with every change of the state.
    """
    at, then = after.time, before.time
    passed = at.contact_monotonic - then.contact_monotonic
    is_recent = at.contact_boot == then.contact_boot and 0 <= passed < SOON
    as_expected = abs(at.contact - then.contact - passed) <= TOLERANCE
    # Servers spread contacts by chance: only an interval that is quite another one is told.
    interval = abs(after.next_sync - before.next_sync) * 4 <= before.next_sync
    same = replace(after, time=then, checkpoint=before.checkpoint, next_sync=before.next_sync)
    return not (is_recent and as_expected and interval and same == before)


def held_units(state: State) -> list[HeldUnit]:
    """What the device tells the server that it holds: not what lacks records that should still open."""
    return [
        HeldUnit(user.user, unit.kind, unit.token, unit.day, unit.generation, unit.version, unit.unit_hash)
        for user in state.users
        for unit in user.units
        if not unit.is_given_up
    ]


def missing_units(user: UserState, wanted: Sequence[UnitName]) -> list[UnitRequest]:
    """What of that is to be fetched, in the server's order."""
    generation = user.known_generation
    return [UnitRequest(user.user, name.kind, name.token, name.day, generation) for name in wanted]


def verify_received(state: State, unit: bytes, asked: UnitRequest) -> SealedUnit:
    """Receipt (Opening, 1-3 but time) and whether it is what was asked for; raises `Unopened` with its word."""
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
    """The unit is on disk under `entry`: it takes its slot, and may complete a staged generation."""
    holder = state.get_user(user)
    others = [each for each in holder.units if not (each.slot == entry.slot and each.generation == entry.generation)]
    return state.with_user(_promoted(replace(holder, units=[*others, entry])))


def after_refusal(state: State, asked: UnitRequest) -> State:
    """The server will not make this unit: a staged generation does not wait for it."""
    if not state.has_user(asked.user):
        return state
    user = state.get_user(asked.user)
    awaited = [name for name in user.awaited if name != UnitName(asked.kind, asked.token, asked.day)]
    return state.with_user(_promoted(replace(user, awaited=awaited)))


def without_data(state: State) -> State:
    """Every unit and every secret goes, at once."""
    return replace(state, users=[])


def after_revoking(state: State) -> State:
    """The device is known no more, and keeps nothing but that."""
    return replace(without_data(state), revoked=True)


def _verify_later(user: UserState, header: Header) -> None:
    slot = UnitName(header.kind.value, header.token, header.slot_day)
    age = (header.generation, header.version, header.sealed_at)
    if any(unit.slot == slot and unit.age >= age for unit in user.units):
        raise Superseded("not later than the unit that is held")


def _merged(state: State, said: UserSync, today: int) -> UserState:
    user = state.get_user(said.user) if state.has_user(said.user) else UserState(said.user, said.login)
    if said.generation < user.known_generation:
        # A generation never falls: this server has lost something. What it withholds counts, what it offers does not.
        lost = "The server knows less than this device: it was set back. Tell your administrator."
        return replace(_keeping(user, said), obstacles=[*said.obstacles, lost])
    user = _keeping(_with_generation(user, said, today), said)
    user = replace(
        user,
        login=said.login,
        policy=said.policy,
        tokencodes_blocked=said.tokencodes_blocked,
        obstacles=list(said.obstacles),
    )
    return _promoted(user)


def _with_generation(user: UserState, said: UserSync, today: int) -> UserState:
    if said.generation == user.generation or not user.units:
        # Another key in the same generation: the server was set back, and no unit of the old key opens any more.
        units = user.units if said.check == user.check else []
        return replace(
            user,
            generation=said.generation,
            check=said.check,
            staged_generation=0,
            staged_check="",
            awaited=[],
            units=units,
        )
    if said.generation == user.staged_generation and said.check == user.staged_check:
        staged = user
    else:
        staged = replace(user, units=user.current_units)
    awaited = [name for name in said.wanted if name.kind.startswith("emergency-") or name.day in (0, today)]
    held = {unit.slot for unit in staged.units if unit.generation == said.generation}
    awaited += [name for name in user.awaited if name in held and name not in awaited]
    return replace(staged, staged_generation=said.generation, staged_check=said.check, awaited=awaited)


def _keeping(user: UserState, said: UserSync) -> UserState:
    kept = {(keep.kind, keep.token) for keep in said.keep}
    units = [
        unit
        for unit in user.units
        if (unit.kind, unit.token) in kept and (unit.kind != UnitKind.DAY or unit.day <= said.last_day)
    ]
    for used in said.used:
        use = user.token_use(used.token)
        user = user.with_token(replace(use, last_used=max(use.last_used, used.step)))
    return replace(user, units=units, secrets=still_allowed(user.secrets, said.policy))


def _promoted(user: UserState) -> UserState:
    """The staged generation becomes current once all that is awaited of it is held.

    Where nothing is awaited (a locked user is given nothing new) the old units go on until the server withholds them.
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
