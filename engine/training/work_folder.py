"""The folder beside a model file in which its training lives until it is done, and goes on after a break."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from engine.errors import OutputError
from engine.events import Reporter
from engine.text_file import write_whole

CHECKPOINT = "last.ckpt"
BEST = "best.safetensors"
LOGS = "logs"
_STATE = "training.json"


class WorkFolder:
    """Where checkpoints, the best model so far and the logs lie.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def beside(output: Path) -> WorkFolder:
        """Return the work folder of a model file."""
        return WorkFolder(output.absolute().with_name(f"{output.stem}_training"))

    @property
    def checkpoint(self) -> Path:
        """State of the training after its last whole epoch."""
        return self.path / CHECKPOINT

    @property
    def best(self) -> Path:
        """The best model so far, a complete model file."""
        return self.path / BEST

    @property
    def logs(self) -> Path:
        """CSV and TensorBoard logs."""
        return self.path / LOGS

    def can_resume(self, fingerprint: dict[str, Any]) -> bool:
        """Return whether an interrupted run of the same fingerprint left what is needed; changes nothing."""
        state = self._state()
        same = state.get("fingerprint") == json.loads(json.dumps(fingerprint))
        # Without the best model so far, a run that gets no better would end with nothing.
        return same and not state.get("complete") and self.checkpoint.is_file() and self.best.is_file()

    def begin(self, fingerprint: dict[str, Any], reporter: Reporter) -> None:
        """Make the folder for a run that starts anew.

        What an interrupted run left is kept once, under the name `..._previous`.

        Args:
            fingerprint: What identifies the run, as JSON values.
            reporter: Is told what was found.

        Raises:
            OutputError: The folder cannot be made or written.
        """
        interrupted = self.checkpoint.is_file() and not self._state().get("complete")
        if interrupted:
            reporter.warning(
                f"'{self.path.name}' holds a training that was interrupted, with other options or data; it is kept as "
                f"'{self._previous.name}', and this one starts anew."
            )
        try:
            self._clear(keep=interrupted)
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder '{self.path}' cannot be written: {error.strerror}.", "Choose another place for the model."
            ) from error
        write_whole(self.path / _STATE, json.dumps({"complete": False, "fingerprint": fingerprint}, indent=1))

    def finish(self) -> None:
        """Note that the training is done: the same request would start anew."""
        state = self._state()
        write_whole(self.path / _STATE, json.dumps({**state, "complete": True}, indent=1))

    def remove_unless_begun(self) -> None:
        """Remove the folder of a run that failed before an epoch was whole; there is nothing in it to go on from."""
        if not self.checkpoint.is_file() and not self.best.is_file():
            shutil.rmtree(self.path, ignore_errors=True)

    @property
    def _previous(self) -> Path:
        return self.path.with_name(f"{self.path.name}_previous")

    def _state(self) -> dict[str, Any]:
        try:
            values = json.loads((self.path / _STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def _clear(self, *, keep: bool) -> None:
        if not self.path.exists():
            return
        if keep:
            shutil.rmtree(self._previous, ignore_errors=True)
            self.path.rename(self._previous)
            return
        for name in (CHECKPOINT, BEST, _STATE):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.logs, ignore_errors=True)
