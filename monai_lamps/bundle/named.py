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

from typing import TypeVar

__all__ = ["named"]

T = TypeVar("T")


def named(handler: T) -> T:
    """The handler itself: puts a component that has an id of its own into a bundle's list of handlers.

    MONAI's check of a bundle's properties expects a dictionary with ``_target_`` for each entry of
    ``train#handlers``; a handler that others refer to by name is better defined once, outside the list.

    Args:
        handler: the component.
    """
    return handler
