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
"""Self-supervised learning of human anatomy from radiographs, as an extension of MONAI.

Use the sub-packages as you would MONAI's: ``monai_lamps.transforms``, ``monai_lamps.networks``, ``monai_lamps.losses``,
``monai_lamps.handlers``, ``monai_lamps.engines``, ``monai_lamps.metrics``, ``monai_lamps.data``. A whole method is one
folder of ``monai_lamps.methods``, what is trained with labels one file of ``monai_lamps.tasks``; the bundles that train
and use them lie in ``bundles/`` of the repository. A sub-package is imported when it is first used, so ``import
monai_lamps`` costs nothing.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from .version import __version__

_PACKAGES = (
    "bundle",
    "checkpoints",
    "comparison",
    "data",
    "engines",
    "explanations",
    "handlers",
    "losses",
    "methods",
    "metrics",
    "networks",
    "registration",
    "reports",
    "tasks",
    "transforms",
)

__all__ = ["__version__", *_PACKAGES]


def __getattr__(name: str) -> ModuleType:
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
