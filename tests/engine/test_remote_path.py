from __future__ import annotations

from pathlib import Path

from engine.remote_path import bucket_and_key, gdal_path, is_remote, shown, with_gdal_paths
from engine.requests import ClassifyRequest, PolygoniseRequest


def test_addresses_have_two_forms():
    assert gdal_path("s3://bucket/folder/a b.tif") == "/vsis3/bucket/folder/a b.tif"
    assert gdal_path("S3://bucket/a.tif") == "/vsis3/bucket/a.tif"
    assert gdal_path("/vsis3/bucket/a.tif") == "/vsis3/bucket/a.tif"
    assert gdal_path("tiles/s3://a.tif") == "tiles/s3://a.tif"
    assert shown("/vsis3/bucket/a.tif") == "s3://bucket/a.tif"
    assert shown("a.tif") == "a.tif"
    assert bucket_and_key("/vsis3/bucket/folder/a.tif") == ("bucket", "folder/a.tif")
    assert bucket_and_key("/vsis3/bucket") == ("bucket", "")


def test_a_path_does_not_mangle_them():
    assert is_remote(Path("/vsis3/bucket/a.tif"))
    assert not is_remote(Path("/vsizip/a.zip/a.tif"))
    assert Path(gdal_path("s3://bucket/folder/a.tif")).with_suffix(".qml").as_posix() == "/vsis3/bucket/folder/a.qml"


def test_requests_write_them_as_gdal_does():
    request = ClassifyRequest.model_validate(
        {"model": "m", "input": ["s3://b/1.tif", "2.tif"], "output": "s3://b/o.tif", "area": "s3://b/a.gpkg"}
    )
    assert request.input == ["/vsis3/b/1.tif", "2.tif"]
    assert (request.output, request.area) == ("/vsis3/b/o.tif", "/vsis3/b/a.gpkg")
    assert PolygoniseRequest(input="s3://b/c.tif", output="o.gpkg").input == "/vsis3/b/c.tif"
    assert with_gdal_paths({"a": ["s3://b/c", 1, None]}) == {"a": ["/vsis3/b/c", 1, None]}
