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

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["left_as_it_was"]


@contextmanager
def left_as_it_was(network: nn.Module) -> Iterator[None]:
    """Within it a network is in eval mode and no parameter takes a gradient; then all is as before.

    MONAI's explanations put a whole network into training mode, or eval mode, drop the gradients that it has and leave
    others behind.

    Args:
        network: what is explained.
    """
    modes = {module: module.training for module in network.modules()}
    kept = [(parameter, parameter.requires_grad, parameter.grad) for parameter in network.parameters()]
    network.eval()
    for parameter, _, _ in kept:
        parameter.requires_grad_(False)
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, learns, gradient in kept:
            parameter.requires_grad_(learns)
            parameter.grad = gradient
        for module, training in modes.items():
            module.training = training
