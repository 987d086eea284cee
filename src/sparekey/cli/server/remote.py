"""A server over REST: runs the same use cases, found in the registry of operations.

Rules: the request and the result follow from the signature of the use case. An error of the server becomes the error
that the use case would have raised here.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar, cast

from sparekey.app.instance import Instance
from sparekey.app.rest.registry import find_operation
from sparekey.cli.server.https import RemoteConnection, Unreachable
from sparekey.cli.server.kept_sessions import find_session
from sparekey.core.errors import BadInput, ConfirmationNeeded, Conflict, NotAllowed, NotFound, SparekeyError
from sparekey.core.permissions import Actor
from sparekey.secret import Secret
from sparekey.wire.messages import BadMessage

P = ParamSpec("P")
R = TypeVar("R")
_KINDS: Final = {kind.error: kind for kind in (BadInput, ConfirmationNeeded, Conflict, NotAllowed, NotFound)}


class RemoteRefusal(SparekeyError):
    """The server refused the request, for a reason outside the use case."""

    def __init__(self, error: str, message: str, do: str) -> None:
        super().__init__(message, do)
        self.error = error


@dataclass(frozen=True)
class RemoteServer:
    """A server, and the session of the administrator who acts there."""

    connection: RemoteConnection
    login: str
    token: Secret[str]

    def run(
        self, use_case: Callable[Concatenate[Instance, Actor, P], R], /, *arguments: P.args, **options: P.kwargs
    ) -> R:
        """Run the use case at the server, as the administrator.

        Raises BadInput if it works only on the server itself, Unreachable if the answer is not valid, and the errors of
        the use case and of the connection.
        """
        operation = find_operation(use_case)
        if operation is None:
            raise BadInput("this command works only on the server itself", "run it there, with --data DIR")
        bound = inspect.signature(use_case).bind(None, None, *arguments, **options).arguments
        given = {name: value for name, value in bound.items() if name in operation.parameters}
        path, query, body = operation.request(given)
        status, reply = self.connection.ask(operation.method, path, query, body, self.token)
        if status >= 300:
            raise error_of(status, reply or {}, self.connection.url, self.login)
        try:
            return cast("R", operation.result_of(reply))
        except BadMessage as error:
            raise Unreachable(
                "the server's answer is not valid", "use the same version of sparekey as the server"
            ) from error


def error_of(status: int, reply: Mapping[str, object], url: str, login: str) -> SparekeyError:
    """Return the error that a refusal of the server means."""
    error, message, do = (str(reply.get(name, "")) for name in ("error", "message", "do"))
    sign_in = f"sparekey login --server {url} --as {login}"
    if status == 401:
        return RemoteRefusal("not-signed-in", f"{login} has no session at {url}", f"run: {sign_in}")
    if error == "second-factor-needed":
        return RemoteRefusal(error, message, f"sign in again: {sign_in}")
    if error in _KINDS:
        return _KINDS[error](message, do)
    return RemoteRefusal(error or "failed", message or f"{url} answered with {status}", do or "see the server's log")


@contextmanager
def open_remote(url: str, login: str, ca_file: Path | None) -> Iterator[RemoteServer]:
    """Open the server with the session that was stored at the login. Raises RemoteRefusal if there is none."""
    kept = find_session(url, login)
    if kept is None:
        raise error_of(401, {}, url, login)
    connection = RemoteConnection(url, read_ca(ca_file) or kept.ca.encode() or None)
    try:
        yield RemoteServer(connection, login, kept.token)
    finally:
        connection.close()


def read_ca(ca_file: Path | None) -> bytes:
    """Return the certificates in the file; b"" without a file. Raises BadInput if it cannot be read."""
    if ca_file is None:
        return b""
    try:
        with ca_file.open("rb") as file:
            return file.read(1 << 20)
    except OSError as error:
        raise BadInput(
            f"cannot read {ca_file}: {error.strerror}", "pass a copy of the server's DIR/keys/ca.pem"
        ) from error
