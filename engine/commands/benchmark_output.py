"""The files of a study: benchmark.json, the two tables, the figures of each pair, and the report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from engine import __version__
from engine.data.patch_file import read_image, read_mask
from engine.errors import InputError
from engine.reports.benchmark_report import BenchmarkReport, Sample, SampleTable, render
from engine.reports.page import write_report
from engine.reports.pictures import class_picture, picture, shown_bands
from engine.study.contest import Contest, Pairing
from engine.study.findings import definition_values, table2_rows, table3_rows
from engine.study.study_file import StudyFile
from engine.text_file import write_whole

BENCHMARK, REPORT, TABLE2, TABLE3 = "benchmark.json", "report.html", "table2.csv", "table3.csv"
METRICS, CONFUSION = "metrics.json", "confusion.csv"
# Side in pixels of a picture: several stand side by side.
_PICTURE = 256


def write_benchmark(
    file: StudyFile,
    definition: str,
    contest: Contest,
    pairings: Sequence[Pairing],
    results: list[dict[str, Any]],
    seconds: float,
) -> dict[str, str]:
    """Write all files, the report last.

    Args:
        file: The study.
        definition: What the figures count.
        contest: What was looked at.
        pairings: What came of each model and test.
        results: The same as plain values, see `engine.study.findings.pairing_values`.
        seconds: Duration.

    Returns:
        Paths of report, results and tables by name.

    Raises:
        OutputError: A file could not be written.
    """
    output, study = contest.output, file.study
    for pairing, values in zip(pairings, results, strict=True):
        if pairing.tally is not None:
            write_whole(pairing.folder / METRICS, _json({"engine": __version__, **values}))
            pairing.tally.matrix.to_csv(pairing.folder / CONFUSION)
    rule = definition_values(definition)
    values = {
        "engine": __version__,
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "study": {"file": file.path.name, **study.model_dump(mode="json")},
        "definition": rule,
        "tests": [_test_values(name, contest) for name in contest.tests],
        "results": results,
        "failed": [{key: item[key] for key in ("model", "test", "error")} for item in results if item["error"]],
        "seconds": seconds,
    }
    write_whole(output / BENCHMARK, _json(values))
    _write_table(output / TABLE2, table2_rows(results))
    _write_table(output / TABLE3, table3_rows(results))
    report = BenchmarkReport(
        title=study.title or study.name,
        definition=rule,
        summary=_summary(file, values),
        results=results,
        samples=_samples(contest, pairings),
    )
    write_report(output / REPORT, render(report))
    names = {"report": REPORT, "results": BENCHMARK, "table2": TABLE2, "table3": TABLE3}
    return {key: str(output / name) for key, name in names.items()}


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _test_values(name: str, contest: Contest) -> dict[str, Any]:
    test = contest.tests[name]
    return {
        "name": name,
        "dataset": test.dataset.name,
        "split": test.split,
        "patches": len(test.pairs),
        "bands": list(test.index.bands),
        "fingerprint": test.index.fingerprint,
        "samples": [test.pairs[number].image.name for number in contest.shown[name][: contest.study.samples]],
    }


def _summary(file: StudyFile, values: dict[str, Any]) -> list[tuple[str, str]]:
    tests = [f"{item['name']}: {item['patches']} {item['split']} patches" for item in values["tests"]]
    devices = dict.fromkeys(item["speed"]["device_name"] for item in values["results"] if item["error"] is None)
    return [
        ("Study", file.path.name),
        ("Models", ", ".join(item.name for item in file.study.models)),
        ("Patches", "; ".join(tests) or "none that could be used"),
        ("Definition", values["definition"]["name"]),
        ("Device", "; ".join(devices) or "none"),
        ("Finished", f"{values['finished'][:16].replace('T', ' ')} UTC"),
        ("Version", f"FLAIR land cover {__version__}"),
    ]


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{item:.4f}" if isinstance(item, float) else item for key, item in row.items()})
    write_whole(path, text.getvalue())


def _samples(contest: Contest, pairings: Sequence[Pairing]) -> list[SampleTable]:
    tables = []
    for name, test in contest.tests.items():
        judged = [item for item in pairings if item.test.name == name and item.tally and item.standing and item.judge]
        numbers = contest.shown[name][: contest.study.samples]
        if not judged or not numbers:
            continue
        classes = {item.code: item for item in test.dataset.nomenclature.classes}
        samples = []
        seen: set[int] = set()
        for number in numbers:
            pair = test.pairs[number]
            try:
                names = shown_bands(test.index.bands)
                pixels = read_image(pair.image, tuple(test.index.bands.index(band) + 1 for band in names))
                truth = read_mask(pair.mask).astype("uint8")
            except InputError:
                continue  # it was there when it was judged, and its figures stand
            seen.update(int(code) for code in set(truth.ravel().tolist()))
            pictures = []
            for item in judged:
                codes = item.standing.samples[number] if item.standing else truth
                nomenclature = item.judge.manifest.nomenclature if item.judge else test.dataset.nomenclature
                classes.update({one.code: one for one in nomenclature.classes if one.code not in classes})
                seen.update(int(code) for code in set(codes.ravel().tolist()))
                pictures.append(class_picture(codes, nomenclature, _PICTURE))
            samples.append(
                Sample(
                    caption=f"Patch {number + 1} of {len(test.pairs)}: {pair.image.name}",
                    image=picture(pixels, names, _PICTURE),
                    truth=class_picture(truth, test.dataset.nomenclature, _PICTURE),
                    predictions=pictures,
                )
            )
        legend = [{"name": item.name, "color": item.color} for code, item in sorted(classes.items()) if code in seen]
        tables.append(SampleTable(name, [item.model.name for item in judged], samples, legend))
    return tables
