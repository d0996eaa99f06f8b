"""What schemathesis cannot know: what it must not saw off, and that a schema says how data looks, not what it means.

Loaded by name from the configuration that `test_schema` writes.
"""

import json
import os
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

from perennial.gateway.guard import MAX_TARGET_BYTES

AnyCase = schemathesis.Case[Any]
OWN = frozenset(os.environ["PERENNIAL_SCHEMA_OWN"].split())
# What only the server can know: whether a cursor is of this list, an ETag is the last one, an identifier one at all.
UNKNOWABLE = frozenset({"bad_cursor", "invalid_identifier", "precondition_failed", "precondition_required"})
# What our own validators say of a field; NUL, refused in every text; blanks around a text, which do not count.
MEANING = frozenset({"decimal_max_places", "invalid_request", "nul", "string_too_short", "value_error"})


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: AnyCase, kwargs: dict[str, Any]) -> None:
    """Changing the key, session or source that the run lives on is aimed at nothing instead."""
    parameters = case.path_parameters
    if case.method.upper() == "GET" or not isinstance(parameters, dict):
        return
    for name, value in parameters.items():
        if value in OWN:
            parameters[name] = "nothing"


@schemathesis.hook
def filter_failure(context: schemathesis.HookContext, failure: Failure, case: AnyCase, response: Response) -> bool:
    """Whether a failure is one: a refusal by meaning, not by form, is none; nor is what ended and stays on record."""
    if response.status_code == 414 and len(str(response.request.path_url)) > MAX_TARGET_BYTES:
        return False  # each parameter has its length, and so have all together
    if isinstance(failure, RejectedPositiveData):
        return not (_is_tracking(case) or _refused_by_meaning(case, response))
    return not (isinstance(failure, UseAfterFree) and _is_on_record(response))


def _is_on_record(response: Response) -> bool:
    """A revoked key, an archived journey or segment: useless, but whoever asks later learns what became of it."""
    body = json.loads(response.content or b"{}")
    return bool(body.get("revoked_at")) or body.get("state") == "archived"


def _is_tracking(case: AnyCase) -> bool:
    """Tracking documents any object on purpose; the server sorts out the events that make no sense."""
    return "tracking" in (case.operation.tags or ())


def _refused_by_meaning(case: AnyCase, response: Response) -> bool:
    try:
        problem = json.loads(response.content or b"")
    except ValueError:
        return False
    if problem["code"] in UNKNOWABLE:
        return True
    # An id in a path may be one of another kind, which a guessed link carried there.
    form = [error for error in problem.get("errors", ()) if not error["pointer"].startswith("path/")]
    wrong = [error for error in form if error["code"] not in MEANING and not _is_of_python(case, error)]
    return response.status_code == 422 and not (problem["code"] == "invalid_request" and wrong)


def _is_of_python(case: AnyCase, error: dict[str, Any]) -> bool:
    """A text that ends in a line feed: `$` matches before it in Python, which made the text, and not in JSON Schema."""
    if error["code"] != "string_pattern_mismatch" or not error["pointer"].startswith("/"):
        return False
    found: Any = case.body
    for step in error["pointer"].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        known = dict(enumerate(found)) if isinstance(found, list) else found if isinstance(found, dict) else {}
        found = known.get(int(name) if isinstance(found, list) else name, "")
    return str(found).endswith("\n")
