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
"""Write organ, side and view into a datalist, once."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_lamps.data.annotations.paths import map_mask_paths
from monai_lamps.data.datalist import SECTIONS, load_datalist, save_datalist
from monai_lamps.data.organs.dicom import DicomOrgans
from monai_lamps.data.organs.sources import FolderOrgans, OrganSource
from monai_lamps.data.organs.table import read_organs, require_organs

__all__ = ["add_organs", "add_parser"]

_LOGGER = logging.getLogger(__name__)


def add_organs(
    datalist: str | Path, out: str | Path, source: OrganSource, base_dir: str | Path | None = None
) -> dict[str, int]:
    """Copy a datalist with the entries ``organ``, ``laterality`` and ``view`` of each item, where they are known.

    Entries that are there already are replaced by what is read, and stay where nothing is. Paths are relative to the
    new file where the images lie below or beside it, else absolute.

    Args:
        datalist: a MONAI datalist.
        out: the new one; may be the same file.
        source: where the organ is read from.
        base_dir: folder that relative paths are relative to; the datalist's own folder by default.

    Returns:
        number of images of each organ, the most frequent first.

    Raises:
        ValueError: when no image has a known organ, or the file is no datalist.
        FileNotFoundError: when there is no such file.
    """
    sections = {name: load_datalist(datalist, name, base_dir) for name in SECTIONS}
    content = json.loads(Path(datalist).read_text(encoding="utf-8"))
    labels = read_organs([item for items in sections.values() for item in items], source)
    require_organs(labels, source)
    found = iter(labels)
    written = {
        name: [_relative_to(Path(out).parent, {**item, **next(found).columns}) for item in items]
        for name, items in sections.items()
        if name in content
    }
    save_datalist(out, written, **{name: value for name, value in content.items() if name not in SECTIONS})
    return dict(Counter(label.organ for label in labels if label.organ).most_common())


def _relative_to(folder: Path, item: Mapping[str, Any]) -> dict[str, Any]:
    base = os.path.abspath(folder)

    def relative(path: str) -> str:
        shorter = os.path.relpath(path, base)
        return shorter if shorter.count("..") <= 2 else path

    return map_mask_paths({**item, "image": relative(item["image"])}, relative)


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the sub-parsers of ``python -m monai_lamps.data``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "organs", help="write organ, side and view of every image into a datalist"
    )
    parser.set_defaults(run=_run)
    parser.add_argument("datalist", help="MONAI datalist")
    parser.add_argument("--from", dest="source", required=True, choices=("dicom", "folder"), help="where they are read")
    parser.add_argument("--out", required=True, help="the new datalist; may be the same file")
    parser.add_argument("--level", type=int, help="folder: 1 holds the file, 2 lies above it (default: the nearest)")
    parser.add_argument("--base", help="folder that relative paths are relative to (default: that of the datalist)")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.level is not None and options.source != "folder":
        raise ValueError(f"--level got {options.level}, which belongs to --from folder; leave it out.")
    source = DicomOrgans() if options.source == "dicom" else FolderOrgans(options.level)
    counts = add_organs(options.datalist, options.out, source, options.base)
    _LOGGER.info(", ".join(f"{count} {organ}" for organ, count in counts.items()) + f" -> {options.out}")
    return 0
