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

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from monai.bundle import ConfigParser, ReferenceResolver

from .checks import nearest

__all__ = ["check_ids", "config_files", "known_ids"]


def config_files(bundle: str | Path, names: Sequence[str]) -> tuple[Path, ...]:
    """The config files of a bundle.

    Args:
        bundle: its folder.
        names: each is looked for in the bundle's ``configs``, then as a path.

    Raises:
        FileNotFoundError: when the bundle or a file is not there.
    """
    folder = Path(bundle) / "configs"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no bundle in '{bundle}' (no folder '{folder}'); relative paths count from '{Path.cwd()}'."
        )
    files = []
    for name in names:
        found = [path for path in (folder / name, Path(name)) if path.is_file()]
        if not found:
            raise FileNotFoundError(f"there is no config '{name}', neither in '{folder}' nor in '{Path.cwd()}'.")
        files.append(found[0])
    return tuple(files)


@lru_cache(maxsize=32)
def known_ids(config: tuple[Path, ...]) -> frozenset[str]:
    """Top-level ids of config files taken together."""
    content = ConfigParser.load_config_files([str(file) for file in config])
    return frozenset(ReferenceResolver.split_id(key.lstrip("+"))[0] for key in content)


def check_ids(config: Sequence[Path], overrides: Iterable[str], place: str, own: Iterable[str] = ()) -> None:
    """Refuse overrides that the bundle does not know; MONAI would take them silently.

    Args:
        config: its config files.
        overrides: ids; of a nested one ("train#guard#patience") the first part counts.
        place: where they stand, for the message.
        own: ids that may not be given, because the comparison gives them.

    Raises:
        ValueError: naming the first such id, and the nearest valid one.
    """
    known, own = known_ids(tuple(config)), set(own)
    for key in overrides:
        top = ReferenceResolver.split_id(key)[0]
        if top in own:
            raise ValueError(f"{place} gives '{key}', which the comparison itself sets; take it out.")
        if top not in known:
            names = ", ".join(file.name for file in config)
            raise ValueError(
                f"{place} needs the id '{key}', which {names} does not have: {nearest(top, sorted(known))}"
            )
