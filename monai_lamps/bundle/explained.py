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
"""The images that explanations are judged on, and what tells where the truth lies."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from monai.transforms import MapTransform

from monai_lamps.bundle.few_shot import pick_shots
from monai_lamps.bundle.switch import switch
from monai_lamps.data.annotations import FORMS, StructureValues, annotated_structures, count_structures, label_value
from monai_lamps.transforms import LoadBoxes, LoadBoxesd, LoadStructuresd, RandLesionTruthd

__all__ = ["explained_images", "explained_truth"]

_LOGGER = logging.getLogger(__name__)
_MASK = "mask"

Item = Mapping[str, Any]


def explained_images(
    items: Sequence[Item],
    target: str,
    structures: Sequence[str] | None = None,
    values: StructureValues | None = None,
    synthetic: bool | str = False,
    images: int = 64,
    others: int = 64,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Choose images that show where something is, and some that do not.

    The former are judged for place, all of them for whether the amount of evidence agrees with the prediction. With
    ``synthetic``, images that are not known to show ``target`` are chosen; each is there twice, with lesions put on it
    and as it is.

    Args:
        items: a section of a datalist.
        target: class that is explained.
        structures: names of boxes or masks whose union is the truth; all that the items have by default.
        values: value, or values, of each structure in label maps.
        synthetic: judge on synthetic lesions; also as text.
        images: how many images with truth at the most, as many patients as there can be.
        others: how many without at the most; with ``synthetic`` as many as with lesions.
        seed: of the choice.

    Returns:
        items with ``image``, ``name``, ``patient`` and what :func:`explained_truth` reads.

    Raises:
        ValueError: when a number is out of its range, no image shows where anything is, or a structure is nowhere.
        AnnotationError: when an annotation is of no known form.
    """
    if images < 1 or others < 0:
        raise ValueError(f"images got {images} and others {others}, expected at least 1 image and at least 0 others.")
    if switch(synthetic, "synthetic"):
        return _with_and_without(_healthy(items, target), images, seed)
    wanted = _wanted(items, structures, values)
    shows = [_shows(item, _have_boxes(items), wanted, structures, values) for item in items]
    told = [item for item, shown in zip(items, shows) if shown]
    if not told:
        raise ValueError(
            f"none of {len(items)} images shows where {', '.join(wanted) or 'anything'} is; an item says so by "
            '"boxes": {"NAME": [[x, y, width, height], ...]} in px, or by masks; or judge on --synthetic true lesions.'
        )
    silent = [item for item, shown in zip(items, shows) if not shown]
    chosen = pick_shots(told, min(images, len(told)), seed=seed)
    apart = pick_shots(silent, min(others, len(silent)), seed=seed) if others and silent else []
    _LOGGER.info(
        f"{len(told)} of {len(items)} images show where something is; explained are {len(chosen)} of them and "
        f"{len(apart)} others."
    )
    return [_case(_complete(item, wanted)) for item in chosen] + [_case(_silenced(item)) for item in apart]


def explained_truth(
    items: Sequence[Item],
    structures: Sequence[str] | None = None,
    values: StructureValues | None = None,
    synthetic: bool | str = False,
) -> MapTransform:
    """What makes the mask of the truth, ``mask`` and ``annotated``, of a loaded image.

    Args:
        items: a section of a datalist; where any of them has boxes, boxes are the truth, else masks.
        structures: see :func:`explained_images`.
        values: see :func:`explained_images`.
        synthetic: put synthetic lesions on the images; also as text.

    Raises:
        ValueError: when a structure is nowhere.
    """
    if switch(synthetic, "synthetic"):
        return RandLesionTruthd(keys=_MASK)
    wanted = _wanted(items, structures, values)
    if _have_boxes(items) or not wanted:
        return LoadBoxesd(keys=_MASK, structures=structures)
    return LoadStructuresd(keys=_MASK, structures={"truth": wanted}, values=values, missing="ignore")


def _healthy(items: Sequence[Item], target: str) -> list[Item]:
    """The items that are not known to show the target."""
    labels = [item.get("labels") or {} for item in items]
    if not any(isinstance(own, Mapping) and target in own for own in labels):
        _LOGGER.warning(f"no image has the label '{target}': lesions are put on all images, ill ones, too.")
        return list(items)
    found = [
        item for item, own in zip(items, labels) if not label_value(own.get(target), target, str(item["image"])) >= 0.5
    ]
    if not found:
        raise ValueError(f"all {len(items)} images show '{target}'; synthetic lesions need some that do not.")
    return found


def _with_and_without(items: Sequence[Item], images: int, seed: int) -> list[dict[str, Any]]:
    chosen = [_case(_silenced(item)) for item in pick_shots(items, min(images, len(items)), seed=seed)]
    return [{**item, "lesioned": lesioned} for lesioned in (True, False) for item in chosen]


def _have_boxes(items: Sequence[Item]) -> bool:
    return any(item.get("boxes") is not None for item in items)


def _wanted(items: Sequence[Item], structures: Sequence[str] | None, values: StructureValues | None) -> list[str]:
    """Names of the boxes, or else the masks, that count."""
    if _have_boxes(items):
        named = [item["boxes"] for item in items if isinstance(item.get("boxes"), Mapping)]
        known = list(dict.fromkeys(name for boxes in named for name in boxes))
        if structures and not named:
            known = list(structures)  # LoadBoxes says that they have no names
    else:
        known = list(count_structures(items, values))
    if unknown := [name for name in structures or () if name not in known]:
        has = ", ".join(known) or "neither boxes nor masks"
        raise ValueError(f"structures got '{unknown[0]}', which no image has; they have {has}.")
    return list(structures or known)


def _shows(
    item: Item,
    by_boxes: bool,
    wanted: Sequence[str],
    structures: Sequence[str] | None,
    values: StructureValues | None,
) -> bool:
    """Whether the item lists a box, or a mask, of what counts; the files are not opened."""
    if by_boxes:
        return bool(LoadBoxes(structures).boxes(item))
    forms = annotated_structures(item, values)
    return any(name in forms and (forms[name] == "label" or item[forms[name]][name]) for name in wanted)


def _complete(item: Item, wanted: Sequence[str]) -> Item:
    """An item with masks of some structures, with those that it does not name as not there."""
    if item.get("boxes") is not None or isinstance(item.get("label"), str):
        return item
    named = {name for form in FORMS if isinstance(item.get(form), Mapping) for name in item[form]}
    absent = {name: None for name in wanted if name not in named}
    return {**item, "masks": {**(item.get("masks") or {}), **absent}}


def _silenced(item: Item) -> Item:
    """An item without annotations."""
    return {key: value for key, value in item.items() if key not in ("boxes", "mask_scale", *FORMS)}


def _case(item: Item) -> dict[str, Any]:
    image, patient = os.fspath(item["image"]), item.get("patient")
    return {**item, "name": image, "patient": image if patient in (None, "") else str(patient)}
