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

"""Load a radiograph as a MONAI transform."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.config import DtypeLike, KeysCollection
from monai.data import MetaTensor, get_track_meta
from monai.transforms import MapTransform, Transform
from monai.utils import MetaKeys, TransformBackends
from monai.utils.type_conversion import get_equivalent_dtype

from monai_lamps.data.radiograph import read_radiograph

__all__ = ["LoadRadiograph", "LoadRadiographD", "LoadRadiographDict", "LoadRadiographd"]

#: from a file name to (H, W) float32 pixels in [0, 1] and meta data of primitives
Reader = Callable[[str | os.PathLike[str]], tuple[npt.NDArray[np.float32], dict[str, Any]]]


class LoadRadiograph(Transform):
    """Load a PNG, JPEG, DICOM or NIfTI radiograph as one channel with rows downwards and bone bright.

    MONAI's ``LoadImage`` leaves MONOCHROME1 inverted, ignores the VOI, transposes rows and columns and keeps colour
    channels; this transform follows :func:`~monai_lamps.data.radiograph.read_radiograph` instead, the one reader of the
    project, for all formats.

    Args:
        dtype: floating type of the output (torch or NumPy), default float32.
        min_size: shortest allowed side in pixels, for the default reader.
        max_aspect: largest allowed ratio of the long to the short side, for the default reader.
        reader: what reads a file, with the signature of ``read_radiograph``, such as ``ArrayCache("CACHE").read``;
            ``read_radiograph`` with the two limits by default.
        track_meta: whether to return a ``MetaTensor``; by default as ``monai.data.get_track_meta()`` says. Training
            that needs no meta data is quicker without.

    Returns of a call:
        (1, H, W) tensor in [0, 1], 0 = dark (air), 1 = bright (bone): a ``MetaTensor`` with ``filename_or_obj``,
        ``original_channel_dim`` and the reader's ``meta``, or a plain ``torch.Tensor``.

    Raises:
        TypeError: when ``dtype`` is no floating type.
        RadiographError: from a call, when the file cannot be used.

    Example::

        image = LoadRadiograph()("chest.dcm")  # (1, H, W)
    """

    backend = [TransformBackends.TORCH]

    def __init__(
        self,
        dtype: DtypeLike | torch.dtype = torch.float32,
        min_size: int = 32,
        max_aspect: float = 8.0,
        reader: Reader | None = None,
        track_meta: bool | None = None,
    ) -> None:
        self.track_meta = track_meta
        self.dtype: torch.dtype = get_equivalent_dtype(dtype, torch.Tensor)
        if not self.dtype.is_floating_point:
            raise TypeError(f"dtype must be floating because pixels lie in [0, 1], got {dtype}; use torch.float32")
        self.reader: Reader = reader or partial(read_radiograph, min_size=min_size, max_aspect=max_aspect)

    def __call__(self, filename: str | os.PathLike[str]) -> torch.Tensor:
        """Load one file, see the class."""
        pixels, meta = self.reader(filename)
        image = torch.from_numpy(pixels)[None].to(self.dtype)
        if not (get_track_meta() if self.track_meta is None else self.track_meta):
            return image
        meta = {**meta, MetaKeys.ORIGINAL_CHANNEL_DIM.value: 0, "filename_or_obj": os.fspath(filename)}
        return MetaTensor(image, meta=meta)


class LoadRadiographd(MapTransform):
    """Dictionary-based version of :class:`LoadRadiograph`: replaces file names by images.

    Args:
        keys: keys of the file names.
        dtype: floating type of the output, default float32.
        min_size: shortest allowed side in pixels, for the default reader.
        max_aspect: largest allowed ratio of the long to the short side, for the default reader.
        allow_missing_keys: do not raise when a key is missing.
        reader, track_meta: see :class:`LoadRadiograph`.

    Raises:
        KeyError: when a key is missing and ``allow_missing_keys`` is false.
        RadiographError: when a file cannot be used.
    """

    backend = LoadRadiograph.backend

    def __init__(
        self,
        keys: KeysCollection,
        dtype: DtypeLike | torch.dtype = torch.float32,
        min_size: int = 32,
        max_aspect: float = 8.0,
        allow_missing_keys: bool = False,
        reader: Reader | None = None,
        track_meta: bool | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.loader = LoadRadiograph(dtype, min_size, max_aspect, reader, track_meta)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Load the file of each key, see the class."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.loader(d[key])
        return d


LoadRadiographD = LoadRadiographDict = LoadRadiographd
