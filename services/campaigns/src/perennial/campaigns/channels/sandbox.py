"""The sandbox: behaves like e-mail and delivers nowhere; the message's row is its outbox."""

from collections.abc import Sequence

from perennial.campaigns.channels.outgoing import Accepted, Outgoing, Result


class Sandbox:
    """Accepts everything at once."""

    channel = "sandbox"
    batch = 200

    async def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        """All of them."""
        return [Accepted(f"sandbox-{message.id}") for message in messages]
