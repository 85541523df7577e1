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
"""Load class labels as a MONAI transform."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends

from monai_lamps.data.annotations import AnnotationError, label_value

__all__ = ["LoadLabels", "LoadLabelsD", "LoadLabelsDict", "LoadLabelsd"]

MISSING = ("error", "unknown")


class LoadLabels(Transform):
    """Turn the labels of an image into one number for each class.

    Args:
        classes: names in the order of the output.
        missing: what a class that the labels do not name is: "error" or "unknown".

    Returns of a call:
        (K,) float32 in [0, 1], NaN where unknown (-1, null or NaN), so that the loss can leave it out.

    Raises:
        ValueError: when ``classes`` is empty or names one twice, or ``missing`` is unknown.
        AnnotationError: from a call, for a class that is missing, a value that is no label, or a list of another
            length.

    Example::

        LoadLabels(["Edema", "Mass"])({"Edema": 1, "Mass": -1})  # tensor([1., nan])
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, classes: Sequence[str], missing: str = "error") -> None:
        if isinstance(classes, str) or not classes or len(set(classes)) != len(classes):
            raise ValueError(f"classes must be a list of different names, got {classes!r}; e.g. ['Edema', 'Mass'].")
        if missing not in MISSING:
            raise ValueError(f"missing must be one of {', '.join(MISSING)}, got '{missing}'.")
        self.classes = tuple(classes)
        self.missing = missing

    def __call__(self, labels: Mapping[str, Any] | Sequence[Any], image: str = "") -> torch.Tensor:
        """Turn the labels of one image into numbers.

        Args:
            labels: value by class, others are passed over; or one value for each class, in their order.
            image: path of the image, for errors.
        """
        if isinstance(labels, Mapping):
            absent = [name for name in self.classes if name not in labels]
            if absent and self.missing == "error":
                raise AnnotationError(
                    f"image '{image}' has no label '{absent[0]}'; it has {', '.join(labels) or 'none'}. Add it (-1 "
                    "says unknown), take it out of classes, or set missing='unknown'."
                )
            values = [labels.get(name) for name in self.classes]
        elif isinstance(labels, Sequence) and not isinstance(labels, str) and len(labels) == len(self.classes):
            values = list(labels)
        else:
            raise AnnotationError(
                f"image '{image}': labels must be a mapping from classes or a list of {len(self.classes)} values, got "
                f"{labels!r}."
            )
        return torch.tensor([label_value(value, name, image) for name, value in zip(self.classes, values)])


class LoadLabelsd(MapTransform):
    """Dictionary-based version of :class:`LoadLabels`.

    Args:
        keys: where the numbers go, one key, usually "label".
        classes: see :class:`LoadLabels`.
        missing: see :class:`LoadLabels`.
        labels_key: key of the labels, which are taken out of the item.
        image_key: key of the image or its path, which names the item in errors.

    Raises:
        ValueError: when several keys are given.
        AnnotationError: when the item has no labels, or they cannot be used.
    """

    backend = LoadLabels.backend

    def __init__(
        self,
        keys: KeysCollection,
        classes: Sequence[str],
        missing: str = "error",
        labels_key: str = "labels",
        image_key: str = "image",
    ) -> None:
        super().__init__(keys)
        if len(self.keys) != 1:
            raise ValueError(f"keys must be one key, where the numbers go, got {self.keys}; e.g. 'label'.")
        self.loader = LoadLabels(classes, missing)
        self.labels_key = labels_key
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Turn the labels of one item into numbers, see the class."""
        image = data.get(self.image_key)
        name = str(image.meta.get("filename_or_obj", "") if isinstance(image, MetaTensor) else image)
        if self.labels_key not in data:
            raise AnnotationError(
                f"image '{name}' has no '{self.labels_key}'; give the item \"{self.labels_key}\": "
                f'{{"{self.loader.classes[0]}": 0 or 1, ...}} in the datalist.'
            )
        d = {key: value for key, value in data.items() if key != self.labels_key}
        return {**d, self.keys[0]: self.loader(data[self.labels_key], name)}


LoadLabelsD = LoadLabelsDict = LoadLabelsd
