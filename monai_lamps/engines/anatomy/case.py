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
"""Radiographs to judge encoders on, all in one frame."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from monai_lamps.data.annotations import StructureValues, annotated_structures, structure_masks
from monai_lamps.data.dataset import root_cause
from monai_lamps.data.landmarks import LandmarkSource, NoLandmarks, Points
from monai_lamps.data.organs import ColumnOrgans, OrganLabel
from monai_lamps.data.radiograph import read_radiograph
from monai_lamps.data.rejects import RejectLog
from monai_lamps.transforms.load_radiograph import Reader

__all__ = ["Case", "CaseReader", "check_annotations", "read_cases", "resize"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """A radiograph in a square frame of S px.

    Attributes:
        name: what a person calls it.
        patient: whose it is; of images of one patient one is no news beside the other.
        image: (1, S, S) float in [0, 1].
        points: position (row, column) of each landmark in shares of the side: 0 and 1 are the outer edges of the image.
        masks: (S, S) bool by structure.
        organ: what the radiograph shows, with side and view; empty texts where that is not known.
        source: data set or machine that it comes from; an empty text where that is not known.
    """

    name: str
    patient: object
    image: Tensor
    points: Points = field(default_factory=dict)
    masks: dict[str, Tensor] = field(default_factory=dict)
    organ: OrganLabel = field(default_factory=OrganLabel)
    source: str = ""


class CaseReader:
    """Reads an item of a datalist, with its landmarks and masks, and brings it to a square frame.

    As for fine-tuning, the aspect is not kept: positions are then the same share of the body in all images.

    Args:
        size: side S of the frame, px.
        landmarks: where points come from.
        structures: whose masks are read, where an item has them; None for all that it has, an empty list for none.
        values: value, or values, of each structure in label maps.
        reader: what reads an image file, with the signature of :func:`~monai_lamps.data.read_radiograph`, which is the
            default; ``ArrayCache("CACHE").read`` gives smaller copies, which masks and landmarks of the files do not
            fit.
        organs: gives the organ of an item; by default it stands in the columns ``organ``, ``laterality`` and ``view``.
        source: column that names where a radiograph comes from.

    Raises:
        ValueError: when the frame is smaller than 32 px.
    """

    def __init__(
        self,
        size: int,
        landmarks: LandmarkSource | None = None,
        structures: Sequence[str] | None = None,
        values: StructureValues | None = None,
        reader: Reader | None = None,
        organs: Callable[[Mapping[str, Any]], OrganLabel] | None = None,
        source: str = "source",
    ) -> None:
        if size < 32:
            raise ValueError(f"the frame must have at least 32 px, got {size}.")
        self.size, self.landmarks = size, landmarks or NoLandmarks()
        self.structures, self.values, self.reader = structures, values, reader or read_radiograph
        self.organs, self.source = organs or ColumnOrgans(), source

    def __call__(self, item: Mapping[str, Any]) -> Case:
        """Read one item.

        Raises:
            RadiographError: when the image cannot be used.
            AnnotationError: when an annotation cannot be used.
        """
        path = os.fspath(item["image"])
        pixels, meta = self.reader(path)
        height, width = pixels.shape
        known = annotated_structures(item, self.values)
        wanted = [name for name in known if self.structures is None or name in self.structures]
        masks = structure_masks(item, wanted, (height, width), self.values) if wanted else {}
        points = {
            name: ((row + 0.5) / height, (column + 0.5) / width)
            for name, (row, column) in self.landmarks({**item, "image": path}, masks).items()
        }
        return Case(
            name=os.path.basename(path),
            patient=item.get("patient") or meta.get("patient") or path,
            image=resize(torch.from_numpy(pixels)[None], self.size),
            points={
                name: (row, column)
                for name, (row, column) in points.items()
                if 0 <= min(row, column) <= max(row, column) < 1
            },
            masks={
                name: resize(torch.from_numpy(mask)[None].float(), self.size)[0] >= 0.5
                for name, mask in masks.items()
                if mask.any()
            },
            organ=self.organs(item),
            source=str(item.get(self.source) or ""),
        )


def read_cases(
    items: Iterable[Mapping[str, Any]],
    read: Callable[[Mapping[str, Any]], Case],
    rejects: RejectLog | None = None,
    max_reject: float = 0.05,
) -> list[Case]:
    """Read all items; those that cannot be used are set aside.

    Args:
        items: of a datalist.
        read: usually a :class:`CaseReader`.
        rejects: list of what was set aside; None is strict.
        max_reject: largest share of items that may be set aside; a single one always may.

    Raises:
        RuntimeError: when an item cannot be used and there is no list, or too many are set aside.
        ValueError: when fewer than two images are left: nothing can be compared.
    """
    items, cases, failed = list(items), [], 0
    for item in tqdm(items, desc="reading", leave=False, disable=None):
        try:
            cases.append(read(item))
        except MemoryError:
            raise
        except Exception as error:
            cause, failed = root_cause(error), failed + 1
            if rejects is not None:
                rejects.add(os.fspath(item["image"]), cause)
            if rejects is None or failed > max(1.0, max_reject * len(items)):
                raise RuntimeError(
                    f"{failed} of {len(items)} radiographs cannot be used, more than max_reject={max_reject:.1%} "
                    f"allows; the last one, {item['image']}: {cause}. Mend or remove them, or raise max_reject."
                ) from error
            _LOGGER.warning(f"set aside {item['image']}: {cause}")
    if len(cases) < 2:
        raise ValueError(f"an evaluation compares radiographs, at least 2; got {len(cases)}. Give more --images.")
    return cases


def check_annotations(
    cases: Sequence[Case], landmarks: str | os.PathLike[str] = "masks", structures: Sequence[str] | None = None
) -> None:
    """Refuse annotations that were asked for and are in none of the radiographs.

    Args:
        cases: the radiographs.
        landmarks: as the user gave them: a file, ``masks`` or ``none``.
        structures: as the user gave them, or None.

    Raises:
        ValueError: when the file lists none of the images, or a structure is nowhere.
    """
    if os.fspath(landmarks) not in ("masks", "none") and not any(case.points for case in cases):
        raise ValueError(
            f"landmarks '{landmarks}' list none of the {len(cases)} radiographs, such as {cases[0].name}; its file "
            "names must be the ends of the images' paths."
        )
    known = list(dict.fromkeys(name for case in cases for name in case.masks))
    for name in structures or ():
        if name not in known:
            raise ValueError(
                f"structures got '{name}', which no radiograph has; they have {', '.join(known) or 'none'}."
            )


def resize(images: Tensor, size: int) -> Tensor:
    """Resize to a square with antialiasing (an image smaller than it is enlarged), bilinear.

    Args:
        images: (C, H, W) or (B, C, H, W), float.
        size: side of the result, px.
    """
    if images.shape[-2:] == (size, size):
        return images
    batch = images if images.ndim == 4 else images[None]
    made = functional.interpolate(batch, (size, size), mode="bilinear", antialias=True)
    return made if images.ndim == 4 else made[0]
