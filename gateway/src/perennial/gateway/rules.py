"""Whether a principal may call a route, by the table of the platform's permissions."""

from perennial.common.auth import Principal
from perennial.common.problems import Forbidden
from perennial.gateway.permissions import CUSTOMER, KNOWN, PUBLIC, STAFF, WRITE_KEY


def check(principal: Principal, rule: str | None) -> None:
    """Raises Forbidden. A route without a rule, or with a rule of the tracking API, is answered to nobody."""
    if rule is None or rule == WRITE_KEY:
        raise Forbidden("this route has no rule: nobody may call it", code="insufficient_scope")
    if rule == PUBLIC:
        return
    if principal.kind == "customer" and rule != CUSTOMER:
        raise Forbidden("a customer token is good for /v1/me only", code="insufficient_scope")
    if rule == CUSTOMER:
        if principal.kind != "customer":
            raise Forbidden("a customer token is required", code="customer_token_required")
    elif rule == STAFF:
        if principal.kind != "staff":
            raise Forbidden("only staff may call this route", code="staff_required")
    elif rule != KNOWN:
        _check_scopes(principal, rule)


def _check_scopes(principal: Principal, rule: str) -> None:
    for scope in rule.split():
        if not principal.may(scope):
            raise Forbidden(f"the scope {scope} is required", code="insufficient_scope")
