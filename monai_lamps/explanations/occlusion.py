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

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from monai.visualize import OcclusionSensitivity
from torch import Tensor, nn

from .left_as_it_was import left_as_it_was

__all__ = ["OcclusionExplainer"]


class OcclusionExplainer:
    """How much the logit of a class falls when a square is hidden (MONAI's ``OcclusionSensitivity``).

    A square takes the mean intensity of its image. Where squares overlap, their falls are averaged; where the logit
    rises, the map is 0.

    Args:
        squares: how many squares lie side by side along the shorter side, at least 2; with 7 and half of each
            overlapping the next, a square image costs 169 answers of the network.
        overlap: share of a square that the next one covers, at least 0 and below 1.
        batch_size: hidden squares at a time.

    Raises:
        ValueError: when an argument is out of its range.
    """

    def __init__(self, squares: int = 7, overlap: float = 0.5, batch_size: int = 32) -> None:
        if squares < 2 or not 0 <= overlap < 1 or batch_size < 1:
            raise ValueError(
                f"squares got {squares}, overlap {overlap} and batch_size {batch_size}, expected at least 2 squares, "
                "an overlap of at least 0 and below 1, and a batch of at least 1."
            )
        self.squares, self.overlap, self.batch_size = squares, overlap, batch_size

    @torch.no_grad()
    def __call__(self, network: nn.Module, images: Tensor, class_index: int) -> Tensor:
        """Explain one class, see :class:`~monai_lamps.explanations.Explainer`."""
        with left_as_it_was(network), _without_monais_warning():
            logit = _OneLogit(network, class_index)
            occlude = OcclusionSensitivity(
                logit,
                mask_size=max(1, min(images.shape[2:]) // self.squares),
                n_batch=self.batch_size,
                verbose=False,
                mode="mean_img",
                overlap=self.overlap,
                activate=False,
            )
            untouched = logit(images).float().view(-1, *[1] * (images.ndim - 1))
            hidden = torch.cat([torch.as_tensor(occlude(image)[0]) for image in images.split(1)])
            falls: Tensor = (untouched - hidden.float()).clamp(min=0)
        return falls


@contextmanager
def _without_monais_warning() -> Iterator[None]:
    """MONAI 1.6 cuts its squares by lists of slices, of which PyTorch warns at every square."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Using a non-tuple sequence", UserWarning, r"monai\.visualize\.occlusion_sensitivity"
        )
        yield


class _OneLogit(nn.Module):
    """One logit (B, 1) of a network."""

    def __init__(self, network: nn.Module, class_index: int) -> None:
        super().__init__()
        self.network, self.class_index = network, class_index
        self.train(network.training)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.network(images)
        return answer[:, self.class_index : self.class_index + 1]
