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
"""``python -m monai_lamps.data index FOLDER`` and ``python -m monai_lamps.data list LISTFILE``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from monai_lamps.data.datalist import save_datalist, split_by_patient
from monai_lamps.data.index import index_folder
from monai_lamps.data.lists import LIST_KINDS, read_list_file

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors of use end with one line and status 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    options = _parser().parse_args(arguments)
    try:
        _index(options) if options.command == "index" else _list(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _index(options: argparse.Namespace) -> None:
    index_folder(
        options.folder,
        options.out,
        validation=options.validation,
        test=options.test,
        seed=options.seed,
        workers=options.workers,
        pattern=options.patient_pattern,
        patients_csv=options.patients,
        exclude=options.exclude,
        max_reject=options.max_reject,
        progress=not options.quiet,
    )


def _list(options: argparse.Namespace) -> None:
    base = options.base or Path(options.listfile).parent
    items = read_list_file(options.listfile, base, options.kind)
    named = [{**item, "image": os.path.relpath(item["image"], base)} for item in items]  # the same split everywhere
    sections = {
        name: [{**item, "image": str((Path(base) / item["image"]).resolve())} for item in rows]
        for name, rows in split_by_patient(named, options.validation, 0.0, options.seed).items()
    }
    target = save_datalist(options.out, sections, name=Path(options.listfile).stem, source=str(options.listfile))
    logging.getLogger(__name__).info(f"{len(items)} images -> {target}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m monai_lamps.data", description="Prepare radiographs for training.")
    commands = parser.add_subparsers(dest="command", required=True)
    index = commands.add_parser("index", help="verify every radiograph of a folder and list them in a MONAI datalist")
    index.add_argument("folder", help="searched recursively for PNG, JPEG, DICOM and NIfTI")
    index.add_argument("--out", help="folder for datalist.json and rejected.csv (default: ./NAME_index)")
    index.add_argument("--test", type=float, default=0.0, help="share of patients kept for test")
    index.add_argument("--patient-pattern", help="regular expression; its first group in a path is the patient")
    index.add_argument("--patients", help="CSV with the columns file, patient and optionally split")
    index.add_argument("--exclude", action="append", default=[], help="glob of relative paths to leave out, repeatable")
    index.add_argument("--max-reject", type=float, default=0.05, help="largest tolerated share of unreadable files")
    index.add_argument("--workers", type=int, help="processes (default: all cores)")
    index.add_argument("--quiet", action="store_true", help="no progress bar")
    lists = commands.add_parser("list", help="turn a list file of a public data set into a MONAI datalist")
    lists.add_argument("listfile")
    lists.add_argument("--kind", default="paths", choices=list(LIST_KINDS))
    lists.add_argument("--base", help="folder that the paths are relative to (default: that of the list)")
    lists.add_argument("--out", default="datalist.json")
    for command in (index, lists):
        command.add_argument("--validation", type=float, default=0.1, help="share of patients for validation")
        command.add_argument("--seed", type=int, default=0, help="seed of the split")
    return parser


if __name__ == "__main__":
    sys.exit(main())
