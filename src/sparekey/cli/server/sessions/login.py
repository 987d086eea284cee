"""`sparekey login|logout`: a session at a server, for commands with --server.

Rules: the passcode is never an argument. The command asks for it, or reads the first line of standard input. The next
lines answer the server's challenges.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Final

import typer

from sparekey.cli.server import output
from sparekey.cli.server.command import Call, call_of, command, new_group
from sparekey.cli.server.https import RemoteConnection
from sparekey.cli.server.kept_sessions import KeptSession, find_session, forget_session, keep_session
from sparekey.cli.server.remote import RemoteRefusal, error_of, read_ca
from sparekey.json_value import Json
from sparekey.secret import Secret

app = new_group("Start or end a session at a server.")
_PATH: Final = "/v1/sessions"
_LONGEST_INPUT: Final = 65_536


@command(app, "login", "login --server https://login.example.org:8443 --as carol --ca ca.pem")
def login(
    ctx: typer.Context,
    reply_to: Annotated[
        str, typer.Option(metavar="ID", help="Answer the challenge of an earlier login: its reply_to.")
    ] = "",
) -> None:
    """Sign in as an administrator. The command asks for the passcode, or reads it from standard input. It also asks the
    server's challenges, e.g. for a new PIN. A program answers them in the next lines, or later with --reply-to."""
    call = call_of(ctx)
    url, name = _named(call)
    before = find_session(url, name)
    ca = read_ca(call.ca_file) or (before.ca.encode() if before else b"")
    connection = RemoteConnection(url, ca or None)
    try:
        answer = _asked(connection, name, reply_to)
        if answer["result"] == "granted":
            if before is not None:  # one session is enough
                connection.ask("DELETE", _PATH, token=before.token)
            keep_session(KeptSession(url, name, Secret(str(answer["session"])), ca.decode("ascii", "replace")))
    finally:
        connection.close()
    _tell(call, answer, url, name)


@command(app, "logout", "logout --server https://login.example.org:8443 --as carol")
def logout(ctx: typer.Context) -> None:
    """End the session at a server."""
    call = call_of(ctx)
    url, name = _named(call)
    kept = find_session(url, name)
    if kept is not None:
        connection = RemoteConnection(url, read_ca(call.ca_file) or kept.ca.encode() or None)
        try:
            connection.ask("DELETE", _PATH, token=kept.token)
        finally:
            connection.close()
            forget_session(url, name)
    words = f"Ended the session of {name}." if kept else f"{name} had no session at {url}."
    call.done(words, "logout", server=url, user=name, ended=kept is not None)


def _named(call: Call) -> tuple[str, str]:
    if not call.url:
        raise typer.BadParameter("pass the server's address: --server URL")
    return call.url, call.login


def _asked(connection: RemoteConnection, name: str, reply_to: str) -> Mapping[str, Json]:
    """Return the final answer: granted, or a challenge without an answer. Raises RemoteRefusal after a denial."""
    answers = _answers()
    said = _sent(connection, name, answers("Passcode") or Secret(""), reply_to)
    while said.get("result") == "ask" and (typed := answers(str(said.get("text", "")))) is not None:
        said = _sent(connection, name, typed, str(said.get("reply_to", "")))
    if said.get("result") not in ("granted", "ask"):
        raise RemoteRefusal(
            "denied", f"the server refused {name} with this passcode", "check name and passcode, and try again"
        )
    return said


def _sent(connection: RemoteConnection, name: str, typed: Secret[str], reply_to: str) -> dict[str, Json]:
    body = {"user": name, "passcode": typed.reveal(), "reply_to": reply_to}
    status, reply = connection.ask("POST", _PATH, body=body)
    if status != 200:
        raise error_of(status, reply or {}, connection.url, name)
    return reply or {}


def _answers() -> Callable[[str], Secret[str] | None]:
    """Return a function that reads the answer to a prompt; None at the end of standard input."""
    if sys.stdin.isatty():
        return lambda words: Secret(typer.prompt(output.printable(words), hide_input=True, err=True))
    lines = iter(sys.stdin.read(_LONGEST_INPUT).splitlines() or [""])
    return lambda _: next((Secret(line) for line in lines), None)


def _tell(call: Call, answer: Mapping[str, Json], url: str, name: str) -> None:
    if answer["result"] == "ask":
        members = {key: answer.get(key, "") for key in ("ask", "text", "reply_to")}
        call.put("login", {"result": "ask", "server": url, "user": name, **members})
        raise typer.Exit(1)
    at = answer.get("expires_at", 0)
    expires = at if isinstance(at, int) else 0
    call.done(
        f"{name} is signed in at {url}, at the latest until {output.local_and_utc(expires)}.",
        "login",
        result="granted",
        server=url,
        user=name,
        expires=output.rfc3339(expires),
    )
