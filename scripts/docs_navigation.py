"""A hook of MkDocs: the pages of a folder, in the order in which its index.md links to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ALL = "/*"


def on_config(config: Any) -> Any:
    """Replace every "folder/*" in the navigation; MkDocs calls it before it reads the pages."""
    config["nav"] = _filled(config["nav"], Path(config["docs_dir"]))
    return config


def _filled(item: Any, root: Path) -> Any:
    if isinstance(item, list):
        return [_filled(part, root) for part in item]
    if isinstance(item, dict):
        return {title: _filled(part, root) for title, part in item.items()}
    return folder_pages(root, item.removesuffix(ALL)) if item.endswith(ALL) else item


def folder_pages(root: Path, folder: str) -> list[str]:
    """Return the pages of a folder, its index.md first.

    Args:
        root: Folder of all documents.
        folder: The folder, from there.
    """
    text = (root / folder / "index.md").read_text(encoding="utf-8")
    names = dict.fromkeys(["index.md", *re.findall(r"\]\(([\w-]+\.md)\)", text)])
    return [f"{folder}/{name}" for name in names]
