"""No table is forgotten: each is told, with the rows that are a person's or with the reason why it has none."""

import pytest

from perennial.common import service as services
from perennial.common.privacy.common import NONE
from perennial.common.privacy.terms import Held, Searched
from perennial.common.service import Service

EXCUSED = {
    "computed_feed",  # how far a job has come
    "decision",  # keeps repeats out for 35 days, by digests
    "erased",
    "erasure",
    "erasure_request",
}
SERVICES = [services.load(name) for name in services.names()]


def told(service: Service) -> dict[str, str]:
    assert service.privacy is not None, f"{service.name} does not say what it holds about persons"
    said: dict[str, str] = {}
    for name, held in service.privacy.all().items():
        said[name] = "held"
        if isinstance(held, Searched):
            said |= dict.fromkeys(held.first, "held")
    said |= {name: reason for name, reason in service.privacy.none.items() if name not in said}
    return {**{name: reason for name, reason in NONE.items() if name in service.metadata.tables}, **said}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_table_is_told_and_nothing_else(service: Service) -> None:
    tables, said = set(service.metadata.tables), set(told(service))
    assert tables - said == set(), f"{service.name}: say in its privacy what these hold of persons"
    assert said - tables == set(), f"{service.name}: these are no tables"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_what_says_whose_it_is_holds_something(service: Service) -> None:
    assert service.privacy is not None
    held = service.privacy.all()
    hanging = {name for one in held.values() if isinstance(one, Searched) for name in one.first}
    for table in service.metadata.tables.values():
        if {"via", "customer_id"} & set(table.columns.keys()) and table.name not in hanging:
            assert table.name in held or table.name in EXCUSED, f"{service.name}.{table.name} is some person's"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_rows_that_stay_have_a_reason_and_columns_exist(service: Service) -> None:
    assert service.privacy is not None
    for name, held in service.privacy.all().items():
        columns = set(service.metadata.tables[name].columns.keys())
        assert held.hidden <= columns, name
        if isinstance(held, Held):
            assert held.kept is None or len(held.kept) > 20, f"{service.name}.{name}: why does it stay?"
        else:
            assert {held.key, *held.columns} <= columns, name
