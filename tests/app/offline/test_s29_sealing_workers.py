"""S29: sealing gives way to sign-ins, by priority and by the number of threads."""

import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sparekey.app.instance import Instance
from sparekey.sealed import BALANCED, PinHash, SealPlan, day_not_after, new_offline_key, seal_unit
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind
from sparekey.wiring.sealing_workers import GIVES_WAY, LOWEST_PRIORITY, SealingWorkers, usable_cores
from tests.builders import DAY, NOW, PIN, User, a_user, denied, granted, submit

CORES = THREADS = 4


def test_s29_workers_have_the_lowest_priority() -> None:
    found: list[int] = []

    def priority(_: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def from_a_usual_thread() -> None:
        """The tests themselves may run at the lowest priority; new threads have that of the thread that starts them."""
        if os.getuid() == 0:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 0)
        found.extend(SealingWorkers(2, CORES).map(priority, range(4)))
        found.append(priority(0))

    thread = threading.Thread(target=from_a_usual_thread)
    thread.start()
    thread.join()
    *workers, usual = found
    assert set(workers) == {LOWEST_PRIORITY}
    assert usual == 0 or os.getuid() != 0  # the priority of other threads stays


def most_at_once(workers: SealingWorkers, items: int) -> int:
    """Return the most items in work at once, each of which waits a moment for others."""
    inside, most, changed = 0, 0, threading.Condition()

    def work(_: int) -> None:
        nonlocal inside, most
        with changed:
            inside += 1
            most = max(most, inside)
            changed.notify_all()
            changed.wait_for(lambda: most == THREADS, 0.05)
            inside -= 1

    list(workers.map(work, range(items)))
    return most


def test_s29_a_core_is_left_free_for_a_second_after_a_sign_in() -> None:
    now = [1_000.0]
    workers = SealingWorkers(THREADS, CORES, lambda: now[0])
    workers.user_signed_in()
    assert most_at_once(workers, 16) == CORES - 1
    alone = SealingWorkers(THREADS, 1, lambda: now[0])
    alone.user_signed_in()
    assert most_at_once(alone, 4) == 1  # on one core, one still seals
    now[0] += GIVES_WAY
    assert most_at_once(workers, 16) == THREADS


def test_s29_without_sign_ins_all_threads_seal() -> None:
    assert most_at_once(SealingWorkers(THREADS, CORES), 16) == THREADS


def test_an_error_of_one_record_frees_its_place() -> None:
    workers = SealingWorkers(1, 1)

    def fails(item: int) -> int:
        return 1 // item

    with pytest.raises(ZeroDivisionError):
        list(workers.map(fails, [0]))
    assert list(workers.map(fails, [1])) == [1]


def test_s29_each_sign_in_is_noticed_and_no_refusal_is(server: Instance) -> None:
    """A hostile device can be refused as often as it likes, and must not slow down the sealing for others."""
    noticed: list[int] = []
    alice, instance = a_user(server), replace(server, user_signed_in=lambda: noticed.append(1))
    denied(submit(instance, alice, NOW, alice.wrong(NOW)))
    assert noticed == []
    granted(submit(instance, alice, NOW))
    assert noticed == [1]


@pytest.mark.alone
@pytest.mark.soak
@pytest.mark.real_argon2
def test_s29_sign_ins_beside_500_units_take_at_most_half_as_long_again(server: Instance) -> None:
    """The median of five interleaved pairs: the 99th percentile with sealing, by the one without."""
    workers = SealingWorkers(usable_cores(), usable_cores())
    instance = replace(server, run=workers.map, user_signed_in=workers.user_signed_in)
    clocks = itertools.count(NOW, 60)  # each sign-in has a code of its own
    users = [a_user(instance, pin=PIN) for _ in range(20)]
    pause = 2 * statistics.median(signed_in(instance, users[0], next(clocks)) for _ in range(20))
    ratios = []
    for _ in range(5):
        quiet = percentile_99(instance, users, clocks, pause)
        units = a_pile_of_units(workers, 500)
        with_sealing = beside(units, lambda: percentile_99(instance, users, clocks, pause))
        ratios.append(with_sealing / quiet)
    assert statistics.median(ratios) <= 1.5, ratios


def signed_in(instance: Instance, user: User, now: int) -> float:
    """Sign in and return the seconds that it took."""
    begun = time.perf_counter()
    granted(submit(instance, user, now))
    return time.perf_counter() - begun


def percentile_99(instance: Instance, users: list[User], clocks: Iterator[int], pause: float) -> float:
    """Sign in at a steady rate, half of what one core can do, and return the 99th percentile of the seconds."""
    taken = []
    for user in users * 10:
        took = signed_in(instance, user, next(clocks))
        taken.append(took)
        time.sleep(max(pause - took, 0))
    return statistics.quantiles(taken, n=100)[-1]


def a_pile_of_units(workers: SealingWorkers, count: int) -> Iterator[bytes]:
    """Seal so many units of 120 records, as they are taken."""
    signing = Ed25519PrivateKey.generate()
    plan = SealPlan(
        kind=UnitKind.DAY,
        device="device",
        user="user",
        login="alice",
        token="token",
        generation=1,
        level=BALANCED,
        pin=PinHash(bytes(16), 19_456, 2, Secret(bytes(32))),
        offline_key=new_offline_key(),
        not_after=day_not_after(NOW // DAY),
        sealed_at=NOW,
        interval=30,
        window=1,
        digits=6,
    )
    first = NOW // DAY * DAY // 30  # of the day: a unit has no records of the next one
    codes = [(step, f"{step % 10**6:06}") for step in range(first, first + 120)]
    for _ in range(count):
        yield seal_unit(plan, codes, signing.sign, run=workers.map)


def beside(units: Iterator[bytes], measure: Callable[[], float]) -> float:
    """Measure while units are sealed all the time. Raises what stopped the sealing."""
    stop = threading.Event()

    def seal() -> int:
        for sealed, _ in enumerate(units, 1):
            if stop.is_set():
                return sealed
        raise AssertionError("the pile of units was too small")

    with ThreadPoolExecutor(1) as thread:
        sealing = thread.submit(seal)
        try:
            measured = measure()
        finally:
            stop.set()
        assert sealing.result() > 0
    return measured
