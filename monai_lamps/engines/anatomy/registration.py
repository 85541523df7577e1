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
"""Registration as an application: two patients are aligned by their dense features."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image
from torch import Tensor

from monai_lamps.registration import (
    AffineFit,
    PointFit,
    RegistrationError,
    ThinPlateFit,
    register,
    registration,
    resample_by_map,
)
from monai_lamps.reports import as_picture
from monai_lamps.tasks.overlay import overlay, row_of

from .mask_transfer import case_masks
from .probe import Examination, Finding, Note, NotJudgedError, Probe, mean_of

__all__ = ["RegistrationProbe"]


class RegistrationProbe(Probe):
    """Aligns pairs of patients and compares the Dice of their masks, which play no part in it, before and after.

    Args:
        pairs: how many; each radiograph with masks is aligned with the next one of another patient.
        fits: what is fitted to the matches, by name; affine and deformable by default.
        tolerance: cells up to which a match agrees with a map.
    """

    name = "registration"
    about = (
        "Pairs of patients are aligned by places that are each other's most similar in dense features; Dice of their "
        "masks, which play no part in it, before and after."
    )
    notes = {
        "dice before": Note("", "Dice of the masks as they lie, mean over the structures."),
        "dice *": Note("more", "Dice after the alignment."),
        "gain *": Note("more", "Dice after minus before; below 0 the alignment does harm."),
        "folding *": Note("less", "share of the radiograph where the map folds."),
        "failed *": Note("less", "share of pairs with too few matches that agree; they stay as they were."),
    }

    def __init__(self, pairs: int = 12, fits: Mapping[str, PointFit] | None = None, tolerance: float = 1.5) -> None:
        self.pairs, self.tolerance = pairs, tolerance
        own: dict[str, PointFit] = {"affine": AffineFit(), "deformable": ThinPlateFit()}
        self.fits = dict(fits or own)

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class.

        Raises:
            NotJudgedError: when there are no two patients with masks of the same structure.
        """
        pairs = self._choose(examination)
        rows: list[dict[str, float]] = [{} for _ in examination.cases]
        for fixed, moving, structures in pairs:
            rows[fixed] = self._judge(examination, fixed, moving, structures)
        return Finding(mean_of(rows), pictures=self._picture(examination, *pairs[0]))

    def _choose(self, examination: Examination) -> list[tuple[int, int, list[str]]]:
        cases = examination.cases
        annotated = [number for number, case in enumerate(cases) if case.masks]
        pairs = []
        for place, fixed in enumerate(annotated):
            for moving in (*annotated[place + 1 :], *annotated[:place]):
                shared = [name for name in cases[fixed].masks if name in cases[moving].masks]
                if shared and cases[fixed].patient != cases[moving].patient:
                    pairs.append((fixed, moving, shared))
                    break
        if not pairs:
            raise NotJudgedError("it needs masks of the same structure in two patients.")
        return pairs[: self.pairs]

    def _judge(self, examination: Examination, fixed: int, moving: int, structures: list[str]) -> dict[str, float]:
        maps, figures = examination.maps, {}
        here, there = (
            case_masks(examination.cases[number], structures, examination.image_size) for number in (fixed, moving)
        )
        for name, fit in self.fits.items():
            found = registration(maps[fixed], maps[moving], here, there, structures, fit, self.tolerance)
            figures["dice before"] = found["dice_before"]
            figures[f"dice {name}"] = found["dice_after"]
            figures[f"gain {name}"] = found["dice_after"] - found["dice_before"]
            figures[f"folding {name}"], figures[f"failed {name}"] = found["folding"], found["failed"]
        return figures

    def _picture(
        self, examination: Examination, fixed: int, moving: int, structures: list[str]
    ) -> dict[str, Image.Image]:
        size = (examination.image_size, examination.image_size)
        image, still = examination.images[fixed], examination.maps[fixed]
        here, there = (
            case_masks(examination.cases[number], structures, size[0]).amax(0, keepdim=True)
            for number in (fixed, moving)
        )
        shown = [overlay(image, here[0] > 0.5, there[0] > 0.5)]
        for fit in self.fits.values():
            shown.append(overlay(image, here[0] > 0.5, self._carried(there, still, examination.maps[moving], fit)))
        caption = f"outline of one patient (green), another's (red): as it lies, {', '.join(self.fits)}"
        return {caption: as_picture(row_of(shown))}

    def _carried(self, mask: Tensor, fixed: Tensor, moving: Tensor, fit: PointFit) -> Tensor:
        """A mask (1, H, W) in the frame of the fixed image, (H, W) bool; as it is where no map is found."""
        size = tuple(mask.shape[1:])
        try:
            found = register(fixed, moving, size, size, fit, self.tolerance)
        except RegistrationError:
            return mask[0] > 0.5
        carried: Tensor = resample_by_map(mask, found, size, "nearest", "zeros")[0] > 0.5
        return carried
