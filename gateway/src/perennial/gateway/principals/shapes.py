"""Fields that bodies of principals share: what is granted."""

from typing import Annotated

from pydantic import Field, StringConstraints

Scope = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z_-]{0,39}:(\*|[a-z][a-z_-]{0,39}))$")]
SeenField = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9_]{0,63})$")]
SeenFields = Annotated[
    list[SeenField],
    Field(
        max_length=200,
        description="What is seen in clear besides public fields: names, `personal`, `sensitive`, or `*`.",
    ),
]
