"""What a torch checkpoint would import when opened, found without opening it.

`torch.load(weights_only=True)` refuses code too; this answers before torch is
imported, and names what was found.
"""

from __future__ import annotations

import io
import pickletools  # nosec B403 # lists opcodes, runs none
import zipfile
import zlib
from pathlib import Path

from engine.errors import ModelError

# What a state dict needs, whichever torch wrote it. Checkpoints of training frameworks hold more
# (optimiser states, hyper-parameters); these are plain containers too.
SAFE_MODULES = ("torch", "torch._utils", "torch.storage", "torch._tensor", "torch.nn.parameter", "torch.serialization")
SAFE_GLOBALS = frozenset(
    {
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("__builtin__", "dict"),
        ("builtins", "dict"),
        ("__builtin__", "set"),
        ("builtins", "set"),
        ("_codecs", "encode"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy", "dtype"),
    }
)
SAFE_TORCH_NAMES = ("_rebuild", "Storage", "Size", "device", "float", "int", "uint8", "bfloat16", "bool", "Parameter")
MAX_PICKLE_BYTES = 64 * 1024 * 1024
# Before version 1.6 torch wrote five pickles in a row (this number, the version, the machine, the tensors, the names of
# their storages) and the numbers behind them. Many published weights still are such files.
OLD_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
OLD_PICKLES = 5


def check_checkpoint(path: Path) -> None:
    """Check that a `.pth` or `.ckpt` holds tensors and no code.

    Raises:
        ModelError: The file is missing, no checkpoint, cut off, or would run code when opened.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(len(OLD_START))
    except OSError as error:
        raise ModelError(f"The checkpoint '{path}' cannot be read: {error.strerror}.", "Check the path.") from error
    old = start == OLD_START
    if start[:2] != b"PK" and not old:
        kind = "a bare pickle" if start[:1] == b"\x80" else "not a torch checkpoint"
        raise ModelError(
            f"'{path.name}' is {kind}; such files are not opened because they can run code.",
            "Take the original .pth, .ckpt or .safetensors file of the model.",
        )
    imports = _imports_of_old(path) if old else _imports(path)
    foreign = sorted({f"{module}.{name}" for module, name in imports if not _is_safe(module, name)})
    if foreign:
        raise ModelError(
            f"'{path.name}' would run code when opened ({', '.join(foreign[:3])}); it was not opened.",
            "Use a file with weights only, or ask its author for a .safetensors file.",
        )


def _imports(path: Path) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if item.filename.endswith("data.pkl")]
            if not members:
                raise ModelError(f"'{path.name}' is a zip file but no torch checkpoint.", "Check the path.")
            for member in members:
                if member.file_size > MAX_PICKLE_BYTES:
                    raise ModelError(f"'{path.name}' holds a pickle of {member.file_size:,} bytes; it was not opened.")
                found |= _imports_of(archive.read(member))
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, IndexError, RuntimeError, OSError) as error:
        raise ModelError(f"'{path.name}' is damaged or cut off: {error}.", "Get the file again.") from error
    return found


def _imports_of_old(path: Path) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    try:
        with path.open("rb") as file:
            stream = io.BytesIO(file.read(MAX_PICKLE_BYTES))
        for _ in range(OLD_PICKLES):
            found |= _imports_of(stream)
    except (ValueError, EOFError, IndexError, OSError) as error:
        raise ModelError(f"'{path.name}' is damaged or cut off: {error}.", "Get the file again.") from error
    return found


def _imports_of(content: bytes | io.BytesIO) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    # Strings pushed one right after the other; whatever else happens to the stack makes an import unreadable.
    strings: list[str] = []
    memo: dict[int, str] = {}
    memoized = 0
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name == "MEMOIZE" or (opcode.name in ("BINPUT", "LONG_BINPUT") and isinstance(argument, int)):
            place = argument if isinstance(argument, int) else memoized
            memoized += 1
            if strings:
                memo[place] = strings[-1]
            else:
                memo.pop(place, None)
        elif opcode.name in ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"):
            strings.append(str(argument))
        elif opcode.name in ("BINGET", "LONG_BINGET") and isinstance(argument, int) and argument in memo:
            strings.append(memo[argument])
        else:
            if opcode.name in ("GLOBAL", "INST"):
                module, _, name = str(argument).partition(" ")
                found.add((module, name))
            elif opcode.name == "STACK_GLOBAL":
                found.add((strings[-2], strings[-1]) if len(strings) > 1 else ("?", "?"))
            elif opcode.name in ("EXT1", "EXT2", "EXT4"):
                found.add(("copyreg", f"extension {argument}"))
            strings = []
    return found


def _is_safe(module: str, name: str) -> bool:
    if (module, name) in SAFE_GLOBALS:
        return True
    return module in SAFE_MODULES and (name.startswith(SAFE_TORCH_NAMES) or name.endswith("Storage"))
