"""Where people read on."""

from __future__ import annotations

import re

from .paths import plugin_root

SITE = "site"
REFERENCE = "reference/algorithms"


def homepage() -> str:
    """Return the address that metadata.txt states."""
    text = (plugin_root() / "metadata.txt").read_text(encoding="utf-8")
    found = re.search(r"^homepage=(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def documentation() -> str:
    """Return the address of the first page: of the pages built in a checkout, else the homepage."""
    local = plugin_root() / SITE / "index.html"
    return local.as_uri() if local.is_file() else homepage()


def help_page(name: str) -> str:
    """Return the address of an algorithm's page: of those built in a checkout, else in the repository.

    Args:
        name: Name of the algorithm without the provider's, such as `classify`.
    """
    local = plugin_root() / SITE / REFERENCE / f"{name}.html"
    return local.as_uri() if local.is_file() else f"{homepage()}/blob/main/docs/{REFERENCE}/{name}.md"
