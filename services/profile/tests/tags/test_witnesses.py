"""Every tag of the catalogue that is derived can be had, and lost again."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.profile.tags.definitions import presets

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
Shown = Callable[[], Awaitable[dict[UUID, set[str]]]]
NOW = datetime.now(UTC)

Said = tuple[str, float, Mapping[str, Any]]  # the event's name, days ago, its properties


@dataclass(frozen=True)
class Witness:
    """Traits, and events so many days ago.

    It is no more when `off` or `off_traits` are said later, when `days` have passed, when the orders are cancelled or
    the first is refunded, or when the second half of the events turns out to be somebody else's (`split`).
    """

    traits: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Said] = ()
    off: Sequence[Said] = ()
    off_traits: Mapping[str, Any] | None = None
    days: int = 0
    cancel: bool = False
    refund: bool = False
    split: bool = False


def did(name: str, times: int = 1, days: float = 1.0, **properties: Any) -> list[Said]:
    """The same some times, a minute apart."""
    return [(name, days + number / 1440, properties) for number in range(times)]


def orders(*amounts: float, days: float = 1, every: float = 1, **properties: Any) -> list[Said]:
    """Orders of these amounts, the newest `days` ago, `every` so many days."""
    return [
        ("Order Completed", days + place * every, {"revenue": amount, **properties})
        for place, amount in enumerate(amounts)
    ]


LATER = 400  # days after which no window reaches back


def passing(name: str, times: int = 1, **properties: Any) -> Witness:
    """Something that happened, and is too long ago later."""
    return Witness(events=did(name, times, **properties), days=LATER)


def without(name: str, times: int, other: str) -> Witness:
    """Something that happened without another thing, which happens later."""
    return Witness(events=did(name, times), off=did(other, days=0.1))


def trait(key: str, value: Any) -> Witness:
    """A trait that is cleared later."""
    return Witness(traits={key: value}, off_traits={key: None})


def words(name: str, prop: str, text: str, **properties: Any) -> Witness:
    """Words whose weight time takes away."""
    return Witness(events=[(name, 1.0, {prop: text, **properties})], days=LATER)


def search(text: str) -> Witness:
    """A search."""
    return words("Products Searched", "query", text)


def review(text: str) -> Witness:
    """A review."""
    return words("Product Reviewed", "review_body", text)


_MORE = orders(1, days=0.1)
REFUND: Said = ("Order Refunded", 0.5, {})  # of the first order
WITNESSES: dict[str, Witness] = {
    # value
    "never_bought": Witness(events=did("Product Viewed"), off=_MORE),
    "first_time_buyer": Witness(events=orders(50), off=_MORE),
    "repeat_buyer": Witness(events=orders(50, 50), cancel=True),
    "regular_buyer": Witness(events=orders(*[5] * 5), cancel=True),
    "champion": Witness(events=orders(*[5] * 10), days=LATER),
    "small_spender": Witness(events=orders(99), off=_MORE),
    "middle_spender": Witness(events=orders(499), off=_MORE),
    "high_spender": Witness(events=orders(1999), off=_MORE),
    "top_spender": Witness(events=orders(2000), cancel=True),
    "small_basket": Witness(events=orders(29), off=orders(100, days=0.1)),
    "medium_basket": Witness(events=orders(30), off=orders(1, days=0.1)),
    "large_basket": Witness(events=orders(299), off=orders(1, 1, 1, days=0.1, every=0.01)),
    "luxury_basket": Witness(events=orders(300), off=orders(1, days=0.1)),
    "big_ticket_buyer": Witness(events=orders(500), days=91),
    "active_buyer": Witness(events=orders(5, days=29), days=2),
    "cooling_buyer": Witness(events=orders(5, days=31), days=60),
    "buyer_at_risk": Witness(events=orders(5, days=91), days=90),
    "lapsed_buyer": Witness(events=orders(5, days=181), days=190),
    "lost_buyer": Witness(events=orders(5, days=366), off=_MORE),
    "big_spender_at_risk": Witness(events=orders(500, days=91), off=_MORE),
    "frequent_buyer": Witness(events=orders(5, 5, every=29), off=orders(5, days=200)),
    "seasonal_buyer": Witness(events=orders(5, 5, every=100), off=orders(5, 5, 5, days=2)),
    "price_sensitive": Witness(events=orders(5, discount=2), off=orders(5, 5, days=0.1)),
    "full_price_buyer": Witness(events=orders(5, 5), off=orders(5, days=0.1, discount=1)),
    "high_returner": Witness(events=[*orders(5), REFUND], off=orders(5, 5, 5, days=0.1, every=0.01)),
    "keeps_everything": Witness(events=orders(5, 5, 5), refund=True),
    "vip_candidate": Witness(events=orders(*[200] * 5), days=91),
    # behaviour
    "browsed_this_week": passing("Product Viewed"),
    "window_shopper": without("Product Viewed", 10, "Order Completed"),
    "hot_lead": Witness(events=[*did("Product Viewed", 5), *did("Product Added")], days=4),
    "searcher": passing("Products Searched", 3, query="x"),
    "list_browser": passing("Product List Viewed", 5),
    "filter_user": passing("Product List Filtered", 2),
    "comparer": passing("Product Clicked", 5),
    "promotion_clicker": passing("Promotion Clicked"),
    "promotion_blind": without("Promotion Viewed", 10, "Promotion Clicked"),
    "cart_filler": passing("Product Added"),
    "cart_abandoner": without("Product Added", 1, "Order Completed"),
    "cart_pruner": passing("Product Removed", 3),
    "cart_checker": passing("Cart Viewed", 5),
    "checkout_abandoner": without("Checkout Started", 1, "Order Completed"),
    "payment_hesitant": without("Payment Info Entered", 1, "Order Completed"),
    "coupon_user": passing("Coupon Applied"),
    "coupon_hunter": passing("Coupon Entered", 3),
    "coupon_refused": passing("Coupon Denied"),
    "wishlister": passing("Product Added to Wishlist"),
    "wish_fulfiller": passing("Wishlist Product Added to Cart"),
    "sharer": passing("Cart Shared"),
    "reviewer": passing("Product Reviewed"),
    "busy_reviewer": passing("Product Reviewed", 3),
    "five_star_giver": passing("Product Reviewed", rating=5),
    "harsh_critic": passing("Product Reviewed", rating="2"),
    "canceller": passing("Order Cancelled", order_id="c1"),
    "serial_canceller": passing("Order Cancelled", 3, order_id="c2"),
    "refunded": passing("Order Refunded", order_id="r1"),
    "order_changer": passing("Order Updated", order_id="u1"),
    "multi_buyer_this_month": Witness(events=orders(5, 5), days=31),
    "bulk_buyer": Witness(events=orders(5, products=[{"quantity": 10, "price": 1}]), days=91),
    "express_shipper": passing("Checkout Step Completed", shipping_method="FedEx Express"),
    "email_opener": passing("Email Opened"),
    "email_clicker": passing("Email Link Clicked"),
    "email_ignorer": without("Email Delivered", 5, "Email Opened"),
    "email_bouncing": passing("Email Bounced"),
    "spam_complainer": passing("Email Marked as Spam"),
    "unsubscribed": passing("Unsubscribed"),
    "push_tapper": passing("Push Notification Tapped"),
    "push_ignorer": without("Push Notification Received", 5, "Push Notification Tapped"),
    "app_user": passing("Application Opened"),
    "app_devotee": passing("Application Opened", 15),
    "app_newcomer": passing("Application Installed"),
    "app_leaver": passing("Application Uninstalled"),
    "app_crash_victim": passing("Application Crashed"),
    "deep_linker": passing("Deep Link Opened"),
    "campaign_installer": passing("Install Attributed"),
    "chatter": passing("Live Chat Conversation Started"),
    "frequent_chatter": passing("Live Chat Conversation Started", 3),
    "inviter": passing("Invite Sent"),
    "new_sign_up": passing("Signed Up"),
    "signed_in_this_week": passing("Signed In"),
    "on_trial": without("Trial Started", 1, "Trial Ended"),
    "trial_over": passing("Trial Ended"),
    "account_closer": passing("Account Deleted"),
    "page_reader": passing("page", 20),
    "screen_reader": passing("screen", 20),
    "one_time_visitor": Witness(events=did("page"), off=did("page", days=0.1)),
    "returning_visitor": Witness(events=[said for day in range(1, 6) for said in did("page", days=day)], split=True),
    "long_stayer": Witness(events=[said for part in range(5) for said in did("page", days=1 + part / 96)], split=True),
    "new_visitor": Witness(events=did("Product Viewed", days=6), days=2),
    "veteran": Witness(events=[*did("Product Viewed"), *did("Product Viewed", days=366)], split=True),
    "silent_for_a_month": Witness(events=did("Product Viewed", days=31), off=did("Product Viewed", days=0.1)),
    "silent_for_a_season": Witness(events=did("Product Viewed", days=91), off=did("Product Viewed", days=0.1)),
    # attribute
    "with_email": trait("email", "a@example.com"),
    "with_phone": trait("phone", "+4915112345678"),
    "unreachable": Witness(events=did("Product Viewed"), off_traits={"phone": "+4915112345678"}),
    "named": trait("firstName", "Ada"),
    "with_birthday": trait("birthday", "1990-01-01"),
    "with_address": trait("address", {"city": "Paris"}),
    "female": trait("gender", "女"),
    "male": trait("gender", "male"),
    "under_18": trait("age", 17),
    "aged_18_to_24": trait("age", 18),
    "aged_25_to_34": trait("age", 34),
    "aged_35_to_49": trait("age", "35"),
    "aged_50_and_over": trait("age", 50),
    "works_for_company": trait("company", {"name": "Acme"}),
    "on_a_plan": trait("plan", "pro"),
    "in_mainland_china": trait("address", {"country": "CN"}),
    "speaks_chinese": trait("locale", "zh-CN"),
    "speaks_english": trait("language", "en"),
    "account_of_a_year": trait("createdAt", "2020-01-01T00:00:00Z"),
    # need
    "cares_about_price": search("cheap lamp"),
    "looks_for_discounts": search("优惠券"),
    "cares_about_delivery": review("The courier came on Monday"),
    "cares_about_quality": search("衣服 质量"),
    "unsure_about_size": search("size chart"),
    "asks_about_returns": words("Live Chat Message Sent", "message_body", "怎么退货?"),
    "wants_service": search("customer service"),
    "cares_about_packaging": review("The box is blue"),
    "doubts_authenticity": words("Live Chat Message Sent", "message_body", "这是正品吗"),
    "gift_shopper": search("送给妈妈的礼物"),
    "parent": search("baby stroller"),
    "pet_owner": search("狗粮"),
    "sporty": search("running shoes"),
    "home_maker": search("沙发"),
    "beauty_fan": search("sunscreen spf 50"),
    "tech_fan": search("bluetooth headphones"),
    "style_seeker": search("elegant dress"),
    "eco_minded": search("recycled paper"),
    "health_minded": search("gluten free bread"),
    "waits_for_stock": search("什么时候补货"),
    "asks_about_payment": search("可以分期吗"),
    "needs_guidance": search("how to assemble"),
    "warranty_minded": search("warranty"),
    "points_minded": search("积分"),
    "unhappy_with_delivery": review("Delivery was terrible"),
    "unhappy_with_quality": review("质量很差"),
    "unhappy_with_price": review("Way too expensive, a disappointing price"),
    "unhappy_with_service": review("客服态度恶劣"),
    "unhappy_with_size": review("The size is wrong, really bad"),
    "happy_with_delivery": review("物流很快,非常满意"),
    "happy_with_quality": review("Excellent quality"),
    "happy_with_service": review("The staff was very helpful and friendly"),
    "sounds_happy": review("I love it"),
    "sounds_unhappy": review("太失望了"),
}
HOURS = {
    "night_shopper": 23, "morning_shopper": 6, "midday_shopper": 12, "afternoon_shopper": 15, "evening_shopper": 20,
}  # fmt: skip


def event(said: Said, via: UUID, key: str, place: int) -> ResolvedEvent:
    name, days, properties = said
    at = NOW - timedelta(days=days)
    if name in {"page", "screen"}:
        made = tracked(name, dict(properties), via=via, at=at)
        return msgspec.structs.replace(made, type=name, name=None)
    if name == "Order Completed":
        properties = {"order_id": f"{key}-{place}", **properties}
    if said == REFUND:
        properties = {"order_id": f"{key}-0"}
    return tracked(name, dict(properties), via=via, at=at)


def events(key: str, witness: Witness, via: UUID, other: UUID) -> Iterable[ResolvedEvent]:
    if witness.traits:
        yield identified(dict(witness.traits), via=via, at=NOW - timedelta(days=1))
    half = len(witness.events) // 2 if witness.split else len(witness.events)
    for place, said in enumerate(witness.events):
        yield event(said, via if place < half else other, key, place)
    if not witness.events and not witness.traits:
        yield tracked("Product Viewed", via=via, at=NOW - timedelta(days=1))


def afterwards(key: str, witness: Witness, via: UUID) -> Iterable[ResolvedEvent]:
    for place, said in enumerate(witness.off):
        yield event(said, via, key, 100 + place)
    if witness.off_traits is not None:
        yield identified(dict(witness.off_traits), via=via, at=NOW)
    if witness.refund:
        yield event(REFUND, via, key, 0)
    if witness.cancel:
        for place in range(len(witness.events)):
            yield tracked("Order Cancelled", {"order_id": f"{key}-{place}"}, via=via, at=NOW)


@pytest.fixture
def people() -> dict[str, tuple[UUID, UUID]]:
    return {key: (uuid7(), uuid7()) for key in WITNESSES}


async def test_every_derived_tag_comes_and_goes(
    catalogue: None, hear: Hear, assign: Hear, derive_at: Derive, listen: Derive, shown: Shown,
    people: dict[str, tuple[UUID, UUID]],
) -> None:  # fmt: skip
    await hear(*(said for key, (via, other) in people.items() for said in events(key, WITNESSES[key], via, other)))
    split = [pair for key, pair in people.items() if WITNESSES[key].split]
    for via, other in split:
        await assign(via, via, other, version=2)
    await listen()
    await derive_at(NOW)
    tags = await shown()
    assert [key for key, (via, _) in people.items() if key not in tags[via]] == []

    await hear(*(said for key, (via, _) in people.items() for said in afterwards(key, WITNESSES[key], via)))
    for _, other in split:
        await assign(other, other, version=3)
    for days in sorted({witness.days for witness in WITNESSES.values()}):
        those = [people[key][0] for key, witness in WITNESSES.items() if witness.days == days]
        await derive_at(datetime.now(UTC) + timedelta(days=days), *those)
    tags = await shown()
    assert [key for key, (via, _) in people.items() if key in tags[via]] == []


@pytest.mark.parametrize("key", sorted(HOURS))
async def test_a_favourite_hour_comes_and_goes(
    key: str, catalogue: None, hear: Hear, derive_at: Derive, shown: Shown, runtime: Runtime
) -> None:
    via, zone = uuid7(), runtime.settings.zone
    yesterday = (NOW - timedelta(days=2)).astimezone(zone)
    ordered = [
        tracked("Order Completed", {"order_id": f"{key}{n}"}, via=via, at=yesterday.replace(hour=HOURS[key], minute=n))
        for n in range(2)
    ]
    await hear(*ordered)
    await derive_at(NOW)
    assert (await shown())[via] & HOURS.keys() == {key}
    await hear(*(tracked("Order Cancelled", {"order_id": f"{key}{n}"}, via=via) for n in range(2)))
    await derive_at(datetime.now(UTC))
    assert (await shown())[via] & HOURS.keys() == set()


def test_no_tag_is_left_out() -> None:
    derived = {tag.key for tag in presets.tags() if tag.kind in {"rule", "words"}}
    assert derived == WITNESSES.keys() | HOURS.keys()
