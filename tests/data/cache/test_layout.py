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

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monai_lamps.data.cache import ArrayCache, CacheDescription, CacheError, build_cache, cache_command, verify_cache

Make = Callable[..., Any]


def change(cache: Path, **entries: Any) -> None:
    path = cache / "cache.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_a_description_is_read_as_it_was_written(cache: Path, datalist: Path, tmp_path: Path) -> None:
    description = CacheDescription.read(cache)
    assert (description.size, description.images, description.parts) == (48, 11, 3)
    assert description.base == str(tmp_path)
    assert description.made_by == f"python -m monai_lamps.data cache {datalist} --size 48"
    assert description.reader == {"min_size": 32, "max_aspect": 8.0}
    assert [len(description.images_of(number)) for number in range(3)] == [4, 4, 3]


def test_the_identity_depends_on_the_pixels_only(cache: Path) -> None:
    description = CacheDescription.read(cache)
    assert replace(description, base="/b", made_by="x").identity == description.identity
    for entry in ({"size": 49}, {"dtype": "uint8"}, {"images": 12}, {"names_sha256": "0"}, {"reader": {}}):
        assert replace(description, **entry).identity != description.identity


def test_a_folder_that_is_no_cache_is_named(tmp_path: Path, datalist: Path) -> None:
    message = (
        r"'.*none' is not a cache, it has no cache.json; make one: python -m monai_lamps.data cache DATALIST .*none"
    )
    for use in (ArrayCache, verify_cache):
        with pytest.raises(FileNotFoundError, match=message):
            use(tmp_path / "none")
    (tmp_path / "films" / "cache.json").write_text('{"a": 1}')
    with pytest.raises(CacheError, match=r"films/cache.json' describes no cache; make one in another folder"):
        ArrayCache(tmp_path / "films")


def test_another_version_is_refused_by_everything(cache: Path, datalist: Path) -> None:
    change(cache, version=2)
    message = (
        rf"'{cache}' is a cache of version 2, this program reads version 1; make it anew in another folder: python -m "
        r"monai_lamps.data cache DATALIST --size SIZE --out OTHER"
    )
    for use in (ArrayCache, verify_cache, lambda path: build_cache(datalist, path, 48, workers=0)):
        with pytest.raises(CacheError, match=message):
            use(cache)


@pytest.mark.parametrize("entry", [{"size": 640}, {"base": "/x"}, {"images": 10}, {"checksum": "0"}, {"extra": 1}])
def test_a_changed_description_is_noticed_and_made_anew(
    cache: Path, datalist: Path, build: Make, files: Make, entry: dict[str, Any]
) -> None:
    before = files(cache)
    change(cache, **entry)
    with pytest.raises(CacheError, match=r"cache.json' is damaged; delete it and run the command that made the cache"):
        ArrayCache(cache)
    (cache / "cache.json").unlink()
    assert files(build(datalist, cache)) == before


def test_a_truncated_description_is_noticed(cache: Path) -> None:
    (cache / "cache.json").write_bytes((cache / "cache.json").read_bytes()[:50])
    with pytest.raises(CacheError, match=r"cache.json' is damaged; delete it"):
        ArrayCache(cache)


def test_the_command_can_be_pasted_into_a_shell() -> None:
    assert cache_command("my cache", "x") == "x --out 'my cache'"
