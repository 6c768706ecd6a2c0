import subprocess

from flair_qgis.child_environment import scrubbed_environment
from flair_qgis.child_process import group_options
from flair_qgis.interpreter import find_interpreter, interpreter_candidates

QGIS = {
    "PYTHONHOME": r"C:\OSGeo4W\apps\Python312",
    "PYTHONPATH": "x",
    "PYTHONEXECUTABLE": "x",
    "VIRTUAL_ENV": "x",
    "PIP_TARGET": "x",
    "QGIS_PREFIX_PATH": "x",
    "PROJ_LIB": "x",
    "GDAL_DATA": "x",
    "QT_PLUGIN_PATH": "x",
    "HTTPS_PROXY": "http://proxy:8080",
}


def test_windows():
    base = {
        **QGIS,
        "OSGEO4W_ROOT": r"C:\OSGeo4W",
        "Path": r'C:\osgeo4w\bin;"C:\OSGeo4W\apps\qgis\bin";C:\Windows\System32;C:\OSGeo4Work',
        "SSL_CERT_FILE": r"C:\OSGeo4W\bin\curl-ca-bundle.crt",
        "SYSTEMROOT": r"C:\Windows",
        "ProgramFiles": r"C:\Program Files",
    }
    result = scrubbed_environment(base, "win32")
    assert not set(QGIS) - {"HTTPS_PROXY"} & set(result)
    assert result["Path"] == r"C:\Windows\System32;C:\OSGeo4Work"
    assert "SSL_CERT_FILE" not in result
    assert result["HTTPS_PROXY"] == "http://proxy:8080"
    assert result["SYSTEMROOT"] == r"C:\Windows"
    assert result["PYTHONSAFEPATH"] == "1"
    assert not {name for name in QGIS if name != "HTTPS_PROXY"} & set(result)


def test_macos():
    base = {**QGIS, "DYLD_LIBRARY_PATH": "x", "PATH": "/Applications/QGIS.app/Contents/MacOS/bin:/usr/bin"}
    folders = ["/Applications/QGIS.app"]
    result = scrubbed_environment(base, "darwin", folders)
    assert result["PATH"] == "/usr/bin"
    assert "DYLD_LIBRARY_PATH" not in result


def test_keys_and_address_of_storage_are_handed_on():
    storage = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "token",
        "AWS_PROFILE": "survey",
        "AWS_ENDPOINT_URL": "http://minio:9000",
        "AWS_S3_ENDPOINT": "minio:9000",
        "AWS_HTTPS": "NO",
        "AWS_REGION": "gra",
        "AWS_NO_SIGN_REQUEST": "YES",
        "FLAIR_WORK_DIR": "/scratch",
    }
    for platform in ("linux", "darwin", "win32"):
        result = scrubbed_environment({**QGIS, **storage}, platform, ["/Applications/QGIS.app"])
        assert {name: result.get(name) for name in storage} == storage


def test_linux(tmp_path):
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("x")
    base = {
        **QGIS,
        "PATH": "/usr/local/bin:/usr/bin",
        "LD_LIBRARY_PATH": "/app/lib:/usr/local/cuda/lib64",
        "LD_PRELOAD": "x",
        "SSL_CERT_FILE": str(bundle),
        "REQUESTS_CA_BUNDLE": "/nowhere.crt",
    }
    result = scrubbed_environment(base, "linux")
    assert result["PATH"] == "/usr/local/bin:/usr/bin"
    assert result["LD_LIBRARY_PATH"] == "/usr/local/cuda/lib64"
    assert result["SSL_CERT_FILE"] == str(bundle)
    assert not {"LD_PRELOAD", "REQUESTS_CA_BUNDLE"} & set(result)


def test_windows_start_options():
    options = group_options("win32")
    assert options["creationflags"] == 0x08000200
    assert "start_new_session" not in options
    assert group_options("darwin") == {"start_new_session": True}


def test_interpreter_candidates():
    windows = [str(item) for item in interpreter_candidates("win32", r"C:/OSGeo4W/apps/Python312", "C:/b")]
    assert windows[0] == "C:/OSGeo4W/apps/Python312/python.exe"
    assert not [item for item in windows if "qgis" in item.lower()]
    mac = [str(item) for item in interpreter_candidates("darwin", "/Applications/QGIS.app/Contents/MacOS", "/usr")]
    assert mac == ["/Applications/QGIS.app/Contents/MacOS/bin/python3"]


def test_interpreter_must_have_the_module():
    environment = scrubbed_environment()
    found = find_interpreter(environment, "json")
    assert subprocess.run([str(found), "-c", "import json"], check=True).returncode == 0
    assert find_interpreter(environment, "a_module_that_nobody_has") is None
