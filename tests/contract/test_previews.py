"""The gateway asks exactly the services that have something to preview."""

from perennial.common import service
from perennial.gateway.previews.compose import SERVICES


def test_every_service_that_keeps_the_map_previews_and_is_asked() -> None:
    found = [service.load(name) for name in service.names()]
    assert [one.name for one in found if one.keeps_map] == sorted(SERVICES)
    assert [one.name for one in found if one.preview is not None] == sorted(SERVICES)
