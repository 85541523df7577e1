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

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import Inferer
from monai.utils import ensure_tuple_rep
from torch import Tensor

__all__ = ["CropsInferer"]


class CropsInferer(Inferer):
    """Test-time crops: the mean answer for the four corners and the centre of an image, by default also mirrored.

    With ``mirrored`` these are the ten crops that the Lamps family tests its classifiers with. The network has to give
    probabilities (as ``task.predict`` does), which may be averaged.

    Args:
        size: height and width of a crop in px, or one number for both.
        mirrored: whether every crop is also shown with left and right exchanged.

    Raises:
        ValueError: when the size is not positive; from a call, when the image is smaller than a crop.
    """

    def __init__(self, size: int | Sequence[int], mirrored: bool = True) -> None:
        super().__init__()
        self.size = ensure_tuple_rep(size, 2)
        if min(self.size) < 1:
            raise ValueError(f"size must be positive, got {size}; e.g. 224.")
        self.mirrored = mirrored

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """The mean answer.

        Args:
            inputs: images (B, C, H, W).
            network: from crops (n B, C, *size) to answers (n B, K).
            args: passed on to the network.
            kwargs: passed on to the network.

        Returns:
            (B, K).

        Raises:
            ValueError: when the images are smaller than a crop.
        """
        (height, width), (high, wide) = inputs.shape[-2:], self.size
        if height < high or width < wide:
            raise ValueError(
                f"the images are {height} x {width} px, smaller than the crops of {high} x {wide}; load them larger "
                "(256 px for crops of 224), or take smaller crops."
            )
        bottom, right = height - high, width - wide
        corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        crops = [inputs[..., row : row + high, column : column + wide] for row, column in corners]
        crops += [crop.flip(-1) for crop in crops] if self.mirrored else []
        answers = network(torch.cat(crops), *args, **kwargs)
        mean: Tensor = answers.unflatten(0, (len(crops), len(inputs))).mean(dim=0)
        return mean
