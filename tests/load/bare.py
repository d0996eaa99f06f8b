"""The limit of HTTP: an ASGI app that reads the same body and answers 200, on the server that the gateway runs on."""

import gc
import sys

import uvicorn
from starlette.types import Receive, Scope, Send

from perennial.common.run import Server
from perennial.common.web.protocol import Protocol

ANSWER = b'{"success":true,"accepted":1,"rejected":[]}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read all of the body, look at none of it."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    config = uvicorn.Config(
        app, "127.0.0.1", int(sys.argv[1]), loop="uvloop", http=Protocol, ws="none", lifespan="off",
        access_log=False, log_config=None, timeout_graceful_shutdown=1, server_header=False, proxy_headers=False,
    )  # fmt: skip
    Server(config).run()
