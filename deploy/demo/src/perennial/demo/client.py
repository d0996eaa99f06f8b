"""The platform's public HTTP, as a shop's back end would call it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

RETRIED = frozenset({429, 502, 503, 504})
LONGEST_PAUSE = 10.0

Json = dict[str, Any]
Query = Mapping[str, str | int | None]


class RefusedError(Exception):
    """The platform answered with a status that another attempt cannot change."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        super().__init__(
            f"{response.request.method} {response.request.url.path} was answered "
            f"{response.status_code}: {response.text[:500]}"
        )


class UnreachableError(Exception):
    """The platform has not taken a request for as long as the client is patient."""


class Client:
    """One keep-alive pool for the write key (tracking) and the API key (everything else).

    A request that met a lost connection or a 429, 502, 503 or 504 is sent again as it was, after
    `Retry-After` or a pause that doubles, until `patience` seconds have passed. That is safe because
    every write has a message id or an Idempotency-Key.
    """

    def __init__(self, url: str, write_key: str, api_key: str, patience: float = 300.0) -> None:
        limits = httpx.Limits(max_connections=16, max_keepalive_connections=16)
        # No proxy and no environment: the only network is the gateway.
        self._http = httpx.AsyncClient(
            base_url=url, limits=limits, timeout=httpx.Timeout(60.0, connect=5.0), trust_env=False
        )
        self._tracking = httpx.BasicAuth(write_key, "")
        self._bearer = f"Bearer {api_key}"
        self._patience = patience
        self.retries = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def track(self, path: str, body: bytes) -> Json:
        """Send events; the answer names the rejected ones."""
        headers = {"Content-Type": "application/json"}
        return _json(await self._send("POST", path, content=body, headers=headers, auth=self._tracking))

    async def get(self, path: str, query: Query | None = None, *, token: str | None = None) -> Json:
        """Read one resource."""
        params = {key: value for key, value in (query or {}).items() if value is not None}
        return _json(await self._send("GET", path, params=params, headers=self._headers(token)))

    async def find(self, path: str) -> Json | None:
        """Read one resource, None while it does not exist."""
        response = await self._attempts("GET", path, headers=self._headers(None))
        return None if response.status_code == httpx.codes.NOT_FOUND else _json(_good(response))

    async def pages(self, path: str, query: Query | None = None) -> AsyncIterator[Json]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = await self.get(path, {**(query or {}), "limit": 200, "cursor": cursor})
            for item in page["items"]:
                yield item
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def post(
        self, path: str, body: Json | None = None, *, key: str | None = None, token: str | None = None
    ) -> Json:
        """Create or change something; `key` is the Idempotency-Key."""
        headers = self._headers(token)
        if key is not None:
            headers["Idempotency-Key"] = f'"{key}"'
        return _json(await self._send("POST", path, json=body or {}, headers=headers))

    def _headers(self, token: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}" if token else self._bearer}

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        return _good(await self._attempts(method, path, **request))

    async def _attempts(self, method: str, path: str, **request: Any) -> httpx.Response:
        deadline = time.monotonic() + self._patience
        pause = 0.2
        while True:
            try:
                response = await self._http.request(method, path, **request)
            except httpx.TransportError as error:
                wait, reason = pause, f"{type(error).__name__} {error}"
            else:
                if response.status_code not in RETRIED:
                    return response
                wait, reason = _retry_after(response, pause), f"status {response.status_code}"
            if time.monotonic() + wait > deadline:
                raise UnreachableError(f"{method} {path}: {reason}, for {self._patience:.0f} s")
            self.retries += 1
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)


def _retry_after(response: httpx.Response, pause: float) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else pause


def _good(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise RefusedError(response)
    return response


def _json(response: httpx.Response) -> Json:
    body: Json = response.json()
    return body
