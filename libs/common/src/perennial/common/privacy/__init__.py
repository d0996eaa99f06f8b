"""What a service holds about persons, told once: it is exported by that, erased by that, and no table is forgotten.

A service declares `privacy = Privacy(…)`; every table of its schema is named there, with the rows that are a person's,
or with the reason why it holds none. identity says whom to forget (`identity.customer.erased.v1`); each service then
deletes in small transactions and answers with a receipt.
"""

from perennial.common.privacy.declaring import Privacy
from perennial.common.privacy.files import Files
from perennial.common.privacy.tables import create_privacy_tables, drop_privacy_tables, erasable
from perennial.common.privacy.terms import Held, Searched, Subject

__all__ = [
    "Files",
    "Held",
    "Privacy",
    "Searched",
    "Subject",
    "create_privacy_tables",
    "drop_privacy_tables",
    "erasable",
]
