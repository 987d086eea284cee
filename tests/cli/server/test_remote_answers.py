"""Malformed answers of a server: a message with the next step, never a traceback, never the token."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sparekey.cli.server.kept_sessions import KeptSession, find_session, keep_session
from sparekey.core.errors import BadInput
from sparekey.secret import Secret
from tests.cli.server.commands import CommandResult, sparekey

pytestmark = pytest.mark.services
TOKEN = "sps_canary7F3A"
USER = {
    "login": "alice",
    "name": "Alice",
    "domain": "Sales",
    "mail": "",
    "enabled": True,
    "locked": False,
    "failures": 0,
    "expires_at": None,
    "newer": "member",
}


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a loopback server with a fixed answer, and the first line of every request."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.requestline)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 -- names that http.server calls

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the signature of its base
            """Log nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SPAREKEY_DATA", "SPAREKEY_SERVER", "SPAREKEY_AS", "SPAREKEY_SERVER_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "sparekey" / "sessions"


def asked_of(url: str, *words: str) -> CommandResult:
    keep_session(KeptSession(url, "carol", Secret(TOKEN)))
    said = sparekey("--server", url, "--as", "carol", *words, "--json")
    assert TOKEN not in said.out + said.words
    assert "Traceback" not in said.words
    return said


ANSWERS = {
    "a page": (200, b"<html>hello</html>", "unreachable"),
    "no object": (200, b"[1]", "unreachable"),
    "another object": (200, b'{"items":[{"login":1}]}', "unreachable"),
    "nothing": (200, b"", "unreachable"),
    "no words": (500, b"{}", "failed"),
    "an error of a use case": (404, b'{"error":"not-found","message":"no","do":"x"}', "not-found"),
    "an error that is new": (418, b'{"error":"teapot","message":"no","do":"x"}', "teapot"),
    "no session any more": (401, b'{"error":"unknown-caller","message":"no","do":"x"}', "not-signed-in"),
    "elsewhere": (302, b'{"error":"moved","message":"no","do":"x"}', "moved"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_is_none_is_an_error_in_words(state: Path, case: str) -> None:
    status, body, error = ANSWERS[case]
    with answering(status, body) as (url, asked):
        said = asked_of(url, "user", "list")
    assert (said.code, said.json["error"]) == (1, error)
    assert set(said.json) == {"schema", "error", "message", "do"}
    assert len(asked) == 1


def test_unknown_fields_of_a_newer_server_are_ignored(state: Path) -> None:
    with answering(200, json.dumps({"items": [USER], "next": None}).encode()) as (url, asked):
        said = asked_of(url, "user", "list", "--limit", "7", "--after", "a b&c")
    assert [user["login"] for user in said.json["users"]] == ["alice"]
    assert asked == ["GET /v1/users?limit=7&after=a+b%26c HTTP/1.1"]


def test_an_unreachable_server_is_reported(state: Path) -> None:
    with answering(200, b"{}") as (url, _):
        pass
    said = asked_of(url, "user", "list")
    assert (said.code, said.json["error"]) == (1, "unreachable")


def test_hostile_words_of_a_server_do_not_reach_the_terminal(state: Path) -> None:
    words = json.dumps({"error": "x", "message": "\x1b]0;owned\x07", "do": "\u202eno"}).encode()
    with answering(409, words) as (url, _):
        keep_session(KeptSession(url, "carol", Secret(TOKEN)))
        said = sparekey("--server", url, "--as", "carol", "user", "list")
    assert said.words.strip().isprintable(), said.words


def test_a_kept_session_that_is_a_link_or_damaged_is_not_used(state: Path) -> None:
    kept = KeptSession("https://x", "carol", Secret(TOKEN), "ca")
    keep_session(kept)
    (path,) = state.iterdir()
    assert find_session("https://x/", "carol") == kept
    assert TOKEN not in repr(kept)
    path.write_text("{")
    assert find_session("https://x", "carol") is None
    target = state / "elsewhere"
    path.rename(target)
    path.symlink_to(target)
    with pytest.raises((BadInput, OSError)):
        find_session("https://x", "carol")
