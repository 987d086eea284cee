"""The belief in a device's report of an offline success (S49): honest devices always, hostile ones up to now."""

import dataclasses
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.core.offline.event_packs import LOOK_AHEAD, PACK
from sparekey.core.offline.reported_successes import (
    CODE_COST,
    COUNTER_COST,
    HOUR,
    MOST_COST,
    MOST_COUNTERS,
    MOST_SHORT_OUTAGES,
    SHORT_OUTAGE,
    Belief,
    Contacts,
    Doubt,
    Past,
    ReportedToken,
    believe,
)
from sparekey.core.sign_in.authenticate import WINDOW

NOW = 1_800_057_600
LONG_AGO = Contacts(0, 0)
NO_PAST = Past()
EARLIEST_COUNTER = -1


def a_token(interval: int = 30, **facts: int) -> ReportedToken:
    return ReportedToken(**{"interval": interval, "drift": 0, "last_step": 0, **facts})


def shown(now: int, token: ReportedToken) -> int:
    return now // token.interval + token.drift


@pytest.mark.parametrize("interval", [30, 60])
@pytest.mark.parametrize("drift", [-7, 0, 3])
@pytest.mark.parametrize(("ahead", "counted", "doubted"), [(-40, -40, 0), (0, 0, 0), (1, 1, 0), (2, 0, 1), (5, 0, 1)])
def test_s49_a_success_that_cannot_have_happened_counts_up_to_now(
    interval: int, drift: int, ahead: int, counted: int, doubted: int
) -> None:
    token = a_token(interval, drift=drift)
    belief = believe(shown(NOW, token) + ahead, NOW, token, LONG_AGO, NO_PAST, NOW)
    assert belief.used_to == shown(NOW, token) + counted
    assert belief.doubts == ({Doubt.AHEAD} if doubted else set())


@pytest.mark.parametrize(
    ("ahead", "window", "codes"), [(-2, 1, 0), (-1, 1, 1), (1, 1, 3), (-1, 0, 0), (0, 0, 1), (0, 2, 3)]
)
def test_only_codes_that_still_work_are_counted(ahead: int, window: int, codes: int) -> None:
    token = a_token(window=window)
    belief = believe(shown(NOW, token) + ahead, NOW, token, LONG_AGO, NO_PAST, NOW)
    assert (belief.codes, belief.cost) == (codes, CODE_COST * codes)


def test_a_step_that_was_used_before_changes_nothing() -> None:
    token = a_token(last_step=NOW // 30)
    belief = believe(NOW // 30, NOW, token, LONG_AGO, NO_PAST, NOW)
    assert belief == Belief(NOW // 30, 0, 0, short_outage=False, doubts=frozenset())


@pytest.mark.parametrize("interval", [30, 60])
def test_s49_beyond_the_limit_only_the_past_is_used_up(interval: int) -> None:
    token = a_token(interval)
    step = shown(NOW, token)
    belief = believe(step, NOW, token, LONG_AGO, Past(MOST_COST), NOW)
    assert (belief.used_to, belief.codes, belief.doubts) == (step - WINDOW - 1, 0, frozenset({Doubt.TOO_MANY}))
    nearly = believe(step, NOW, token, LONG_AGO, Past(MOST_COST - CODE_COST), NOW)
    assert (nearly.used_to, nearly.codes, nearly.doubts) == (step - WINDOW, 1, frozenset({Doubt.TOO_MANY}))


def test_s49_a_success_before_the_last_sync_comes_too_late_to_be_true() -> None:
    token = a_token()
    hour_ago = NOW - HOUR
    late = believe(hour_ago // 30, hour_ago, token, Contacts(NOW - 60, NOW - 60), NO_PAST, NOW)
    assert late.doubts == {Doubt.LATE}
    assert late.used_to == hour_ago // 30
    assert believe(hour_ago // 30, hour_ago, token, Contacts(hour_ago - 1, hour_ago - 1), NO_PAST, NOW).doubts == set()


def test_s49_successes_in_contact_all_along_are_doubted() -> None:
    token, contacts = a_token(), Contacts(NOW - SHORT_OUTAGE, NOW - SHORT_OUTAGE)
    few, many = Past(0, MOST_SHORT_OUTAGES - 1), Past(0, MOST_SHORT_OUTAGES)
    assert believe(NOW // 30, NOW, token, contacts, few, NOW).doubts == set()
    assert believe(NOW // 30, NOW, token, contacts, many, NOW).doubts == {Doubt.IN_CONTACT}
    longer = Contacts(NOW - SHORT_OUTAGE - 1, NOW - SHORT_OUTAGE - 1)
    assert believe(NOW // 30, NOW, token, longer, many, NOW).doubts == set()


def test_the_second_part_of_a_long_upload_is_no_short_outage() -> None:
    token, many = a_token(), Past(0, MOST_SHORT_OUTAGES)
    yesterday = NOW - 24 * HOUR
    belief = believe(yesterday // 30, yesterday, token, Contacts(yesterday - HOUR, NOW - 1), many, NOW)
    assert (belief.short_outage, belief.doubts) == (False, frozenset())


# Event-based tokens


def test_s49_a_counter_beyond_the_look_ahead_is_doubted_and_used_up() -> None:
    token = a_token(0, last_step=100, last_given=100 + PACK)
    near, far = 101 + LOOK_AHEAD, 102 + LOOK_AHEAD
    assert believe(near, NOW, token, LONG_AGO, NO_PAST, NOW) == Belief(
        near, near - 100, (near - 100) * COUNTER_COST, short_outage=False, doubts=frozenset()
    )
    belief = believe(far, NOW, token, LONG_AGO, NO_PAST, NOW)
    assert (belief.used_to, belief.doubts) == (far, frozenset({Doubt.AHEAD}))


def test_a_counter_beyond_the_packs_counts_to_their_end() -> None:
    belief = believe(10**9, NOW, a_token(0, last_step=100, last_given=103), LONG_AGO, NO_PAST, NOW)
    assert (belief.used_to, belief.codes, belief.doubts) == (103, 3, frozenset({Doubt.AHEAD}))


def test_a_counter_that_was_used_before_is_no_doubt() -> None:
    belief = believe(90, NOW, a_token(0, last_step=100, last_given=50), LONG_AGO, NO_PAST, NOW)
    assert (belief.used_to, belief.codes, belief.doubts) == (100, 0, frozenset())


def test_s49_counters_are_limited_in_an_hour_and_since_the_last_success_at_the_server() -> None:
    token = a_token(0, last_step=100, last_given=200)
    belief = believe(200, NOW, token, LONG_AGO, Past(MOST_COST - 2 * COUNTER_COST), NOW)
    assert (belief.used_to, belief.doubts) == (102, frozenset({Doubt.AHEAD, Doubt.TOO_MANY}))
    moved = a_token(0, last_step=1_004, last_given=1_100, used_from=5, used_to=1_004)
    assert believe(1_010, NOW, moved, LONG_AGO, NO_PAST, NOW).used_to == 5 + MOST_COUNTERS
    signed_in = dataclasses.replace(moved, used_to=900)  # the user got in at the server meanwhile
    assert believe(1_010, NOW, signed_in, LONG_AGO, NO_PAST, NOW).used_to == 1_010


# Worlds: the server's side of any number of reports


@dataclass
class World:
    """The knowledge of the server about one user's token on one device, as the storage keeps it."""

    token: ReportedToken
    contacts: Contacts
    used: list[tuple[int, int, bool]] = field(default_factory=list)  # when, cost, in a short outage
    alarms: set[Doubt] = field(default_factory=set)

    def past(self, now: int) -> Past:
        recent = [each for each in self.used if each[0] // 60 >= (now - HOUR) // 60]
        outages = {at // 60 for at, _, short in recent if short and at // 60 != now // 60}
        return Past(sum(cost for _, cost, _ in recent), len(outages))

    def report(self, step: int, at: int, contacts: Contacts, now: int) -> Belief:
        belief = believe(step, at, self.token, contacts, self.past(now), now)
        before = self.token
        if belief.used_to > before.last_step:
            start = before.used_from if before.used_to == before.last_step else before.last_step
            self.token = dataclasses.replace(before, last_step=belief.used_to, used_from=start, used_to=belief.used_to)
        self.used.append((now, belief.cost, belief.short_outage))
        self.alarms |= belief.doubts
        return belief


# Each outage: seconds since the end of the one before, its length, and the times of sign-ins in it as parts of that.
BETWEEN = HOUR // MOST_SHORT_OUTAGES
outages = st.lists(
    st.tuples(
        st.integers(BETWEEN, 30 * HOUR),
        st.one_of(st.integers(1, BETWEEN), st.integers(1, 30 * HOUR)),
        st.lists(st.floats(0, 1), max_size=6),
    ),
    min_size=1,
    max_size=12,
)


@given(
    interval=st.sampled_from([30, 60]),
    window=st.integers(0, 2),
    token_clock=st.integers(-400, 400),
    late=st.integers(0, 59),
    clock_error=st.integers(-(10**7), 10**7),
    outages=outages,
)
def test_s49_an_honest_device_never_alarms_and_its_codes_are_used_up(
    interval: int,
    window: int,
    token_clock: int,
    late: int,
    clock_error: int,
    outages: list[tuple[int, int, list[float]]],
) -> None:
    """The device signs its user in while it has no network, and uploads with the first contact after it.

    `token_clock`: seconds by which the token is ahead; the server has learnt the whole steps of them at a moment `late`
    in a step. `clock_error`: of the device's clock; no code depends on it.
    """
    now = NOW + late
    learnt = (now + token_clock) // interval - now // interval
    used = (now + token_clock) // interval
    world = World(a_token(interval, drift=learnt, last_step=used, window=window), Contacts(now, now))
    for since, length, parts in outages:
        gone = now + max(since - length, 0)
        back = now + since
        for at in sorted(gone + int(part * (back - gone)) for part in parts):
            step = (at + token_clock) // interval
            if step > world.token.last_step:  # a device opens no record twice, and the server names those used here
                belief = world.report(step, max(at + clock_error, 0), Contacts(gone, gone), back)
                assert belief.used_to == step
        now = back
    assert world.alarms == set()


reports = st.lists(
    st.tuples(st.integers(0, 400), st.integers(-200, 200), st.integers(0, 2 * 10**9), st.booleans()),
    min_size=1,
    max_size=60,
)


@given(interval=st.sampled_from([30, 60]), drift=st.integers(-1000, 1000), window=st.integers(0, 2), reports=reports)
def test_s49_a_hostile_device_uses_up_no_code_later_than_one_step_ahead(
    interval: int, drift: int, window: int, reports: list[tuple[int, int, int, bool]]
) -> None:
    now = NOW
    world = World(a_token(interval, drift=drift, last_step=now // interval + drift - 100, window=window), LONG_AGO)
    for later, ahead, at, syncs in reports:
        now += later
        current = now // interval + drift
        belief = world.report(current + ahead, at, Contacts(now if syncs else 0, now), now)
        assert world.token.last_step <= current + WINDOW
        # Each refused code is one that a device reported, so that its refusal counts as no failure.
        assert all(world.token.used_from < step for step in range(belief.used_to - belief.codes + 1, belief.used_to))
        assert _hardest_hour(world) <= MOST_COST


@given(reports=reports, last_given=st.integers(0, 5_000))
def test_s49_a_hostile_device_uses_up_few_counters(reports: list[tuple[int, int, int, bool]], last_given: int) -> None:
    now = NOW
    world = World(a_token(0, last_step=EARLIEST_COUNTER, used_from=-1, used_to=-1, last_given=last_given), LONG_AGO)
    for later, ahead, at, _ in reports:
        now += 10 * later
        world.report(max(world.token.last_step + ahead, 0), at, Contacts(now, now), now)
        assert _hardest_hour(world) <= MOST_COST
        assert world.token.last_step <= max(last_given, EARLIEST_COUNTER)
        assert world.token.last_step - world.token.used_from <= MOST_COUNTERS


def _hardest_hour(world: World) -> int:
    return max(sum(cost for at, cost, _ in world.used if start <= at < start + HOUR) for start, _, _ in world.used)
