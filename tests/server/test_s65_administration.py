"""S65: no log line has the text that administrators send or read over REST."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.clock import now
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import PIN, ROOT, a_user
from tests.server.serving import a_data_directory, serving

pytestmark = pytest.mark.real_argon2

CANARY = "canary7F3A"


@pytest.mark.services
def test_s65_a_server_at_debug_logs_no_secret_of_administration(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    instance = open_instance(data, read_settings(data, {}))
    carol, alice = (a_user(instance, login, pin=PIN, now=now()) for login in ("carol", "alice"))
    roles.grant(instance, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, "carol", TOP_DOMAIN, now=now())
    instance.database.close()
    typed = carol.typed(now()).reveal()
    secrets = [CANARY, "CAnary77x", PIN, typed]
    with serving(data, variables={"SPAREKEY_LOG_LEVEL": "debug"}) as served:

        def asks(method: str, path: str, body: Any, token: str = "") -> Any:
            return served.ask(method, path, json.dumps(body).encode(), {"Authorization": f"Bearer {token}"})[1]

        session = asks("POST", "/v1/sessions", {"user": "carol", "passcode": typed})["session"]
        asks("POST", "/v1/sessions", {"user": "carol", "passcode": CANARY, "reply_to": CANARY})
        asks("POST", "/v1/sessions/second-factor", {"passcode": CANARY}, session)
        asks("PUT", f"/v1/tokens/{alice.serial}/pin", {"pin": "CAnary77x"}, session)
        asks("PUT", f"/v1/tokens/{alice.serial}/pin", {"pin": [CANARY]}, session)
        asks("GET", f"/v1/users?passcode={CANARY}", None, session)
        asks("GET", f"/v1/users/{CANARY}", None, CANARY)
        key = asks("POST", "/v1/clients", {"name": "vpn"}, session)["key"]
        code = asks("POST", "/v1/device-invitations", {"name": "laptop"}, session)["code"]
        made = asks("POST", "/v1/users/alice/tokens", {"with_pin": False}, session)
        _damage(data)
        failed = asks("PUT", f"/v1/tokens/{alice.serial}/pin", {"pin": "4711CAnary77x"[:8]}, session)
        assert failed["error"] in ("failed", "unavailable")
    secrets += [session, key, code, made["parameters"]["seed"]]
    log = served.log.read_text()
    assert "unforeseen error" in log
    assert [secret for secret in secrets if secret in log] == []


def _damage(data: Path) -> None:
    """Make the database refuse every row of the audit log, and repeat the row in its error."""
    connection = sqlite3.connect(data / "sparekey.db")
    connection.execute(f"CREATE TRIGGER b BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, '{CANARY}'); END")
    connection.commit()
    connection.close()
