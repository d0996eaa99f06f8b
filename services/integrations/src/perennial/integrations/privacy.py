"""What integrations holds about persons: facts on their way to partners, and the log of them."""

import json
from collections.abc import Mapping
from typing import Any

from perennial.common.privacy import Privacy, Searched, Subject
from perennial.common.privacy.terms import Judge
from perennial.common.settings import CommonSettings


def _about(_: CommonSettings, subject: Subject) -> Judge:
    ids = {str(via) for via in subject.vias}

    def judge(row: Mapping[str, Any]) -> bool:
        said = json.loads(bytes(row["personal_body"] or row["body"])).get("data")
        if not isinstance(said, dict) or "erasure_id" in said:  # a partner must hear whom to forget
            return False
        whose = said.get("via") or said.get("customer")  # a customer of then may be somebody else's today
        if whose is not None:
            return str(whose) in ids
        return any(str(said.get(side)) in ids for side in ("survivor", "merged", "separated"))

    return judge


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
            hidden=frozenset({"body"}),
        )
    },
    none={"webhook": "partners", "webhook_secret": "partners"},
)
