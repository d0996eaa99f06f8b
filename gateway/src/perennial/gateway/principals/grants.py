"""What a principal may hand on: never more than it holds itself."""

from collections.abc import Iterable

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.problems import Forbidden, Unprocessable
from perennial.gateway.permissions import SCOPES, Role

# With these one becomes any customer.
_SIGNS_IN = frozenset({"*", "tokens:*", "tokens:mint", "tokens:write"})
RESOURCES = frozenset(scope.partition(":")[0] for scope in SCOPES)


def check_known(scopes: Iterable[str]) -> None:
    """Raises Unprocessable naming scopes that no route asks for."""
    wildcards = {"*", *(f"{resource}:*" for resource in RESOURCES)}
    unknown = sorted(set(scopes) - SCOPES - wildcards)
    if unknown:
        raise Unprocessable(f"scopes: unknown: {', '.join(unknown)}", code="unknown_scope", pointer="/scopes")


def covers(principal: Principal, scope: str) -> bool:
    """Whether everything that a scope grants, wildcards included, is granted to the principal already."""
    if scope == "*":
        return "*" in principal.scopes
    resource, _, action = scope.partition(":")
    return bool({"*", f"{resource}:*"} & principal.scopes) or (action != "*" and scope in principal.scopes)


def check_customers(principal: Principal) -> None:
    """Raises Forbidden unless the principal may see any customer in clear: to sign one in is to see them."""
    if not masks.sees_all(principal) and not principal.may(masks.REVEAL):
        detail = f"the scope {masks.REVEAL} is required, or * in fields: a customer's token shows the customer in clear"
        raise Forbidden(detail, code="insufficient_scope")


def check(principal: Principal, scopes: Iterable[str], fields: Iterable[str]) -> None:
    """Raises Forbidden naming what the principal does not hold."""
    scopes = set(scopes)
    beyond = sorted(scope for scope in scopes if not covers(principal, scope))
    if beyond:
        raise Forbidden(f"scopes: you do not hold {', '.join(beyond)}", code="insufficient_scope", pointer="/scopes")
    unseen = sorted({field for field in fields if not masks.covers(principal.fields, field)})
    if unseen:
        detail = f"fields: you do not see {', '.join(unseen)} in clear"
        raise Forbidden(detail, code="insufficient_fields", pointer="/fields")
    if scopes & _SIGNS_IN:
        check_customers(principal)


def check_role(principal: Principal, name: str, role: Role) -> None:
    """Raises Forbidden unless the principal holds all that a role holds: to give it, or to act on who has it."""
    lacking = [scope for scope in sorted(role.scopes) if not covers(principal, scope)]
    lacking += [f"the field {field}" for field in sorted(role.fields) if not masks.covers(principal.fields, field)]
    if lacking:
        detail = f"role: {name} holds what you do not: {', '.join(lacking)}"
        raise Forbidden(detail, code="role_above_own", pointer="/role")
