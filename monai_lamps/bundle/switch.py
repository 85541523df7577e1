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

__all__ = ["switch"]

_TEXTS = {"true": True, "false": False}


def switch(value: bool | str, name: str = "the option") -> bool:
    """A switch as the user gave it: ``--frozen true`` on the command line arrives as text, and any text counts as true.

    Args:
        value: True or False, or "true" or "false".
        name: what an error calls it.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _TEXTS:
        raise ValueError(f"{name} got {value!r}, expected true or false.")
    return _TEXTS[str(value).lower()]
