"""One command of the engine, run in its own process: start, stream, cancel."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from pathlib import Path
from typing import IO, Any, Dict, List, Optional

from qgis.core import QgsProcessingException, QgsProcessingFeedback

from .child_environment import scrubbed_environment
from .child_process import ChildProcess
from .errors import failure
from .i18n import dictionary, language, tr
from .option_names import in_dialog_words
from .paths import plugin_root, without_user
from .progress import Progress, for_the_log
from .proxy import proxy_variables, without_credentials

POLL = 0.1
TAIL = 4000
# all is done; or it is, and the result says what is wrong with what was looked at
ENDED_WELL = {0, 8}
# killed by SIGKILL, as itself and through a shell; Windows: no memory, commit limit reached
KILLED = {-9, 137, 0xC0000017, 0xC000012D}


class _Outcome:
    """What the engine has told so far."""

    def __init__(self) -> None:
        self.result: Optional[Dict[str, Any]] = None
        self.error: Optional[Dict[str, Any]] = None


def run_engine(
    python: Path,
    command: str,
    options: Dict[str, Any],
    feedback: QgsProcessingFeedback,
    progress: Optional[Progress] = None,
    labels: Optional[Dict[str, str]] = None,
    variables: Optional[Dict[str, str]] = None,
) -> Dict[str, Any]:
    """Run a command of the engine and return the values of its result.

    Args:
        python: The engine's interpreter.
        command: Name of the command.
        options: Its options, as in the engine's requests.
        feedback: Where progress and messages are shown, and where cancelling is asked.
        progress: Part of the progress bar to use; default: all of it.
        labels: What the dialog calls the options, by name; used in the engine's messages.
        variables: Environment variables that the engine sees besides those of QGIS.

    Raises:
        QgsProcessingException: The engine could not be started, failed, was killed or was cancelled.
    """
    progress = progress or Progress(feedback)
    # an empty folder, so that nothing in it can be imported by mistake
    folder = Path(tempfile.mkdtemp(prefix="flair_"))
    try:
        with (folder / "stderr.log").open("w+b") as errors:
            return _run(python, command, options, feedback, progress, folder, errors, labels or {}, variables or {})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    python: Path,
    command: str,
    options: Dict[str, Any],
    feedback: QgsProcessingFeedback,
    progress: Progress,
    folder: Path,
    errors: IO[bytes],
    labels: Dict[str, str],
    variables: Dict[str, str],
) -> Dict[str, Any]:
    # models, weights and data sets are fetched by the engine itself
    environment = {**scrubbed_environment(), **proxy_variables(), **variables}
    environment["PYTHONPATH"] = str(plugin_root())
    work = folder / "empty"
    work.mkdir()
    try:
        child = ChildProcess(
            [str(python), "-u", "-m", "engine", "--request"], environment, work, stderr=errors, keep_input=True
        )
    except OSError as error:
        raise failure(
            tr("The engine's Python {path} cannot be started: {reason}.").format(
                path=python, reason=error.strerror or error
            ),
            tr('Run "Set up the engine", or correct the option "Engine Python".'),
        ) from error
    outcome = _Outcome()
    try:
        child.send(json.dumps({"command": command, "options": options}) + "\n")
        while not child.finished():
            if feedback.isCanceled():
                child.stop()
                # the engine says as its last words what it keeps for later
                for line in child.lines(0):
                    _handle(line, feedback, progress, outcome, labels)
                raise _cancelled(outcome, labels)
            for line in child.lines(POLL):
                _handle(line, feedback, progress, outcome, labels)
            progress.beat()
        code = child.close()
        for line in child.lines(0):
            _handle(line, feedback, progress, outcome, labels)
    except BaseException:
        child.stop(grace=0)
        raise
    if feedback.isCanceled():
        raise _cancelled(outcome, labels)
    if outcome.error is None and code in ENDED_WELL and outcome.result is not None:
        return outcome.result
    raise _explain(outcome, code, errors, feedback, labels)


def _handle(
    line: str, feedback: QgsProcessingFeedback, progress: Progress, outcome: _Outcome, labels: Dict[str, str]
) -> None:
    if not line.strip():
        return
    event: Any = None
    if line.startswith("{"):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
    kind = event.get("event") if isinstance(event, dict) else None
    if kind == "progress":
        progress.report(_number(event.get("fraction")) or 0.0, str(event.get("text") or ""), _number(event.get("eta")))
    elif kind == "log":
        feedback.pushInfo(for_the_log(in_dialog_words(str(event.get("text", "")), labels)))
    elif kind == "warning":
        feedback.pushWarning(in_dialog_words(str(event.get("text", "")), labels))
    elif kind == "result" and isinstance(event.get("values"), dict):
        outcome.result = event["values"]
    elif kind == "error":
        outcome.error = event
    else:
        feedback.pushConsoleInfo(line)


def _number(value: Any) -> Optional[float]:
    return float(value) if isinstance(value, (int, float)) and value == value else None


def _cancelled(outcome: _Outcome, labels: Dict[str, str]) -> QgsProcessingException:
    if outcome.error is None or outcome.error.get("kind") != "cancelled":
        return failure(tr("Cancelled."))
    words = str(outcome.error.get("message") or "")
    # the engine's own way to say nothing more, in the language of QGIS
    message = tr("Cancelled.") if words in ("", "Cancelled.") else words
    return failure(in_dialog_words(message, labels), in_dialog_words(str(outcome.error.get("hint") or ""), labels))


def _explain(
    outcome: _Outcome,
    code: int,
    errors: IO[bytes],
    feedback: QgsProcessingFeedback,
    labels: Optional[Dict[str, str]] = None,
) -> QgsProcessingException:
    tail = _tail(errors)
    if outcome.error is not None:
        if outcome.error.get("kind") == "internal" and tail:
            feedback.pushConsoleInfo(tail)
        message = str(outcome.error.get("message") or tr("The engine failed without saying why."))
        hint = str(outcome.error.get("hint") or "")
        return failure(_framed(in_dialog_words(message, labels or {})), in_dialog_words(hint, labels or {}))
    if tail:
        feedback.pushConsoleInfo(tail)
    if code in KILLED:
        return failure(
            tr("The engine was killed by the system, probably because memory ran out."),
            tr(
                "Close other programs, or set a lower Memory or Window size under Advanced "
                "parameters, and run it again."
            ),
        )
    if "No module named" in tail:
        return failure(
            tr("The engine's environment is not complete: {reason}.").format(reason=_last_line(tail)),
            tr('Run "Set up the engine".'),
        )
    reason = _last_line(tail)
    message = tr("The engine stopped unexpectedly ({code}).").format(code=_code_text(code))
    if reason:
        message = tr("The engine stopped unexpectedly ({code}): {reason}").format(code=_code_text(code), reason=reason)
    return failure(message, tr('The log holds its last messages; "Diagnostics" helps to report it.'))


def _framed(sentence: str) -> str:
    """Return a sentence of the engine, which speaks English, as such in a QGIS of another language."""
    return tr("The engine says: {sentence}").format(sentence=sentence) if dictionary(language()) else sentence


def _tail(errors: IO[bytes]) -> str:
    # The child wrote through a descriptor of its own: this stream's position says nothing.
    size = errors.seek(0, 2)
    errors.seek(max(0, size - TAIL))
    text = errors.read().decode("utf-8", errors="replace")
    return without_user(without_credentials(text.strip()))


def _last_line(text: str) -> str:
    lines: List[str] = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:300] if lines else ""


def _code_text(code: int) -> str:
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return tr("signal {number}").format(number=-code)
    return tr("exit code {number}").format(number=code if code < 0x10000 else hex(code))
