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

import torch
from monai.visualize import GradCAM, GradCAMpp
from torch import Tensor, nn

from .coarsest_features import CoarsestFeatures
from .left_as_it_was import left_as_it_was

__all__ = ["GradCAMExplainer", "GradCAMppExplainer"]


class GradCAMExplainer:
    """MONAI's ``GradCAM`` (Selvaraju et al., arXiv 1610.02391) of the coarsest feature maps of any encoder."""

    def __call__(self, network: nn.Module, images: Tensor, class_index: int) -> Tensor:
        """Explain one class, see :class:`~monai_lamps.explanations.Explainer`."""
        return _explain(GradCAM, network, images, class_index)


class GradCAMppExplainer:
    """MONAI's ``GradCAMpp`` (Chattopadhyay et al., arXiv 1710.11063) of the coarsest feature maps of any encoder.

    One image at a time: MONAI 1.6 multiplies the gradients of a batch by scores that do not match their shape.
    """

    def __call__(self, network: nn.Module, images: Tensor, class_index: int) -> Tensor:
        """Explain one class, see :class:`~monai_lamps.explanations.Explainer`."""
        return torch.cat([_explain(GradCAMpp, network, image, class_index) for image in images.split(1)])


def _explain(kind: type[GradCAM], network: nn.Module, images: Tensor, class_index: int) -> Tensor:
    with left_as_it_was(network), torch.enable_grad():
        explain = kind(CoarsestFeatures(network), target_layers="maps", postprocessing=_as_it_is)
        inputs = images.detach().clone().requires_grad_()  # so that frozen weights have a gradient to pass on, too
        maps: Tensor = explain(inputs, class_idx=class_index)
    return maps.detach().float()


def _as_it_is(maps: Tensor) -> Tensor:
    return maps
