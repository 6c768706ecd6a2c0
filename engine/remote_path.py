"""Addresses of files in S3-compatible storage, as people and as GDAL write them.

People write `s3://bucket/key`. GDAL writes `/vsis3/bucket/key`, which is a path like any other: its last part is its
name, and nothing mangles it. So all of the engine writes it as GDAL does, from the request on, and only what is read by
people has the other form again.
"""

from __future__ import annotations

from typing import Any

PREFIX = "/vsis3/"
_SCHEME = "s3://"


def is_remote(path: object) -> bool:
    """Return whether a path, as GDAL writes it, lies in storage."""
    return str(path).replace("\\", "/").startswith(PREFIX)


def gdal_path(text: str) -> str:
    """Return an address as GDAL writes it; any other text as it is."""
    return PREFIX + text[len(_SCHEME) :].lstrip("/") if text[: len(_SCHEME)].lower() == _SCHEME else text


def shown(path: object) -> str:
    """Return an address as people write it; any other path as it is."""
    text = str(path)
    return _SCHEME + text.replace("\\", "/")[len(PREFIX) :] if is_remote(text) else text


def bucket_and_key(path: object) -> tuple[str, str]:
    """Return the two parts of an address; either may be empty, and the key of a folder ends in `/`."""
    bucket, _, key = str(path).replace("\\", "/")[len(PREFIX) :].partition("/")
    return bucket, key


def with_gdal_paths(values: Any) -> Any:
    """Return JSON values with every address, in lists and mappings too, as GDAL writes it."""
    if isinstance(values, str):
        return gdal_path(values)
    if isinstance(values, list):
        return [with_gdal_paths(item) for item in values]
    if isinstance(values, dict):
        return {key: with_gdal_paths(item) for key, item in values.items()}
    return values
