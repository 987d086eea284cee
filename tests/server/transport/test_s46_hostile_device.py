"""One enrolled device in an attacker's hands does everything at once: others sign in and get their units as before."""

import base64
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from sparekey.app.instance import Instance
from sparekey.app.sessions.clients import add_client
from sparekey.clock import monotonic
from sparekey.clock import now as clock_now
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wire import agent_api as api
from sparekey.wire.messages import encode
from sparekey.wiring.sealing_workers import usable_cores
from sparekey.wiring.server import open_instance
from tests.builders import PIN, ROOT, Device, User, a_device, a_user, granted
from tests.server.serving import Serving, a_data_directory, serving
from tests.server.transport.hosts import HOSTILE, Host, Laptop, processor_seconds, resident_mib
from tools.counts import Count

pytestmark = [pytest.mark.services, pytest.mark.real_argon2, pytest.mark.alone]

MEMORY_MIB = 100  # in each pair
MOST_TIMES = 2  # of the 99th percentile beside the hostile device
LEAST_SHARE = 0.8  # of the speed at which the others get units if all devices share it
OTHERS = "127.0.0.4"


@dataclass
class Place:
    """A running server with users at a program and on devices."""

    instance: Instance
    served: Serving
    key: Secret[str]
    users: list[User]
    laptops: list[tuple[Laptop, User]]


@contextmanager
def a_place(directory: Path, users: int, devices: int) -> Iterator[Place]:
    """`users`: at a program or on any device; `devices`: with a user of their own each."""
    data = a_data_directory(directory)
    instance = open_instance(data, read_settings(data, {}))
    now = clock_now()
    with serving(data) as served:
        key = add_client(instance, ROOT, "web", now=now)
        laptops = [a_laptop(instance, served) for _ in range(devices)]
        people = [a_user(instance, pin=PIN, now=now) for _ in range(users)]
        yield Place(instance, served, key, people, laptops)
    instance.database.close()


def a_laptop(instance: Instance, served: Serving) -> tuple[Laptop, User]:
    """Return a device on which a user has signed in, so that it wants units."""
    user, device = a_user(instance, pin=PIN, now=clock_now()), a_device(instance, now=clock_now())
    granted(device.sign_in(user, clock_now() - user.totp.interval).outcome)
    return Laptop(served, OTHERS, device), user


def everything(device: Device, victim: User, connections: int) -> list[dict[str, object]]:
    """Return the plans of a device that does all at once that its key allows, and all that its id allows."""
    said = device.sync_of(victim, clock_now())
    unit = said.wanted[0]
    held = api.HeldUnit(
        user=victim.account_id, kind=unit.kind, token=unit.token, day=1, generation=1, version=1, unit_hash="0" * 64
    )
    for _ in range(api.MOST_EVENTS):
        device.event(victim, at=clock_now())
    sync = encode(api.SyncRequest(held=[held] * api.MOST_HELD, checkpoint="", hardware_bound=False))
    large = sync + b" " * ((8 << 20) - len(sync))
    sign_in = encode(api.SignInRequest(login=victim.login, passcode="47120003700106", check=""))
    events = encode(api.EventsRequest(events=device.events))
    few = max(connections // 20, 1)
    return [
        a_plan(api.UNITS, encode(a_request(victim, unit, said.generation)), connections),
        a_plan(api.SYNC, large, few),
        a_plan(api.SYNC, large, few, is_whole=False),
        a_plan(api.SYNC, large, few, is_signed=False),
        a_plan(api.EVENTS, events, few),
        a_plan(api.SIGN_INS, sign_in, few),
    ]


def a_request(user: User, unit: api.UnitName, generation: int) -> api.UnitRequest:
    """Return the request for this unit."""
    return api.UnitRequest(user=user.account_id, kind=unit.kind, token=unit.token, day=unit.day, generation=generation)


def a_plan(
    path: str, body: bytes, connections: int, *, is_signed: bool = True, is_whole: bool = True
) -> dict[str, object]:
    """Return a plan of `hostile_device`."""
    return {
        "path": path,
        "body": base64.b64encode(body).decode(),
        "connections": connections,
        "is_signed": is_signed,
        "is_whole": is_whole,
    }


@contextmanager
def hostile(place: Place, connections: int) -> Iterator[int]:
    """Run a hostile device for the block, with a user whom its sign-ins lock. Yield the id of its process."""
    laptop, victim = a_laptop(place.instance, place.served)
    key = laptop.device.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    plans = everything(laptop.device, victim, connections)
    given = json.dumps({"device": laptop.device.device_id, "key": key.decode(), "plans": plans})
    command = [sys.executable, "-m", "tests.server.transport.hostile_device", str(place.served.port), HOSTILE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdin
            assert process.stdout
            process.stdin.write(given)
            process.stdin.close()
            assert process.stdout.readline() == "open\n"
            yield process.pid
            assert process.poll() is None
        finally:
            process.kill()


def seconds_of_sign_ins(place: Place, rounds: int) -> tuple[float, float]:
    """Return the 99th percentile of the seconds of granted sign-ins: through a program, and on devices."""
    by_program, on_devices = [], []
    host = Host(place.served, OTHERS)
    for number in range(rounds):
        user = place.users.pop()  # a code is used once
        body = json.dumps({"user": user.login, "passcode": user.typed(clock_now()).reveal()}).encode()
        reply = host.ask("POST", "/v1/sign-ins", body, {"Authorization": f"Bearer {place.key.reveal()}"})
        assert json.loads(reply.body)["result"] == "granted"
        by_program.append(reply.seconds)
        laptop, user = place.laptops[number % len(place.laptops)][0], place.users.pop()
        passcode = user.typed(clock_now()).reveal()
        answer = laptop.client.sign_in(api.SignInRequest(login=user.login, passcode=passcode, check=""))
        assert answer.result == "granted"
        on_devices.append(laptop.seconds[-1])
    return percentile_99(by_program), percentile_99(on_devices)


def percentile_99(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[-1]


def test_s46_sign_ins_beside_a_hostile_device(tmp_path: Path, count: Count) -> None:
    rounds, pairs = count(small=8, full=100), count(small=3, full=5)
    with a_place(tmp_path, users=4 * rounds * pairs, devices=10) as place:
        ratios, memory = [], []
        for _ in range(pairs):
            quiet, before = seconds_of_sign_ins(place, rounds), resident_mib(place.served)
            with hostile(place, count(small=20, full=80)):
                loud = seconds_of_sign_ins(place, rounds)
                memory.append(resident_mib(place.served) - before)
            ratios.append([beside / alone for beside, alone in zip(loud, quiet, strict=True)])
        for of_way in zip(*ratios, strict=True):
            assert statistics.median(of_way) <= count(small=2 * MOST_TIMES, full=MOST_TIMES), ratios
        assert max(memory) <= MEMORY_MIB, memory


def seconds_of_units(place: Place, each: int) -> float:
    """Return the seconds until each of the other devices has so many units, each asking for one after the other."""

    def fetch(laptop: Laptop, user: User) -> None:
        said = laptop.device.sync_of(user, clock_now())
        for unit in said.wanted[:each]:
            assert laptop.client.unit(a_request(user, unit, said.generation))

    begun = monotonic()
    with ThreadPoolExecutor(len(place.laptops)) as threads:
        list(threads.map(lambda pair: fetch(*pair), place.laptops))
    return monotonic() - begun


def test_s46_units_of_others_beside_a_hostile_device(tmp_path: Path, count: Count) -> None:
    """In quiet some devices share the sealing, then one more. Each unit is sealed twice, and takes seconds."""
    each, devices = count(small=1, full=2), count(small=2, full=5)
    with a_place(tmp_path, users=0, devices=devices) as place:
        quiet = seconds_of_units(place, each)
        with hostile(place, count(small=20, full=80)) as attacker:
            before = processor_seconds(attacker)
            loud = seconds_of_units(place, each)
            # A real attacker has a processor of its own, and takes none of the server's.
            loud -= (processor_seconds(attacker) - before) / usable_cores()
        fair = quiet * (devices + 1) / devices
        assert fair / loud >= LEAST_SHARE / count(small=2, full=1), (quiet, loud)
