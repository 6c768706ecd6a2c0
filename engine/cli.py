"""The command line: every option of a request, or a whole request as JSON on stdin."""

from __future__ import annotations

import argparse
import difflib
import io
import json
import re
import sys
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import yaml
from pydantic.fields import FieldInfo

from engine import __version__
from engine.errors import EngineError, RequestError
from engine.events import ConsoleReporter, FurtherReporter, JsonReporter, Reporter, private_stdout
from engine.launch import current_launch
from engine.requests import COMMANDS, Request, parse_request
from engine.runner import run, watch_parent, watch_stdin

# Commands that torchrun and SLURM may start several times, for one training.
TOGETHER = {"train", "flair"}
MAX_REQUEST_BYTES = 10_000_000
PATH_LISTS = {
    "input",
    "image",
    "labels",
    "prediction",
    "truth",
    "rgb",
    "irc",
    "nir",
    "dsm",
    "dtm",
    "height",
}


def main(arguments: Sequence[str]) -> int:
    """Run a command and return the exit code, 0 only when it succeeded.

    Args:
        arguments: Command and options, or `--request` for a request as one line of JSON on stdin,
            answered by events as JSON lines on stdout. The run then ends when stdin does.
    """
    if list(arguments) == ["--request"]:
        return _serve_request()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name may hold what the console cannot show; that must not end the run.
            stream.reconfigure(errors="backslashreplace")
    reporter: Reporter = ConsoleReporter()
    if not arguments:
        _parser().print_help(sys.stderr)
        return RequestError("").exit_code
    try:
        command, values = _parse(arguments)
        request = parse_request(command, values)
        launch = current_launch() if command in TOGETHER else None
    except EngineError as error:
        reporter.error(error.kind, error.message, error.hint)
        return error.exit_code
    if launch is None or launch.processes == 1:
        return run(command, request, reporter)
    return run(command, request, FurtherReporter(launch.name) if launch.rank else reporter, ended=watch_parent())


def _serve_request() -> int:
    reporter: Reporter = JsonReporter(private_stdout())
    try:
        line = sys.stdin.buffer.readline(MAX_REQUEST_BYTES)
        try:
            values = json.loads(line)
            command, options = str(values["command"]), values.get("options", {})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RequestError(
                f"The request is no JSON object with 'command' and 'options': {type(error).__name__}."
            ) from error
        request = parse_request(command, options)
    except EngineError as error:
        reporter.error(error.kind, error.message, error.hint)
        return error.exit_code
    return run(command, request, reporter, ended=watch_stdin())


def _parse(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    if "-".join(arguments[:2]) in COMMANDS:
        # `models download NAME` reads better than `models-download`
        arguments = ["-".join(arguments[:2]), *arguments[2:]]
    if arguments[0] not in COMMANDS and not arguments[0].startswith("-"):
        parse_request(arguments[0], {})
    parser = _parser()
    namespace, unknown = parser.parse_known_args(_joined(arguments))
    parsed = vars(namespace)
    command = parsed.pop("command")
    if unknown:
        raise _unknown_option(command, unknown)
    config = parsed.pop("config")
    values = _read_config(Path(config), command) if config else {}
    return command, {**values, **parsed}


def _joined(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with values such as `-5,10,-3,4`, which look like options, tied to their option."""
    joined: list[str] = []
    for item in arguments:
        if re.match(r"-[\d.]", item) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={item}"
        else:
            joined.append(item)
    return joined


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong as an error like any other."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser`."""
        text = message.removeprefix("argument ")
        raise RequestError(f"{text[:1].upper()}{text[1:]}.", f"`{self.prog} --help` says what is possible.")


def _unknown_option(command: str, unknown: Sequence[str]) -> RequestError:
    name = next((item for item in unknown if item.startswith("-")), unknown[0]).partition("=")[0]
    if not name.startswith("-"):
        return RequestError(f"The argument '{name}' belongs to no option.", "Put names with spaces in quotes.")
    valid = ["--config", *("--" + key.replace("_", "-") for key in COMMANDS[command].model_fields)]
    close = difflib.get_close_matches(name, valid, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else f"Valid ones: {', '.join(sorted(valid))}."
    return RequestError(f"Unknown option '{name}'.", hint)


def _read_config(path: Path, command: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"The file '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = " ".join(str(error).split())
        raise RequestError(f"'{path}' is not valid YAML: {first}", "Indent with spaces, never with tabs.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise RequestError(f"'{path}' holds no options by name.", "Write lines such as 'model: my.safetensors'.")
    if set(values) == {command} and isinstance(values[command], dict):
        return dict(values[command])
    return {str(key): value for key, value in values.items()}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m engine", description="Land-cover maps from aerial imagery.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, request in COMMANDS.items():
        summary = (request.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(
            name, help=summary, description=summary, argument_default=argparse.SUPPRESS, allow_abbrev=False
        )
        command.add_argument("--config", default=None, metavar="FILE.yaml", help="Options from a file; others win.")
        # A request's own options come before those it shares with others.
        fields = request.model_fields
        for key in sorted(fields, key=lambda item: item not in request.__annotations__):
            _add_option(command, request, key, fields[key])
    return parser


def _add_option(parser: argparse.ArgumentParser, request: type[Request], key: str, field: FieldInfo) -> None:
    flag = "--" + key.replace("_", "-")
    text = (field.description or "").replace("%", "%%")
    kind = _plain_type(field.annotation)
    if kind is bool:
        parser.add_argument(flag, dest=key, action=argparse.BooleanOptionalAction, help=text)
    elif typing.get_origin(kind) is list:
        metavar = "FILE" if key in PATH_LISTS else key.upper()
        parser.add_argument(flag, dest=key, nargs="+", metavar=metavar, help=text)
    elif typing.get_origin(kind) is Literal:
        parser.add_argument(flag, dest=key, choices=typing.get_args(kind), help=text)
    else:
        parser.add_argument(flag, dest=key, metavar=key.upper(), help=text)
        if key == request.POSITIONAL:
            parser.add_argument(key, nargs="?", metavar=key.upper(), help=f"The same as {flag}.")


def _plain_type(annotation: Any) -> Any:
    """Return a type without `None` and annotations."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain_type(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        inner = [_plain_type(item) for item in typing.get_args(annotation) if item is not type(None)]
        return inner[0] if len(inner) == 1 else str
    return annotation
