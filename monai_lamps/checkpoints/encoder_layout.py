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
"""What an import has to know of the encoder in a state dict, whatever its kind."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from monai_lamps.networks import encoder_levels

from .stem import fold_stem

if TYPE_CHECKING:
    from .released_families import ReleasedFamily

__all__ = ["OWN_FILE", "EncoderLayout", "find_prefix", "fold_patches", "require_key"]

#: prefixes of the encoder in these families of methods, the first of several wins: Lamps, ACE and DINO; POPAR and PEAC;
#: MoCo; SimMIM
_PREFIXES = ("backbone.", "swin_model.", "encoder_q.", "encoder.")
OWN_FILE = "an encoder file of this package, which is named NAME.pt and has its card, NAME.json, beside it"


@dataclass(frozen=True)
class EncoderLayout(ABC):
    """An encoder in a state dict.

    Attributes:
        prefix: what stands before its keys, such as ``backbone.``; empty for none.
        config: arguments that ``build_encoder(**config)`` builds an encoder of these shapes from.
    """

    prefix: str
    config: dict[str, Any]

    @property
    @abstractmethod
    def title(self) -> str:
        """Kind and sizes, for people."""

    @property
    @abstractmethod
    def stem(self) -> tuple[str, ...]:
        """Keys of the file that :meth:`fold` changes."""

    @abstractmethod
    def source_of(self, key: str) -> str | None:
        """Key of the file for a key of the encoder; None for what no file holds."""

    @abstractmethod
    def fold(
        self,
        state: Mapping[str, Tensor],
        channel_mean: tuple[float, ...],
        channel_std: tuple[float, ...],
        mean: float,
        std: float,
        in_channels: int,
    ) -> dict[str, Tensor]:
        """The state dict with its first layer for other channels and another normalisation.

        Args:
            state: tensors of the file by key, those of :attr:`stem` among them.
            channel_mean, channel_std: normalisation that the weights were trained with, one number or one per channel.
            mean, std: normalisation from now on.
            in_channels: 1, or the channels of the file.

        Raises:
            ValueError: when the channels do not fold.
        """

    def check(self, state: Mapping[str, Tensor], targets: Mapping[str, Tensor], source: str) -> None:
        """Refuse tensors that have the encoder's shapes but mean something else; nothing is known of such here.

        Args:
            state: tensors of the file by key.
            targets: tensors of the encoder by key.
            source: name of the file, for messages.

        Raises:
            ValueError: on such a tensor.
        """
        return

    def computed(self, key: str) -> str | None:
        """Why a tensor of this key, ours or the file's, is computed and not imported; None for all others."""
        return None

    def notes(self, family: ReleasedFamily) -> tuple[str, ...]:
        """What the import assumes or changes in this kind of encoder, for the report."""
        return ()

    @property
    def cell(self) -> int:
        """Pixels per side of a coarse token."""
        return self._levels()[0][-1]

    @property
    def embed_dim(self) -> int:
        """Channels of a coarse token."""
        return self._levels()[1][-1]

    def _levels(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        own = {key: value for key, value in self.config.items() if key not in ("spatial_dims", "in_channels")}
        return encoder_levels(**own)


def find_prefix(state: Mapping[str, Tensor], ending: str, source: str, kind: str) -> str | None:
    """What stands before the keys of the encoder; None when there is none of this kind.

    Args:
        state: tensors by key.
        ending: the end of a key that every encoder of this kind has.
        source: name of the file, for messages.
        kind: name of the kind in the plural, for messages.

    Raises:
        ValueError: when there are several, under prefixes that are not known.
    """
    found = [key.removesuffix(ending) for key in state if re.search(rf"(^|\.){re.escape(ending)}$", key)]
    known = [prefix for prefix in _PREFIXES if prefix in found]
    if known or len(found) < 2:
        return next(iter(known or found), None)
    raise ValueError(f"'{source}' holds several {kind}, {found}; save the state dict of one alone.")


def require_key(state: Mapping[str, Tensor], key: str, source: str, kind: str) -> Tensor:
    """A tensor that tells the sizes.

    Raises:
        ValueError: when the file lacks it.
    """
    if key not in state:
        raise ValueError(f"'{source}' lacks '{key}', so it is only a part of a {kind}; take the whole file.")
    return state[key]


def fold_patches(
    keys: tuple[str, ...],
    state: Mapping[str, Tensor],
    channel_mean: tuple[float, ...],
    channel_std: tuple[float, ...],
    mean: float,
    std: float,
    in_channels: int,
) -> dict[str, Tensor]:
    """:meth:`EncoderLayout.fold` for a first layer that cuts the image into patches, with a bias (:func:`fold_stem`).

    Args:
        keys: of the weight and of the bias.
        state, channel_mean, channel_std, mean, std, in_channels: as there.
    """
    weight, bias = (state[key] for key in keys)
    return {**state, **dict(zip(keys, fold_stem(weight, bias, channel_mean, channel_std, mean, std, in_channels)))}
