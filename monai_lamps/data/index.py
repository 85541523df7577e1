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
"""Turn a folder of files into a verified MONAI datalist."""

from __future__ import annotations

import csv
import fnmatch
import logging
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.data.datalist import check_shares, save_datalist, split_by_patient
from monai_lamps.data.rejects import RejectLog
from monai_lamps.data.verify import verify_files

__all__ = ["find_files", "index_folder"]

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
    keep_duplicates: bool = False,
    progress: bool = True,
) -> Path:
    """Verify every radiograph of a folder once, and list them in a MONAI datalist.

    Every file is read as training will read it, in parallel. What cannot be used goes to ``rejected.csv`` with the
    reason, which replaces an older one; of exact duplicates (equal pixels) the first by name is kept and the others are
    listed there too. Hidden files and side files (tables, texts, archives) are passed over. Patients, where known, are
    never split between sections: they come from ``patients_csv``, else from ``pattern``, else from the DICOM header.
    The split depends on the names within the folder, not on where the folder or the output lies.

    Args:
        folder: searched recursively.
        out: where ``datalist.json`` and ``rejected.csv`` go; by default ``NAME_index`` in the current folder.
        validation, test: shares of patients.
        seed: seed of the split.
        workers: processes; all cores by default, 0 or 1 for this process alone.
        pattern: regular expression, its first group (or the whole match) on the relative path is the patient.
        patients_csv: table with the columns ``file`` and ``patient`` and optionally ``split``; files by relative path
            or name.
        exclude: glob patterns of relative paths to leave out, e.g. ``masks/*``.
        max_reject: largest tolerated share of unreadable files (duplicates do not count).
        keep_duplicates: list exact duplicates like any other image (for inference).
        progress: tell how far it is, see :func:`~monai_lamps.data.progress_bar.progress_bar`.

    Returns:
        path of the datalist.

    Raises:
        FileNotFoundError: when the folder does not exist.
        ValueError: when it holds no file, no readable radiograph, or too many unreadable ones; for a bad share; for a
            pattern or table that is bad or fits no file.
    """
    check_shares(validation, test)
    if not 0 <= max_reject <= 1:
        raise ValueError(f"max_reject must be a share in [0, 1], got {max_reject}; 0.05 is 5 %.")
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"'{folder}' is not a folder; give the folder that holds the radiographs.")
    folder = Path(folder).resolve()
    known = _Patients(pattern, patients_csv)
    out = Path(out) if out is not None else Path(f"{folder.name}_index")
    files = find_files(folder, exclude)
    if not files:
        raise ValueError(f"'{folder}' holds no image file; give a folder with PNG, JPEG, DICOM or NIfTI radiographs.")
    known.check(files)
    out.mkdir(parents=True, exist_ok=True)
    results = verify_files([folder / name for name in files], workers, progress)
    items, rejected, bad = _sort_out(folder, files, results, known, keep_duplicates)
    log = RejectLog(out / "rejected.csv")
    log.replace(rejected)
    _check_share(folder, log.path, len(files), bad, max_reject)
    if not items:
        raise ValueError(f"'{folder}' holds no readable radiograph; '{log.path}' gives the reason for each file.")
    sections = _relative_to(out, folder, split_by_patient(items, validation, test, seed))
    aside = f"{len(bad)} unreadable, {len(rejected) - len(bad)} duplicates or without an image"
    target = save_datalist(
        out / "datalist.json",
        sections,
        name=folder.name,
        description=f"{len(items)} radiographs, {aside}",
        source=str(folder),
        settings={
            "validation": validation,
            "seed": seed,
            "pattern": pattern,
            "patients_csv": str(patients_csv) if patients_csv else None,
            "exclude": list(exclude),
        },
    )
    counts = ", ".join(f"{len(rows)} {name}" for name, rows in sections.items())
    formats = ", ".join(f"{n} {name}" for name, n in Counter(r["format"] for _, r in results if "format" in r).items())
    logger.info(f"{counts} images ({formats}); {aside} -> {target}")
    return target


def _relative_to(
    out: Path, folder: Path, sections: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """The sections with image paths as the datalist in ``out`` has them."""
    base = Path(os.path.abspath(out))
    return {
        name: [{**item, "image": _relative(folder / item["image"], base)} for item in rows]
        for name, rows in sections.items()
    }


def find_files(folder: str | Path, exclude: Sequence[str] = ()) -> list[str]:
    """Relative paths of all files that may be radiographs, sorted; hidden files and side files are left out.

    Args:
        folder: searched recursively.
        exclude: glob patterns of relative paths.
    """
    found = []
    seen: set[str] = set()  # links to folders are followed, each folder once, so that a loop of links ends
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            lower = name.lower()
            side = Path(lower).suffix in _SIDE_FILES and not lower.endswith(".nii.gz")
            if not (name.startswith(".") or side or lower in _NAMES):
                found.append(os.path.relpath(os.path.join(root, name), folder))
    return sorted(name for name in found if not any(fnmatch.fnmatch(name, glob) for glob in exclude))


def _sort_out(
    folder: Path,
    files: Sequence[str],
    results: Sequence[tuple[Path, dict[str, Any]]],
    known: _Patients,
    keep_duplicates: bool,
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
        elif result["sha256"] in first and not keep_duplicates:
            rejected.append((str(path), f"exact duplicate of {folder / first[result['sha256']]}"))
        else:
            first[result["sha256"]] = name
            item = {"image": name, "width": result["width"], "height": result["height"]}
            items.append({**item, **known.of(name, result.get("patient"))})
    return items, rejected, bad


def _check_share(folder: Path, log: Path, total: int, bad: Sequence[tuple[str, str]], max_reject: float) -> None:
    if len(bad) > max_reject * total:
        examples = "; ".join(f"{file}: {reason}" for file, reason in bad[:3])
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

    def __init__(self, pattern: str | None, table: str | Path | None) -> None:
        self.table = table
        self.rows = _read_table(table) if table else {}
        try:
            self.pattern = re.compile(pattern) if pattern else None
        except re.error as error:
            raise ValueError(f"pattern '{pattern}' is not a regular expression ({error}).") from error

    def check(self, files: Sequence[str]) -> None:
        """Refuse a table or a pattern that fits no file: patients would silently be split between sections."""
        if self.table and not any(self._row(name) for name in files):
            raise ValueError(
                f"table of patients '{self.table}' has none of the {len(files)} files, such as '{files[0]}'; "
                "its column file must hold paths relative to the folder, or names."
            )
        if self.pattern and not self.table and not any(self.pattern.search(name) for name in files):
            raise ValueError(
                f"pattern '{self.pattern.pattern}' fits none of the {len(files)} files, such as '{files[0]}'; mend it."
            )

    def of(self, name: str, header: str | None) -> dict[str, str]:
        """Entries ``patient`` and ``split`` of an item, where known."""
        row = self._row(name)
        facts = {key: row[key].strip() for key in ("patient", "split") if (row.get(key) or "").strip()}
        match = self.pattern.search(name) if self.pattern is not None else None
        found = (match.group(1) if match.re.groups else match.group(0)) if match else None
        patient = facts.get("patient") or found or header
        return {**facts, "patient": patient} if patient else facts

    def _row(self, name: str) -> Mapping[str, str]:
        return self.rows.get(name) or self.rows.get(os.path.basename(name)) or {}


def _read_table(path: str | Path) -> dict[str, Mapping[str, str]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"table of patients '{path}' does not exist.")
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as handle:
        reader = csv.DictReader(handle)
        columns = reader.fieldnames or []
        if not {"file", "patient"} <= set(columns):
            got = ", ".join(columns) or "none"
            raise ValueError(f"table of patients '{path}' needs the columns file and patient, got {got}.")
        return {row["file"]: row for row in reader}
