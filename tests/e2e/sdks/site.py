"""The shop's web site: pages with an SDK in them, on an origin that is not the gateway's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.e2e.sdks import HERE, require_packages


class _Pages(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def open_site() -> Iterator[str]:
    """Serve this folder; the address."""
    require_packages()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(HERE))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
