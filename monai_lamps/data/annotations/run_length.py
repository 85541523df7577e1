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
"""Masks from run lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_lamps.data.annotations.error import AnnotationError

__all__ = ["decode_run_lengths"]


def decode_run_lengths(code: Mapping[str, Any], name: str) -> npt.NDArray[np.bool_]:
    """Decode the uncompressed run lengths of COCO.

    Args:
        code: ``{"size": [height, width], "counts": [...]}``: lengths of the runs of pixels outside, inside, outside,
            ... of the mask, down the columns from the left one to the right one. What the counts leave at the end is
            outside.
        name: what an error calls it: the structure and the image.

    Returns:
        (H, W) bool.

    Raises:
        AnnotationError: when an entry is missing, a count is no whole number of at least 0, or the counts exceed the
            size.
    """
    try:
        height, width = (int(length) for length in code["size"])
        counts = np.asarray(code["counts"], dtype=object)
        runs = counts.astype(np.int64)
        sound = counts.ndim == 1 and np.array_equal(runs, counts) and height > 0 and width > 0
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound or (runs < 0).any():
        raise AnnotationError(
            f"run lengths of {name}: expected {{'size': [height, width], 'counts': [whole numbers from 0]}}, got "
            f"{str(code)[:80]}."
        )
    if runs.sum() > height * width:
        raise AnnotationError(
            f"run lengths of {name}: the counts cover {runs.sum()} pixels, the size {height} x {width} (height x "
            f"width) has {height * width}; is this another image's code, or one with absolute positions?"
        )
    inside = np.arange(len(runs)) % 2 == 1
    flat = np.zeros(height * width, dtype=bool)
    flat[: runs.sum()] = np.repeat(inside, runs)
    mask: npt.NDArray[np.bool_] = flat.reshape(width, height).T.copy()
    return mask
