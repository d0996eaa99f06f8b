"""The platform's one rule language: JSON in, answers in memory or by SQL, with reasons.

    rule = parse({"all": [{"trait": "plan", "is": "pro"}, {"event": "Order Completed", "within": "P90D"}]})
    holds = compile(rule)
    holds(view, now)

The grammar, and how values are read, is told in this package's README.md.
"""

from perennial.common.rules.changes.flip import Flip, flips, next_flip
from perennial.common.rules.evaluation.evaluate import Predicate
from perennial.common.rules.evaluation.evaluate import compile_rule as compile  # noqa: A004 (like re.compile)
from perennial.common.rules.evaluation.footprint import Footprint, footprint
from perennial.common.rules.explain import Explanation, explain
from perennial.common.rules.grammar.checking import Fields, check
from perennial.common.rules.grammar.nodes import Rule
from perennial.common.rules.grammar.parsing import RuleError, dump, json_schema, parse
from perennial.common.rules.sentences.describe import describe
from perennial.common.rules.sentences.reading import parse_sentence
from perennial.common.rules.sql.query import Sql, to_sql
from perennial.common.rules.sql.timed import awaiting_sql
from perennial.common.rules.values.paths import trait_key
from perennial.common.rules.view import Occurrence, View

__all__ = [
    "Explanation",
    "Fields",
    "Flip",
    "Footprint",
    "Occurrence",
    "Predicate",
    "Rule",
    "RuleError",
    "Sql",
    "View",
    "awaiting_sql",
    "check",
    "compile",
    "describe",
    "dump",
    "explain",
    "flips",
    "footprint",
    "json_schema",
    "next_flip",
    "parse",
    "parse_sentence",
    "to_sql",
    "trait_key",
]
