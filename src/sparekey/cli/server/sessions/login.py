"""`sparekey login|logout`: a session at a server, for commands with --server.

Rules: the passcode is never an argument: it is asked for, or the first line of standard input; the lines that follow
answer what the server asks on the way.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from sparekey.cli.server import output
from sparekey.cli.server.command import Call, call_of, command, new_group
from sparekey.cli.server.https import Connection
from sparekey.cli.server.kept_sessions import KeptSession, find_session, forget_session, keep_session
from sparekey.cli.server.remote import Refused, error_of, read_ca
from sparekey.secret import Secret

app = new_group("A session at a server.")
_PATH: Final = "/v1/sessions"
_LONGEST_INPUT: Final = 65_536


@command(app, "login", "login --server https://login.example.org:8443 --as carol --ca ca.pem")
def login(
    ctx: typer.Context,
    reply_to: Annotated[
        str, typer.Option(metavar="ID", help="Answer the question that a login ended with: its reply_to.")
    ] = "",
) -> None:
    """Sign in as an administrator. The passcode is asked for, or read from standard input. If the server wants more, as
    a new PIN, that is asked, too; a program gives it in the lines that follow, or later with --reply-to."""
    call = call_of(ctx)
    url, name = _named(call)
    before = find_session(url, name)
    ca = read_ca(call.ca_file) or (before.ca.encode() if before else b"")
    connection = Connection(url, ca or None)
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
    """End the session."""
    call = call_of(ctx)
    url, name = _named(call)
    kept = find_session(url, name)
    if kept is not None:
        connection = Connection(url, read_ca(call.ca_file) or kept.ca.encode() or None)
        try:
            connection.ask("DELETE", _PATH, token=kept.token)
        finally:
            connection.close()
            forget_session(url, name)
    words = f"{name} has logged out." if kept else f"{name} had no session at {url}."
    call.done(words, "logout", server=url, user=name, ended=kept is not None)


def _named(call: Call) -> tuple[str, str]:
    if not call.url:
        raise typer.BadParameter("say at which server: --server URL")
    return call.url, call.login


def _asked(connection: Connection, name: str, reply_to: str) -> Mapping[str, Any]:
    """The server's last word: granted, or a question that nobody here can answer. Raises Refused for a no."""
    answers = _answers()
    said = _sent(connection, name, answers("Passcode") or Secret(""), reply_to)
    while said.get("result") == "ask" and (typed := answers(str(said.get("text", "")))) is not None:
        said = _sent(connection, name, typed, str(said.get("reply_to", "")))
    if said.get("result") not in ("granted", "ask"):
        raise Refused("denied", f"{name} may not sign in with this passcode", "see to name and passcode, and try again")
    return said


def _sent(connection: Connection, name: str, typed: Secret[str], reply_to: str) -> dict[str, Any]:
    body = {"user": name, "passcode": typed.reveal(), "reply_to": reply_to}
    status, reply = connection.ask("POST", _PATH, body=body)
    if status != 200:
        raise error_of(status, reply or {}, connection.url, name)
    return reply or {}


def _answers() -> Callable[[str], Secret[str] | None]:
    """What is typed, question by question; None: nobody is there any more."""
    if sys.stdin.isatty():
        return lambda words: Secret(typer.prompt(output.printable(words), hide_input=True, err=True))
    lines = iter(sys.stdin.read(_LONGEST_INPUT).splitlines() or [""])
    return lambda _: next((Secret(line) for line in lines), None)


def _tell(call: Call, answer: Mapping[str, Any], url: str, name: str) -> None:
    if answer["result"] == "ask":
        members = {each: answer.get(each, "") for each in ("ask", "text", "reply_to")}
        call.put("login", {"result": "ask", "server": url, "user": name} | members)
        raise typer.Exit(1)
    expires = int(answer.get("expires_at", 0))
    call.done(
        f"{name} is signed in at {url}, until {output.local_and_utc(expires)} at the latest.",
        "login",
        result="granted",
        server=url,
        user=name,
        expires=output.rfc3339(expires),
    )
