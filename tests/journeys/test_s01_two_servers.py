"""S01 with real processes: two servers on one database, 64 parallel submits of one code through both interfaces."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparekey import clock
from sparekey.app.instance import TOP_DOMAIN, Instance, new_id
from sparekey.app.lookup import get_domain
from sparekey.app.sessions.clients import add_client
from sparekey.app.snapshots import token_owner
from sparekey.core.audit_log.actions import Action
from sparekey.core.permissions import Permission
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.sealed_rows import insert_row
from sparekey.wiring.server import NewServer, create_server
from tests.builders import ROOT, Device, User, a_device, account_row, logged_events
from tests.journeys.http_lines import Line, Request, ask_all, by_client, by_device
from tests.journeys.site import an_opened
from tools.counts import Count
from tools.story.stage import Stage, free_port

pytestmark = pytest.mark.services

SUBMITS = 64
INTERVAL = 60
PLAIN = {"SPAREKEY_TLS": "off", "SPAREKEY_REFUSAL_FLOOR_MS": "20", "SPAREKEY_LOG_LEVEL": "warning"}


@pytest.mark.timeout(3600)
def test_s01_one_code_one_success_at_two_servers(database_url: str, tmp_path: Path, count: Count) -> None:
    rounds = count(small=5, full=1000)
    with two_servers(tmp_path, database_url) as (instance, ports):
        users = [a_pinless_user(instance) for _ in range(rounds)]
        devices = [a_device(instance, now=clock.now()) for _ in range(4)]
        key = add_client(instance, ROOT, "web", now=clock.now()).reveal()
        asyncio.run(play(instance, ports, users, devices, key))
        assert len(logged_events(instance, Action.SIGN_IN_GRANTED, limit=10_000)) == 2 * rounds


async def play(instance: Instance, ports: list[int], users: list[User], devices: list[Device], key: str) -> None:
    """Each round: one code on all lines at once, then the next code once."""
    lines = [Line(ports[number % 2]) for number in range(SUBMITS)]
    for user in users:
        now = clock.now()
        replies = await ask_all(lines, mixed(user, devices, key, user.typed(now).reveal(), now))
        assert [reply for reply in replies if reply is None or reply.status != 200] == []
        assert sum(reply is not None and reply.is_granted for reply in replies) == 1
        row = account_row(instance, user.login)
        assert (row.locked_at, row.failures <= 1) == (None, True)
        following = await lines[0].ask(by_client(key, user.login, user.typed(now + INTERVAL).reveal()))
        assert following is not None
        assert following.is_granted
    for line in lines:
        line.close()


def mixed(user: User, devices: list[Device], key: str, typed: str, now: int) -> list[Request]:
    """Build requests with one code: for each of the two servers, half from a program, half from four devices."""
    on_devices = [by_device(device, user.login, typed, now) for device in devices]
    return [
        by_client(key, user.login, typed) if number % 4 < 2 else on_devices[number // 4 % len(devices)]
        for number in range(SUBMITS)
    ]


@contextmanager
def two_servers(directory: Path, database: str) -> Iterator[tuple[Instance, list[int]]]:
    """Two `sparekey serve` on one database, by the real clock."""
    with Stage(directory, print) as stage:
        stage.add_variables(PLAIN)
        create_server(stage.server_data, NewServer(Secret(database)), ROOT, clock.now())
        with an_opened(stage.server_data) as instance:
            ports = [free_port(), free_port()]
            for port in ports:
                stage.start_server(port)
            yield instance, ports


def a_pinless_user(instance: Instance) -> User:
    """Create a user straight in the tables: a thousand by the use cases would take longer than the thousand rounds."""
    account_id, token_id, totp = new_id(), new_id(), Totp(Secret(new_id().encode()[:20]), interval=INTERVAL)
    sealed = instance.vault.seal("token.seed_sealed", token_id, token_owner(account_id, token_id), totp.seed.reveal())
    with instance.database.write() as connection:
        domain = get_domain(connection, ROOT, TOP_DOMAIN, Permission.DOMAIN_VIEW).id
        insert_row(
            connection,
            tables.account,
            {
                "id": account_id,
                "login": account_id,
                "name": "x",
                "domain_id": domain,
                "enabled": True,
                "failures": 0,
                "created_at": 0,
            },
        )
        insert_row(
            connection,
            tables.token,
            {
                "id": token_id,
                "serial": token_id,
                "type": "totp",
                "account_id": account_id,
                "digits": totp.digits,
                "interval": INTERVAL,
                "algorithm": totp.algorithm,
                "seed_sealed": sealed,
                "drift": 0,
                "last_step": 0,
                "replay_step": 0,
                "enabled": True,
                "lost": False,
                "with_pin": False,
                "offline_code_online": False,
                "created_at": 0,
            },
        )
    return User(account_id, account_id, token_id, token_id, totp, "")
