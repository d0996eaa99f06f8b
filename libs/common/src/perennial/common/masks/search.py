"""What a search may look into, so that finding somebody tells nothing that reading them would hide."""

from perennial.common.auth import Principal
from perennial.common.masks.fields import PUBLIC, SENSITIVE, sees, sees_all
from perennial.common.masks.values import EMAIL, PHONE

# Asked of a trait's stored key and its text: the twin of `sees` and of what `text` masks.
_KEY = "lower(regexp_replace(btrim(normalize({key}, NFKC)), '[\\s.-]+', '_', 'g'))"
_SEEN = """
    (:mask_nothing OR (
        ({name} = ANY(CAST(:mask_open AS text[])) OR ((:mask_personal AND {name} !~ :mask_pattern
         OR :mask_sensitive AND {name} ~ :mask_pattern) AND {name} <> ALL(CAST(:mask_closed AS text[]))))
        AND (:mask_email OR {value} !~ :mask_emails) AND (:mask_phone OR {value} !~ :mask_phones)))"""


def searchable(key: str, value: str) -> str:
    """SQL of whether a principal may search a trait, given SQL of its key and of its text; see `search_parameters`."""
    return _SEEN.format(name=_KEY.format(key=key), value=value)


def search_parameters(principal: Principal) -> dict[str, object]:
    """What `searchable` binds for a principal."""
    closed = {field for field in principal.classes if not sees(principal, field)}
    return {
        "mask_nothing": sees_all(principal),
        "mask_open": sorted((PUBLIC | principal.fields | principal.classes.keys()) - closed),
        "mask_closed": sorted(closed),
        "mask_personal": "personal" in principal.fields,
        "mask_sensitive": "sensitive" in principal.fields,
        "mask_pattern": SENSITIVE,
        "mask_email": sees(principal, "email"),
        "mask_phone": sees(principal, "phone"),
        "mask_emails": EMAIL,
        "mask_phones": PHONE,
    }
