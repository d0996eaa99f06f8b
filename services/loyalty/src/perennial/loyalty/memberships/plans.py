"""The plans of all versions of the programme: what a payment meant when it was made."""

from collections.abc import Callable, Sequence
from datetime import datetime

from perennial.loyalty.memberships.definition import Plan
from perennial.loyalty.programme.earning import Earner


class Plans:
    """Plans by code and by product. A version holds from its time on; before the first that has a plan, that one."""

    def __init__(self, versions: Sequence[Earner]) -> None:
        self._versions = [item.programme for item in versions if item.programme.plans]
        self.codes = {plan.code for item in self._versions for plan in item.plans}

    def __bool__(self) -> bool:
        return bool(self._versions)

    def at(self, code: str, at: datetime) -> Plan | None:
        """The plan as it was at an instant; withdrawn ones go on as they were."""
        return self._find(at, lambda plan: plan.code == code)

    def by_sku(self, skus: Sequence[str], at: datetime) -> str | None:
        """The code of the plan that one of these products pays for."""
        found = self._find(at, lambda plan: not set(skus).isdisjoint(plan.skus)) if skus else None
        return None if found is None else found.code

    def _find(self, at: datetime, fits: Callable[[Plan], bool]) -> Plan | None:
        earliest = None
        for version in reversed(self._versions):
            found = next((plan for plan in version.plans if fits(plan)), None)
            if found is not None and (version.valid_from is None or version.valid_from <= at):
                return found
            earliest = found or earliest
        return earliest
