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
"""Pictures of masks on images, drawn into tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

__all__ = ["best_median_worst", "captioned", "glowing", "outline", "overlay", "plain_text", "row_of"]

_CAPTION = 14  # px, the height of Pillow's own font and a margin
_NARROWEST = 144  # px that about 20 letters of it take


def overlay(image: Tensor, truth: Tensor, answer: Tensor) -> Tensor:
    """Outlines on an image: the true one green, the predicted one red, yellow where they coincide.

    Args:
        image: (C, H, W), float in [0, 1]; its first channel is shown. Of a volume, the central slice of the first axis.
        truth: (H, W), bool.
        answer: (H, W), bool.

    Returns:
        (3, H, W), float in [0, 1], on the CPU.
    """
    grey, truth, answer = image[0].detach().float().clamp(0, 1).cpu(), truth.cpu(), answer.cpu()
    if grey.ndim == 3:
        grey, truth, answer = (volume[volume.shape[0] // 2] for volume in (grey, truth, answer))
    width = max(1, round(max(grey.shape) / 256))
    red, green = outline(answer, width), outline(truth, width)
    drawn = red | green
    rgb = torch.stack([grey, grey, grey])
    colour = torch.stack([red, green, torch.zeros_like(red)]).to(rgb)
    return torch.where(drawn, colour, rgb)


def glowing(image: Tensor, strength: Tensor) -> Tensor:
    """A map laid over an image: red where it is middling, yellow and denser where it is strong.

    Args:
        image: (1, H, W), float in [0, 1].
        strength: (1, H, W), float in [0, 1]; 0 leaves the image as it is.

    Returns:
        (3, H, W), float in [0, 1], on the CPU.
    """
    grey, strong = (part.detach().float().clamp(0, 1).cpu() for part in (image, strength))
    colour = torch.cat([torch.ones_like(strong), strong.square(), torch.zeros_like(strong)])
    return torch.lerp(grey.expand(3, -1, -1), colour, 0.7 * strong)


def outline(mask: Tensor, width: int = 1) -> Tensor:
    """Pixels of a mask (H, W), bool, that lie within ``width`` of its edge; the border of the image is an edge."""
    outside = (~mask).float()[None, None]
    padded = functional.pad(outside, (width,) * 4, value=1.0)
    return mask & (functional.max_pool2d(padded, 2 * width + 1, stride=1)[0, 0] > 0)


def captioned(picture: Tensor, text: str) -> Tensor:
    """A picture (3, H, W) with a line of text above it, (3, H + 14, W).

    One that is narrower than 144 px, too narrow for the usual captions, is shown several times as large.
    """
    times = math.ceil(_NARROWEST / picture.shape[-1])
    picture = picture.repeat_interleave(times, 1).repeat_interleave(times, 2)
    strip = Image.new("RGB", (picture.shape[-1], _CAPTION))
    ImageDraw.Draw(strip).text((2, 1), plain_text(text), fill=(255, 255, 255), font=ImageFont.load_default())
    drawn = torch.from_numpy(np.array(strip)).permute(2, 0, 1).float() / 255
    return torch.cat([drawn, picture], dim=1)


def plain_text(text: str) -> str:
    """The text with what Pillow's own font may lack as question marks."""
    return text.encode("ascii", "replace").decode()


def row_of(pictures: Sequence[Tensor], gap: int = 2) -> Tensor:
    """Pictures (C, H, W) of the same height side by side, with a black gap in px."""
    parts: list[Tensor] = []
    for picture in pictures:
        parts += [picture.new_zeros(*picture.shape[:2], gap), picture] if parts else [picture]
    return torch.cat(parts, dim=-1)


def best_median_worst(scores: Sequence[float]) -> dict[str, int]:
    """Positions of the best, the median and the worst score, the higher the better; NaN is passed over.

    Returns:
        position by ``best``, ``median`` and ``worst``; without the median for two scores, only ``best`` for one.
    """
    ranked = sorted((p for p, score in enumerate(scores) if not math.isnan(score)), key=lambda p: -scores[p])
    if len(ranked) < 2:
        return {"best": ranked[0]} if ranked else {}
    middle = {"median": ranked[(len(ranked) - 1) // 2]} if len(ranked) > 2 else {}
    return {"best": ranked[0], **middle, "worst": ranked[-1]}
