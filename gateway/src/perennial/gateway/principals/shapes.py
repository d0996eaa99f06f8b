"""Fields that bodies of several features share."""

from typing import Annotated

from pydantic import Field, StringConstraints

Scope = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z_-]{0,39}:(\*|[a-z][a-z_-]{0,39}))$")]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
SeenField = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9_]{0,63})$")]
SeenFields = Annotated[
    list[SeenField],
    Field(
        max_length=200,
        description="What is seen in clear besides public fields: names, `personal`, `sensitive`, or `*`.",
    ),
]
