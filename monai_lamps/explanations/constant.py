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

from torch import Tensor, nn

__all__ = ["ConstantExplainer"]


class ConstantExplainer:
    """The same everywhere: the control that knows nothing, whose figures are those of chance."""

    def __call__(self, network: nn.Module, images: Tensor, class_index: int) -> Tensor:
        """Ones (B, 1, *spatial), see :class:`~monai_lamps.explanations.Explainer`."""
        return images.new_ones(len(images), 1, *images.shape[2:]).float()
