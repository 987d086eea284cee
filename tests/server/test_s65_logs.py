"""S65: no secret in a log line, from any logger and after any error."""

import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sparekey.app.sessions.clients import add_client
from sparekey.clock import now as clock_now
from sparekey.secret import Secret
from sparekey.server.errors import log_unforeseen
from sparekey.server.logs import SECRET_NAMES, JsonFormatter, configure, refuse_secrets
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import ROOT, a_user
from tests.server.serving import a_data_directory, serving

CANARY = "canary7F3A"
VALUES = st.recursive(
    st.sampled_from([Secret(CANARY), Secret(CANARY.encode()), CANARY.encode(), bytearray(CANARY.encode())]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)

pytestmark = pytest.mark.real_argon2


@given(event=st.dictionaries(st.sampled_from(["device", "user", "why"]), VALUES))
def test_s65_no_secret_passes_however_deep(event: dict[str, object]) -> None:
    assert CANARY not in json.dumps(refuse_secrets(None, "info", dict(event)))


@pytest.mark.parametrize("name", [*sorted(SECRET_NAMES), "Passcode", "PIN"])
def test_s65_the_names_of_secrets_are_refused(name: str) -> None:
    assert CANARY not in json.dumps(refuse_secrets(None, "info", {name: CANARY, "more": {name: CANARY}}))


def failure() -> pytest.ExceptionInfo[RuntimeError]:
    """Return a caught error whose message holds a secret."""
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(f"PIN {CANARY}")
    return caught


@pytest.fixture
def default_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_s65_an_unforeseen_error_is_logged_without_its_words(default_logs: None) -> None:
    lines = io.StringIO()
    with redirect_stderr(lines):
        configure("debug")
        log_unforeseen(failure().value)
    line = json.loads(lines.getvalue())
    assert line["kind"] == "builtins.RuntimeError"
    assert any("test_s65_logs.py" in place for place in line["places"])
    assert CANARY not in lines.getvalue()


def test_s65_log_lines_of_other_packages_lose_their_exception() -> None:
    caught = failure()
    shown = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("other", logging.ERROR, __file__, 1, "it failed", (), shown)
    line = JsonFormatter().format(record)
    assert (json.loads(line)["event"], json.loads(line)["kind"]) == ("it failed", "RuntimeError")
    assert CANARY not in line


@pytest.mark.services
def test_s65_a_server_at_debug_logs_no_secret(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    instance = open_instance(data, read_settings(data, {}))
    alice = a_user(instance, "alice", pin="CAnary77", now=clock_now())
    key = add_client(instance, ROOT, "web", now=clock_now())
    instance.database.close()
    typed = [alice.typed(clock_now()).reveal(), f"{CANARY}123456", f"CAnary77 {CANARY[:5]}-{CANARY[5:]}"]
    with serving(data, variables={"SPAREKEY_LOG_LEVEL": "debug"}) as served:
        for passcode in typed:
            served.sign_in(key, "alice", passcode)
        served.ask("POST", "/v1/sign-ins", CANARY.encode(), {"Authorization": f"Bearer {key.reveal()}"})
        served.ask("POST", "/v1/sign-ins", b"{}", {"Authorization": f"Bearer {CANARY}"})
        served.ask("POST", "/agent/v1/sync", CANARY.encode(), {"Sparekey-Device": CANARY, "Sparekey-Signature": CANARY})
        served.ask("GET", f"/nothing/{CANARY}?passcode={CANARY}")
        _damage(data)
        assert served.sign_in(key, "alice", typed[0])[1]["result"] == "denied"
    log = served.log.read_text()
    assert "unforeseen error" in log
    for secret in (CANARY, "CAnary77", key.reveal(), alice.totp.seed.reveal().hex(), *typed):
        assert secret not in log


def _damage(data: Path) -> None:
    """Make the database refuse every row of the audit log, and repeat the row in its error."""
    connection = sqlite3.connect(data / "sparekey.db")
    connection.execute(f"CREATE TRIGGER b BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, '{CANARY}'); END")
    connection.commit()
    connection.close()
