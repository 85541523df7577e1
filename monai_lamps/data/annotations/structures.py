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
"""The masks of an item's structures, whichever way they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_lamps.data.annotations.error import AnnotationError
from monai_lamps.data.annotations.mask_file import check_orientation, list_values, read_binary_mask, read_label_map
from monai_lamps.data.annotations.polygon import fill_polygons
from monai_lamps.data.annotations.run_length import decode_run_lengths

__all__ = ["FORMS", "StructureValues", "annotated_structures", "image_name", "structure_masks"]

#: entries of an item that hold masks: label map, files, polygons, run lengths
FORMS = ("label", "masks", "polygons", "rle")

#: value, or values, of each structure in label maps
StructureValues = Mapping[str, int | Sequence[int]]


def annotated_structures(item: Mapping[str, Any], values: StructureValues | None = None) -> dict[str, str]:
    """The structures that an item is annotated with, and in which of :data:`FORMS` each.

    Args:
        item: an item of a datalist, see :func:`structure_masks`.
        values: value, or values, of each structure in the label map.

    Returns:
        form by structure, in the order of the item; a structure whose mask is null counts: it is known not to be there.

    Raises:
        AnnotationError: when an entry is not of its form, a label map comes without values, or a structure is given in
            two forms.
    """
    found: dict[str, str] = {}
    for form in FORMS:
        given = item.get(form)
        if given is None:
            continue
        if form == "label":
            if not isinstance(given, str):
                raise AnnotationError(f"{image_name(item)}: 'label' must be the path of a label map, got {given!r}.")
            if not values:
                raise AnnotationError(
                    f"{image_name(item)}: nothing says which value of the label map '{given}' is which structure; "
                    'state "structures": {"heart": 1, ...} in the datalist or give values.'
                )
        elif not isinstance(given, Mapping):
            raise AnnotationError(f"{image_name(item)}: '{form}' must be a mapping from structures, got {given!r}.")
        for name in values or () if form == "label" else given:
            if name in found:
                raise AnnotationError(
                    f"{image_name(item)}: '{name}' is given in '{found[name]}' and in '{form}'; remove one of them."
                )
            found[name] = form
    return found


def structure_masks(
    item: Mapping[str, Any],
    names: Sequence[str],
    size: tuple[int, int],
    values: StructureValues | None = None,
) -> dict[str, npt.NDArray[np.bool_]]:
    """Draw some of the structures that an item is annotated with.

    An item may hold any of these, each structure in one of them:

    - ``label``: path of a label map, whose values ``values`` names; 0 is outside all structures;
    - ``masks``: for each structure the path of its mask, several paths whose union it is, or null for nothing there;
    - ``polygons``: for each structure a list of polygons, see :func:`~monai_lamps.data.annotations.fill_polygons`;
    - ``rle``: for each structure the run lengths, one or several whose union it is, or null, see
      :func:`~monai_lamps.data.annotations.decode_run_lengths`.

    ``mask_scale`` n says that a pixel of the mask files covers n x n pixels of the image (SCR's masks of JSRT: 2).

    Args:
        item: an item of a datalist with absolute paths; ``image`` names it in errors.
        names: the structures to draw, each one of :func:`annotated_structures`.
        size: (height, width) of the image.
        values: value, or values, of each structure in the label map.

    Returns:
        (H, W) bool for each name.

    Raises:
        AnnotationError: when a file cannot be used, a mask and the image differ in size or orientation, a label map
            holds a value without a name, or a polygon lies outside.
    """
    forms = annotated_structures(item, values)
    draw: dict[str, Callable[[str], npt.NDArray[np.bool_]]] = {
        "masks": lambda name: _from_files(item, name, size),
        "polygons": lambda name: fill_polygons(item["polygons"][name] or (), size, f"'{name}' of {image_name(item)}"),
        "rle": lambda name: _from_run_lengths(item, name, size),
    }
    if any(forms[name] == "label" for name in names):
        assert values is not None
        table = {name: [value] if isinstance(value, int) else list(value) for name, value in values.items()}
        label_map = _label_map(item, table, size)
        draw["label"] = lambda name: np.isin(label_map, table[name])
    return {name: draw[forms[name]](name) for name in names}


def _label_map(item: Mapping[str, Any], table: Mapping[str, list[int]], size: tuple[int, int]) -> npt.NDArray[np.int64]:
    path = item["label"]
    label_map = read_label_map(path)
    known = {0, *(value for values in table.values() for value in values)}
    if unknown := set(np.unique(label_map).tolist()) - known:
        names = ", ".join(f"{'/'.join(map(str, values))} ({name})" for name, values in table.items())
        raise AnnotationError(
            f"label map '{path}' holds {list_values(np.array(sorted(unknown)))}, which no structure has; known are "
            f"0 (outside), {names}: name the value or mend the map."
        )
    return _fit(label_map, path, item, size)


def _from_files(item: Mapping[str, Any], name: str, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    given = item["masks"][name]
    paths = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(paths, Sequence) or not all(isinstance(path, str) for path in paths):
        raise AnnotationError(
            f"{image_name(item)}: the mask of '{name}' must be a path, a list of paths or null, got {given!r}."
        )
    mask = np.zeros(size, dtype=bool)
    for path in paths:
        mask |= _fit(read_binary_mask(path), path, item, size)
    return mask


def _from_run_lengths(item: Mapping[str, Any], name: str, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    given = item["rle"][name]
    codes = [given] if isinstance(given, Mapping) else [] if given is None else given
    mask = np.zeros(size, dtype=bool)
    for code in codes:
        part = decode_run_lengths(code, f"'{name}' of {image_name(item)}")
        mask |= _check_size(part, size, f"the run-length mask of '{name}'", image_name(item))
    return mask


def _fit(pixels: npt.NDArray, path: str, item: Mapping[str, Any], size: tuple[int, int]) -> npt.NDArray:
    """Mask pixels as image pixels: each repeated where the item says so, then checked against the image."""
    scale = item.get("mask_scale", 1)
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise AnnotationError(f"{image_name(item)}: 'mask_scale' must be a whole number of at least 1, got {scale!r}.")
    if isinstance(item.get("image"), str):
        check_orientation(path, item["image"])
    if scale > 1:
        pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    enlarged = f", enlarged {scale} times as the item's mask_scale says," if scale > 1 else ""
    return _check_size(pixels, size, f"mask '{path}'{enlarged}", image_name(item))


def _check_size(pixels: npt.NDArray, size: tuple[int, int], what: str, image: str) -> npt.NDArray:
    height, width = pixels.shape
    if (height, width) != tuple(size):
        turned = (height, width) == (size[1], size[0])
        mend = "one of them is turned: save both upright" if turned else "resize one to the other, masks with nearest"
        raise AnnotationError(
            f"{what} has {width} x {height} pixels and its {image} {size[1]} x {size[0]} (width x height); {mend}."
        )
    return pixels


def image_name(item: Mapping[str, Any]) -> str:
    """What an error calls the image of an item."""
    image = item.get("image")
    return f"image '{image}'" if isinstance(image, str) else "image"
