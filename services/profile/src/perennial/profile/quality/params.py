"""Who may see and who may change what there is on quality."""

from typing import Annotated

from fastapi import Depends

from perennial.common.auth import Principal, requires
from perennial.common.web import Read
from perennial.profile.traits.definitions import schema


async def _reader(session: Read, who: Annotated[Principal, Depends(requires("quality:read"))]) -> Principal:
    return schema.seeing(who, await schema.in_force(session))


async def _writer(session: Read, who: Annotated[Principal, Depends(requires("quality:write"))]) -> Principal:
    return schema.seeing(who, await schema.in_force(session))


MayRead = Annotated[Principal, Depends(_reader)]
MayWrite = Annotated[Principal, Depends(_writer)]
