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
"""The sets by name, and their split."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.data.datalist import split_by_patient
from monai_lamps.data.sets import (
    chestx_det,
    chestxray14,
    chexpert,
    jsrt,
    montgomery,
    rsna,
    shenzhen,
    siim_acr,
    vindr_cxr,
    vindr_ribcxr,
)

__all__ = ["read_set", "set_names", "set_options", "set_title"]

_READERS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "jsrt": jsrt.read_jsrt,
    "montgomery": montgomery.read_montgomery,
    "shenzhen": shenzhen.read_shenzhen,
    "chestxray14": chestxray14.read_chestxray14,
    "chexpert": chexpert.read_chexpert,
    "rsna": rsna.read_rsna,
    "vindr_cxr": vindr_cxr.read_vindr_cxr,
    "vindr_ribcxr": vindr_ribcxr.read_vindr_ribcxr,
    "siim_acr": siim_acr.read_siim_acr,
    "chestx_det": chestx_det.read_chestx_det,
}


def set_names() -> tuple[str, ...]:
    """Names of the sets that :func:`read_set` knows."""
    return tuple(_READERS)


def set_title(name: str) -> str:
    """One line that says what a set is."""
    return (inspect.getdoc(_reader(name)) or "").split("\n")[0]


def set_options(name: str) -> dict[str, Any]:
    """The options of a set and their defaults.

    Raises:
        ValueError: when there is no such set.
    """
    parameters = inspect.signature(_reader(name)).parameters
    return {key: parameter.default for key, parameter in parameters.items() if key not in ("folder", "max_missing")}


def read_set(
    name: str,
    folder: str | Path,
    *,
    validation: float = 0.1,
    test: float = 0.0,
    seed: int = 0,
    max_missing: float = 0.05,
    **options: Any,
) -> dict[str, list[Mapping[str, Any]]]:
    """Read a public set as it was downloaded.

    The official parts of a set are kept; where one is missing, patients are drawn for it, never splitting one. The
    split depends on the seed and the patients alone, not on where the set lies. Images are not opened; ``python -m
    monai_lamps.data index`` does that.

    Args:
        name: one of :func:`set_names`.
        folder: where it was unpacked; the set may lie up to two folders below.
        validation: share of the patients without an official part that is kept for validation.
        test: the same for test; only for sets without an official test part.
        seed: seed of the split.
        max_missing: largest share of listed images that may be missing; those within it are left out and counted.
        options: of the set, see :func:`set_options`.

    Returns:
        items by section: ``image`` (absolute path), ``patient`` and, as the set has them, ``labels`` (class: 0, 1 or -1
        for unknown) and ``masks``, ``polygons`` or ``rle`` (see :func:`~monai_lamps.data.annotations.structure_masks`).

    Raises:
        FileNotFoundError: when a file or folder of the set is not there.
        ValueError: for an unknown set or option, a table that is not the set's, too many missing images, a patient in
            two official parts, or a share of test beside an official test part.
    """
    reader = _reader(name)
    if not 0 <= max_missing <= 1:
        raise ValueError(f"max_missing must be a share in [0, 1], got {max_missing}; 0.05 is 5 %.")
    known = set_options(name)
    if unknown := [option for option in options if option not in known]:
        raise ValueError(
            f"set '{name}' has no option '{unknown[0]}'; it has {', '.join(known) if known else 'no options'}."
        )
    items = reader(Path(os.path.abspath(folder)), max_missing=max_missing, **options)
    _check_parts(name, items, test)
    return split_by_patient(items, validation, test, seed)


def _reader(name: str) -> Callable[..., list[dict[str, Any]]]:
    if name not in _READERS:
        raise ValueError(f"unknown set '{name}'; known are {', '.join(_READERS)}.")
    return _READERS[name]


def _check_parts(name: str, items: Sequence[Mapping[str, Any]], test: float) -> None:
    """Refuse a split that mixes official and drawn parts."""
    given = {item["patient"]: item["split"] for item in items if "split" in item}
    if test and "test" in given.values():
        raise ValueError(f"set '{name}' has an official test part; leave test at 0, got {test}.")
    for item in items:
        if "split" not in item and item["patient"] in given:
            raise ValueError(
                f"patient '{item['patient']}' of set '{name}' has images in the official part "
                f"'{given[item['patient']]}' and, with '{item['image']}', outside it; mend the lists of the parts."
            )
