"""What services say to each other: one module or package for each producer, `domain.noun.past-verb.vN`."""

from importlib import import_module

from perennial.common.contracts.base import Event

PRODUCERS = ("gateway", "identity", "profile", "segments", "campaigns", "loyalty", "tickets", "integrations")


def catalogue() -> dict[str, type[Event]]:
    """Every fact's contract by its subject (the two hot streams are structs: `gateway`, `identity`)."""
    for producer in PRODUCERS:
        import_module(f"perennial.common.contracts.{producer}")
    found: dict[str, type[Event]] = {}
    pending = list(Event.__subclasses__())
    while pending:
        contract = pending.pop()
        pending.extend(contract.__subclasses__())
        if "subject" in vars(contract) and contract.__module__.startswith(f"{__name__}."):
            found[contract.subject] = contract
    return dict(sorted(found.items()))


__all__ = ["PRODUCERS", "Event", "catalogue"]
