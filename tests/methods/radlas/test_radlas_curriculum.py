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

import pytest

from monai_lamps.engines import Progress
from monai_lamps.methods.radlas import OBJECTIVES, radlas_curriculum


def test_masks_are_known_in_the_first_tenth_of_the_epochs() -> None:
    curriculum = radlas_curriculum(400)
    grounding = [curriculum.settings(Progress.at(epoch, 1, 400))["grounding"] for epoch in range(400)]
    assert grounding == ["mask"] * 40 + ["map"] * 360
    assert curriculum.weights(Progress.at(0, 1, 400)) == {"restoration": 1.0, "discrimination": 0.5, "context": 1.0}
    assert curriculum.objectives == OBJECTIVES


@pytest.mark.parametrize(("epochs", "share", "known"), [(4, 0.1, 1), (1, 0.1, 1), (5, 0.0, 0), (3, 1.0, 3)])
def test_the_share_is_rounded_up_to_whole_epochs(epochs: int, share: float, known: int) -> None:
    curriculum = radlas_curriculum(epochs, true_mask_share=share)
    found = [curriculum.settings(Progress.at(epoch, 1, epochs))["grounding"] for epoch in range(epochs)]
    assert found == ["mask"] * known + ["map"] * (epochs - known)


@pytest.mark.parametrize(("epochs", "share"), [(0, 0.1), (3, -0.1), (3, 1.1)])
def test_numbers_out_of_range_are_refused(epochs: int, share: float) -> None:
    with pytest.raises(ValueError, match=rf"got {epochs} and {share}"):
        radlas_curriculum(epochs, true_mask_share=share)


def test_a_run_without_any_objective_is_refused() -> None:
    with pytest.raises(ValueError, match="a phase without objectives trains nothing"):
        radlas_curriculum(4, 0.0, 0.0, 0.0)
