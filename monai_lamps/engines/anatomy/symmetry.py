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
"""Symmetry: a place on one side of the body is like the mirror image of its counterpart."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from monai_lamps.metrics.anatomy import symmetry_statistic

from .places import Place
from .probe import Examination, Finding, Note, Probe, on_cases

__all__ = ["SymmetryProbe"]


class SymmetryProbe(Probe):
    """Compares patches at places mirrored about the middle column of the radiograph.

    Args:
        patch_size: side to which a patch is brought, px.
        patch_share: side of a patch in shares of the image's.
        rows: where patches lie, in shares of the side.
        offset: how far from the middle column, in shares of the side.
    """

    name = "symmetry"
    about = (
        "Patches at places mirrored about the middle of the radiograph: is one side like the mirror image of the "
        "other, more than like the other as it is?"
    )
    notes = {
        "flipped_cosine": Note("", "mean cosine of one side and the mirrored other side."),
        "unflipped_cosine": Note("", "mean cosine of one side and the other as it is, the control."),
        "gap": Note("more", "the former minus the latter; 0 for an encoder that knows nothing."),
        "above_unflipped": Note("more", "share of pairs nearer to the mirrored one; 0.5 by chance."),
    }

    def __init__(
        self,
        patch_size: int = 128,
        patch_share: float = 0.22,
        rows: Sequence[float] = (0.3, 0.5, 0.7),
        offset: float = 0.2,
    ) -> None:
        self.patch_size, self.patch_share, self.rows, self.offset = patch_size, patch_share, tuple(rows), offset

    def __call__(self, examination: Examination) -> Finding:
        """Judge an encoder, see the class."""
        cases, embed = examination.cases, examination.subject.embed
        pairs = [(number, row) for number in range(len(cases)) for row in self.rows]
        left, right = (
            torch.stack(
                [
                    Place(number, (row, 0.5 + side), self.patch_share).cut(cases, self.patch_size)
                    for number, row in pairs
                ]
            )
            for side in (-self.offset, self.offset)
        )
        statistic = symmetry_statistic(embed(left), embed(right), embed(right.flip(-1)))
        return Finding(on_cases(statistic, [number for number, _ in pairs]))
