"""The terms in which a service tells what it holds about persons."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from perennial.common.settings import CommonSettings

OF_VIA, OF_CUSTOMER = "via = ANY(:vias)", "customer_id = ANY(:vias)"


@dataclass(frozen=True)
class Subject:
    """Who is exported or erased: all identifiers' ids (a customer is named after one), and their blind indexes."""

    vias: frozenset[UUID]
    digests: frozenset[bytes]
    at: datetime | None = None


@dataclass(frozen=True)
class Held:
    """A table in which a person's rows are found by a condition over `:vias`, for which there is an index.

    They are deleted; `function`, made by `erasable`, does it where the login role may not, or where a condition is not
    enough (partitions). `kept` says why rows stay: then a `function` only takes out of them what tells of the person,
    and `key` is their order in an export, where there is no primary key.
    `hidden` columns are no part of an export; `exported` is False for copies of what another table says.
    """

    rows: str = OF_VIA
    function: str | None = None
    kept: str | None = None
    key: str = "ctid"
    hidden: frozenset[str] = frozenset()
    exported: bool = True
    open: "Callable[[CommonSettings, dict[str, Any]], dict[str, Any]] | None" = None


Judge = Callable[[Mapping[str, Any]], bool]
Cut = Callable[[Mapping[str, Any]], dict[str, Any] | None]


@dataclass(frozen=True)
class Searched:
    """A table that says only in its texts whose a row is: it is read through once, in the order of its key.

    `judge` makes a question of the settings and the person: is this row theirs? `cut` takes what
    is theirs out of a row that is other people's too: it makes the columns anew, or None. `first` deletes what hangs
    on rows, in other tables: SQL over `:keys`. `then` is SQL over the `:keys` of rows that were cut, for what other
    tables repeat of them.
    """

    key: str
    columns: tuple[str, ...]
    judge: Callable[[CommonSettings, Subject], Judge]
    first: Mapping[str, str] = field(default_factory=dict)
    cut: "Callable[[CommonSettings, Subject], Cut] | None" = None
    then: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
