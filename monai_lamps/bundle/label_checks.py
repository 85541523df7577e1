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
"""What is checked of masks and labels before a fine-tuning run starts."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from monai_lamps.data.annotations import (
    AnnotationError,
    StructureValues,
    annotated_structures,
    count_labels,
    label_value,
)

__all__ = ["check_labels", "check_masks", "check_structures"]

_LOGGER = logging.getLogger(__name__)
_OPENED = 200  # images, at most, whose masks are looked at before a run
Sections = Mapping[str, Sequence[Mapping[str, Any]]]


def check_structures(
    sections: Sections,
    structures: Sequence[str] | Mapping[str, str | Sequence[str]],
    values: StructureValues | None = None,
    missing: str = "error",
) -> None:
    """Refuse data of which a structure cannot be learned, before a run starts. No mask is opened.

    Args:
        sections: training and validation items.
        structures: see :class:`~monai_lamps.transforms.LoadStructures`.
        values: value of each structure in label maps.
        missing: "error": every image must be annotated with every structure; "ignore": some of each section must.

    Raises:
        AnnotationError: naming the structure, an image, and what it is annotated with.
    """
    parts = structures if isinstance(structures, Mapping) else {name: [name] for name in structures}
    wanted = [part for given in parts.values() for part in ([given] if isinstance(given, str) else given)]
    for section in ("training", "validation"):
        items = sections[section]
        known = [annotated_structures(item, values) for item in items]
        for part in wanted:
            lacking = [item for item, has in zip(items, known) if part not in has]
            if not lacking or (missing != "error" and len(lacking) < len(items)):
                continue
            has = annotated_structures(lacking[0], values)
            raise AnnotationError(
                f"{len(lacking)} of {len(items)} {section} images have no annotation of '{part}', such as "
                f"'{lacking[0]['image']}', which has {', '.join(has) or 'none'}. Annotate it (null says that it is not "
                "there), take it out of --structures, or give --missing ignore to learn from the others."
            )


def check_masks(
    items: Sequence[Mapping[str, Any]],
    load: Callable[[dict[str, Any]], Mapping[str, Any]],
    structures: Iterable[str],
) -> None:
    """Refuse training images none of which shows a structure, before a run starts.

    Masks are opened until every structure was seen, usually those of one image. Of more than 200 images none is opened:
    that would take long where a structure is rare. A file that cannot be read is left to the run, which sets it aside
    or ends with its name.

    Args:
        items: the images to learn from.
        load: from an item to ``label`` (K, h, w), as the network will see it.
        structures: names of the K masks.

    Raises:
        AnnotationError: naming the structure.
    """
    if len(items) > _OPENED:
        return
    unseen, read = dict(enumerate(structures)), 0
    for item in items:
        try:
            masks = load(dict(item))["label"]
        except Exception as error:  # MONAI wraps whatever a reader raises
            _LOGGER.debug(f"'{item['image']}' could not be looked at: {error}")
            continue
        read += 1
        unseen = {channel: name for channel, name in unseen.items() if not masks[channel].any()}
        if not unseen:
            return
    if read:
        raise AnnotationError(
            f"none of {len(items)} training images shows {', '.join(unseen.values())}: the masks are empty, as they "
            "are or at --image_size. Take other or more images (--shot_seed, --shots, --share), or take the structure "
            "out of --structures."
        )


def check_labels(
    sections: Sections,
    classes: Sequence[str],
    multi_class: bool = False,
    missing: str = "error",
    judged: str = "validation",
) -> None:
    """Refuse labels from which a class cannot be learned, before a run starts.

    A class must have a positive image in training, and some class both a positive and a negative one in the section
    that judges, or no AUROC could tell which is the best epoch or encoder. A class that it cannot judge is logged.

    Args:
        sections: items of training and of the section that judges.
        classes: names of the classes.
        multi_class: whether each image has exactly one of them.
        missing: "error": every image must have a label for every class (-1 or null for unknown).
        judged: the section that judges.

    Raises:
        AnnotationError: naming the class or column, the section and an image.
        ValueError: when the training section is to judge itself.
    """
    if judged == "training":
        raise ValueError("section got 'training', whose images are learned from; expected validation or test.")
    if isinstance(classes, str) or not classes:
        raise AnnotationError(f"classes got {classes!r}, expected a list of names, such as ['Edema', 'Mass'].")
    counts = {}
    for section in ("training", judged):
        items = sections[section]
        if missing == "error":
            _check_columns(items, classes, section)
        counts[section] = count_labels(items, classes)
        if multi_class:
            _check_one_class(items, classes)
    absent = [name for name, count in counts["training"].items() if not count["positive"]]
    if absent:
        raise AnnotationError(
            f"none of {len(sections['training'])} training images shows {', '.join(absent)} (a label of at least 0.5); "
            "take the class out of --classes, or split the data otherwise."
        )
    lacking = [name for name, count in counts[judged].items() if not (count["positive"] and count["negative"])]
    if len(lacking) == len(counts[judged]):
        raise AnnotationError(
            f"no class of {', '.join(classes)} has both a positive and a negative image among the "
            f"{len(sections[judged])} of {judged}, so no AUROC could be told; split the data otherwise."
        )
    if lacking:
        _LOGGER.warning(f"{judged} has no positive or no negative image of {', '.join(lacking)}: no AUROC of them.")


def _check_columns(items: Sequence[Mapping[str, Any]], classes: Sequence[str], section: str) -> None:
    for name in classes:
        lacking = [item for item in items if name not in (item.get("labels") or {})]
        if lacking:
            has = ", ".join(lacking[0].get("labels") or {}) or "none"
            raise AnnotationError(
                f"{len(lacking)} of {len(items)} {section} images have no label '{name}', such as "
                f"'{lacking[0]['image']}', which has {has}. Add it (-1 says unknown), take it out of --classes, or "
                "give --missing unknown."
            )


def _check_one_class(items: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> None:
    for item in items:
        labels = item.get("labels") or {}
        values = [label_value(labels.get(name), name, str(item["image"])) for name in classes]
        has = [name for name, value in zip(classes, values) if value >= 0.5]
        if not any(math.isnan(value) for value in values) and len(has) != 1:
            raise AnnotationError(
                f"image '{item['image']}' has the classes {has}, expected exactly one of {list(classes)}; mend its "
                "labels, or leave --multi_class out to judge each class for itself."
            )
