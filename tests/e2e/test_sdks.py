"""The SDKs that servers already have, unmodified: what they say is what the platform shows."""

import gc
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from perennial.local.platform import Platform
from tests.e2e.sdks import servers, story
from tests.e2e.sdks.servers import Run
from tests.e2e.sdks.tap import Tap
from tests.e2e.shop import Shop, until

NAMES = list(servers.ALL)
Everyone = dict[str, tuple[Shop, Tap]]


@pytest.fixture
def tap(platform: Platform) -> Iterator[Tap]:
    with Tap(platform.gateway_url) as made:
        yield made


@pytest.fixture
def everyone(platform: Platform) -> Iterator[Everyone]:
    """Each SDK with a shop and a tap of its own, so that all of them can be tried at the same time."""
    with ExitStack() as stack:
        found = {}
        for name in NAMES:
            shop = Shop(platform.gateway_url, platform.write_key, platform.api_key)
            stack.enter_context(shop.http)
            found[name] = shop, stack.enter_context(Tap(platform.gateway_url))
        yield found
    gc.collect()  # here, where what an SDK left open is nobody's error


@pytest.mark.parametrize("sdk", servers.ALL.values(), ids=NAMES)
def test_what_an_sdk_says_is_shown_as_it_was_said(sdk: Run, tap: Tap, shop: Shop) -> None:
    said = story.from_servers(story.calls(shop), shop)
    assert sdk(tap.url, shop.write_key, said) == []
    assert set(tap.statuses) == {200}
    story.check(shop, tap, said)


@pytest.mark.parametrize(
    ("sdk", "encoding", "content"),
    [
        (servers.segment_python, None, "application/json"),
        (servers.segment_python_zipped, "gzip", "application/json"),
        (servers.rudder_python, "gzip", "application/json"),
        (servers.analytics_node, None, "application/json"),
        (servers.rudder_node, "gzip", "application/x-www-form-urlencoded"),
    ],
    ids=NAMES,
)
def test_a_wrong_key_is_told_at_once_and_not_tried_again(
    sdk: Run, encoding: str | None, content: str, tap: Tap, shop: Shop
) -> None:
    failures = sdk(tap.url, "wk_wrong", story.purchase(shop)[-1:])
    assert tap.statuses == [401]
    assert len(failures) == 1
    assert "401" in failures[0]
    sent = tap.uploads[0].headers
    assert (sent.get("content-encoding"), sent["content-type"]) == (encoding, content)


@contextmanager
def ordering(everyone: Everyone) -> Iterator[None]:
    """Every SDK sends a name and an order while the block runs; none of them fails, and each event counts once."""
    with ThreadPoolExecutor(len(everyone)) as pool:
        runs: dict[str, Future[list[str]]] = {
            name: pool.submit(servers.ALL[name], tap.url, shop.write_key, story.purchase(shop))
            for name, (shop, tap) in everyone.items()
        }
        yield
        failures = {name: run.result(servers.SECONDS) for name, run in runs.items()}
    assert not any(failures.values()), failures
    for shop, tap in everyone.values():
        story.check(shop, tap, story.purchase(shop))


def test_an_answer_that_is_lost_is_made_good_and_counts_once(everyone: Everyone) -> None:
    for _, tap in everyone.values():
        tap.lose_answers(1)
    with ordering(everyone):
        pass
    for name, (_, tap) in everyone.items():
        assert (tap.statuses[0], set(tap.statuses[1:])) == (None, {200}), name


def test_an_outage_of_the_broker_is_waited_out_and_everything_counts_once(
    platform: Platform, everyone: Everyone
) -> None:
    platform.stop_process("nats")
    with ordering(everyone):
        try:
            until(lambda: all(503 in tap.statuses for _, tap in everyone.values()), 30, "everyone is told to wait")
        finally:
            platform.start_process("nats")
    for name, (_, tap) in everyone.items():
        assert (tap.statuses[-1], set(tap.statuses)) == (200, {503, 200}), name


def test_a_source_above_its_limit_makes_every_sdk_wait(everyone: Everyone, shop: Shop) -> None:
    limit = {"events_per_second": 1, "burst": 2_500}
    source = shop.post("/v1/sources", {"name": shop.mark, "rate_limit": limit}, expect=201)
    for one in (shop, *(one for one, _ in everyone.values())):
        one.write_key = source["write_keys"][0]["key"]
    noise = shop.event("track", shop.user("noise"), event="Noise")
    assert shop.send([noise] * 2_500).status_code == 200

    def everyone_is_told() -> bool:
        shop.send([noise])  # uses up what has grown back, so that two events at once never fit
        return all(429 in tap.statuses or tap.statuses == [200, 200] for _, tap in everyone.values())

    with ordering(everyone):
        until(everyone_is_told, 30)
        without = {**shop.headers, "If-Match": f'"{source["version"]}"'}
        assert shop.http.patch(f"/v1/sources/{source['id']}", json={"rate_limit": None}, headers=without).is_success
    for name, (_, tap) in everyone.items():
        assert set(tap.statuses) == {429, 200} or name == "rudder-node", name  # it sends its first event alone


def test_the_largest_batch_that_segment_python_makes_is_taken(tap: Tap, shop: Shop) -> None:
    """It closes a batch at 475,000 bytes, with an event of up to 32 KiB on top."""
    sizes = [32_700] * 14 + [17_000, 32_700]
    said = [{"type": "track", "userId": shop.user("客"), "event": f"E{n}", "properties": {}} for n in range(len(sizes))]
    for call, size in zip(said, sizes, strict=True):
        call["properties"] = {"text": "大" * ((size - 400) // 6)}
    assert servers.segment_python(tap.url, shop.write_key, said) == []
    assert len(tap.uploads[0].body) > 500_000
    assert tap.statuses == [200]
    story.check(shop, tap, said)
