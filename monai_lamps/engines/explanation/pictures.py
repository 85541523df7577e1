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

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from monai_lamps.metrics import Row
from monai_lamps.metrics.evidence import scaled_by_maximum
from monai_lamps.tasks.overlay import captioned, glowing, outline, row_of

__all__ = ["best_and_worst", "draw_explanations"]

_TRUTH = torch.tensor([0.0, 0.8, 0.3])[:, None, None]
_SMALLEST = 160  # px, so that captions can be read


def best_and_worst(rows: Mapping[str, Sequence[Row]], figure: str = "pixel_auroc") -> dict[str, int]:
    """The image that each explainer shows best, and worst.

    Args:
        rows: of each explainer, image by image.
        figure: what they are ranked by, the more the better; images without it are passed over.

    Returns:
        position by ``best of <explainer>`` and ``worst of <explainer>``; an image comes once, and an explainer that is
        as good everywhere, such as the constant one, has neither.
    """
    found: dict[str, int] = {}
    for name, own in rows.items():
        ranked = sorted((row[figure], number) for number, row in enumerate(own) if row.get(figure, float("nan")) >= 0)
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[-1][0]):
            continue
        for place, (_, number) in (("best", ranked[-1]), ("worst", ranked[0])):
            if number not in found.values():
                found[f"{place} of {name}"] = number
    return found


def draw_explanations(image: Tensor, mask: Tensor, maps: Mapping[str, Tensor], captions: Mapping[str, str]) -> Tensor:
    """An image and its explanations side by side, the truth outlined in green.

    Args:
        image: (1, H, W), float in [0, 1].
        mask: (1, H, W), bool.
        maps: (1, H, W) by explainer, float, at least 0; each is shown in shares of its maximum.
        captions: by explainer, and of the image by an empty text.

    Returns:
        (3, H', W'), float in [0, 1].
    """
    factor = max(1, -(-_SMALLEST // min(image.shape[1:])))
    grey, truth = _enlarged(image, factor), _enlarged(mask.float(), factor)[0] >= 0.5
    edge = outline(truth, max(1, max(grey.shape) // 256))
    shown = {"": torch.zeros_like(grey), **{name: _enlarged(map_, factor) for name, map_ in maps.items()}}
    pictures = []
    for name, map_ in shown.items():
        picture = torch.where(edge, _TRUTH, glowing(grey, scaled_by_maximum(map_[None])[0]))
        pictures.append(captioned(picture, captions.get(name, name)))
    return row_of(pictures)


def _enlarged(picture: Tensor, factor: int) -> Tensor:
    """A picture (1, H, W) with each pixel repeated, on the CPU."""
    return picture.detach().float().cpu().repeat_interleave(factor, dim=1).repeat_interleave(factor, dim=2)
