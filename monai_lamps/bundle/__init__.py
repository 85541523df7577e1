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
"""What the bundles' configs call besides components: checks of what the user typed, data to train on, embeddings."""

from __future__ import annotations

from .cached import cache_identity, cached_reader, check_cached
from .distributed import (
    local_device,
    on_first_process,
    start_processes,
    stop_processes,
    synchronize_batch_norm,
)
from .errors import explain_errors
from .named import named
from .overrides import check_overrides
from .source import inference_datalist, radiograph_datalist

__all__ = [
    "cache_identity",
    "cached_reader",
    "check_cached",
    "check_overrides",
    "explain_errors",
    "inference_datalist",
    "local_device",
    "named",
    "on_first_process",
    "radiograph_datalist",
    "start_processes",
    "stop_processes",
    "synchronize_batch_norm",
]
