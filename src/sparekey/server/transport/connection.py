"""One HTTP connection: uvicorn's protocol with limits of time and size for the head of each request.

The limits of bodies are in `server.bodies`, because they differ by request.
"""

import asyncio
from typing import Any, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from sparekey.server.admission.connections import Connection
from sparekey.server.admission.requests import CONNECTION

HEAD_SECONDS: Final = 5.0
_LARGEST_HEAD: Final = 1 << 16  # bytes
_MOST_HEADERS: Final = 100
KEEP_ALIVE_SECONDS: Final = 75  # between two requests
_LINGER_SECONDS: Final = 2.0  # for the rest of a body after its answer, so that the client can read the answer
_MOST_DISCARDED: Final = 1 << 18  # bytes of a body read after its answer; more would only be decrypted and dropped
_WRITE_SECONDS: Final = 30.0  # without any progress of an answer


class HttpConnection(HttpToolsProtocol):
    """The protocol of one connection that was admitted."""

    def __init__(
        self,
        connection: Connection,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._connection: Final = connection
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._end_of_rest: asyncio.TimerHandle | None = None
        self._in_head = False
        self._in_message = False
        self._head_size = 0
        self._discarded = 0  # bytes that came after the answer to their request
        self._rest_seconds = 0.0  # after the next answer
        self._unanswered = 0  # requests with a complete head

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a head."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._connection.rest_by(self._rest_after_answer)
        self._connection.close_by(self.transport.abort)
        self._expect_within(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place of the connection."""
        self._connection.leave()
        for timer in (self._deadline, self._write_deadline, self._end_of_rest):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        # These hold this connection. Without them it is freed at once, with its memory for TLS.
        self._deadline = self._write_deadline = self._end_of_rest = None
        self.cycle = cast("RequestResponseCycle", None)  # as at the beginning

    def data_received(self, data: bytes) -> None:
        """Read what came. Without a log line for what is no HTTP, because any host can send that."""
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end_after_answer()  # an upgrade is not offered: the request is answered as any other
        except httptools.HttpParserError:
            self._refuse_head()
            return
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > _LARGEST_HEAD:
                self._refuse_head()
        elif self._in_message and self._is_idle:
            self._discarded += len(data)
            if self._discarded > _MOST_DISCARDED:
                self.flow.pause_reading()  # until the connection is closed, which is soon

    def on_message_begin(self) -> None:
        """Expect the rest of the head. While an earlier request is answered, it has time until after its answer."""
        super().on_message_begin()
        self._in_head, self._in_message, self._head_size, self._discarded = True, True, 0, 0
        if self._is_idle:
            self._expect_within(HEAD_SECONDS)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Raises ValueError, which refuses the request, if there are too many."""
        super().on_header(name, value)
        self._head_size += len(name) + len(value)
        if len(self.headers) > _MOST_HEADERS or self._head_size > _LARGEST_HEAD:
            raise ValueError("the head is too large")

    def on_headers_complete(self) -> None:
        """Begin the work on a request."""
        self._in_head = False
        self._unanswered += 1
        self._expect_within(None)
        self._connection.begin_work()
        self.scope["extensions"] = {CONNECTION: {"connection": self._connection}}
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that all of the request was read."""
        self._in_message = False
        super().on_message_complete()
        if self._is_idle:
            self._expect_within(None)

    def on_response_complete(self) -> None:
        """Expect the rest of the next head, or shortly the rest of this body."""
        self._unanswered -= 1
        super().on_response_complete()
        if self._is_idle:
            self._connection.end_work()
            limit = HEAD_SECONDS if self._in_head else _LINGER_SECONDS if self._in_message else None
            self._expect_within(limit)
        if self._rest_seconds:
            self.flow.pause_reading()
            if self._end_of_rest is not None:
                self._end_of_rest.cancel()
            self._end_of_rest = self.loop.call_later(self._rest_seconds, self.flow.resume_reading)
            self._rest_seconds = 0.0

    def _rest_after_answer(self, seconds: float) -> None:
        self._rest_seconds = seconds

    @property
    def _is_idle(self) -> bool:
        return self._unanswered == 0

    def pause_writing(self) -> None:
        """Give the client a time to read its answer."""
        super().pause_writing()
        self._write_deadline = self.loop.call_later(_WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client has read."""
        super().resume_writing()
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _expect_within(self, seconds: float | None) -> None:
        """Close the connection after this time, unless something else is expected before; None: no limit."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)

    def _end_after_answer(self) -> None:
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _refuse_head(self) -> None:
        """Refuse a head that is no HTTP, or too large, and close."""
        if not self.transport.is_closing():
            self.send_400_response("this is no valid HTTP request, or its head is too large")
            self._expect_within(_LINGER_SECONDS)
