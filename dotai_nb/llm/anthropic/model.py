"""The model itself: its client, a turn, an attempt at a turn."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from dotai_nb.llm.anthropic.failures import Failures, request_id_in
from dotai_nb.llm.anthropic.request import request_body
from dotai_nb.llm.anthropic.stream import StreamedTurn
from dotai_nb.llm.catalogue import PROVIDERS, endpoint_of, model_name
from dotai_nb.llm.retrying import Backoff, with_retries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from anthropic import AsyncAnthropic, AsyncStream
    from anthropic.types import RawMessageStreamEvent

    from dotai_nb.llm.conversation import Answer, Block, Conversation, Listener
    from dotai_nb.settings import Settings

_CONNECT_SECONDS = 10.0


class AnthropicModel:
    """Claude over the Messages API, streamed.

    Stop reasons are passed through as the provider says them. `pause_turn` too: only tools that
    run at the provider pause a turn, and none is declared.

    Attributes:
        provider: `anthropic`.
        name: the model asked for.
        endpoint: the URL that is sent data, without any password in it.
    """

    provider = "anthropic"

    def __init__(
        self, settings: Settings, name: str = "", *, backoff: Backoff | None = None
    ) -> None:
        """Nothing is imported or connected before the first turn.

        Raises:
            SettingsError: the key or the URL can't be used.
        """
        row = PROVIDERS[self.provider]
        self.name = model_name(settings, name)
        self.endpoint = endpoint_of(settings)
        self._url = row.url_in(settings)
        self._key = row.key_in(settings)
        self._seconds = settings.model_timeout
        self._backoff = backoff or Backoff(settings.model_retries)
        self._failures = Failures(self.name, self.endpoint, self._key)
        self._client: AsyncAnthropic | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"AnthropicModel({self.name!r}, endpoint={self.endpoint!r})"

    async def turn(self, conversation: Conversation, listener: Listener) -> Answer:
        """The model's next turn, streamed to `listener`, returned whole.

        Cancelling the task closes the stream. `DOT_AI_MODEL_TIMEOUT` limits the turn as a whole,
        its retries and waits included.

        Raises:
            ModelRejected: the provider will not answer this request.
            ModelUnavailable: still no answer after the retries, or not in time.
            ModelStreamCut: the stream ended early, still so after the retries.
        """
        # Importing the SDK takes more than a second; the loop goes on meanwhile.
        await asyncio.to_thread(import_module, "anthropic")
        body = request_body(self.name, conversation)
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                return await with_retries(
                    lambda: self._attempt(body, listener), listener, self._backoff
                )
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._failures.of_time(self._seconds) from None

    async def close(self) -> None:
        """Close the connections, on the loop that they belong to."""
        client, loop = self._client, self._loop
        self._client = self._loop = None
        if client is None or loop is None:
            return
        if loop is asyncio.get_running_loop():
            await client.close()
        elif loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(client.close(), loop))

    async def _attempt(self, body: dict[str, Any], listener: Listener) -> Answer:
        stream = await self._open(body)
        try:
            turn = StreamedTurn(request_id_in(stream.response.headers))
            events = aiter(stream)
            while (event := await self._next(events, turn)) is not None:
                heard = self._hear(event, turn)
                if isinstance(heard, str):
                    listener.delta(heard)
                elif heard is not None:
                    listener.block(heard)
        finally:
            await stream.close()
        if not turn.whole:
            raise self._failures.of_cut("it ended before the turn did", turn.request_id)
        return turn.answer()

    async def _open(self, body: dict[str, Any]) -> AsyncStream[RawMessageStreamEvent]:
        from anthropic import APIConnectionError, APIStatusError

        client = await self._connected()
        try:
            stream: AsyncStream[RawMessageStreamEvent] = await client.messages.create(
                **body, stream=True
            )
        except APIStatusError as error:
            raise self._failures.of_status(error) from self._failures.cause(error)
        except APIConnectionError as error:
            raise self._failures.of_connection(error) from self._failures.cause(error)
        return stream

    async def _next(
        self, events: AsyncIterator[RawMessageStreamEvent], turn: StreamedTurn
    ) -> RawMessageStreamEvent | None:
        from anthropic import APIStatusError
        from httpx2 import HTTPError, StreamError

        try:
            return await anext(events, None)
        except APIStatusError as error:
            raise self._failures.of_status(error) from self._failures.cause(error)
        except (HTTPError, StreamError) as error:
            reason = str(error) or type(error).__name__
            raise self._failures.of_cut(reason, turn.request_id) from error
        except ValueError as error:  # bytes that are not UTF-8, data that is not JSON
            raise self._failures.of_cut(f"garbage, {error}", turn.request_id) from error

    def _hear(self, event: RawMessageStreamEvent, turn: StreamedTurn) -> str | Block | None:
        try:
            return turn.hear(event)
        except (AttributeError, LookupError, TypeError) as error:
            # The SDK builds events without checking them: a field may be missing, or a block.
            raise self._failures.of_cut(f"garbage, {error}", turn.request_id) from error

    async def _connected(self) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic
        from httpx2 import Timeout

        if self._client is None or self._loop is not asyncio.get_running_loop():
            await self.close()
            self._loop = asyncio.get_running_loop()
            self._client = AsyncAnthropic(
                api_key=self._key.get_secret_value(),
                base_url=self._url,
                timeout=Timeout(self._seconds, connect=_CONNECT_SECONDS),
                max_retries=0,
            )
        return self._client
