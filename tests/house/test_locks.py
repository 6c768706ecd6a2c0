"""The lock files: whole, hashed, and free of addresses."""

from __future__ import annotations

import re

import pytest

LOCKS = ("engine", "dev", "qgis-test", "docs", "uv")


def requirements(text):
    """Return {(name, version, marker): number of hashes}."""
    found = {}
    for block in re.split(r"\n(?=[a-z0-9])", text):
        head = re.match(r"([a-z0-9._-]+)==(\S+)(?: ; ([^\\\n]+))?", block)
        if head:
            found[head.groups()] = len(re.findall(r"--hash=sha256:[0-9a-f]{64}", block))
    return found


def lock(root, name):
    return (root / "resources" / "requirements" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_with_hashes(root, name):
    text = lock(root, name)
    found = requirements(text)
    assert found
    assert all(found.values()), [key for key, hashes in found.items() if not hashes]
    stray = [line for line in text.splitlines() if line and line[0] not in " #" and "==" not in line]
    assert stray == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_address_in_a_lock(root, name):
    assert not re.search(r"https?:|index-url|find-links|\.org\b|\.com\b", lock(root, name))


@pytest.mark.parametrize("name", LOCKS)
def test_lock_holds_what_was_asked_for(root, name):
    asked = (root / "resources" / "requirements" / f"{name}.in").read_text(encoding="utf-8")
    names = {match[1].lower() for match in re.finditer(r"^([A-Za-z][\w.-]*)", asked, re.MULTILINE)}
    assert names
    assert names <= {key[0] for key in requirements(lock(root, name))}


def test_development_tools_fit_beside_the_engine(root):
    engine, dev = requirements(lock(root, "engine")), requirements(lock(root, "dev"))
    versions = {}
    for name, version, _ in engine:
        versions.setdefault(name, set()).add(version)
    clashes = [(name, version) for name, version, _ in dev if name in versions and version not in versions[name]]
    assert clashes == []


def test_torch_and_torchvision_belong_together(root):
    versions = {name: version for name, version, _ in requirements(lock(root, "engine"))}
    minor = int(versions["torch"].split(".")[1])
    assert versions["torchvision"].split(".")[1] == str(minor + 15)
