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
"""The images of a datalist as a cache names them, and the datalist that lies in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.data.cache.layout import DATALIST, CacheError, name_digest
from monai_lamps.data.datalist import SECTIONS, load_datalist, save_datalist

__all__ = ["ListedImages", "drop_rejected", "name_below"]


class ListedImages:
    """All images of a MONAI datalist, each once, whatever sections they are in.

    Sections are ``training``, ``validation``, ``test``, ``testing`` and every other list whose entries all have an
    ``image``.

    Args:
        datalist: the JSON file.
        base_dir: folder that relative paths in it are relative to; the datalist's own folder by default.

    Attributes:
        base: folder that the names are relative to: ``base_dir`` if all images lie below it, else the deepest folder
            that holds them all.
        names: the names, sorted: paths below ``base``, with slashes.

    Raises:
        FileNotFoundError: when the datalist does not exist.
        ValueError: when it is none (see :func:`~monai_lamps.data.load_datalist`), or lists no image.
    """

    def __init__(self, datalist: str | Path, base_dir: str | Path | None = None) -> None:
        datalist = Path(datalist)
        folder = os.path.abspath(base_dir if base_dir is not None else datalist.parent)
        load_datalist(datalist, base_dir=folder)  # its errors come first
        self._content: dict[str, Any] = json.loads(datalist.read_text(encoding="utf-8"))
        self._items = {
            key: load_datalist(datalist, key, folder) for key, value in self._content.items() if _is_section(key, value)
        }
        files = {item["image"] for items in self._items.values() for item in items}
        if not files:
            raise ValueError(f"datalist '{datalist}' lists no image; a cache needs at least one.")
        if any(name_below(file, folder) is None for file in files):
            folder = os.path.commonpath([os.path.dirname(min(files)), os.path.dirname(max(files))])
        self.base = folder
        self.names: Sequence[str] = sorted(self._name(file) for file in files)

    @property
    def names_sha256(self) -> str:
        """Digest of the names."""
        digest = hashlib.sha256()
        for name in self.names:
            digest.update(name.encode("utf-8", errors="surrogateescape") + b"\0")
        return digest.hexdigest()

    def path(self, name: str) -> str:
        """Where the image of a name lies."""
        return os.path.join(self.base, *name.split("/"))

    def save(self, folder: str | Path, rejected: Container[bytes] = ()) -> None:
        """Write the datalist into a cache, with the cache's names, without the images of these digests."""
        sections = {
            key: [{**item, "image": self._name(item["image"])} for item in items] for key, items in self._items.items()
        }
        _save(folder, self._content, sections, rejected)

    def _name(self, file: str) -> str:
        name = name_below(file, self.base)
        assert name is not None  # by the choice of the base
        return name


def name_below(file: str, folder: str) -> str | None:
    """The name of a file below a folder, with slashes; ``None`` if it does not lie there.

    Args:
        file, folder: normalised absolute paths.
    """
    prefix = folder if folder.endswith(os.sep) else folder + os.sep
    return file[len(prefix) :].replace(os.sep, "/") if file.startswith(prefix) and len(file) > len(prefix) else None


def drop_rejected(folder: str | Path, rejected: Collection[bytes]) -> None:
    """Take images out of a cache's own datalist.

    Args:
        folder: the cache.
        rejected: digests of the names of these images.

    Raises:
        CacheError: when the datalist is damaged.
    """
    path = Path(folder) / DATALIST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        sections = {key: value for key, value in content.items() if _is_section(key, value)}
        listed = {name_digest(item["image"]) for items in sections.values() for item in items}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise CacheError(f"{DATALIST} is damaged ({type(error).__name__}: {error})") from error
    if not listed.isdisjoint(rejected):
        _save(folder, content, sections, rejected)


def _save(
    folder: str | Path, content: Mapping[str, Any], sections: Mapping[str, Sequence[Any]], rejected: Container[bytes]
) -> None:
    header = {key: value for key, value in content.items() if key not in sections}
    kept = {
        key: [item for item in items if name_digest(item["image"]) not in rejected] for key, items in sections.items()
    }
    save_datalist(Path(folder) / DATALIST, kept, **header)


def _is_section(key: str, value: Any) -> bool:
    if key in (*SECTIONS, "testing"):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(i, Mapping) and "image" in i for i in value)
