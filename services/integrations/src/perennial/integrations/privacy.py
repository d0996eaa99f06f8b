"""What integrations holds about persons: facts on their way to partners, and the log of them."""

import json
from collections.abc import Mapping
from typing import Any

from perennial.common.privacy import Privacy, Searched, Subject
from perennial.common.privacy.common import of_body, without_them
from perennial.common.privacy.terms import Cut, Judge
from perennial.common.settings import CommonSettings
from perennial.integrations import disclosure


def _message(row: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(bytes(row["personal_body"] or row["body"])))


def _data(row: Mapping[str, Any]) -> bytes:
    return json.dumps(_message(row).get("data")).encode()


def _about(_: CommonSettings, subject: Subject) -> Judge:
    """Messages about the person and nobody else; that they must forget, too, partners have to hear."""
    ids = {str(via) for via in subject.vias}

    def judge(row: Mapping[str, Any]) -> bool:
        return of_body(_data(row), ids)

    return judge


def _without(settings: CommonSettings, subject: Subject) -> Cut:
    """Of a message that lists several people: both its forms without the person's parts."""
    left_of = without_them(settings, subject)

    def cut(row: Mapping[str, Any]) -> dict[str, Any] | None:
        left = left_of({"body": _data(row)})
        if left is None:
            return None
        public, whole = disclosure.forms({**_message(row), "data": json.loads(left["body"])})
        return {"body": public, "personal_body": whole}

    return cut


PRIVACY = Privacy(
    tables={
        "message": Searched(
            "id",
            ("body", "personal_body"),
            _about,
            first={
                "attempt": "DELETE FROM attempt WHERE message_id = ANY(:keys)",
                "delivery": "DELETE FROM delivery WHERE message_id = ANY(:keys)",
            },
            cut=_without,
            then=(
                "UPDATE delivery SET body = NULL WHERE message_id = ANY(:keys) AND body IS NOT NULL",
                "UPDATE attempt SET response = '' WHERE message_id = ANY(:keys) AND response <> ''",
            ),
            hidden=frozenset({"body"}),
        )
    },
    none={"webhook": "partners", "webhook_secret": "partners"},
)
