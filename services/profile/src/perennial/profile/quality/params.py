"""Who may see and who may change what there is on quality."""

from typing import Annotated

from fastapi import Depends

from perennial.common.auth import Principal
from perennial.profile.traits.readers import with_classes

MayRead = Annotated[Principal, Depends(with_classes("quality:read"))]
MayWrite = Annotated[Principal, Depends(with_classes("quality:write"))]
