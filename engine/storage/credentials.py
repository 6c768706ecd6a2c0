"""Who asks: keys from the environment or from AWS's profile files. They are never shown, written or kept."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Credentials:
    """A pair of keys.

    Args:
        access_key: Identifies the account.
        secret_key: Proves it.
        token: Goes with keys that hold for a time; empty for others.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


def find_credentials(environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """Return the keys of the environment, else those of the profile in use, or None without any.

    Args:
        environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY with AWS_SESSION_TOKEN; AWS_PROFILE.
    """
    found = _of(
        {key: environment.get(key.upper(), "") for key in ("aws_access_key_id", "aws_secret_access_key")}
        | {"aws_session_token": environment.get("AWS_SESSION_TOKEN", "")}
    )
    return found or _of(profile(environment))


def profile(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what AWS's files say of the profile in use; empty without such files."""
    name = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or "default"
    values: dict[str, str] = {}
    # The file of credentials wins over the other one.
    for path, section in (
        (config_file(environment), name if name == "default" else f"profile {name}"),
        (credentials_file(environment), name),
    ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue
        if parser.has_section(section):
            values |= {key: value.strip() for key, value in parser.items(section) if value.strip()}
    return values


def credentials_file(environment: Mapping[str, str]) -> Path:
    """Return the file that holds the keys of profiles; it may not exist."""
    return Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()


def config_file(environment: Mapping[str, str]) -> Path:
    """Return the file that holds the settings of profiles; it may not exist."""
    return Path(environment.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()


def _of(values: Mapping[str, str]) -> Credentials | None:
    access, secret = values.get("aws_access_key_id", ""), values.get("aws_secret_access_key", "")
    return Credentials(access, secret, values.get("aws_session_token", "")) if access and secret else None
