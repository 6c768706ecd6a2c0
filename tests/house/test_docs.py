"""The documentation says what the code does: commands are parsed, links looked up, the reference compared."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from engine import cli
from engine.errors import EngineError
from engine.nomenclature import resolve_nomenclature
from engine.requests import parse_request
from engine.study.study_file import Study
from engine.training.presets import load_recipe

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts import docs_navigation, reference_commands  # noqa: E402
from scripts.reference_pages import stale  # noqa: E402

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LARGEST_PICTURE = 150_000
# Pictures as a whole; the one of the README is as large as it is.
LARGEST_IN_ALL = 2_000_000
LEFT_AS_IT_IS = {"demo.png"}
# What a page may call that is not ours.
OTHERS = {"cd", "docker", "export", "git", "kubectl", "qgis_process", "sbatch", "uv"}


def blocks(path, language="bash"):
    """The fenced blocks of a page."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(path):
    """The commands of a page, each as its words."""
    for block in blocks(path):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words:
                yield words


def all_commands():
    return [(path.relative_to(ROOT).as_posix(), words) for path in PAGES for words in commands(path)]


def is_engine(words):
    return any(pair == ("-m", "engine") for pair in pairwise(words))


def check_engine(words):
    """Parse what stands behind `-m engine` as the engine would, without running it."""
    arguments = words[words.index("engine", words.index("-m")) + 1 :]
    if arguments[-1] == "--help":
        assert arguments[:-1] == [] or arguments[0] in reference_commands.COMMANDS
        return
    if "--config" in arguments:
        # the file is an example's: its options are not known, but those of the line are
        place = arguments.index("--config")
        cli._parse(arguments[:place] + arguments[place + 2 :])
        return
    command, values = cli._parse(arguments)
    parse_request(command, values)


def check_dask(arguments):
    """Let Dask's own parser look at a command, without running it."""
    from distributed.cli import dask_scheduler, dask_worker

    parsers = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}
    parsers[arguments[0]].make_context(arguments[0], list(arguments[1:]))


def test_reference_of_the_commands_is_up_to_date():
    wrong = stale(reference_commands.FOLDER, reference_commands.pages())
    assert wrong == [], "run: .venv/bin/python -m scripts.reference_commands"


def test_every_command_of_the_pages_is_valid():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    wrong = []
    found = all_commands()
    for page, words in found:
        try:
            if is_engine(words):
                check_engine(words)
            elif words[0] == "make":
                targets = [word for word in words[1:] if "=" not in word]
                missing = [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)]
                assert not missing, f"no target {missing}"
            elif words[1:3] == ["-m", "dask"]:
                check_dask(words[3:])
            elif words[0].startswith(("scripts/", ".venv")):
                assert Path(ROOT / words[0]).exists() or words[0].startswith(".venv"), "no such file"
            else:
                assert words[0] in OTHERS, "not one of the programs that a page may call"
        except (EngineError, AssertionError) as error:
            wrong.append(f"{page}: {' '.join(words)}: {error}")
    assert wrong == []
    assert sum(is_engine(words) for _, words in found) > 30


def test_a_wrong_command_is_found():
    with pytest.raises(EngineError, match="outptu"):
        check_engine(shlex.split("python -m engine classify --model m.safetensors --input a.tif --outptu b.tif"))
    with pytest.raises(EngineError, match="must end in"):
        check_engine(shlex.split("python -m engine classify --model m.safetensors --input a.tif --output b.png"))


def test_no_command_stands_outside_a_checked_block():
    loose = []
    for path in PAGES:
        text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        loose += [
            f"{path.name}: {line}" for line in text.splitlines() if re.match(r"^    .*-m engine |^    make ", line)
        ]
    assert loose == []


def test_examples_in_yaml_are_valid(tmp_path):
    kinds = []
    for path in PAGES:
        for number, block in enumerate(blocks(path, "yaml")):
            file = tmp_path / f"{path.stem}_{number}.yaml"
            file.write_text(block, encoding="utf-8")
            values = yaml.safe_load(block)
            if values is None:
                continue  # the comment that explains a file
            if "tests" in values:
                kinds.append("study")
                Study.model_validate(values)
            elif "classes" in values:
                kinds.append("nomenclature")
                resolve_nomenclature(str(file))
            elif "base" in values:
                kinds.append("preset")
                load_recipe(str(file), {})
            elif "input" in values:
                kinds.append("request")
                parse_request("classify", values)
    assert set(kinds) == {"study", "nomenclature", "preset", "request"}


def anchors(path):
    """What a link into a page may name: its headings as MkDocs writes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", item)).strip().lower() for item in headings]
    return {re.sub(r"[-\s]+", "-", item) for item in plain}


def test_links_and_pictures_exist():
    broken = []
    for path in PAGES:
        text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            name, _, anchor = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            inside = path == ROOT / "README.md" or DOCS in file.parents
            if not file.is_file() or not inside or (anchor and anchor not in anchors(file)):
                broken.append(f"{path.relative_to(ROOT)} -> {target}")
    assert broken == []


def test_every_page_can_be_found():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r"[\w/-]+\.md", navigation)
    for folder in re.findall(r"([\w/-]+)/\*", navigation):
        named += docs_navigation.folder_pages(DOCS, folder)
    assert sorted(named) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_pictures_are_small_and_used():
    pictures = [path for path in DOCS.rglob("*") if path.suffix in (".png", ".jpg")]
    texts = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    assert [path.name for path in pictures if path.name not in texts] == []
    large = [path.name for path in pictures if path.stat().st_size > LARGEST_PICTURE]
    assert set(large) <= LEFT_AS_IT_IS
    assert sum(path.stat().st_size for path in pictures) < LARGEST_IN_ALL


def test_site_is_built_without_a_complaint(tmp_path):
    program = ROOT / ".venv-docs" / "bin" / "mkdocs"
    if not program.exists():
        pytest.skip("`make docs` was not run here: the light checks of this file stand alone")
    site = tmp_path / "site"
    built = subprocess.run(
        [program, "build", "--quiet", "--strict", "--site-dir", site],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    # nothing is fetched when a page is opened, links that a reader follows aside
    fetched = [
        f"{path.name}: {found}"
        for path in site.rglob("*.html")
        for found in re.findall(
            r'<(?:script|img|link|iframe)\b[^>]*?(?:src|href)="(?:https?:)?//[^"]*"', path.read_text()
        )
    ]
    assert fetched == []
