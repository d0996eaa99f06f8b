"""The gateway asks exactly the services that have something to preview."""

from perennial.common import service
from perennial.gateway.previews.compose import SERVICES


def test_every_service_that_previews_is_asked() -> None:
    assert [name for name in service.names() if service.load(name).preview is not None] == sorted(SERVICES)
