"""The self-describing model file: safetensors with the manifest in its header."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ModelError, OutputError
from engine.models.manifest import Manifest

if TYPE_CHECKING:
    from torch import nn

MANIFEST_KEY = "flair_manifest"
MAX_HEADER_BYTES = 100 * 1024 * 1024


def is_safetensors(path: Path) -> bool:
    """Return whether a file begins as safetensors files do: with the length of a JSON object, and that object.

    Raises:
        ModelError: The file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(9)
    except OSError as error:
        raise ModelError(f"The file '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    return len(start) == 9 and start[8:] == b"{" and struct.unpack("<Q", start[:8])[0] <= MAX_HEADER_BYTES


def read_header(path: Path) -> dict[str, object]:
    """Return the JSON header of a safetensors file, without reading a tensor.

    Raises:
        ModelError: The file is missing or no safetensors file.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(MAX_HEADER_BYTES, path.stat().st_size - 8):
                raise ModelError(f"'{path.name}' is not a safetensors file, or it is cut off.", "Get the file again.")
            header = json.loads(stream.read(length))
    except OSError as error:
        raise ModelError(f"The model file '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"'{path.name}' is not a safetensors file, or it is damaged.", "Get the file again."
        ) from error
    if not isinstance(header, dict):
        raise ModelError(f"'{path.name}' is not a safetensors file.")
    _check_complete(path, length, header)
    return header


def _check_complete(path: Path, header_length: int, header: dict[str, object]) -> None:
    ends = [0]
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            ends.append(int(entry["data_offsets"][1]))  # type: ignore[index]
        except (TypeError, KeyError, ValueError, IndexError) as error:
            raise ModelError(f"'{path.name}' is damaged: tensor '{name}' has no place in it.") from error
    expected, actual = 8 + header_length + max(ends), path.stat().st_size
    if actual != expected:
        raise ModelError(
            f"'{path.name}' has {actual:,} bytes instead of {expected:,}: it was cut off or changed.",
            "Get the file again.",
        )


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest of a safetensors file, or None when it carries none.

    Raises:
        ModelError: The file is not readable, or its manifest is wrong.
    """
    metadata = read_header(path).get("__metadata__")
    text = metadata.get(MANIFEST_KEY) if isinstance(metadata, dict) else None
    return Manifest.from_json(text) if isinstance(text, str) else None


def save_model(path: Path, network: nn.Module, manifest: Manifest) -> None:
    """Write a model file, whole or not at all.

    Args:
        path: File to write; replaced when it exists.
        network: Network whose state dict is saved, as float32 where it is floating.
        manifest: Its description; must fit the network.

    Raises:
        OutputError: The file cannot be written.
    """
    import torch
    from safetensors.torch import save_file

    manifest.check()
    tensors = {
        name: (tensor.float() if tensor.is_floating_point() else tensor).detach().to("cpu", copy=True).contiguous()
        for name, tensor in network.state_dict().items()
        if isinstance(tensor, torch.Tensor)
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made here, so that others may read it as far as they may read this user's other files.
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(tensors, str(temporary), metadata={MANIFEST_KEY: manifest.to_json()})
        temporary.chmod(mode)
        temporary.replace(path)
    except Exception as error:
        raise OutputError(
            f"The model file '{path}' cannot be written: {error}.",
            "Check that its disk has room and that you may write to its folder, or choose another.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits.

    Raises:
        ModelError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"The model file '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    return digest.hexdigest()
