"""What all requests are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.remote_path import with_gdal_paths


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, Path)) else value


def _as_bands(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    for part in value.replace(" ", "").split(","):
        name, separator, number = part.partition("=")
        if not separator or not number.isdigit():
            raise ValueError(f"'{part}' is not name=number; an example: red=1,green=2,blue=3,infrared=4")
        pairs[name] = number
    return pairs


def _as_words(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    return value.replace(",", " ").split() if isinstance(value, str) else value


BandNumbers = Annotated[dict[str, Annotated[int, Field(ge=1)]], BeforeValidator(_as_bands)]
Paths = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
Words = Annotated[list[str], BeforeValidator(_as_words), Field(min_length=1)]
Codes = Annotated[list[Annotated[int, Field(ge=0, le=255)]], BeforeValidator(_as_words)]


class Request(BaseModel):
    """Base of all requests: no unknown keys."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    POSITIONAL: ClassVar[str] = ""
    """Option that the command line also takes without its name."""

    @model_validator(mode="before")
    @classmethod
    def _addresses(cls, values: Any) -> Any:
        """Write addresses of storage (s3://bucket/key) as GDAL does; everything behind requests knows only these."""
        return with_gdal_paths(values)
