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

import math

from monai_lamps.engines import Curriculum, Phase

__all__ = ["OBJECTIVES", "radlas_curriculum"]

#: restoration is Task I, discrimination Task II, context what keeps the global context
OBJECTIVES = ("restoration", "discrimination", "context")


def radlas_curriculum(
    epochs: int,
    restoration: float = 1.0,
    discrimination: float = 0.5,
    context: float = 1.0,
    true_mask_share: float = 0.1,
) -> Curriculum:
    """The objectives of RadLAS, ``L = L_I + alpha L_II + beta L_ctx``, with the masks known at first.

    At first the restored images say nothing, so for a share of the run the tokens of the evidence are gathered by the
    mask of the synthetic lesion, and then by the map (the setting ``grounding``: "mask" or "map"). All of it is our
    choice; the weights stand on no publication.

    Args:
        epochs: of the whole run, > 0.
        restoration: weight of Task I, >= 0.
        discrimination: alpha, weight of Task II, >= 0; 0 leaves it out.
        context: beta, weight of the context, >= 0; 0 leaves it out.
        true_mask_share: share of the epochs with known masks, in [0, 1], rounded up to whole epochs.

    Raises:
        ValueError: when a number is out of range, or all weights are 0.
    """
    if epochs < 1 or not 0 <= true_mask_share <= 1:
        raise ValueError(f"expected epochs >= 1 and true_mask_share in [0, 1], got {epochs} and {true_mask_share}.")
    weights = dict(zip(OBJECTIVES, (restoration, discrimination, context)))
    known = math.ceil(true_mask_share * epochs)
    lengths = {"mask": known, "map": epochs - known}
    phases = [Phase(weights, length, {"grounding": name}) for name, length in lengths.items() if length]
    return Curriculum(phases, repeat=False)
