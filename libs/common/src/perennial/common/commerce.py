"""Semantic events: the names of e-commerce and of the life of a customer, and the money in them."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

ORDER_COMPLETED = "Order Completed"
ORDER_UPDATED = "Order Updated"
ORDER_CANCELLED = "Order Cancelled"
ORDER_REFUNDED = "Order Refunded"
ORDER_DELIVERED = "Order Delivered"
PRODUCT_ADDED = "Product Added"
ORDER_EVENTS = frozenset({ORDER_COMPLETED, ORDER_UPDATED, ORDER_CANCELLED, ORDER_REFUNDED})

NAMES = (
    "Products Searched", "Product List Viewed", "Product List Filtered", "Promotion Viewed", "Promotion Clicked",
    "Product Clicked", "Product Viewed", PRODUCT_ADDED, "Product Removed", "Cart Viewed", "Checkout Started",
    "Checkout Step Viewed", "Checkout Step Completed", "Payment Info Entered", ORDER_COMPLETED, ORDER_UPDATED,
    ORDER_CANCELLED, ORDER_REFUNDED, ORDER_DELIVERED, "Coupon Entered", "Coupon Applied", "Coupon Denied",
    "Coupon Removed", "Product Added to Wishlist", "Product Removed from Wishlist", "Wishlist Product Added to Cart",
    "Product Shared", "Cart Shared", "Product Reviewed",
)  # fmt: skip
ALIASES = {
    "Viewed Product Category": "Product List Viewed",
    "Viewed Promotion": "Promotion Viewed",
    "Clicked Promotion": "Promotion Clicked",
    "Clicked Product": "Product Clicked",
    "Viewed Product": "Product Viewed",
    "Added Product": PRODUCT_ADDED,
    "Removed Product": "Product Removed",
    "Started Order": "Checkout Started",
    "Viewed Checkout Step": "Checkout Step Viewed",
    "Completed Checkout Step": "Checkout Step Completed",
    "Completed Order": ORDER_COMPLETED,
    "Updated Order": ORDER_UPDATED,
    "Order Canceled": ORDER_CANCELLED,
    "Cancelled Order": ORDER_CANCELLED,
    "Refunded Order": ORDER_REFUNDED,
    "Viewed Cart": "Cart Viewed",
    "Membership Canceled": "Membership Cancelled",
}
LIFECYCLE = (
    "Email Delivered", "Email Opened", "Email Link Clicked", "Email Bounced", "Email Marked as Spam", "Unsubscribed",
    "Push Notification Received", "Push Notification Tapped", "Push Notification Bounced", "Application Installed",
    "Application Opened", "Application Updated", "Application Backgrounded", "Application Uninstalled",
    "Application Crashed", "Deep Link Opened", "Install Attributed", "Live Chat Conversation Started",
    "Live Chat Conversation Ended", "Live Chat Message Sent", "Live Chat Message Received", "Account Created",
    "Account Deleted", "Signed Up", "Signed In", "Signed Out", "Invite Sent", "Account Added User",
    "Account Removed User", "Trial Started", "Trial Ended", "Membership Purchased", "Membership Renewed",
    "Membership Payment Failed", "Membership Cancelled", "Membership Refunded", "Referral Clicked",
)  # fmt: skip
_CANONICAL = {name.casefold(): name for name in (*NAMES, *LIFECYCLE)} | {
    old.casefold(): new for old, new in ALIASES.items()
}
_CURRENCY = re.compile(r"^[A-Z]{3}$")
_CENT = Decimal("0.01")
_LARGEST = Decimal(10) ** 12


def canonical(name: str) -> str:
    """The standard name of an event, whatever its case or age; other names are only trimmed."""
    trimmed = name.strip()
    return _CANONICAL.get(trimmed.casefold(), trimmed)


def decimal(value: Any) -> Decimal | None:
    """A finite number, however it was written; None when it is none. Never float arithmetic."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and -_LARGEST < number < _LARGEST else None  # abs() would round, and overflow


def order_id(properties: Mapping[str, Any]) -> str | None:
    """The order's id as text, or None."""
    value = properties.get("order_id", properties.get("orderId"))
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text[:255] or None


def amount(properties: Mapping[str, Any]) -> Decimal | None:
    """What an order is worth, in its currency: revenue, else total − shipping − tax, else the products less discount.

    Rounded half-even to cents; None when the event says nothing of money.
    """
    revenue = decimal(properties.get("revenue"))
    if revenue is None:
        total = decimal(properties.get("total"))
        if total is not None:
            shipping, tax = decimal(properties.get("shipping")), decimal(properties.get("tax"))
            revenue = total - (shipping or 0) - (tax or 0)
        else:
            revenue = _products(properties)
    if revenue is None or abs(revenue) >= _LARGEST:
        return None
    return revenue.quantize(_CENT, ROUND_HALF_EVEN)


def _products(properties: Mapping[str, Any]) -> Decimal | None:
    products = properties.get("products")
    if not isinstance(products, list):
        return None
    lines = [item for item in products if isinstance(item, Mapping) and decimal(item.get("price")) is not None]
    if not lines:
        return None
    gross = sum((_line(item) for item in lines), Decimal(0))
    return gross - (decimal(properties.get("discount")) or 0)


def _line(product: Mapping[str, Any]) -> Decimal:
    quantity = decimal(product.get("quantity"))
    return (decimal(product.get("price")) or Decimal(0)) * (Decimal(1) if quantity is None else quantity)


def currency(properties: Mapping[str, Any], default: str) -> str:
    """The ISO 4217 code of an event, or the deployment's."""
    value = properties.get("currency")
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if _CURRENCY.match(code) else default
