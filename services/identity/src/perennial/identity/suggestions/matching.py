"""Which records are probably the same person: Fellegi and Sunter's model, trained on the records themselves by Splink.

No labels are used. The same records in the same order give the same pairs with the same weights: one thread, one seed.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from perennial.identity.suggestions.pairs import FEWEST, Agreement, Pair, Record

FIELDS = (
    "first_name", "last_name", "number", "street", "district", "city", "postcode", "region", "birthday", "id_number",
    "email_name", "phone_tail",
)  # fmt: skip
_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", *FIELDS)])
TEXTS = frozenset({"first_name", "last_name", "street", "district", "city", "email_name"})
CODES = {"number": 1, "postcode": 1, "birthday": 2, "id_number": 2, "phone_tail": 1}
# Pairs are compared where they agree on one of these; a value that too many share brings nobody together.
BLOCKS = (
    ("first_name", "last_name"), ("last_name", "postcode"), ("first_name", "postcode"), ("last_name", "city"),
    ("first_name", "city"), ("street",), ("district",), ("city", "number"), ("postcode", "number"), ("birthday",),
    ("id_number",), ("email_name",), ("phone_tail",),
)  # fmt: skip
COMMON = 100
# Each pass holds some fields equal and learns how the others vary among the matches.
PASSES = (
    ("first_name", "last_name"), ("street",), ("city", "postcode"), ("last_name", "birthday"), ("birthday",),
)  # fmt: skip
# A pass that hardly any match can be in teaches nonsense: so many pairs must agree in so many fields more.
ALIKE, AGREEING = 30, 3
SURE = (("first_name", "last_name", "city"), ("last_name", "street", "postcode"), ("first_name", "street", "city"))
SURE_RECALL = 0.8  # the share of matches that the sure rules find; only the prior depends on it

FILLED = 0.02  # the share of records that must have a field
TRAINING_PAIRS = 2_000_000
SEED = 1
THRESHOLD = 3.0  # bits: eight to one for a match

MEMORY = "1GB"


BATCH = 10_000


class Records:
    """Records (`id` and FIELDS, all text) as columns: a tenth of what they take as objects."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._fresh: dict[str, list[str | None]] = {name: [] for name in _SCHEMA.names}
        self._batches: list[pa.RecordBatch] = []
        self._count = 0
        for record in records:
            self.add(record)

    def __len__(self) -> int:
        return self._count

    def add(self, record: Record) -> None:
        """One more."""
        for name, column in self._fresh.items():
            column.append(record.get(name) or None)
        self._count += 1
        if not self._count % BATCH:
            self._pack()

    def table(self) -> pa.Table:
        """All of them in the order of their ids."""
        self._pack()
        return pa.Table.from_batches(self._batches, _SCHEMA).sort_by("id")

    def _pack(self) -> None:
        self._batches.append(pa.record_batch(self._fresh, _SCHEMA))
        self._fresh = {name: [] for name in _SCHEMA.names}


def match(records: Iterable[Record] | Records, threshold: float = THRESHOLD) -> list[Pair]:
    """The probable pairs among records, best first; none among too few."""
    held = records if isinstance(records, Records) else Records(records)
    if len(held) < FEWEST:
        return []
    logging.getLogger("splink").setLevel(logging.ERROR)
    connection = duckdb.connect(config={"threads": 1, "memory_limit": MEMORY})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _matched(connection, held.table(), threshold)
    finally:
        connection.close()


def _matched(connection: duckdb.DuckDBPyConnection, table: pa.Table, threshold: float) -> list[Pair]:
    rows = table.num_rows
    present = [name for name in FIELDS if rows - table.column(name).null_count > FILLED * rows]
    if not {"last_name", "first_name"} & set(present):
        return []
    connection.register("record", table.select(["id", *present]))
    blocks = [block for block in BLOCKS if set(block) <= set(present)]
    connection.execute(f"CREATE TABLE blocked AS SELECT record.*, {_block_columns(blocks)} FROM record")  # noqa: S608
    model = _trained(connection, present, blocks)
    found = model.inference.predict(threshold_match_weight=threshold)
    return _pairs(found.as_record_list(), present)


def _block_columns(blocks: Sequence[Sequence[str]]) -> str:
    """A column for each block: its values in one text, null where one is missing or too many records share it."""
    columns = []
    for number, block in enumerate(blocks):
        key = " || chr(31) || ".join(f'"{name}"' for name in block)
        columns.append(f"CASE WHEN count(*) OVER (PARTITION BY {key}) <= {COMMON} THEN {key} END AS block_{number}")
    return ", ".join(columns)


def _trained(connection: duckdb.DuckDBPyConnection, present: Sequence[str], blocks: Sequence[Sequence[str]]) -> Any:
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on  # noqa: PLC0415 (a second's import, by the job only)
    from splink.internals.exceptions import EMTrainingException  # noqa: PLC0415 (it has no public name)

    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="id",
        comparisons=[_comparison(name) for name in present],
        blocking_rules_to_generate_predictions=[block_on(f"block_{number}") for number in range(len(blocks))],
        retain_intermediate_calculation_columns=True,
        retain_matching_columns=True,
    )
    api = DuckDBAPI(connection)
    linker = Linker(api.register(connection.table("blocked").to_arrow_table()), settings, log_level=None)
    sure: list[Any] = [block_on(*rule) for rule in SURE if set(rule) <= set(present)]
    if sure:
        linker.training.estimate_probability_two_random_records_match(sure, recall=SURE_RECALL)
    linker.training.estimate_u_using_random_sampling(max_pairs=TRAINING_PAIRS, seed=SEED)
    for fields in PASSES:
        if set(fields) <= set(present) and _alike(connection, fields, present) >= ALIKE:
            # No pair at all, or all so equal that a probability vanished: this pass teaches nothing.
            with contextlib.suppress(EMTrainingException, ValueError):
                linker.training.estimate_parameters_using_expectation_maximisation(block_on(*fields))
    return linker


def _alike(connection: duckdb.DuckDBPyConnection, fields: Sequence[str], present: Sequence[str]) -> int:
    """How many pairs agree in these fields and in some others; values that too many share are left aside."""
    others = [name for name in present if name not in fields]
    agreeing = " + ".join(f"""coalesce(a."{name}" = b."{name}", false)::int""" for name in others)
    key = " || chr(31) || ".join(f'"{name}"' for name in fields)
    found = connection.execute(f"""
        WITH keyed AS (SELECT *, {key} AS key, count(*) OVER (PARTITION BY {key}) AS sharing FROM record)
        SELECT count(*) FROM keyed a JOIN keyed b ON a.key = b.key AND a.id < b.id
        WHERE a.sharing <= {10 * COMMON} AND {agreeing} >= {min(AGREEING, len(others))}""").fetchall()  # noqa: S608
    return int(found[0][0])


def _comparison(name: str) -> Any:
    from splink import comparison_library as library  # noqa: PLC0415 (see above)

    if name in TEXTS:
        return library.JaroWinklerAtThresholds(name, [0.92, 0.8]).configure(term_frequency_adjustments=True)
    if name in CODES:
        made = library.DamerauLevenshteinAtThresholds(name, list(range(1, CODES[name] + 1)))
        return made.configure(term_frequency_adjustments=name in {"number", "postcode"})
    return library.ExactMatch(name).configure(term_frequency_adjustments=True)


def _levels(name: str) -> dict[int, str]:
    """What the model's levels of a field are called, by their number."""
    steps = 2 if name in TEXTS else CODES.get(name, 0)
    named = ["different", *["similar"] * steps, "equal"]
    return {-1: "missing", **dict(enumerate(named))}


def _pairs(rows: Sequence[Mapping[str, Any]], present: Sequence[str]) -> list[Pair]:
    levels = {name: _levels(name) for name in present}
    found = []
    for row in rows:
        low, high = sorted((str(row["id_l"]), str(row["id_r"])))
        fields = {
            name: Agreement(
                levels[name][row[f"gamma_{name}"]],
                round(float(row[f"mw_{name}"]) + float(row.get(f"mw_tf_adj_{name}") or 0), 2),
            )
            for name in present
            if f"gamma_{name}" in row  # a field of which nothing could be learnt is left out of the model
        }
        found.append(Pair(low, high, round(float(row["match_weight"]), 3), float(row["match_probability"]), fields))
    return sorted(found, key=lambda pair: (-pair.weight, pair.low, pair.high))
