"""Sign-ins as `wrk` sends them, against a server that runs, and counted by the server's own record."""

import json
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from sparekey.app.instance import Instance
from sparekey.clock import now as clock_now
from sparekey.core.audit_log.actions import Action
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from sparekey.storage.tables import audit

INTERVAL = 60
STEPS_AHEAD = 2  # this interval's code and the next one's: both are accepted for the whole run


@dataclass(frozen=True)
class Person:
    """A user who signs in: login, PIN ("": none) and token."""

    login: str
    pin: str
    totp: Totp


@dataclass(frozen=True)
class Load:
    """The results of `wrk`, and the number of its sign-ins that the server's own audit log calls granted."""

    granted: int
    seconds: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.granted / self.seconds


def load(
    instance: Instance,
    address: str,
    key: Secret[str],
    directory: Path,
    people: Sequence[Person],
    seconds: int,
    clients: int,
) -> Load:
    """Each person signs in STEPS_AHEAD times at the most. RuntimeError unless nearly all were granted."""
    step = clock_now() // INTERVAL
    bodies = [
        json.dumps({"user": each.login, "passcode": each.pin + each.totp.code(step + ahead)})
        for ahead in range(STEPS_AHEAD)
        for each in people
    ]
    before = _last_row(instance)
    script = directory / "load.lua"
    (directory / "bodies").write_text("\n".join(bodies) + "\n")
    script.write_text(_LUA.format(bodies=directory / "bodies", key=key.reveal()))
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "-s", str(script), f"{address}/v1/sign-ins"]
    begun = time.perf_counter()
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    elapsed = time.perf_counter() - begun
    granted = _granted_since(instance, before)
    answered = int(re.findall(r"(\d+) requests in", words)[0])
    if granted < 0.98 * answered:
        raise RuntimeError(
            f"only {granted} of {answered} sign-ins were granted: the measurement means nothing\n{words}"
        )
    number, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", words)[0]
    return Load(granted, elapsed, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def _last_row(instance: Instance) -> int:
    with instance.database.read() as connection:
        row: int = connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one()
        return row


def _granted_since(instance: Instance, row: int) -> int:
    with instance.database.read() as connection:
        query = select(func.count()).where(audit.c.id > row, audit.c.action == Action.SIGN_IN_GRANTED)
        return connection.execute(query).scalar_one()


_LUA = """
local bodies, next_body = {{}}, 0
for line in io.lines("{bodies}") do bodies[#bodies + 1] = line end
local headers = {{["Authorization"] = "Bearer {key}", ["Content-Type"] = "application/json"}}
request = function()
  next_body = next_body % #bodies + 1
  return wrk.format("POST", nil, headers, bodies[next_body])
end
"""
