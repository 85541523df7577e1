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
"""What an import of released weights loaded, what it did not, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ImportReport", "match_weights"]

_SHOWN = 6


@dataclass(frozen=True)
class ImportReport:
    """What became of every tensor of the file and every tensor of the network. ``str(report)`` is for people.

    Attributes:
        source: what was imported: file, network, family.
        loaded: keys of the file that were loaded.
        missing: keys of our network that the file lacks; they stay as they were.
        unexpected: keys of the file that nothing is known of; not loaded.
        ignored: keys of the file that are left out on purpose, with the reason.
        coverage: share of the encoder's parameters that were loaded, in [0, 1].
        notes: what was assumed or changed.
    """

    source: str
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    ignored: Mapping[str, str] | None = None
    coverage: float = 0.0
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            self.source,
            f"  loaded      {len(self.loaded)} tensors, {self.coverage:.2%} of the encoder's parameters",
        ]
        lines.append(f"  missing     {_listed(self.missing)}")
        lines.append(f"  unexpected  {_listed(self.unexpected)}")
        reasons: dict[str, list[str]] = {}
        for key, reason in (self.ignored or {}).items():
            reasons.setdefault(reason, []).append(key)
        lines += [f"  ignored     {_listed(keys, 2)}: {reason}" for reason, keys in reasons.items()]
        return "\n".join(lines + [f"  note        {note}" for note in self.notes])

    def require(self, minimum_coverage: float) -> None:
        """Refuse an import that leaves too much of the encoder at random values.

        Args:
            minimum_coverage: smallest tolerated share of the encoder's parameters, in [0, 1].

        Raises:
            ValueError: naming the first missing keys and the likely cause.
        """
        if self.coverage < minimum_coverage:
            raise ValueError(
                f"only {self.coverage:.1%} of the encoder's parameters are in {self.source}, expected at least "
                f"{minimum_coverage:.1%}; missing: {_listed(self.missing)}. Likely the file holds only a part of the "
                "network, or the network to fill is another one; see what it holds with "
                "`python -m monai_lamps.checkpoints inspect FILE`."
            )


def match_weights(
    targets: Mapping[str, Tensor], source_of: Callable[[str], str | None], state: Mapping[str, Tensor], source: str
) -> tuple[dict[str, str], list[str]]:
    """Pair the tensors of a network with those of a file.

    Args:
        targets: tensors of the network by key.
        source_of: key of the file for a key of the network; None for tensors that are not imported.
        state: tensors of the file by key.
        source: name of the file, for messages.

    Returns:
        key of the file by key of the network, and the keys of the network that the file lacks.

    Raises:
        ValueError: when a pair differs in shape, or a tensor of the file is not finite.
    """
    wanted = {key: name for key in targets if (name := source_of(key)) is not None}
    pairs = {key: name for key, name in wanted.items() if name in state}
    for key, name in pairs.items():
        if state[name].shape != targets[key].shape:
            raise ValueError(
                f"'{name}' in {source} is {tuple(state[name].shape)}, but '{key}' of the network to fill is "
                f"{tuple(targets[key].shape)}; build the network with the sizes of the file."
            )
        if not torch.isfinite(state[name]).all():
            raise ValueError(f"'{name}' in {source} holds values that are not finite; the file is damaged.")
    return pairs, [key for key in wanted if key not in pairs]


def _listed(keys: Iterable[str], shown: int = _SHOWN) -> str:
    keys = list(keys)
    if not keys:
        return "none"
    return ", ".join(keys[:shown]) + (f" and {len(keys) - shown} more" if len(keys) > shown else "")
