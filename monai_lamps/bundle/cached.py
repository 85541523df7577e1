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
"""How a bundle takes an array cache: its reader, its datalist, and the checks before training starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from monai_lamps.data.cache import ArrayCache, CacheDescription, CacheError, cache_command
from monai_lamps.data.datalist import SECTIONS, load_datalist
from monai_lamps.data.radiograph import read_radiograph

__all__ = ["cache_identity", "cached_datalist", "cached_reader", "check_cached"]


def cached_reader(cache: str | Path, smallest: float) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """What reads an image: the cache's ``read``, or :func:`~monai_lamps.data.read_radiograph` without a cache.

    Args:
        cache: folder of the cache, or an empty text.
        smallest: short side that the transforms need, px: the region plus its margin.

    Returns:
        the ``reader`` of :class:`~monai_lamps.transforms.LoadRadiograph`.

    Raises:
        FileNotFoundError: when there is no such cache.
        CacheError: when it is damaged or unfinished, or its images are smaller than needed.
    """
    if not cache:
        return read_radiograph
    opened = ArrayCache(cache)
    if opened.size < smallest:
        raise CacheError(
            f"cache '{cache}' holds images whose short side has at most {opened.size} px, but the region that views "
            f"are cut from needs {smallest:g} px; make another with --size {smallest:g} or more, in place of --size "
            f"{opened.size}: {cache_command('OTHER', opened.description.made_by)}"
        )
    return opened.read


def cached_datalist(cache: str | Path) -> Path:
    """The datalist of the images in a cache.

    Raises:
        FileNotFoundError: when there is no such cache.
        CacheError: when it has no datalist.
    """
    description, path = CacheDescription.read(cache), Path(cache) / "datalist.json"
    if not path.is_file():
        raise CacheError(f"cache '{cache}' lacks datalist.json; make it: {cache_command(cache, description.made_by)}")
    return path


def check_cached(cache: str | Path, datalist: str | Path, base_dir: str | Path | None = None) -> None:
    """Refuse a cache that lacks images of a datalist.

    Args:
        cache: folder of the cache.
        datalist: MONAI datalist; all sections that a bundle reads are looked at.
        base_dir: folder that its relative paths are relative to; its own by default.

    Raises:
        FileNotFoundError: when there is no such cache.
        CacheError: when the cache is damaged, or an image is not in it.
    """
    opened = ArrayCache(cache)
    counts = {"all": 0}

    def images() -> Iterator[str]:
        for section in SECTIONS:
            for item in load_datalist(datalist, section, base_dir):
                counts["all"] += 1
                yield item["image"]

    absent = opened.missing(images())
    if not absent:
        return
    where = f"{len(absent)} of {counts['all']} images of '{datalist}' are not in cache '{cache}', such as '{absent[0]}'"
    if Path(datalist).resolve() == opened.datalist.resolve():
        raise CacheError(f"{where}; its datalist is damaged, this mends it: {_command(opened)}")
    raise CacheError(
        f"{where}. Leave --datalist and --dataset_dir out to train on the cache's own images, or make another cache: "
        f"python -m monai_lamps.data cache {datalist} --size {opened.size} --out OTHER. If the images have been moved, "
        f"give --dataset_dir '{cache}' and a datalist with their names in it."
    )


def cache_identity(cache: str | Path) -> str:
    """Digest of what decides a cache's pixels, empty without a cache: a run is not resumed with other pixels."""
    return CacheDescription.read(cache).identity if cache else ""


def _command(cache: ArrayCache) -> str:
    return cache_command(cache.path, cache.description.made_by)
