"""Which domains of a published data set are for training, for validation and for testing."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from engine.errors import InputError
from engine.resources import RESOURCES

# A department (or two, or one of Corsica's) and a year; FLAIR-HUB joins them by a hyphen, and has a 195X.
_DOMAIN = re.compile(r"(?<![A-Za-z0-9])(D(?:\d{6}|\d{3}|02[AB]))[_-](\d{4}|\d{3}X)(?!\d)")
_TEST_FOLDER = re.compile(r"(?:^|[_-])test$")


def domain_of(path: str) -> str:
    """Return the last domain that a path names, as `D012_2019`; empty where it names none."""
    found = _DOMAIN.findall(path)
    return "_".join(found[-1]) if found else ""


def is_domain(domain: str, named: str) -> bool:
    """Return whether a domain such as `D012_2019` is meant by `D012`, `D012_2019` or `D012-2019`."""
    return named.replace("-", "_").upper() in (domain, domain.partition("_")[0])


@dataclass(frozen=True)
class OfficialSplit:
    """A split by domain.

    Args:
        name: Name of the data set, such as `flair-1`.
        test: Domains to test with.
        val: Domains to validate with; all others are for training.
    """

    name: str
    test: frozenset[str]
    val: frozenset[str]

    @staticmethod
    def load(name: str) -> OfficialSplit:
        """Read a split that ships with the project.

        Raises:
            InputError: There is none of that name.
        """
        path = RESOURCES / "splits" / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(item.stem for item in path.parent.glob("*.yaml")))
            raise InputError(f"There is no official split '{name}'.", f"Known ones: {known}.")
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return OfficialSplit(name, frozenset(values["test"]), frozenset(values["val"]))

    def of(self, path: str) -> str:
        """Return the split that a file belongs to, by a folder of test data or by the domain in its path.

        Args:
            path: Path within the data set, with `/`.

        Returns:
            `train`, `val` or `test`; empty where the path names no domain.
        """
        domain = domain_of(path)
        if not domain:
            return ""
        if domain in self.test or any(_TEST_FOLDER.search(part) for part in path.split("/")[:-1]):
            return "test"
        return "val" if domain in self.val else "train"
