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
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor

from monai_lamps.metrics.anatomy import CaseFigures

__all__ = ["EvidenceMetric"]


class EvidenceMetric(CaseFigures):
    """Base of the metrics that compare explanations with where things are in truth, one image at a time.

    As MONAI's cumulative metrics: call it with every batch, then ``aggregate()`` for the means over the images that
    define them, ``intervals()`` for their bootstrap over patients, then ``reset()``.
    """

    @abstractmethod
    def figures(self, maps: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Figures (B,) by name, NaN where one is not defined.

        Args:
            maps: (B, 1, *spatial), float, at least 0.
            masks: (B, 1, *spatial), bool or of 0 and 1.
        """

    def __call__(self, maps: Tensor, masks: Tensor, patients: Sequence[object] | None = None) -> dict[str, Tensor]:
        """Judge a batch and keep it.

        Args:
            maps: (B, 1, *spatial), float, at least 0.
            masks: (B, 1, *spatial), bool or of 0 and 1.
            patients: patient of each image; an image that names none is a patient of its own.

        Returns:
            figures (B,) by name.

        Raises:
            ValueError: when a shape does not fit, or a map is negative or not finite.
        """
        found = self.figures(maps, masks)
        for number in range(len(maps)):
            row = {name: float(values[number]) for name, values in found.items()}
            self.add(row, patients[number] if patients is not None else None)
        return found
