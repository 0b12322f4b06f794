"""One server that speaks the OpenAI API: its client, the deadline of a call, and its errors in our words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, OpenAIError
from pydantic import SecretStr

from cortex_core.errors import ConfigError, ProviderError, ProviderUnavailableError
from cortex_core.models import utc_now

OPENAI_URL = "https://api.openai.com/v1"

MAX_RETRIES = 2
"""By the client itself, with growing pauses, for what another attempt may mend; within the deadline of the call."""

REQUEST_IS_WRONG = frozenset({400, 413, 422})
"""Statuses that blame the request: it fails each time. Others may pass once a key, a quota or a server is mended."""

PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 that may pass without anybody doing anything."""

SETTING_TO_CHECK = {401: "api_key", 403: "api_key", 404: "model"}


@dataclass(frozen=True, slots=True)
class OpenAIServer:
    """An open client for one section of the configuration, which its errors name (`embedding` or `llm`)."""

    client: AsyncOpenAI
    section: str
    host: str
    timeout_seconds: float

    @classmethod
    def open(
        cls,
        *,
        section: str,
        base_url: str,
        api_key: SecretStr,
        timeout_seconds: float,
        max_retries: int = MAX_RETRIES,
    ) -> Self:
        """Make the client; nothing is sent yet.

        Args:
            section: The section of the configuration that the settings come from.
            base_url: Where the API is, with its version; empty for OpenAI's own.
            api_key: Empty for servers that ask for none. The environment's key is never used in its place: it would be
                sent to whatever server `base_url` names.
            timeout_seconds: The deadline of each call, its retries included.
            max_retries: How often the client itself tries again; 0 where a layer above decides.

        Raises:
            ConfigError: `base_url` isn't a URL.
        """
        url = base_url or OPENAI_URL
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"`{section}.base_url` must be a URL like {OPENAI_URL}.")
        client = AsyncOpenAI(
            base_url=url,
            api_key=api_key.get_secret_value() or "none",
            timeout=timeout_seconds,
            max_retries=max_retries,
        )
        return cls(client=client, section=section, host=parts.hostname, timeout_seconds=timeout_seconds)

    @asynccontextmanager
    async def call(self) -> AsyncIterator[AsyncOpenAI]:
        """Lend the client for one call; what reads the answer (pydantic's `ValueError`) belongs inside too.

        The errors of the client are dropped, not chained: they quote the server, which may quote the text or the key.

        Raises:
            ProviderUnavailableError: The server is away, too slow, overloaded or refuses this key.
            ProviderError: The server refuses this request, or its answer isn't one.
        """
        try:
            async with asyncio.timeout(self.timeout_seconds):
                yield self.client
        except APIStatusError as error:
            raise self._status_error(error.response) from None
        except (APITimeoutError, TimeoutError):
            raise self.too_slow(self.timeout_seconds) from None
        except APIConnectionError as error:
            raise ProviderUnavailableError(
                f"{self.host} can't be reached: check `{self.section}.base_url` and the network.",
                is_billed=not isinstance(error.__cause__, httpx2.ConnectError),
                retry_after=timedelta(0),
            ) from None
        except httpx2.HTTPError:
            raise ProviderUnavailableError(
                f"{self.host} broke its answer off: try again later.", is_billed=True, retry_after=timedelta(0)
            ) from None
        except (OpenAIError, ValueError):
            raise self.bad_answer("something that isn't an answer of the OpenAI API") from None

    def bad_answer(self, what: str) -> ProviderError:
        """Build the error for an answer that came but is of no use."""
        return ProviderError(
            f"{self.host} sent {what}: check `{self.section}.base_url` and `{self.section}.model`.", is_billed=True
        )

    def too_slow(self, seconds: float) -> ProviderUnavailableError:
        """Build the error for an answer that didn't come in time."""
        return ProviderUnavailableError(
            f"{self.host} didn't answer within {seconds:g} s (`{self.section}.timeout_seconds`): try again later.",
            is_billed=True,
            retry_after=timedelta(0),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    def _status_error(self, response: httpx2.Response) -> ProviderError:
        status = response.status_code
        answer = f"{self.host} answered {status} ({_phrase(status)})"
        if status in REQUEST_IS_WRONG:
            return ProviderError(f"{answer}: it doesn't take this request with the settings under `{self.section}`.")
        if status in SETTING_TO_CHECK:
            return ProviderUnavailableError(f"{answer}: check `{self.section}.{SETTING_TO_CHECK[status]}`.")
        return ProviderUnavailableError(f"{answer}: try again later.", retry_after=_retry_after(response))


def _retry_after(response: httpx2.Response) -> timedelta | None:
    """Return how long the server asks to wait, zero where it doesn't say; None where another attempt is no use."""
    status, headers = response.status_code, response.headers
    may_pass = status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if headers.get("x-should-retry", str(may_pass)).lower() != "true":
        return None
    for name, unit in (("retry-after-ms", timedelta(milliseconds=1)), ("retry-after", timedelta(seconds=1))):
        try:
            return max(float(headers[name]) * unit, timedelta(0))
        except OverflowError:
            return timedelta.max
        except (KeyError, ValueError):
            continue
    try:
        date = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return timedelta(0)
    return max(date.replace(tzinfo=date.tzinfo or UTC) - utc_now(), timedelta(0))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.lower()
    except ValueError:
        return "an unknown status"
