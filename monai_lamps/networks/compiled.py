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
"""Compilation of the networks of a method."""

from __future__ import annotations

from typing import TypeVar

import torch._dynamo
from torch import nn

from .context_decoder import ContextDecoder
from .encoders import Encoder

__all__ = ["compile_networks"]

T = TypeVar("T", bound=nn.Module)

_VARIANTS = 64  # compiled variants of one function: sizes of views, with and without gradients, student and teacher


def compile_networks(module: T, enabled: bool = True, backend: str = "inductor") -> T:
    """Compile every encoder and context decoder of a method in place (``torch.compile``, shapes fixed).

    Views, losses, heads and the teacher's update stay as they are: they take little time. Each size of view is
    compiled at its first step, which takes minutes on a CPU (not measured on a GPU); results agree within rounding, so
    switching it on or off in the middle of a run changes its numbers slightly.

    Args:
        module: a method, or any module with encoders in it.
        enabled: False returns the module untouched, so that a configuration can switch it.
        backend: a backend of ``torch.compile``.

    Returns:
        the module.
    """
    if enabled:
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
        for part in module.modules():
            if isinstance(part, Encoder):
                part.compile_features(dynamic=False, backend=backend)
            elif isinstance(part, ContextDecoder):
                part.compile(dynamic=False, backend=backend)
    return module
