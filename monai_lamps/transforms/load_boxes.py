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
"""Load boxes as a mask, as a MONAI transform."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor, get_track_meta
from monai.transforms import MapTransform, Transform
from monai.utils import MetaKeys, TransformBackends

from monai_lamps.data.annotations import AnnotationError, fill_polygons, image_name

__all__ = ["LoadBoxes", "LoadBoxesD", "LoadBoxesDict", "LoadBoxesd"]


class LoadBoxes(Transform):
    """Turn the boxes of an image into one mask: 1 for pixels whose centre lies in any of them.

    An item says ``"boxes": {"Pneumonia": [[x, y, width, height], ...], "Mass": []}``, or a list of boxes without names,
    in pixels of the image file, x to the right and y downwards from the outer corner at the top left. An image that has
    ``boxes`` has all of them listed: what it does not name is not there. One without the entry says nothing.

    Args:
        structures: names whose boxes count; all by default.

    Raises:
        ValueError: when ``structures`` is empty or names one twice.
        AnnotationError: from a call, when a box cannot be used.

    Example::

        mask, annotated = LoadBoxes()({"boxes": {"Mass": [[10, 20, 30, 15]]}}, size=(64, 64))
    """

    backend = [TransformBackends.NUMPY]

    def __init__(self, structures: Sequence[str] | None = None) -> None:
        given = structures is not None
        if given and (isinstance(structures, str) or not structures or len(set(structures)) != len(structures)):
            raise ValueError(f"structures must be a list of different names, got {structures!r}; e.g. ['Mass'].")
        self.structures = None if structures is None else tuple(structures)

    def __call__(  # type: ignore[override]
        self, item: Mapping[str, Any], size: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn the boxes of one item into a mask.

        Args:
            item: an item of a datalist; ``image``, its path, names it in errors.
            size: (height, width) of the image.

        Returns:
            (1, H, W) float32 of 0 and 1, and ``annotated`` (1,) bool: whether the item says anything of boxes.
        """
        height, width = (int(length) for length in size)
        boxes = self.boxes(item)
        corners = [_corners(box, image_name(item)) for box in boxes or ()]
        mask = fill_polygons(corners, (height, width), f"boxes of {image_name(item)}")
        return torch.from_numpy(mask[None].astype(np.float32)), torch.tensor([boxes is not None])

    def boxes(self, item: Mapping[str, Any]) -> list[Any] | None:
        """The boxes of one item that count, unchecked; None where it says nothing.

        Args:
            item: an item of a datalist.

        Raises:
            AnnotationError: when they are neither a list nor a mapping, or have no names although some are wanted.
        """
        given = item.get("boxes")
        if given is None:
            return None
        if isinstance(given, Mapping):
            names = given if self.structures is None else [name for name in self.structures if name in given]
            return [box for name in names for box in given[name] or ()]
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise AnnotationError(
                f"{image_name(item)}: 'boxes' must be lists [x, y, width, height], or a mapping from names to such "
                f"lists, got {given!r}."
            )
        if self.structures is not None:
            raise AnnotationError(
                f"{image_name(item)}: its boxes have no names, expected some of {', '.join(self.structures)}; give "
                '"boxes": {"NAME": [[x, y, width, height], ...]}, or leave structures out.'
            )
        return list(given)


class LoadBoxesd(MapTransform):
    """Dictionary-based version of :class:`LoadBoxes`: an item's boxes become a mask.

    The image has to be loaded before, from the file that the boxes were drawn on (not from a cache of smaller copies).
    ``boxes`` is taken out of the item.

    Args:
        keys: where the mask goes, one key, usually "mask".
        structures: see :class:`LoadBoxes`.
        image_key: key of the loaded image, (..., H, W).
        annotated_key: where ``annotated`` (1,) bool goes.

    Returns of a call:
        the item with ``keys[0]``: (1, H, W), a ``MetaTensor`` while ``monai.data.get_track_meta()`` is true, and
        ``annotated_key``.

    Raises:
        ValueError: when several keys are given.
        KeyError: when the item has no image.
        AnnotationError: when the image is not loaded yet, or a box cannot be used.
    """

    backend = LoadBoxes.backend

    def __init__(
        self,
        keys: KeysCollection,
        structures: Sequence[str] | None = None,
        image_key: str = "image",
        annotated_key: str = "annotated",
    ) -> None:
        super().__init__(keys)
        if len(self.keys) != 1:
            raise ValueError(f"keys must be one key, where the mask goes, got {self.keys}; e.g. 'mask'.")
        self.loader, self.image_key, self.annotated_key = LoadBoxes(structures), image_key, annotated_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Turn the boxes of one item into a mask, see the class."""
        image = data[self.image_key]
        if not isinstance(image, (torch.Tensor, np.ndarray)) or image.ndim < 2:
            raise AnnotationError(
                f"'{self.image_key}' is {image!r}, expected the loaded image; put LoadRadiographd before LoadBoxesd."
            )
        path = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
        mask, annotated = self.loader({"image": path, "boxes": data.get("boxes")}, image.shape[-2:])
        if get_track_meta():
            mask = MetaTensor(mask, meta={MetaKeys.ORIGINAL_CHANNEL_DIM.value: 0, "filename_or_obj": path or ""})
        rest = {key: value for key, value in data.items() if key != "boxes"}
        return {**rest, self.keys[0]: mask, self.annotated_key: annotated}


LoadBoxesD = LoadBoxesDict = LoadBoxesd


def _corners(box: Any, image: str) -> list[list[float]]:
    """The corners of a box in turn."""
    numbers = isinstance(box, Sequence) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in box
    )
    if not numbers or len(box) != 4 or not (box[2] > 0 and box[3] > 0):
        raise AnnotationError(
            f"{image}: a box must be [x, y, width, height] in px with a width and a height above 0, got {box!r}."
        )
    x, y, width, height = (float(value) for value in box)
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
