"""The SDKs of web pages, unmodified, in a real Chromium, on a page of another origin."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page

from perennial.local.platform import Platform
from tests.e2e.sdks import chromium, site, story
from tests.e2e.sdks.story import Call
from tests.e2e.sdks.tap import Tap
from tests.e2e.shop import Shop, until

NEXT, RUDDER = "analytics_next.html", "rudder_js.html"
BATCHING = {"deliveryStrategy": {"strategy": "batching", "config": {"size": 5, "timeout": 500}}}
BEACON = {"useBeacon": True, "beaconQueueOptions": {"flushQueueInterval": 500}}
WRONG = "wk_wrong"
FETCH = """async ([url, key]) => {
    const body = JSON.stringify({ writeKey: key, anonymousId: "a", event: "E" });
    const answer = await fetch(url, { method: "POST", body });
    const { code } = await answer.json();
    return [answer.status, code, answer.headers.get("Retry-After")];
}"""


class Visit(NamedTuple):
    """A page of a shop on the web, and what it did."""

    page: Page
    origin: str
    tap: Tap
    shop: Shop
    hosts: set[str]
    errors: list[str]

    def next_says(self, calls: list[Call], **integration: Any) -> list[str]:
        """Load analytics-next as its manual says, with settings of its integration; what was not delivered."""
        settings = {"writeKey": self.shop.write_key, "cdnURL": self.tap.url}
        options = {"integrations": {"Segment.io": integration}} if integration else {}
        failures: list[str] = self.say(NEXT, settings=settings, options=options, calls=calls)
        return failures

    def rudder_says(self, calls: list[Call], **options: Any) -> None:
        """Load rudder-js as its manual says, with more options."""
        self.say(RUDDER, key=self.shop.write_key, url=self.tap.url, options=options, calls=calls)

    def say(self, page: str, **arguments: Any) -> Any:
        """Open the page and call its say(); what that answers."""
        self.page.goto(f"{self.origin}/{page}")
        return self.page.evaluate("(arguments) => say(arguments)", arguments)

    def fetches(self, key: str) -> list[Any]:
        """What a script of the page can read of the answer to an event: status, code, Retry-After."""
        read: list[Any] = self.page.evaluate(FETCH, [str(self.shop.http.base_url.join("/v1/track")), key])
        return read

    def delivers(self, calls: list[Call]) -> None:
        """Wait until all of it is taken, then look for it in the platform."""
        until(lambda: len(self._taken()) == len(calls), what=f"{len(calls)} events taken of {self.tap.exchanges}")
        story.check(self.shop, self.tap, calls)

    def _taken(self) -> set[str]:
        taken = [upload for upload in self.tap.uploads if upload.status == 200]
        return {event["messageId"] for upload in taken for event in upload.events()}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium.running(tmp_path_factory.mktemp("chromium")) as made:
        yield made


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with site.open_site() as address:
        yield address


@contextmanager
def visiting(browser: Browser, origin: str, platform: Platform) -> Iterator[Visit]:
    """A new visitor of a new shop."""
    shop = Shop(platform.gateway_url, platform.write_key, platform.api_key)
    with shop.http, Tap(platform.gateway_url) as tap, browser.new_context() as context:
        made = Visit(context.new_page(), origin, tap, shop, set(), [])
        made.page.on("request", lambda request: made.hosts.add(urlsplit(request.url).netloc))
        made.page.on("console", lambda message: made.errors.append(message.text) if message.type == "error" else None)
        made.page.on("pageerror", lambda error: made.errors.append(str(error)))
        yield made


@pytest.fixture
def visit(browser: Browser, origin: str, platform: Platform) -> Iterator[Visit]:
    with visiting(browser, origin, platform) as made:
        yield made


def for_rudder(calls: list[Call]) -> list[Call]:
    """rudder-js has no screen(), and drops what is null."""
    said: list[Call] = story.without_nulls([call for call in calls if call["type"] != "screen"])
    return said


def test_analytics_next_sends_one_by_one(visit: Visit) -> None:
    said = story.calls(visit.shop)
    assert visit.next_says(said) == []
    visit.delivers(said)
    check_manners(visit, {"/v1/i", "/v1/t", "/v1/p", "/v1/s", "/v1/g", "/v1/a"})


def test_analytics_next_sends_batches(visit: Visit) -> None:
    said = story.calls(visit.shop)
    assert visit.next_says(said, **BATCHING) == []
    visit.delivers(said)
    check_manners(visit, {"/v1/b"})


def test_rudder_js_sends_requests(visit: Visit) -> None:
    said = for_rudder(story.calls(visit.shop))
    visit.rudder_says(said)
    visit.delivers(said)
    check_manners(visit, {f"/v1/{call['type']}" for call in said})


def test_rudder_js_sends_beacons(visit: Visit) -> None:
    said = for_rudder(story.calls(visit.shop))
    visit.rudder_says(said, **BEACON)
    visit.delivers(said)
    check_manners(visit, {"/beacon/v1/batch"})


def check_manners(visit: Visit, paths: set[str]) -> None:
    """Every upload came from another origin, asked first where it has to, and nobody else was spoken to."""
    tap = visit.tap
    assert set(tap.statuses) == {200}
    assert {urlsplit(upload.path).path for upload in tap.uploads} == paths
    assert {upload.headers["origin"] for upload in tap.uploads} == {visit.origin}
    asked = {urlsplit(exchange.path).path for exchange in tap.exchanges if exchange.method == "OPTIONS"}
    assert asked & paths == {path for path in paths if not path.startswith("/beacon/")}
    assert visit.hosts == {urlsplit(visit.origin).netloc, urlsplit(tap.url).netloc}
    assert visit.errors == []


def test_what_waits_in_a_page_is_sent_when_the_page_is_left(visit: Visit) -> None:
    said = for_rudder(story.purchase(visit.shop))
    visit.rudder_says(said, useBeacon=True, beaconQueueOptions={"flushQueueInterval": 600_000})
    assert visit.tap.uploads == []
    visit.page.goto("about:blank")
    visit.delivers(said)


def test_analytics_next_reads_that_its_key_is_wrong_and_does_not_try_again(visit: Visit) -> None:
    settings: dict[str, Any] = {"writeKey": WRONG, "cdnURL": visit.tap.url}
    with pytest.raises(Error, match="unknown_write_key"):
        visit.say(NEXT, settings=settings, options={}, calls=[])
    # A page that was loaded before its key was taken away.
    ours = {"apiKey": WRONG, "apiHost": f"{urlsplit(visit.tap.url).netloc}/v1", "protocol": "http"}
    settings["cdnSettings"] = {"integrations": {"Segment.io": ours}, "metrics": {"sampleRate": 0}}
    failures = visit.say(NEXT, settings=settings, options={}, calls=story.purchase(visit.shop)[-1:])
    assert failures == ["NonRetryableError: Non-retryable error: 401"]
    assert visit.tap.statuses == [401]


def test_rudder_js_reads_that_its_key_is_wrong_and_does_not_try_again(visit: Visit) -> None:
    config = {"source": {"id": "1", "name": "1", "writeKey": WRONG, "enabled": True, "config": {}, "destinations": []}}
    said = story.purchase(visit.shop)[-1:]
    with visit.page.expect_console_message(
        lambda message: "invalid_write_key" in message.text and "will be dropped" in message.text
    ):
        visit.say(RUDDER, key=WRONG, url=visit.tap.url, options={}, sourceConfig=config, calls=said)
    assert visit.tap.statuses == [401]


def test_a_page_reads_why_its_event_was_refused(visit: Visit) -> None:
    visit.page.goto(f"{visit.origin}/{NEXT}")
    assert visit.fetches(WRONG) == [401, "invalid_write_key", None]


def test_only_the_origins_of_a_source_may_send_to_it(visit: Visit) -> None:
    def key_for(origin: str) -> str:
        wanted = {"name": visit.shop.mark, "kind": "client", "origins": [origin]}
        made: str = visit.shop.post("/v1/sources", wanted, expect=201)["write_keys"][0]["key"]
        return made

    visit.shop.write_key = key_for(visit.origin)
    assert visit.next_says(story.purchase(visit.shop)) == []
    visit.delivers(story.purchase(visit.shop))
    assert visit.fetches(key_for("https://shop.example")) == [403, "origin_not_allowed", None]


@pytest.fixture
def buyers(browser: Browser, origin: str, platform: Platform) -> Iterator[tuple[Visit, Visit]]:
    """Two visitors: one page has analytics-next, the other rudder-js."""
    with visiting(browser, origin, platform) as one, visiting(browser, origin, platform) as other:
        yield one, other


def buy(buyers: tuple[Visit, Visit]) -> None:
    one, other = buyers
    one.next_says(story.purchase(one.shop))
    other.rudder_says(story.purchase(other.shop))


def bought(buyers: tuple[Visit, Visit]) -> None:
    one, other = buyers
    one.delivers(story.purchase(one.shop))
    other.delivers(for_rudder(story.purchase(other.shop)))


def test_an_answer_that_is_lost_is_made_good_and_counts_once(buyers: tuple[Visit, Visit]) -> None:
    for visit in buyers:
        visit.tap.lose_answers(1)
    buy(buyers)
    bought(buyers)
    for visit in buyers:
        assert sorted(visit.tap.statuses, key=str) == [200, 200, None]


def test_an_outage_of_the_broker_is_waited_out_and_everything_counts_once(
    platform: Platform, buyers: tuple[Visit, Visit]
) -> None:
    platform.stop_process("nats")
    try:
        buy(buyers)
        until(lambda: all(503 in visit.tap.statuses for visit in buyers), 30, "both are told to wait")
        assert buyers[0].fetches(buyers[0].shop.write_key) == [503, "broker_unavailable", "5"]
    finally:
        platform.start_process("nats")
    bought(buyers)
