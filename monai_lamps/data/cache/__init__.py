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
"""Radiographs on disk, ready-sized, for fast and verified reading.

- ``layout``: what lies in a cache's folder, and its description;
- ``names``: the images of a datalist as the cache names them;
- ``encode``: from files to stored pixels and back;
- ``part``: one part, written atomically, checked when read;
- ``build``, ``folder``, ``estimate``, ``finish``: making a cache, going on after a stop, putting shards together;
- ``array_cache``: reading; ``verify``: finding and mending damage.
"""

from __future__ import annotations

from monai_lamps.data.cache.array_cache import ArrayCache
from monai_lamps.data.cache.build import build_cache
from monai_lamps.data.cache.layout import CacheDescription, CacheError, cache_command
from monai_lamps.data.cache.verify import verify_cache

__all__ = ["ArrayCache", "CacheDescription", "CacheError", "build_cache", "cache_command", "verify_cache"]
