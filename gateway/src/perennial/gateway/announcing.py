"""How the gateway's processes hear that keys, sources or roles have changed, and whom a change by nobody is put to."""

from perennial.common import notify
from perennial.common.auth import Principal
from perennial.common.db import WriteSession

CHANNEL = "access"
SYSTEM = Principal("service", "gateway", frozenset())


async def announce(session: WriteSession) -> None:
    """Tell every gateway process to read the keys again, when the transaction commits."""
    await notify.notify(session, CHANNEL)
