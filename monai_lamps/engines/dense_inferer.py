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

from typing import Any

from monai.inferers import Inferer
from torch import Tensor

__all__ = ["DenseInferer"]


class DenseInferer(Inferer):
    """Ask an encoder for its tokens instead of their mean, so that an evaluator's ``pred`` is dense, (B, N, D).

    Their mean over N is what ``encoder(x)`` returns.
    """

    def __call__(self, inputs: Tensor, network: Any, *args: Any, **kwargs: Any) -> Tensor:
        """
        Args:
            inputs: normalised images, (B, C, ...).
            network: an :class:`~monai_lamps.networks.Encoder`.
            args: not used, accepted as in MONAI.
            kwargs: not used.

        Returns:
            the tokens (B, N, D), row-major over the cells, float.
        """
        tokens: Tensor = network.embed(inputs)[0]
        return tokens
