"""Codes that people read to each other, and that nobody guesses."""

import re
import secrets

ALPHABET = "23456789ACDEFGHJKMNPQRTVWXYZ"  # nothing that looks like something else
LENGTH = 10  # 48 bits
_NOISE = re.compile(r"[\s\-_.]+")
_CODE = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")


def new() -> str:
    """A code by chance, such as K7QM3-TXP9W."""
    return _grouped("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))


def plain(said: object) -> str | None:
    """The code that somebody typed, whatever the case and the dashes; None when it cannot be one."""
    if not isinstance(said, str) or len(said) > 4 * LENGTH:
        return None
    code = _NOISE.sub("", said).upper()
    return _grouped(code) if _CODE.fullmatch(code) else None


def _grouped(code: str) -> str:
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"
