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
"""What every id of the bundles' configurations means: docs/options.toml, looked up from the special to the general."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomllib

__all__ = ["OptionTexts", "base_id", "configs"]

ROOT = Path(__file__).resolve().parents[2]


class OptionTexts:
    """Descriptions of ids.

    Args:
        path: a TOML file of tables of id to text: ``all``, ``BUNDLE``, ``BUNDLE/CONFIG``.
    """

    def __init__(self, path: Path) -> None:
        self.tables: dict[str, dict[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))

    def text(self, bundle: str, config: str, name: str) -> str | None:
        """What an id means in a configuration of a bundle, in MyST; None where nothing is written."""
        table = self._table(bundle, config, name)
        return None if table is None else self.tables[table][name]

    def missing(self) -> list[str]:
        """Ids of the bundles without a text, as BUNDLE/CONFIG: ID."""
        return [
            f"{bundle}/{config}: {name}"
            for bundle, config, content in configs()
            for name in content
            if self.text(bundle, config, base_id(name)) is None
        ]

    def unused(self) -> list[str]:
        """Texts that no configuration needs, as [TABLE] ID."""
        used = {
            (self._table(bundle, config, base_id(name)), base_id(name))
            for bundle, config, content in configs()
            for name in content
        }
        written = [(table, name) for table, texts in self.tables.items() for name in texts]
        return [f"[{table}] {name}" for table, name in written if (table, name) not in used]

    def _table(self, bundle: str, config: str, name: str) -> str | None:
        tables = (f"{bundle}/{config}", bundle, "all")
        return next((table for table in tables if name in self.tables.get(table, {})), None)


def configs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every configuration of every bundle: (bundle, configuration, content)."""
    for path in sorted((ROOT / "bundles").glob("*/configs/*.json")):
        if path.stem != "metadata":
            yield path.parts[-3], path.stem, json.loads(path.read_text(encoding="utf-8"))


def base_id(name: str) -> str:
    """The id at the top that a path of an override begins with: ``train#clip#max_norm`` belongs to ``train``."""
    return name.lstrip("+").partition("#")[0].partition("::")[0]
