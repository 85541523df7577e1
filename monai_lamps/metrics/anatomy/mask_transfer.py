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
"""Masks of a few annotated patients carried to another one by dense features, without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from monai.metrics import compute_dice
from torch import Tensor

from .case_figures import CaseFigures
from .dense_grid import check_map, unit_features

__all__ = [
    "MaskTemplate",
    "MaskTransfer",
    "copy_masks",
    "dice_figures",
    "mask_transfer",
    "structure_figure_names",
    "transfer_masks",
]

_AT_ONCE = 1024  # cells whose cosines with all annotated cells are held at a time
_LINEAR = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class MaskTemplate:
    """An annotated image.

    Args:
        features: (D, *grid), float.
        masks: (K, *image), of 0 and 1, in the same order in every image; structures may overlap.
    """

    features: Tensor
    masks: Tensor


def transfer_masks(
    templates: Sequence[MaskTemplate],
    features: Tensor,
    image_size: Sequence[int],
    neighbours: int = 5,
    temperature: float = 0.1,
) -> Tensor:
    """Find the structures of annotated images in another one.

    Label propagation as in the DAVIS evaluation of DINO (Caron et al., ICCV 2021, after Jabri et al., NeurIPS 2020):
    each cell takes the mean label of its nearest cells among those of all templates, weighted by the softmax of their
    cosines. Unlike there, cells are looked for in the whole image, as two patients are not two frames of a film. A
    cell's label is the share of it that a mask covers; the result is enlarged linearly.

    Args:
        templates: k annotated images of other patients.
        features: (D, *grid), float, of the image without annotation.
        image_size: its sides, px.
        neighbours: nearest cells that are asked; all cells if there are fewer.
        temperature: of the softmax, above 0.

    Returns:
        (K, *image_size) float32 in [0, 1].

    Raises:
        ValueError: when there is no template, a shape does not fit, or ``neighbours`` or ``temperature`` is too small.
    """
    _check(templates)
    check_map(features, image_size)
    if neighbours < 1 or not temperature > 0:
        raise ValueError(
            f"neighbours must be at least 1 and temperature above 0, got {neighbours} and {temperature}; 5 and 0.1 are "
            "usual."
        )
    for template in templates:
        check_map(template.features, template.masks.shape[1:])
        if len(template.features) != len(features):
            raise ValueError(
                f"a template has {len(template.features)} channels of features, the image {len(features)}; use one "
                "encoder for all."
            )
    known = torch.cat([unit_features(t.features).flatten(1) for t in templates], 1)  # (D, M)
    labels = torch.cat([_cell_labels(t).flatten(1) for t in templates], 1).T  # (M, K)
    carried = []
    for part in unit_features(features).flatten(1).T.split(_AT_ONCE):
        cosine, index = (part @ known).topk(min(neighbours, known.shape[1]))
        carried.append(((cosine / temperature).softmax(1)[..., None] * labels[index]).sum(1))
    cells = torch.cat(carried).T.view(1, -1, *features.shape[1:])
    return _resized(cells, image_size)


def copy_masks(templates: Sequence[MaskTemplate], image_size: Sequence[int]) -> Tensor:
    """The control without features: the mean of the templates' masks, stretched to the image.

    Args:
        templates: k annotated images.
        image_size: sides of the image without annotation, px.

    Returns:
        (K, *image_size) float32 in [0, 1].

    Raises:
        ValueError: when there is no template, or they differ in their number of masks.
    """
    _check(templates)
    return torch.stack([_resized(t.masks[None].float(), image_size) for t in templates]).mean(0)


def mask_transfer(
    templates: Sequence[MaskTemplate],
    features: Tensor,
    truth: Tensor,
    structures: Sequence[str],
    neighbours: int = 5,
    temperature: float = 0.1,
) -> dict[str, float]:
    """Dice of structures carried from annotated patients to this one.

    ``dice/<structure>`` and, the mean over the structures, ``dice``; and as the control the same of :func:`copy_masks`,
    ``copied/<structure>`` and ``copied``. A structure that is not in ``truth`` has NaN and is left out of the means.

    Args:
        templates: k annotated images of other patients.
        features: (D, *grid), float, of this patient's image.
        truth: (K, *image), of 0 and 1.
        structures: K names.
        neighbours: nearest cells that are asked.
        temperature: of the softmax over their cosines.

    Returns:
        the figures, 0 to 1.

    Raises:
        ValueError: when there is no template, or a shape does not fit.
    """
    carried = transfer_masks(templates, features, truth.shape[1:], neighbours, temperature)
    copied = copy_masks(templates, truth.shape[1:])
    return dice_figures("dice", carried >= 0.5, truth, structures) | dice_figures(
        "copied", copied >= 0.5, truth, structures
    )


def dice_figures(figure: str, found: Tensor, truth: Tensor, structures: Sequence[str]) -> dict[str, float]:
    """Dice of each structure and their mean.

    Args:
        figure: name of the figure.
        found: (K, *image), bool.
        truth: (K, *image), of 0 and 1.
        structures: K names.

    Returns:
        ``<figure>`` and ``<figure>/<structure>``, 0 to 1, NaN where a structure is not in ``truth``.

    Raises:
        ValueError: when the shapes differ, or there are not K names.
    """
    if found.shape != truth.shape or len(found) != len(structures):
        raise ValueError(
            f"found and true masks must both be ({len(structures)}, ...) for the structures {list(structures)}, got "
            f"{tuple(found.shape)} and {tuple(truth.shape)}."
        )
    dice = compute_dice(found[None].cpu().float(), (truth > 0.5)[None].cpu().float())[0].double()
    mean = {figure: float(dice.nanmean())}
    return mean | {f"{figure}/{name}": float(value) for name, value in zip(structures, dice)}


def structure_figure_names(figures: Sequence[str], structures: Sequence[str]) -> list[str]:
    """Names of the figures of :func:`dice_figures` for several figures."""
    return [name for figure in figures for name in (figure, *(f"{figure}/{s}" for s in structures))]


class MaskTransfer(CaseFigures):
    """:func:`mask_transfer` to one patient after another, and the means over the patients.

    Args:
        structures: names, in the order of the masks.
        neighbours: nearest cells that are asked.
        temperature: of the softmax over their cosines.
    """

    def __init__(self, structures: Sequence[str], neighbours: int = 5, temperature: float = 0.1) -> None:
        super().__init__(structure_figure_names(["dice", "copied"], structures))
        self.structures = tuple(structures)
        self.neighbours = neighbours
        self.temperature = temperature

    def __call__(
        self, templates: Sequence[MaskTemplate], features: Tensor, truth: Tensor, patient: object = None
    ) -> dict[str, float]:
        """Judge one patient by :func:`mask_transfer`; ``patient`` is for the intervals."""
        figures = mask_transfer(templates, features, truth, self.structures, self.neighbours, self.temperature)
        self.add(figures, patient)
        return figures


def _cell_labels(template: MaskTemplate) -> Tensor:
    """Share of each cell that each mask covers, (K, *grid) float32."""
    grid: Any = tuple(template.features.shape[1:])
    pool = F.adaptive_avg_pool2d if len(grid) == 2 else F.adaptive_avg_pool3d
    return pool(template.masks.to(template.features.device, torch.float32), grid)


def _resized(cells: Tensor, image_size: Sequence[int]) -> Tensor:
    mode = _LINEAR[len(image_size)]
    return F.interpolate(cells, size=tuple(image_size), mode=mode, align_corners=False)[0]


def _check(templates: Sequence[MaskTemplate]) -> None:
    if not templates:
        raise ValueError("masks are carried from at least 1 annotated image, got none.")
    counts = {len(template.masks) for template in templates}
    if len(counts) > 1:
        raise ValueError(f"all templates must have the same structures, got {sorted(counts)} masks.")
