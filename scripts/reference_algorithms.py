"""The reference of the algorithms, made from their definitions: docs/reference/algorithms.

Runs in a Python that has PyQGIS: .venv-qgis/bin/python -m scripts.reference_algorithms
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from typing import Any

if __name__ == "__main__":
    # before QGIS is imported: no window, English, and no trace of the user's profile
    PROFILE = tempfile.mkdtemp(prefix="flair_reference_")
    atexit.register(shutil.rmtree, PROFILE, ignore_errors=True)
    os.environ.update(QT_QPA_PLATFORM="offscreen", LC_ALL="C.UTF-8", QGIS_CUSTOM_CONFIG_PATH=PROFILE)
    os.environ.setdefault("XDG_RUNTIME_DIR", PROFILE)

from qgis.core import (
    NULL,
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingProvider,
)

from flair_qgis.catalogue import catalogue
from flair_qgis.groups import ORDER, group_title
from scripts.reference_pages import NOTE, REFERENCE, Pages, command_block, table, wrapped_command, write

FOLDER = REFERENCE / "algorithms"
UNLIMITED = 1e100
BLANK = "\n\n"
KINDS = {
    "area": "area",
    "band": "band number",
    "boolean": "yes or no",
    "crs": "CRS",
    "extent": "extent",
    "field": "field",
    "file": "file or folder",
    "fileDestination": "file to write",
    "folderDestination": "folder to write",
    "multilayer": "layers",
    "outputFile": "file",
    "outputFolder": "folder",
    "outputHtml": "page",
    "outputNumber": "number",
    "outputRaster": "raster layer",
    "outputString": "text",
    "outputVector": "vector layer",
    "raster": "raster layer",
    "rasterDestination": "raster to write",
    "source": "vector layer",
    "string": "text",
    "vector": "vector layer",
    "vectorDestination": "vector layer to write",
}
ENDINGS = {
    "raster": "image.tif",
    "multilayer": "image.tif",
    "vector": "polygons.gpkg",
    "source": "polygons.gpkg",
    "field": "class",
    "rasterDestination": "result.tif",
    "vectorDestination": "result.gpkg",
    "fileDestination": "result",
    "folderDestination": "results",
}
"""A value by type of parameter, for examples."""


def main() -> None:
    """Write the pages."""
    application = QgsApplication([], False)
    application.initQgis()
    sys.path.insert(0, "/usr/share/qgis/python/plugins")
    from processing.core.Processing import Processing

    from flair_qgis.provider import FlairProvider

    Processing.initialize()
    provider = FlairProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    write(FOLDER, pages(provider))
    sys.stdout.flush()
    shutil.rmtree(PROFILE, ignore_errors=True)
    # QGIS's own teardown without a window may crash; the files are written
    os._exit(0)


def pages(provider: QgsProcessingProvider) -> Pages:
    """Return all pages by file name."""
    algorithms = in_order(provider)
    return {"index.md": _index(algorithms), **{f"{item.name()}.md": _page(item) for item in algorithms}}


def in_order(provider: QgsProcessingProvider) -> list[QgsProcessingAlgorithm]:
    """Return all algorithms, group by group as the work goes, by name within each."""
    return sorted(provider.algorithms(), key=lambda item: (ORDER.index(item.groupId()), item.displayName()))


def _index(algorithms: list[QgsProcessingAlgorithm]) -> str:
    text = (
        f"# Algorithms\n\n{NOTE}"
        "All of them stand in the Processing Toolbox under *FLAIR land cover*, work in the model designer, and "
        "run with "
        "`qgis_process`. Names in capitals are those of the parameters there.\n"
    )
    group = ""
    for item in algorithms:
        if item.groupId() != group:
            group = item.groupId()
            text += f"\n## {group_title(group)}\n\n"
        text += f"- [{item.displayName()}]({item.name()}.md) (`flair:{item.name()}`): {_short(item)}\n"
    return text


def _short(algorithm: QgsProcessingAlgorithm) -> str:
    """Return one sentence: the description, or what the help of a chain begins with."""
    return algorithm.shortDescription() or _help(algorithm.shortHelpString())[0].partition("\n")[0]


def _page(algorithm: QgsProcessingAlgorithm) -> str:
    name = algorithm.name()
    helptext, example = _help(algorithm.shortHelpString())
    example = example or f"qgis_process run flair:{name} -- {_smallest(algorithm)}"
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    definitions = algorithm.parameterDefinitions()
    usual = [item for item in definitions if not item.flags() & advanced]
    folded = [item for item in definitions if item.flags() & advanced]
    short = algorithm.shortDescription()
    text = (
        f"# {algorithm.displayName()}\n\n{NOTE}{f'{short}{BLANK}' if short else ''}"
        f"`flair:{name}`, in *FLAIR land cover > {algorithm.group()}*.\n\n{_picture(algorithm)}{helptext}\n"
        f"{command_block(wrapped_command(example))}\n"
    )
    for title, chosen in (("Parameters", usual), ("Advanced parameters", folded)):
        if chosen:
            text += f"## {title}\n\n{_parameters(chosen)}\n"
    outputs = [
        (f"`{item.name()}`", item.description(), KINDS.get(item.type(), item.type()))
        for item in algorithm.outputDefinitions()
    ]
    if outputs:
        text += f"## Outputs\n\n{table(('Name', 'Output', 'Type'), outputs)}"
    return text.rstrip() + "\n"


def _picture(algorithm: QgsProcessingAlgorithm) -> str:
    path = f"../../images/algorithms/{algorithm.name()}.png"
    shown = f"![{algorithm.displayName()}, on the demo]({path}){{ .picture }}{BLANK}"
    return shown if (FOLDER / path).resolve().is_file() else ""


def _smallest(algorithm: QgsProcessingAlgorithm) -> str:
    """Return what an algorithm needs at least, for an example."""
    optional = QgsProcessingParameterDefinition.Flag.FlagOptional
    return " ".join(
        f"{item.name()}={ENDINGS.get(item.type(), 'value')}"
        for item in algorithm.parameterDefinitions()
        if not item.flags() & optional and _default(item) == "needed"
    )


def _help(text: str) -> tuple[str, str]:
    """Return the help in Markdown without its example, and the example."""
    example = ""
    lines = []
    # a chain's help goes on with its parameters, which have a table here
    for part in re.findall(r"<p>((?:(?!<p>).)*?)</p>", text.partition("<h2>")[0], re.DOTALL):
        found = re.search(r"^<b>Example\.</b> <code>(.*?)</code>$", part.strip(), re.DOTALL)
        if found:
            example = " ".join(found[1].split())
            continue
        for pattern, mark in ((r"</?b>", "**"), (r"</?i>", "*"), (r"</?code>", "`")):
            part = re.sub(pattern, mark, part)
        lines.append(f"{' '.join(part.split())}\n")
    return "\n".join(lines), example


def _parameters(definitions: list[QgsProcessingParameterDefinition]) -> str:
    rows = []
    for item in definitions:
        rows.append((f"`{item.name()}`", item.description(), _kind(item), _default(item), item.help()))
    return table(("Name", "Parameter", "Type", "Default", "What it is"), rows)


def _kind(item: Any) -> str:
    kind = item.type()
    if kind == "enum":
        if item.options() == list(catalogue()):
            return "a [published model](../commands/catalogue.md)"
        return ", ".join(f"`{option}`" for option in item.options())
    if kind == "number":
        whole = item.dataType() == QgsProcessingParameterNumber.Type.Integer
        return ("whole number" if whole else "number") + _range(item)
    if kind == "file":
        return "folder" if item.behavior() == QgsProcessingParameterFile.Behavior.Folder else "file"
    return KINDS.get(kind, kind)


def _range(item: Any) -> str:
    low, high = item.minimum(), item.maximum()
    least = f" from {low:,.9g}" if low > -UNLIMITED and low != -(2**31) else ""
    most = f" to {high:,.9g}" if high < UNLIMITED and high != 2**31 - 1 else ""
    return least + most


def _default(item: Any) -> str:
    optional = item.flags() & QgsProcessingParameterDefinition.Flag.FlagOptional
    value = item.defaultValue()
    if value is None or value == NULL or value == "":
        return "" if optional else "needed"
    return ("yes" if value else "no") if isinstance(value, bool) else f"`{value}`"


def names_of(pages_by_name: Pages) -> dict[str, list[str]]:
    """Return what each page calls by name: parameters, outputs, algorithms."""
    pattern = r"^\| `([A-Za-z_:]+)`|\(`(flair:[a-z]+)`\)"
    return {
        name: ["".join(found) for found in re.findall(pattern, text, re.MULTILINE)]
        for name, text in pages_by_name.items()
    }


if __name__ == "__main__":
    main()
