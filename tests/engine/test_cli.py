from __future__ import annotations

import json
import subprocess
import sys

import pytest

from engine import __version__, cli
from engine.requests import COMMANDS
from tests.engine import tiny


@pytest.fixture
def requested(monkeypatch):
    """Catch the request instead of running it; returns a function from arguments to the request."""
    caught = []

    def remember(command, request, reporter, ended=None):
        caught.append((command, request))
        return 0

    monkeypatch.setattr(cli, "run", remember)

    def start(*arguments):
        caught.clear()
        code = cli.main([str(item) for item in arguments])
        return caught[0][1] if caught else code

    return start


BASE = ("classify", "--model", "m.safetensors", "--input", "i.tif", "--output", "o.tif")


def test_options_become_a_request(requested):
    request = requested(
        *BASE, "--input", "a.tif", "b.tif", "--bands", "red=1,green=2", "--blend", "--no-resume", "--window", "512",
        "--layout", "single", "--nodata", "-9999",
    )  # fmt: skip
    assert request.input == ["a.tif", "b.tif"]
    assert request.bands == {"red": 1, "green": 2}
    assert (request.blend, request.resume, request.window, request.nodata) == (True, False, 512, -9999.0)


@pytest.mark.parametrize("extent", ["-5.5,10,-3,4 [EPSG:4326]", "-.5,10,3,4", "1,2,3,4"])
def test_values_may_begin_with_a_minus(requested, extent):
    assert requested(*BASE, "--extent", extent).extent == extent
    assert requested(*BASE, f"--extent={extent}").extent == extent


def test_options_come_from_a_file_and_the_command_line_wins(requested, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("model: a.safetensors\ninput: [i.tif, j.tif]\noutput: o.tif\nwindow: 256\nbands: {red: 3}\n")
    request = requested("classify", "--config", path, "--window", "512")
    assert (request.model, request.input, request.window) == ("a.safetensors", ["i.tif", "j.tif"], 512)
    assert request.bands == {"red": 3}
    path.write_text("classify:\n  model: b.safetensors\n  input: i.tif\n  output: o.tif\n")
    assert requested("classify", "--config", path).model == "b.safetensors"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("- a\n- b\n", "holds no options by name"),
        ("a: [1\n", "not valid YAML"),
        ("\ta: 1\n", "not valid YAML"),
        ("windw: 3\nmodel: m\ninput: i\noutput: o.tif\n", "Did you mean 'window'?"),
        ("", "'model' is missing"),
        ("model: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_told(requested, tmp_path, capsys, content, text):
    path = tmp_path / "c.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert requested("classify", "--config", path) == 2
    assert text in capsys.readouterr().err
    assert requested("classify", "--config", tmp_path / "none.yaml") == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ((*BASE, "--windw", "3"), ["Unknown option '--windw'", "Did you mean '--window'?"]),
        ((*BASE, "--confidance=c.tif"), ["Unknown option '--confidance'", "'--confidence'"]),
        ((*BASE, "--zzzzzz"), ["Unknown option '--zzzzzz'", "Valid ones: --allow-range"]),
        ((*BASE, "--mod", "x"), ["Unknown option '--mod'", "'--model'"]),
        (("classify", "stray", *BASE[1:]), ["'stray'", "quotes"]),
        (("classify", "--model"), ["--model", "expected one argument", "--help"]),
        ((*BASE, "--layout", "tiles"), ["--layout", "'tiles'", "sheets"]),
        (("clasify",), ["no command 'clasify'", "classify"]),
        (("--clasify",), ["COMMAND", "--help"]),
        (("classify",), ["'model' is missing"]),
        ((*BASE, "--window", "many"), ["Option 'window'"]),
    ],
)
def test_mistakes_are_one_sentence_with_the_way_out(requested, capsys, arguments, texts):
    assert requested(*arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Error: ")
    assert len(told.err.splitlines()) == 1
    for text in texts:
        assert text in told.err


def test_nothing_asked_is_answered_with_what_is_possible(requested, capsys):
    assert requested() != 0
    assert "classify" in capsys.readouterr().err


def test_help_and_version(capsys):
    for arguments, text in (
        (["--version"], __version__),
        (["--help"], "classify"),
        (["classify", "--help"], "--blend"),
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 0
        assert text in capsys.readouterr().out


def test_every_option_of_every_command_is_on_the_command_line(capsys):
    for command, request in COMMANDS.items():
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        told = capsys.readouterr().out
        for key in request.model_fields:
            assert key.replace("_", "-") in told.lower()


def ask(line):
    return subprocess.run(
        [sys.executable, "-m", "engine", "--request"],
        input=line,
        capture_output=True,
        timeout=60,
        env=tiny.engine_environment(),
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", "no JSON object"),
        (b"hello\n", "no JSON object"),
        (b"[1]\n", "no JSON object"),
        (b'{"options": {}}\n', "no JSON object"),
        (b'{"command": ["classify"]}\n', "no command"),
        (b'{"command": 5, "options": {}}\n', "no command"),
        (b'{"command": "classify", "options": [1]}\n', ""),
        (b'{"command": "classify", "options": {"modl": 1}}\n', "Unknown option 'modl'"),
        (b"\xff\xfe\n", "no JSON object"),
    ],
)
def test_a_wrong_request_is_answered_by_an_error_event(monkeypatch, capfd, line, text):
    """In process: the sources of events are file descriptors, which are put back afterwards."""
    import io
    import os

    saved, old = os.dup(1), sys.stdout
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": io.BytesIO(line)}))
    try:
        code = cli.main(["--request"])
    finally:
        sys.stdout = old
        os.dup2(saved, 1)
        os.close(saved)
    events = [json.loads(item) for item in capfd.readouterr().out.splitlines()]
    assert code == 2
    assert [item["event"] for item in events] == ["error"]
    assert events[0]["kind"] == "request"
    assert text in events[0]["message"]


def test_a_request_is_answered_by_a_result_event():
    with subprocess.Popen(
        [sys.executable, "-m", "engine", "--request"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=tiny.engine_environment(),
    ) as process:
        process.stdin.write(b'{"command": "models", "options": {}}\n')
        process.stdin.flush()
        events = [json.loads(line) for line in process.stdout]
        assert process.wait(30) == 0
    assert events[-1]["event"] == "result"
    names = {model["name"] for model in events[-1]["values"]["models"]}
    assert {"FLAIR-INC_rgb_15cl_resnet34-unet", "FLAIR-INC_rgbie_15cl_resnet34-unet"} < names
