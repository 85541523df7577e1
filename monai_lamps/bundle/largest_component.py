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

from collections.abc import Iterable

from monai.transforms import KeepLargestConnectedComponent

from monai_lamps.bundle.switch import switch

__all__ = ["largest_component", "names_in_one_piece"]


def names_in_one_piece(kept: bool | str | Iterable[str], structures: Iterable[str]) -> list[str]:
    """The structures that are in one piece, as the user says with ``--largest_component``.

    Args:
        kept: True for all structures, False for none (also as text), or the names of some.
        structures: names of all.

    Raises:
        ValueError: for a name that is none of the structures, or another text.
    """
    names = list(structures)
    if isinstance(kept, (bool, str)):
        return names if switch(kept, "largest_component") else []
    given = list(kept)
    if strange := [name for name in given if name not in names]:
        raise ValueError(
            f"largest_component got {strange}, expected true, false, or names of the network's structures: "
            f"{', '.join(names)}."
        )
    return [name for name in names if name in given]


def largest_component(
    kept: bool | str | Iterable[str], structures: Iterable[str]
) -> KeepLargestConnectedComponent | None:
    """Postprocessing of masks that keeps of some structures the largest connected part alone.

    Few labels leave stray pixels far from an organ. A heart, a lung or a clavicle is in one piece; lesions are not.

    Args:
        kept: see :func:`names_in_one_piece`.
        structures: names of all, in the order of the masks.

    Returns:
        MONAI's transform for masks (K, H, W), diagonal neighbours connected; None where there is nothing to do.

    Raises:
        ValueError: see :func:`names_in_one_piece`.
    """
    names = list(structures)
    channels = [names.index(name) for name in names_in_one_piece(kept, names)]
    return KeepLargestConnectedComponent(applied_labels=channels, is_onehot=True) if channels else None
