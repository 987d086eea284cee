"""Real servers on one data directory: one process watches, and another takes over when it is killed."""

from pathlib import Path

import pytest
from sqlalchemy import text

from sparekey.app.tokens.tokens import set_lost
from sparekey.clock import now as clock_now
from sparekey.core.audit_log.actions import Action
from sparekey.keystore.watch_file import WatchLock
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from sparekey.wiring.watching import LOCK
from tests.builders import ROOT, a_user, logged_events
from tests.server.serving import a_data_directory, serving, wait_until

pytestmark = [pytest.mark.services, pytest.mark.real_argon2]


def test_s47_one_process_watches_and_another_takes_over(tmp_path: Path, database_url: str) -> None:
    data = a_data_directory(tmp_path, database_url if database_url.startswith("postgresql") else "")
    instance = open_instance(data, read_settings(data, {}))
    alice, bob = (a_user(instance, login, now=clock_now()) for login in ("alice", "bob"))
    for user in (alice, bob):
        set_lost(instance, ROOT, user.serial, lost=True, now=clock_now())

    def puts_back(serial: str) -> None:
        with instance.database.write() as connection:
            connection.execute(text("UPDATE token SET lost = false WHERE serial = :serial"), {"serial": serial})

    def alarmed() -> list[str | None]:
        return [row.token_id for row in logged_events(instance, Action.ALARM_STATE_ROLLED_BACK)]

    while_it_runs = database_url.startswith("sqlite")  # a later round finds it, after 20 seconds: once is enough
    if not while_it_runs:
        puts_back(alice.serial)
    with serving(data, variables={"SPAREKEY_WORKERS": "2"}) as first, serving(data) as second:
        wait_until(lambda: not WatchLock(data / LOCK).take(), first)
        if while_it_runs:
            puts_back(alice.serial)
        wait_until(lambda: alarmed() == [alice.token_id], first)
        first.kill()
        puts_back(bob.serial)
        wait_until(lambda: len(alarmed()) > 1, second)
        assert alarmed() == [alice.token_id, bob.token_id]
        assert second.stop() == 0
    assert WatchLock(data / LOCK).take()
    instance.database.close()
