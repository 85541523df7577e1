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
"""Organs outlined in a few patients are found in the others, without training."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_lamps.metrics.anatomy import MaskTemplate, mask_transfer, transfer_masks
from monai_lamps.reports import as_picture
from monai_lamps.tasks.overlay import overlay

from .case import Case, resize
from .landmark_transfer import choose_templates
from .probe import Examination, Finding, Note, NotJudgedError, Probe, mean_of

__all__ = ["MaskTransferProbe", "case_masks"]


class MaskTransferProbe(Probe):
    """Carries the masks of a few annotated radiographs to those of other patients.

    Args:
        templates: how many are annotated.
        neighbours: nearest cells that are asked.
        temperature: of the softmax over their cosines.
    """

    name = "mask transfer"
    about = (
        "Each cell of a radiograph takes the label of the cells of a few annotated radiographs whose dense features "
        "are most similar (label propagation), without any training."
    )
    notes = {
        "dice": Note("more", "Dice, mean over the structures, 0 to 1."),
        "dice/*": Note("more", "Dice of a structure."),
        "copied": Note("", "Dice when the templates' mean mask is copied, which needs no encoder."),
        "copied/*": Note("", "the same for a structure."),
    }

    def __init__(self, templates: int = 5, neighbours: int = 5, temperature: float = 0.1) -> None:
        self.templates, self.neighbours, self.temperature = templates, neighbours, temperature

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class.

        Raises:
            NotJudgedError: when there are too few radiographs with masks, or the templates have no structure in common.
        """
        cases, side = examination.cases, examination.image_size
        annotated = [number for number, case in enumerate(cases) if case.masks]
        chosen, asked = choose_templates(examination, annotated, self.templates, "masks")
        structures = [name for name in cases[chosen[0]].masks if all(name in cases[number].masks for number in chosen)]
        if not structures:
            raise NotJudgedError("the annotated radiographs have no structure in common (--structures).")
        masks = {number: case_masks(cases[number], structures, side) for number in (*chosen, *asked)}
        templates = [MaskTemplate(examination.maps[number], masks[number]) for number in chosen]
        rows: list[dict[str, float]] = [{} for _ in cases]
        for number in asked:
            rows[number] = mask_transfer(
                templates, examination.maps[number], masks[number], structures, self.neighbours, self.temperature
            )
        first = asked[0]
        carried = transfer_masks(templates, examination.maps[first], (side, side), self.neighbours, self.temperature)
        union = (mask.any(0) for mask in (masks[first] > 0.5, carried >= 0.5))
        picture = as_picture(overlay(examination.images[first], *union))
        return Finding(mean_of(rows), pictures={"true outline (green) and carried one (red)": picture})


def case_masks(case: Case, structures: list[str], side: int) -> Tensor:
    """Masks of a radiograph at the size that encoders see it, (K, side, side) float 0 or 1; a missing one is empty."""
    empty = torch.zeros(case.image.shape[-2:], dtype=torch.bool)
    masks = torch.stack([case.masks.get(name, empty) for name in structures])
    return (resize(masks.float(), side) >= 0.5).float()
