"""Where the storage is, from the variables that AWS's own tools read, for GDAL and for us alike."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from engine.storage.credentials import config_file, credentials_file, profile

_AWS = "s3.amazonaws.com"
_NO = ("no", "false", "off", "0")


@dataclass(frozen=True)
class Endpoint:
    """A server of storage.

    Args:
        host: Its name, with a port where it is not the usual one.
        secure: Whether connections are encrypted.
        region: Name that signatures hold for.
        path_style: Whether buckets are the first part of the path, rather than of the host's name.
    """

    host: str
    secure: bool
    region: str
    path_style: bool

    def place(self, bucket: str, key: str) -> tuple[str, str]:
        """Return host and path, percent-encoded as signatures want it, of an object or, without key, a bucket."""
        path = "/" + quote(key, safe="/-_.~")
        host = self.host
        if host == _AWS and self.region != "us-east-1":
            host = f"s3.{self.region}.amazonaws.com"
        if self.path_style or "." in bucket:
            return host, f"/{quote(bucket, safe='-_.~')}{path}"
        return f"{bucket}.{host}", path


def find_endpoint(environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Return the server that the environment, or the profile in use, names; without any, AWS's own.

    Args:
        environment: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL (addresses) or AWS_S3_ENDPOINT (a host, with AWS_HTTPS);
            AWS_REGION or AWS_DEFAULT_REGION; AWS_VIRTUAL_HOSTING.

    Raises:
        ValueError: What they name is no address.
    """
    of_profile = profile(environment)
    url = (
        environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL")
        or environment.get("AWS_S3_ENDPOINT")
        or of_profile.get("endpoint_url")
        or _AWS
    ).strip()
    secure = environment.get("AWS_HTTPS", "yes").strip().lower() not in _NO
    parts = urlsplit(url if "://" in url else f"//{url}")
    if parts.scheme:
        secure = parts.scheme.lower() != "http"
    # A port that is none fails here rather than in the middle of the work.
    _ = parts.port
    # Whatever stands before an @ would be a password in every message.
    host = (parts.netloc.rpartition("@")[2] + parts.path).strip("/")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or of_profile.get("region")
    hosting = environment.get("AWS_VIRTUAL_HOSTING", "").strip().lower()
    path_style = hosting in _NO if hosting else not host.endswith("amazonaws.com")
    return Endpoint(host, secure, region or "us-east-1", path_style)


def unsigned(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether requests bear no signature, as public data needs none (AWS_NO_SIGN_REQUEST)."""
    value = environment.get("AWS_NO_SIGN_REQUEST", "").strip().lower()
    return bool(value) and value not in _NO


def gdal_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what GDAL has to be told so that it finds the same server and keys; it does not read all variables."""
    if not any(key.startswith("AWS_") for key in environment) and not config_file(environment).is_file():
        return {}
    endpoint = find_endpoint(environment)
    values = {"AWS_REGION": endpoint.region, "CPL_AWS_CREDENTIALS_FILE": str(credentials_file(environment))}
    if endpoint.host != _AWS:
        values["AWS_S3_ENDPOINT"] = endpoint.host
        values["AWS_HTTPS"] = "YES" if endpoint.secure else "NO"
        values["AWS_VIRTUAL_HOSTING"] = "FALSE" if endpoint.path_style else "TRUE"
    return values


READING_SETTINGS = {
    # What is asked for may come late, or not now.
    "GDAL_HTTP_MAX_RETRY": "6",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    # A line that has been silent for so long will not speak again.
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "100",
    # Blocks that lie side by side are one request; others come over one connection where the server can.
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    # Header and list of blocks of a Cloud Optimized GeoTIFF in one piece.
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    # Pieces kept of all files together: readers of several threads share them.
    "CPL_VSIL_CURL_CACHE_SIZE": str(64 * 1024 * 1024),
}
"""How GDAL reads from storage; a person's own environment variables win."""


def tell_gdal(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set how GDAL reads from storage, for this process."""
    for key, value in READING_SETTINGS.items():
        environment.setdefault(key, value)
    # Of no concern to files on disk; whoever asks storage is told.
    with contextlib.suppress(ValueError):
        environment.update(gdal_settings(environment))
