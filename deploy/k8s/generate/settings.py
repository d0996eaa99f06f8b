"""Settings with their values, as the classes have them: one file for all processes, one for each service."""

import functools
import json
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from perennial.common import service as services
from perennial.common.settings import CommonSettings

PREFIX = "PERENNIAL_"
# Each service has a size of its own.
SIZES = ("pool_size", "concurrency")
# Half of a key pair comes from where the other half is.
PAIRED = "internal_key"


def is_secret(info: FieldInfo) -> bool:
    """Whether a setting must not be seen."""
    return SecretStr in (info.annotation, *getattr(info.annotation, "__args__", ()))


@functools.cache
def secret_names(kind: type[CommonSettings]) -> dict[str, bool]:
    """The variables of a settings class that come from a Secret; true where it does not start without."""
    fields = {name: info for name, info in kind.model_fields.items() if is_secret(info) or name == PAIRED}
    return {PREFIX + name.upper(): info.is_required() for name, info in fields.items()}


@functools.cache
def plain_values(kind: type[CommonSettings]) -> dict[str, str]:
    """The other variables that have a value of their own, as the environment would spell it."""
    fields = {n: f for n, f in kind.model_fields.items() if not is_secret(f) and n != PAIRED}
    values = {name: info.get_default(call_default_factory=True) for name, info in fields.items()}
    return {PREFIX + name.upper(): _spelled(value) for name, value in values.items() if value is not None}


def settings_files() -> dict[str, str]:
    """Path and text of each file of settings."""
    common = plain_values(CommonSettings)
    sizes = {PREFIX + name.upper() for name in SIZES}
    files = {"base/perennial.env": _file({k: v for k, v in common.items() if k not in sizes})}
    for name in services.names():
        own = {k: v for k, v in plain_values(services.load(name).settings).items() if k not in common or k in sizes}
        if f"{PREFIX}SERVICES" in own:
            own[f"{PREFIX}SERVICES"] = json.dumps({n: f"http://{n}-api" for n in services.names() if n != name})
        files[f"base/services/{name}/settings.env"] = _file(own)
    return files


def _file(values: dict[str, str]) -> str:
    return "".join(f"{name}={values[name]}\n" for name in sorted(values))


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
