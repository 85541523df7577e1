# Copyright (c) monai_lamps contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
from __future__ import annotations

import csv
import fnmatch
import hashlib
import logging
import multiprocessing
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monai_lamps.data.datalist import save_datalist, split_by_patient
from monai_lamps.data.radiograph import NoPixelDataError, RadiographError, read_radiograph
from monai_lamps.data.rejects import RejectLog

__all__ = ["find_files", "index_folder", "verify_file"]

#: files that lie beside radiographs and are not taken for broken ones
_SIDE_FILES = {
    ".csv", ".tsv", ".txt", ".json", ".xml", ".xlsx", ".xls", ".md", ".html", ".pdf", ".doc", ".docx", ".yaml", ".yml",
    ".log", ".ini", ".db", ".py", ".ipynb", ".zip", ".gz", ".tar", ".npy", ".npz", ".pt", ".pth", ".sha256", ".license",
}  # fmt: skip
_NAMES = {"dicomdir", "thumbs.db", "license", "readme"}

logger = logging.getLogger(__name__)


def index_folder(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    validation: float = 0.1,
    test: float = 0.0,
    seed: int = 0,
    workers: int | None = None,
    pattern: str | None = None,
    patients_csv: str | Path | None = None,
    exclude: Sequence[str] = (),
    max_reject: float = 0.05,
    progress: bool = True,
) -> Path:
    """Verify every radiograph of a folder once, and list them in a MONAI datalist.

    Every file is read as training will read it, in parallel. What cannot be used goes to ``rejected.csv`` with the reason;
    of exact duplicates (equal pixels) the first by name is kept and the others are listed there too. Hidden files and
    side files (tables, texts, archives) are passed over. Patients, where known, are never split between sections: they
    come from ``patients_csv``, else from ``pattern``, else from the DICOM header.

    Args:
        folder: searched recursively.
        out: where ``datalist.json`` and ``rejected.csv`` go; by default ``NAME_index`` in the current folder.
        validation, test: shares of patients.
        seed: seed of the split.
        workers: processes; all cores by default, 0 or 1 for this process alone.
        pattern: regular expression, its first group (or the whole match) on the relative path is the patient.
        patients_csv: table with the columns ``file`` and ``patient`` and optionally ``split``; files by relative path or name.
        exclude: glob patterns of relative paths to leave out, e.g. ``masks/*``.
        max_reject: largest tolerated share of unreadable files (duplicates do not count).
        progress: show a progress bar.

    Returns:
        path of the datalist.

    Raises:
        FileNotFoundError: when the folder does not exist.
        ValueError: when it holds no file, no readable radiograph, or too many unreadable ones; for a bad pattern or table.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder}' is not a folder; give the folder that holds the radiographs.")
    known = _Patients(folder, pattern, patients_csv)
    out = Path(out) if out is not None else Path(f"{folder.resolve().name}_index")
    files = find_files(folder, exclude)
    if not files:
        raise ValueError(f"'{folder}' holds no image file; give a folder with PNG, JPEG, DICOM or NIfTI radiographs.")
    results = _verify_all([folder / name for name in files], workers, progress)
    items, rejected, bad = _sort_out(folder, files, results, known)
    log = RejectLog(out / "rejected.csv")
    log.extend(rejected)
    _check_share(folder, log.path, len(files), bad, max_reject)
    if not items:
        raise ValueError(f"'{folder}' holds no readable radiograph; '{log.path}' gives the reason for each file.")
    base = Path(os.path.abspath(out))
    for item in items:
        item["image"] = _relative(folder.resolve() / item["image"], base)
    sections = split_by_patient(items, validation, test, seed)
    target = save_datalist(
        out / "datalist.json",
        sections,
        name=folder.resolve().name,
        description=f"{len(items)} radiographs, {len(bad)} unreadable, {len(rejected) - len(bad)} duplicates",
        source=str(folder.resolve()),
        seed=seed,
    )
    counts = ", ".join(f"{len(rows)} {name}" for name, rows in sections.items())
    formats = ", ".join(f"{n} {name}" for name, n in Counter(r["format"] for _, r in results if "format" in r).items())
    logger.info(
        f"{counts} images ({formats}); {len(bad)} unreadable, {len(rejected) - len(bad)} duplicates -> {target}"
    )
    return target


def find_files(folder: str | Path, exclude: Sequence[str] = ()) -> list[str]:
    """Relative paths of all files that may be radiographs, sorted; hidden files and side files are left out.

    Args:
        folder: searched recursively.
        exclude: glob patterns of relative paths.
    """
    found = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            lower = name.lower()
            side = Path(lower).suffix in _SIDE_FILES and not lower.endswith(".nii.gz")
            if not (name.startswith(".") or side or lower in _NAMES):
                found.append(os.path.relpath(os.path.join(root, name), folder))
    return sorted(name for name in found if not any(fnmatch.fnmatch(name, glob) for glob in exclude))


def verify_file(path: str | Path) -> dict[str, Any]:
    """Read one file as training will, and say what it is.

    Returns:
        ``width``, ``height``, ``format``, ``sha256`` of the pixels and, where known, ``patient``; or ``reason``, and ``skipped``
        for sound files that hold no image.
    """
    try:
        pixels, meta = read_radiograph(path)
    except NoPixelDataError as error:
        return {"reason": str(error), "skipped": True}
    except RadiographError as error:
        return {"reason": str(error)}
    digest = hashlib.sha256(pixels.tobytes())
    digest.update(repr(pixels.shape).encode())
    facts = {"width": meta["width"], "height": meta["height"], "format": meta["format"], "sha256": digest.hexdigest()}
    return {**facts, "patient": str(meta["patient"])} if meta.get("patient") else facts


def _verify_all(paths: Sequence[Path], workers: int | None, progress: bool) -> list[tuple[Path, dict[str, Any]]]:
    """Verify in parallel; a file that kills its process is found and named instead of ending the run."""
    workers = min(os.cpu_count() or 1 if workers is None else workers, len(paths))
    with tqdm(total=len(paths), desc="verifying", unit="image", disable=not progress) as bar:
        if workers < 2:
            return [(path, _step(bar, verify_file(path))) for path in paths]
        context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            futures = [pool.submit(_verify_chunk, paths[start : start + 16]) for start in range(0, len(paths), 16)]
            results: list[dict[str, Any]] = []
            for start, future in zip(range(0, len(paths), 16), futures):
                chunk = paths[start : start + 16]
                try:
                    done = future.result()
                except Exception as error:  # a process died (a decoder crashed, memory ran out): look at each file alone
                    logger.warning(f"a verifying process ended ({error}); its files are read one by one.")
                    done = [_verify_alone(path) for path in chunk]
                results += done
                bar.update(len(chunk))
    return list(zip(paths, results))


def _step(bar: Any, result: dict[str, Any]) -> dict[str, Any]:
    bar.update()
    return result


def _verify_chunk(paths: Iterable[Path]) -> list[dict[str, Any]]:
    return [verify_file(path) for path in paths]


def _verify_alone(path: Path) -> dict[str, Any]:
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(verify_file, path).result()
        except Exception as error:
            return {"reason": f"{path}: reading it ended the process ({error}); remove it."}


def _sort_out(
    folder: Path, files: Sequence[str], results: Sequence[tuple[Path, dict[str, Any]]], known: _Patients
) -> tuple[list[dict[str, Any]], list[tuple[str, str]], list[tuple[str, str]]]:
    """Items to keep, rows of the reject list, and those of its rows that count as unreadable."""
    items: list[dict[str, Any]] = []
    rejected: list[tuple[str, str]] = []
    bad: list[tuple[str, str]] = []
    first: dict[str, str] = {}
    for name, (path, result) in zip(files, results):
        if "reason" in result:
            rejected.append((str(path), result["reason"]))
            bad += [] if result.get("skipped") else [rejected[-1]]
        elif result["sha256"] in first:
            rejected.append((str(path), f"exact duplicate of {folder / first[result['sha256']]}"))
        else:
            first[result["sha256"]] = name
            item = {"image": name, "width": result["width"], "height": result["height"]}
            items.append({**item, **known.of(name, result.get("patient"))})
    return items, rejected, bad


def _check_share(folder: Path, log: Path, total: int, bad: Sequence[tuple[str, str]], max_reject: float) -> None:
    if len(bad) > max_reject * total:
        examples = "; ".join(reason for _, reason in bad[:3])
        raise ValueError(
            f"{len(bad)} of {total} files in '{folder}' cannot be used, more than the allowed {max_reject:.0%} "
            f"(first: {examples}). '{log}' lists them all: remove or mend them, or raise max_reject."
        )


def _relative(path: Path, base: Path) -> str:
    """Relative to the datalist where the image lies below or beside it, else absolute."""
    relative = os.path.relpath(path, base)
    return relative if relative.count("..") <= 2 else str(path)


class _Patients:
    """Who the patient of a file is, and its split, from a table, a pattern, or the file itself."""

    def __init__(self, folder: Path, pattern: str | None, table: str | Path | None) -> None:
        self.rows = _read_table(table) if table else {}
        try:
            self.pattern = re.compile(pattern) if pattern else None
        except re.error as error:
            raise ValueError(f"pattern '{pattern}' is not a regular expression ({error}).") from error

    def of(self, name: str, header: str | None) -> dict[str, str]:
        row = self.rows.get(name) or self.rows.get(os.path.basename(name)) or {}
        facts = {key: row[key] for key in ("patient", "split") if row.get(key)}
        if "patient" not in facts and self.pattern is not None and (match := self.pattern.search(name)):
            facts["patient"] = match.group(1) if self.pattern.groups else match.group(0)
        if "patient" not in facts and header:
            facts["patient"] = header
        return facts


def _read_table(path: str | Path) -> dict[str, Mapping[str, str]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"table of patients '{path}' does not exist.")
    with open(path, newline="", encoding="utf-8-sig") as handle:
        rows = list(csv.DictReader(handle))
    if rows and not {"file", "patient"} <= set(rows[0]):
        raise ValueError(f"table of patients '{path}' needs the columns file and patient, got {', '.join(rows[0])}.")
    return {row["file"]: row for row in rows}
