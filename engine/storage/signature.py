"""AWS's Signature Version 4, which every S3-compatible server checks.

Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API Reference.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from engine.storage.credentials import Credentials

EMPTY = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


def query_string(query: Mapping[str, str]) -> str:
    """Return a query as signatures want it: sorted and percent-encoded."""
    pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in query.items())
    return "&".join(f"{key}={value}" for key, value in pairs)


def signed_headers(
    method: str,
    host: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    payload: str,
    region: str,
    credentials: Credentials,
    now: datetime,
) -> dict[str, str]:
    """Return a request's headers with its signature.

    Args:
        method: Such as `GET`.
        host: Name of the server, with its port.
        path: Percent-encoded path.
        query: Parts of the query, not encoded.
        headers: Further headers that are to be signed, in small letters.
        payload: SHA-256 of the body, in hexadecimal.
        region: Where the signature holds.
        credentials: The keys.
        now: Time in UTC.
    """
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    every = {**headers, "host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    if credentials.token:
        every["x-amz-security-token"] = credentials.token
    names = sorted(every)
    lines = [method, path, query_string(query), *(f"{name}:{every[name].strip()}" for name in names)]
    canonical = "\n".join([*lines, "", ";".join(names), payload])
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    every["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    return every
