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

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from monai_lamps.data.atomic import atomic_write

from .amount import Amount
from .readings import evaluated, is_trained

__all__ = ["Record", "Run", "hold", "portable"]


@dataclass(frozen=True)
class Run:
    """One training of a comparison, with what is judged after it.

    Attributes:
        encoder: name of the initialisation.
        amount: how many training images.
        seed: its seed.
        folder: ``output_dir``.
        config: config files of the bundle.
        settings: overrides, without the folder.
        evaluations: overrides of each evaluation, by its name.
        keep_networks: whether ``best.pt`` and ``last.pt`` stay when all is done.
        trying: the settings that the search tries with this run.
    """

    encoder: str
    amount: Amount
    seed: int
    folder: Path
    config: tuple[Path, ...]
    settings: Mapping[str, Any]
    evaluations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    keep_networks: bool = True
    trying: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The run in words."""
        tried = "".join(f", {key} = {json.dumps(value)}" for key, value in self.trying.items())
        return f"{self.encoder}, {self.amount.words}, seed {self.seed}{tried}"

    def evaluation_folder(self, name: str) -> Path:
        """Where the evaluation of this name writes."""
        return self.folder / "evaluations" / name

    @property
    def complete(self) -> bool:
        """Whether it is trained and judged; then it is never done again."""
        return is_trained(self.folder) and not self.missing_evaluations

    @property
    def missing_evaluations(self) -> list[str]:
        """Evaluations that have not been made, or with other settings."""
        made = Record.read(self.folder).evaluations
        return [
            name
            for name, settings in self.evaluations.items()
            if made.get(name) != portable(settings) or evaluated(self.evaluation_folder(name)) is None
        ]

    def check(self) -> None:
        """Refuse a folder in which a run with other settings has been begun.

        Raises:
            ValueError: naming what differs.
        """
        identity, before = self.identity, Record.read(self.folder).identity
        differences = [
            f"{key} = {json.dumps(before.get(key))} there, {json.dumps(identity.get(key))} now"
            for key in sorted({*identity, *before})
            if identity.get(key) != before.get(key)
        ]
        if before and differences:
            raise ValueError(
                f"'{self.folder}' holds a run that was made with other settings: {'; '.join(differences)}. Give the "
                "comparison another folder (--out), or delete this one to make the run again."
            )

    @property
    def identity(self) -> dict[str, Any]:
        """What the run's result depends on: its settings, with the content of files in place of their names."""
        configs = {f"config {file.name}": portable({"file": str(file)})["file"] for file in self.config}
        return {**configs, **portable(self.settings)}


@dataclass
class Record:
    """What the comparison itself knows of a run, in ``run.json`` of its folder.

    Attributes:
        identity: see :attr:`Run.identity`; empty when nothing was begun.
        seconds: how long it took, all attempts together.
        failure: why the last attempt failed; empty if it did not.
        failed_at: when, in seconds since 1970.
        evaluations: settings of the evaluations that were made, by name.
    """

    identity: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str = ""
    failed_at: float = 0.0
    evaluations: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Record:
        """The record of a run, an empty one if there is none.

        Raises:
            ValueError: when the file is damaged.
        """
        path = folder / "run.json"
        if not path.is_file():
            return cls()
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, ValueError) as error:
            raise ValueError(f"'{path}' is damaged ({error}); delete '{folder}' to make the run again.") from error

    def write(self, folder: Path) -> None:
        """Write it into the run's folder."""
        text = json.dumps(vars(self), indent=2) + "\n"
        atomic_write(folder / "run.json", lambda file: file.write(text.encode()))


@contextlib.contextmanager
def hold(folder: Path, wait: bool = False) -> Iterator[bool]:
    """Hold a run so that no other process takes it; when this process dies, the system lets it go.

    Args:
        folder: of the run.
        wait: whether to wait until another process lets it go.

    Yields:
        whether it is held; False only without ``wait``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # also for data loader workers that may outlive the run


def portable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that can be compared after files were moved: a file is its content's hash, a folder only a folder."""
    return {key: _portable(key, value) for key, value in settings.items()}


def _portable(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return portable(value)
    if isinstance(value, list):
        return [_portable(key, item) for item in value]
    if not isinstance(value, str) or not value or len(value) > 1024 or "\n" in value:
        return value
    path = Path(value)
    if path.is_file():
        return f"sha256 {_hash(path.resolve(), path.stat().st_mtime_ns)}"
    return "a folder" if (key.endswith("dir") or "/" in value) and path.is_dir() else value


@lru_cache(maxsize=256)
def _hash(path: Path, _changed: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
