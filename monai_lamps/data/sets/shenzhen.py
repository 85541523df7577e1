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
"""The Shenzhen set of the NLM."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from monai_lamps.data.sets.choices import log_count
from monai_lamps.data.sets.files import index_files, locate

__all__ = ["read_shenzhen"]

_NAME = re.compile(r"^(CHNCXR_\d+_[01])(_mask)?\.png$", re.IGNORECASE)


def read_shenzhen(folder: Path, *, max_missing: float = 0.05, masks: str | None = None) -> list[dict[str, Any]]:
    """Shenzhen: 662 chest radiographs, tuberculosis or none; lung masks for 566 of them.

    The set lies in ``ChinaSet_AllFiles`` with ``CXR_png``. The label ``tuberculosis`` is the last digit of the name.
    The lung masks are a download of their own (Stirenko and others, 2018: ``mask/CHNCXR_0001_0_mask.png``); images
    without one are kept for classification. There is no official split; an image is a patient.

    Args:
        folder: where the set was unpacked.
        max_missing: without effect: the set has no list of its images.
        masks: folder of the masks, if they do not lie below ``folder``.

    Returns:
        items with ``labels`` and, where there is a mask, ``masks`` (lungs).

    Raises:
        FileNotFoundError: when ``CXR_png`` is missing, or ``masks`` has no mask.
        ValueError: when there is no image.
    """
    images = index_files([locate(folder, ["CXR_png"], "images of Shenzhen")], [".png"], _image)
    if not images:
        raise ValueError(f"'{folder}' has no image such as CXR_png/CHNCXR_0001_0.png; download Shenzhen.")
    place = Path(os.path.abspath(masks)) if masks else folder
    found = index_files([place], [".png"], _mask)
    if masks and not found:
        raise FileNotFoundError(f"'{masks}' has no mask such as CHNCXR_0001_0_mask.png; give the folder of the masks.")
    items: list[dict[str, Any]] = []
    for name, image in sorted(images.items()):
        item = {"image": str(image), "patient": name, "labels": {"tuberculosis": int(name[-1])}}
        items.append({**item, "masks": {"lungs": str(found[name])}} if name in found else item)
    log_count([item["patient"] for item in items if "masks" not in item], "images have no lung mask")
    return items


def _image(path: Path) -> str | None:
    match = _NAME.match(path.name)
    return match[1].upper() if match and not match[2] else None


def _mask(path: Path) -> str | None:
    match = _NAME.match(path.name)
    return match[1].upper() if match and match[2] else None
