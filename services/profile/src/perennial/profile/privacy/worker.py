"""The receipts of every service."""

from typing import Any

from perennial.common.contracts import catalogue
from perennial.common.contracts.base import ErasureReceipt
from perennial.common.messaging import Reaction, on
from perennial.profile.privacy import service

RECEIPTS: tuple[Reaction[Any], ...] = tuple(
    on(contract, service.receive) for contract in catalogue().values() if issubclass(contract, ErasureReceipt)
)
