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
"""Load the masks of structures as a MONAI transform."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import DtypeLike, KeysCollection
from monai.data import MetaTensor, get_track_meta
from monai.transforms import MapTransform, Transform
from monai.utils import MetaKeys, TransformBackends
from monai.utils.type_conversion import get_equivalent_dtype

from monai_lamps.data.annotations import (
    FORMS,
    AnnotationError,
    StructureValues,
    annotated_structures,
    image_name,
    structure_masks,
)

__all__ = ["LoadStructures", "LoadStructuresD", "LoadStructuresDict", "LoadStructuresd"]

MISSING = ("error", "ignore")

logger = logging.getLogger(__name__)


class LoadStructures(Transform):
    """Load the masks of structures as one multi-label mask, in the orientation and size of the image.

    Masks may be one label map, one file (or several) for each structure, polygons or run lengths, see
    :func:`~monai_lamps.data.annotations.structure_masks`. Each structure has a channel of its own, so structures that
    overlap (clavicle over lung) are kept whole. Nothing is resized: a mask of another size than the image is an error.

    A structure that an item says nothing of is *not annotated*; one whose mask is null or empty is annotated and *not
    there*. Empty masks are allowed; each structure's first one is logged, and ``empty`` counts them (in this process).

    Args:
        structures: names in the order of the channels; or a mapping from the name of each channel to the structures
            whose union it is, such as ``{"lungs": ["left lung", "right lung"], "heart": ["heart"]}``.
        values: value, or values, of each structure in label maps
            (:func:`~monai_lamps.data.annotations.read_structure_values` takes them from a datalist).
        missing: what a structure that is not annotated is: "error", or "ignore" (an empty channel, ``annotated`` is
            False, so that the loss can leave it out). Of a union, all parts have to be annotated.
        dtype: type of the mask (torch or NumPy), default float32.

    Raises:
        ValueError: when ``structures`` is empty or names one twice, or ``missing`` is unknown.
        AnnotationError: from a call, when an annotation cannot be used or is missing.

    Example::

        mask, annotated = LoadStructures(["heart"])({"masks": {"heart": "heart.gif"}}, size=(1024, 1024))
    """

    backend = [TransformBackends.NUMPY]

    def __init__(
        self,
        structures: Sequence[str] | Mapping[str, str | Sequence[str]],
        values: StructureValues | None = None,
        missing: str = "error",
        dtype: DtypeLike | torch.dtype = torch.float32,
    ) -> None:
        if isinstance(structures, str) or not structures or len(set(structures)) != len(structures):
            raise ValueError(f"structures must be a list of different names, got {structures!r}; e.g. ['heart'].")
        if missing not in MISSING:
            raise ValueError(f"missing must be one of {', '.join(MISSING)}, got '{missing}'.")
        parts = structures if isinstance(structures, Mapping) else {name: [name] for name in structures}
        self.parts = {name: [part] if isinstance(part, str) else list(part) for name, part in parts.items()}
        if bare := [name for name, part in self.parts.items() if not part]:
            raise ValueError(f"structures: '{bare[0]}' is a union of nothing; name the structures that it is made of.")
        self.values = dict(values) if values else None
        self.missing = missing
        self.dtype: torch.dtype = get_equivalent_dtype(dtype, torch.Tensor)
        self.empty: Counter[str] = Counter()

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(self.parts)

    def __call__(  # type: ignore[override]
        self, item: Mapping[str, Any], size: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Load the structures of one item.

        Args:
            item: an item of a datalist with absolute paths; ``image``, its path, names it in errors.
            size: (height, width) of the image.

        Returns:
            (K, H, W) of 0 and 1, and ``annotated`` (K,) bool: whether the item says anything of the structure.
        """
        height, width = (int(length) for length in size)
        known = annotated_structures(item, self.values)
        annotated = [all(part in known for part in parts) for parts in self.parts.values()]
        if self.missing == "error" and not all(annotated):
            self._refuse(item, known)
        wanted = [part for parts, told in zip(self.parts.values(), annotated) if told for part in parts]
        drawn = structure_masks(item, list(dict.fromkeys(wanted)), (height, width), self.values)
        mask = np.zeros((len(self.parts), height, width), dtype=bool)
        for channel, (name, parts) in enumerate(self.parts.items()):
            if annotated[channel]:
                mask[channel] = np.logical_or.reduce([drawn[part] for part in parts])
                self._count_empty(name, mask[channel], item)
        return torch.from_numpy(mask).to(self.dtype), torch.tensor(annotated)

    def _refuse(self, item: Mapping[str, Any], known: Mapping[str, str]) -> None:
        absent = [part for parts in self.parts.values() for part in parts if part not in known]
        has = ", ".join(known) if known else f"no annotation at all (none of {', '.join(FORMS)})"
        raise AnnotationError(
            f"{image_name(item)} has no annotation of '{absent[0]}'; it has {has}. Annotate it (null says that "
            "it is not there), take it out of structures, or set missing='ignore'."
        )

    def _count_empty(self, name: str, mask: np.ndarray, item: Mapping[str, Any]) -> None:
        if not mask.any():
            self.empty[name] += 1
            if self.empty[name] == 1:
                logger.info(f"'{name}' is empty in {image_name(item)}: taken as not there. Later ones: no log.")


class LoadStructuresd(MapTransform):
    """Dictionary-based version of :class:`LoadStructures`: an item's annotations become one mask.

    The image has to be loaded before, from the file that was annotated (not from a cache of smaller copies), so that
    its size is known; its path, for errors and for the check of NIfTI affines, is taken from its meta data. ``label``,
    ``masks``, ``polygons``, ``rle`` and ``mask_scale`` are taken out of the item, whose entries are then the same in
    every item of a batch.

    Args:
        keys: where the mask goes, one key, usually "label".
        structures: see :class:`LoadStructures`.
        values: see :class:`LoadStructures`.
        missing: see :class:`LoadStructures`.
        dtype: type of the mask, default float32.
        image_key: key of the loaded image, (..., H, W).
        annotated_key: where ``annotated`` (K,) bool goes.

    Returns of a call:
        the item with ``keys[0]``: (K, H, W), a ``MetaTensor`` while ``monai.data.get_track_meta()`` is true, and
        ``annotated_key``.

    Raises:
        ValueError: when several keys are given.
        KeyError: when the item has no image.
        AnnotationError: when the image is not loaded yet, or an annotation cannot be used.
    """

    backend = LoadStructures.backend

    def __init__(
        self,
        keys: KeysCollection,
        structures: Sequence[str] | Mapping[str, str | Sequence[str]],
        values: StructureValues | None = None,
        missing: str = "error",
        dtype: DtypeLike | torch.dtype = torch.float32,
        image_key: str = "image",
        annotated_key: str = "annotated",
    ) -> None:
        super().__init__(keys)
        if len(self.keys) != 1:
            raise ValueError(f"keys must be one key, where the mask goes, got {self.keys}; e.g. 'label'.")
        self.loader = LoadStructures(structures, values, missing, dtype)
        self.image_key = image_key
        self.annotated_key = annotated_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Load the structures of one item, see the class."""
        image = data[self.image_key]
        if not isinstance(image, (torch.Tensor, np.ndarray)) or image.ndim < 2:
            raise AnnotationError(
                f"'{self.image_key}' is {image!r}, expected the loaded image; "
                "put LoadRadiographd before LoadStructuresd."
            )
        path = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
        item = {name: data[name] for name in (*FORMS, "mask_scale") if name in data}
        mask, annotated = self.loader({**item, "image": path}, image.shape[-2:])
        d = {key: value for key, value in data.items() if key not in item}
        if get_track_meta():
            mask = MetaTensor(mask, meta={MetaKeys.ORIGINAL_CHANNEL_DIM.value: 0, "filename_or_obj": path or ""})
        return {**d, self.keys[0]: mask, self.annotated_key: annotated}


LoadStructuresD = LoadStructuresDict = LoadStructuresd
