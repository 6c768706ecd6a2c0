"""What all of IGN's schemas are made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Group(BaseModel):
    """A group of keys: none that is unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def _text(value: Any) -> Any:
    # IGN's files leave a key empty where there is nothing to say, and name a run 2021.
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text)]
Channels = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(lambda value: () if value is None else value)]
