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

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import TransformBackends

from monai_lamps.methods.lamps.geometry import LampsGeometry
from monai_lamps.transforms import Reseeded

__all__ = ["RandLampsGeometryd", "RandLampsGeometryD", "RandLampsGeometryDict"]


class RandLampsGeometryd(Reseeded, RandomizableTransform, MapTransform):
    """Draw where the two views, their context windows and the patch shuffle of a sample lie, without cutting them out.

    Geometry travels as data: a sample carries its region once, and the method slices on the device what its active
    objective needs. The draws are those of the released code (methods/lamps §1): two view offsets, one context window
    in each view, one permutation that both views share.

    Added to the dictionary, all int64 (n = spatial dims):

    - ``view_offset`` (2, n): offset of each view in the region, in cells, 0 .. region - view;
    - ``window_offset`` (2, n): offset of the visible window in each view, in cells, 0 .. view - window;
    - ``permutation`` (view**n,): position j of the shuffled view shows cell permutation[j] (row-major).

    Args:
        keys: keys of the region image, (C, region_size, ...); only its shape is checked.
        geometry: sizes in cells.
        allow_missing_keys: as in MONAI.

    Raises:
        ValueError: when a region has another size than the geometry says.
    """

    backend = [TransformBackends.TORCH]

    def __init__(self, keys: KeysCollection, geometry: LampsGeometry, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob=1.0)
        self.geometry = geometry
        self.view_offset = np.zeros((2, geometry.spatial_dims), dtype=np.int64)
        self.window_offset = np.zeros((2, geometry.spatial_dims), dtype=np.int64)
        self.permutation = np.arange(geometry.tokens)

    def randomize(self, data: Any | None = None) -> None:
        g = self.geometry
        self.view_offset = self.R.randint(0, g.region - g.view + 1, (2, g.spatial_dims))
        self.window_offset = self.R.randint(0, g.view - g.window + 1, (2, g.spatial_dims))
        self.permutation = self.R.permutation(g.tokens)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        expected = (self.geometry.region_size,) * self.geometry.spatial_dims
        for key in self.key_iterator(out):
            if tuple(out[key].shape[1:]) != expected:
                raise ValueError(
                    f"region '{key}' has spatial shape {tuple(out[key].shape[1:])}, expected {expected}; "
                    "put RandGridRegiond or GridRegiond with the same cell and region before this transform."
                )
        self.randomize()
        out["view_offset"] = torch.as_tensor(self.view_offset, dtype=torch.int64)
        out["window_offset"] = torch.as_tensor(self.window_offset, dtype=torch.int64)
        out["permutation"] = torch.as_tensor(self.permutation, dtype=torch.int64)
        return out


RandLampsGeometryD = RandLampsGeometryDict = RandLampsGeometryd
