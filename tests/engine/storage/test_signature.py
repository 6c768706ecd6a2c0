"""What is signed is what AWS's own client signs, and where requests go is where GDAL sends them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as OtherCredentials

from engine.storage.credentials import Credentials, find_credentials
from engine.storage.endpoint import Endpoint, find_endpoint, gdal_settings, unsigned
from engine.storage.signature import EMPTY, query_string, signed_headers


@pytest.mark.parametrize("token", ["", "a/token+of=signs"])
@pytest.mark.parametrize("key", ["map.tif", "fôlder/a b+c(1)~x.tif"])
@pytest.mark.parametrize("query", [{}, {"uploads": ""}, {"partNumber": "3", "uploadId": "a/b=c d"}])
def test_signatures_are_those_of_the_reference(token, key, query):
    endpoint = Endpoint("storage.example:9000", True, "eu-west-3", True)
    host, path = endpoint.place("bucket", key)
    address = f"https://{host}{path}" + (f"?{query_string(query)}" if query else "")
    reference = AWSRequest("PUT", address, {"X-Amz-Content-SHA256": EMPTY, "Content-Type": "image/tiff"}, b"")
    signer = S3SigV4Auth(OtherCredentials("ACCESS", "SECRET", token or None), "s3", "eu-west-3")
    signer.add_auth(reference)
    stamp = reference.headers["X-Amz-Date"]
    now = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    headers = signed_headers(
        "PUT", host, path, query, {"content-type": "image/tiff"}, EMPTY, "eu-west-3",
        Credentials("ACCESS", "SECRET", token), now,
    )  # fmt: skip
    assert (
        headers["authorization"].rpartition("Signature=")[2]
        == (reference.headers["Authorization"].rpartition("Signature=")[2])
    )


def test_the_endpoint_is_told_to_gdal_in_its_words(tmp_path):
    none = {"AWS_CONFIG_FILE": str(tmp_path / "c"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "k")}
    values = {**none, "AWS_ENDPOINT_URL": "http://minio:9000/", "AWS_DEFAULT_REGION": "gra"}
    assert find_endpoint(values) == Endpoint("minio:9000", False, "gra", True)
    settings = gdal_settings(values)
    assert settings["AWS_S3_ENDPOINT"] == "minio:9000"
    assert (settings["AWS_HTTPS"], settings["AWS_VIRTUAL_HOSTING"], settings["AWS_REGION"]) == ("NO", "FALSE", "gra")
    assert settings["CPL_AWS_CREDENTIALS_FILE"] == str(tmp_path / "k")
    assert find_endpoint({**none, **settings}) == find_endpoint(values)
    assert find_endpoint({**none, "AWS_S3_ENDPOINT": "s3.gra.io"}) == Endpoint("s3.gra.io", True, "us-east-1", True)
    assert find_endpoint({**none, "AWS_ENDPOINT_URL": "https://me:secret@s3.gra.io"}).host == "s3.gra.io"
    assert find_endpoint({**none, "AWS_S3_ENDPOINT": "me:secret@s3.gra.io:9000"}).host == "s3.gra.io:9000"
    assert find_endpoint({**none, "AWS_S3_ENDPOINT": "h", "AWS_VIRTUAL_HOSTING": "TRUE"}).path_style is False


def test_aws_itself_has_the_bucket_in_its_name(tmp_path):
    none = {"AWS_CONFIG_FILE": str(tmp_path / "c"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "k")}
    endpoint = find_endpoint({**none, "AWS_REGION": "eu-west-3"})
    assert endpoint.place("maps", "a b.tif") == ("maps.s3.eu-west-3.amazonaws.com", "/a%20b.tif")
    assert endpoint.place("maps.of.france", "a.tif") == ("s3.eu-west-3.amazonaws.com", "/maps.of.france/a.tif")
    assert "AWS_S3_ENDPOINT" not in gdal_settings({**none, "AWS_REGION": "eu-west-3"})


def test_keys_come_from_the_environment_before_the_profile(tmp_path):
    (tmp_path / "k").write_text("[default]\naws_access_key_id=A\naws_secret_access_key=B\n[other]\nregion=x\n")
    (tmp_path / "c").write_text(
        "[profile other]\naws_access_key_id=C\naws_secret_access_key=D\nendpoint_url=http://h\n"
    )
    files = {"AWS_CONFIG_FILE": str(tmp_path / "c"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "k")}
    assert find_credentials(files) == Credentials("A", "B")
    assert find_credentials({**files, "AWS_PROFILE": "other"}) == Credentials("C", "D")
    assert find_endpoint({**files, "AWS_PROFILE": "other"}).host == "h"
    assert find_credentials({**files, "AWS_PROFILE": "none"}) is None
    own = {**files, "AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "F", "AWS_SESSION_TOKEN": "G"}
    assert find_credentials(own) == Credentials("E", "F", "G")
    assert not {"E", "F", "G"} & set(repr(find_credentials(own)).replace("(", " ").replace(")", " ").split())
    assert unsigned({"AWS_NO_SIGN_REQUEST": "YES"})
    assert not unsigned({"AWS_NO_SIGN_REQUEST": "NO"})
