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
"""What comes with the package besides code: bundles, presets and comparison plans.

In a checkout (and an editable install) they lie beside the package, in ``bundles/``, ``configs/`` and ``comparisons/``;
an installed wheel carries copies of them. A bundle is a folder that its user owns, so they are copied out before they
are used: ``python -m monai_lamps copy``.
"""

from __future__ import annotations

import difflib
import filecmp
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .version import __version__

__all__ = ["CARRIED", "bundle_names", "bundle_title", "collection_root", "copy_collection"]

CARRIED = (
    "bundles/*/LICENSE",
    "bundles/*/configs/*",
    "bundles/*/docs/*",
    "configs/*/*.json",
    "comparisons/*.json",
)
"""Which files come with the package, relative to the root of a checkout."""

INSTALLED = "_collection"  # the folder of an installed package that setup.py puts them into


def collection_root(package: Path | None = None) -> Path:
    """The folder that holds ``bundles/``, ``configs/`` and ``comparisons/``.

    Args:
        package: folder of the package; this one by default.

    Raises:
        FileNotFoundError: when they are neither in the package nor beside it.
    """
    package = Path(__file__).resolve().parent if package is None else package
    for root in (package / INSTALLED, package.parent):
        if (root / "bundles" / "lamps_pretraining" / "configs" / "metadata.json").is_file():
            return root
    raise FileNotFoundError(
        f"no bundles in '{package / INSTALLED}' and none beside the package in '{package.parent}'; install the package "
        "with pip (from a wheel or a whole checkout), which brings them."
    )


def bundle_names() -> list[str]:
    """Names of the bundles that come with the package."""
    return sorted(file.parent.parent.name for file in collection_root().glob("bundles/*/configs/metadata.json"))


def bundle_title(name: str) -> str:
    """What a bundle calls itself in its ``metadata.json``."""
    file = collection_root() / "bundles" / name / "configs" / "metadata.json"
    return str(json.loads(file.read_text(encoding="utf-8"))["name"])


def copy_collection(
    folder: str | os.PathLike[str], names: Sequence[str] | None = None, replace: bool = False
) -> list[Path]:
    """Copy bundles, with all presets and comparison plans, laid out as in the repository.

    Commands of the documentation (``--config_file bundles/lamps_pretraining/configs/train.json``) then work in the
    folder. Files that are there already and are the same are left alone.

    Args:
        folder: where to; it is made if need be.
        names: the bundles; all by default.
        replace: overwrite files that differ, such as those of an earlier version or those that were edited.

    Returns:
        The files that the folder now has of the collection.

    Raises:
        ValueError: for an unknown bundle.
        FileExistsError: when a file that differs would be overwritten; nothing is copied then.
    """
    root, folder = collection_root(), Path(folder)
    targets = {source: folder / source.relative_to(root) for source in _sources(root, _known(names))}
    differing = [to for source, to in targets.items() if to.exists() and not _same(source, to)]
    if differing and not replace:
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        raise FileExistsError(
            f"'{differing[0]}'{more} would be overwritten, and is not what monai_lamps {__version__} has there; take "
            "another folder, or replace what differs (--replace)."
        )
    for source, to in targets.items():
        if not to.exists() or to in differing:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, to)
    return list(targets.values())


def _known(names: Sequence[str] | None) -> list[str]:
    known = bundle_names()
    for name in names or []:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            mean = f"; did you mean '{near[0]}'?" if near else "."
            raise ValueError(f"there is no bundle '{name}'{mean} There are: {', '.join(known)}.")
    return list(names) if names else known


def _sources(root: Path, names: Sequence[str]) -> list[Path]:
    found = sorted(file for pattern in CARRIED for file in root.glob(pattern) if file.is_file())
    parts = {file: file.relative_to(root).parts for file in found}
    return [file for file in found if parts[file][0] != "bundles" or parts[file][1] in names]


def _same(source: Path, target: Path) -> bool:
    return target.is_file() and filecmp.cmp(source, target, shallow=False)
