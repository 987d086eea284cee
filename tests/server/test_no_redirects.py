"""A key, or a signed request, goes to the path it was meant for and nowhere else."""

import pytest

from sparekey.wire import agent_api as api
from tests.server.asgi import ask
from tests.server.interfaces import Interfaces, run


@pytest.mark.parametrize("path", ["/v1/sign-ins/", f"{api.SYNC}/", f"{api.TRUST}/"])
def test_the_host_header_never_decides_a_redirect(interfaces: Interfaces, path: str) -> None:
    reply = run(ask(interfaces.app, "GET" if "trust" in path else "POST", path, b"{}", {"Host": "elsewhere.example"}))
    assert (reply.status, reply.error) == (404, "no-such-route")
    assert not any(name == b"location" for name, _ in reply.headers)
