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

from collections.abc import Sequence

from monai.transforms import KeepLargestConnectedComponent

from monai_lamps.bundle.switch import switch

__all__ = ["largest_component"]


def largest_component(
    kept: bool | str | Sequence[str], structures: Sequence[str]
) -> KeepLargestConnectedComponent | None:
    """Postprocessing of masks that keeps of some structures the largest connected part alone.

    Few labels leave stray pixels far from an organ. A heart, a lung or a clavicle is in one piece, lesions are not.

    Args:
        kept: True for all structures, False for none (also as text), or the names of some.
        structures: names of all, in the order of the masks.

    Returns:
        MONAI's transform for masks (K, H, W), diagonal neighbours connected; None where there is nothing to do.

    Raises:
        ValueError: for a name that is none of the structures, or another text.
    """
    if isinstance(kept, (bool, str)):
        kept = structures if switch(kept, "largest_component") else []
    if strange := [name for name in kept if name not in structures]:
        raise ValueError(
            f"largest_component got {strange}, expected true, false, or names of the network's structures: "
            f"{', '.join(structures)}."
        )
    channels = [number for number, name in enumerate(structures) if name in kept]
    return KeepLargestConnectedComponent(applied_labels=channels, is_onehot=True) if channels else None
