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
"""The contract that every encoder keeps, and the registry that builds encoders by name."""

from __future__ import annotations

import difflib
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

__all__ = ["Encoder", "build_encoder", "encoder_levels", "encoder_names", "register_encoder"]

_REGISTRY: dict[str, tuple[type[Encoder], dict[str, Any]]] = {}


class Encoder(nn.Module, ABC):
    """An image encoder that gives feature maps from fine to coarse, and tokens with their mean.

    One coarse token covers one *cell* of ``strides[-1]`` pixels a side; all geometry of Lamps (arXiv 2512.22872) is in
    cells, so any encoder works with it, whatever its stride. The tokens pass through a final affine LayerNorm
    (eps 1e-6), as in the Swin-B of the paper; residual networks get the same so that their tokens have a comparable
    scale as targets.

    Args:
        spatial_dims: 2 or 3.
        in_channels: number of image channels.
        strides: pixels per feature of each level, fine to coarse.
        channels: feature channels of each level, as many as ``strides``.
        config: name and arguments that ``build_encoder(**config)`` rebuilds this encoder from. JSON-serialisable.

    Attributes:
        embed_dim: D, the channels of the coarsest level.
        norm: the final LayerNorm on the tokens.

    Raises:
        ValueError: when ``spatial_dims`` is not 2 or 3, or ``in_channels`` is not positive.
    """

    def __init__(
        self,
        *,
        spatial_dims: int,
        in_channels: int,
        strides: Sequence[int],
        channels: Sequence[int],
        config: dict[str, Any],
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}.")
        if in_channels < 1:
            raise ValueError(f"in_channels must be at least 1, got {in_channels}.")
        self.spatial_dims = spatial_dims
        self.in_channels = in_channels
        self.strides = tuple(strides)
        self.channels = tuple(channels)
        self.embed_dim = self.channels[-1]
        self.config = config
        self.norm = nn.LayerNorm(self.embed_dim, eps=1e-6)

    @classmethod
    @abstractmethod
    def levels(cls, name: str, **kwargs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """``(strides, channels)`` of the encoder that these arguments would build, without building it."""

    @abstractmethod
    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps from fine to coarse.

        Args:
            x: images (B, C, H, W[, Z]), float, each side a multiple of ``cell``.

        Returns:
            one tensor (B, channels[i], H / strides[i], ...) for each level; the coarsest is not normalised yet.

        Raises:
            ValueError: when the shape of ``x`` does not fit the encoder.
        """

    @property
    def cell(self) -> int:
        """Pixels per side that one coarse token covers."""
        return self.strides[-1]

    def embed(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens of the image and their mean.

        Args:
            x: images (B, C, H, W[, Z]), float, each side a multiple of ``cell``.

        Returns:
            tokens (B, N, D) in row-major order of the cells, after the final LayerNorm, and their mean (B, D).
        """
        tokens = self.norm(self.features(x)[-1].flatten(2).transpose(1, 2))
        return tokens, tokens.mean(dim=1)

    def compile_features(self, **kwargs: Any) -> None:
        """Compile in place what costs time in :meth:`features`; weights and results stay the same within rounding.

        Args:
            kwargs: arguments of ``torch.compile``.
        """
        setattr(self, "features", torch.compile(self.features, **kwargs))  # noqa: B010

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The global embedding (B, D): the mean of the tokens."""
        return self.embed(x)[1]

    def check_input(self, x: torch.Tensor) -> None:
        """Refuse images that do not fit.

        Raises:
            ValueError: on a wrong number of dimensions or channels, or a side that is not a multiple of ``cell``.
        """
        axes = ", ".join("HWZ"[: self.spatial_dims])
        if x.ndim != self.spatial_dims + 2:
            raise ValueError(
                f"expected a batch of images (B, C, {axes}), got shape {tuple(x.shape)}; "
                "add the batch or channel dimension, or build the encoder with other spatial_dims."
            )
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f"expected {self.in_channels} image channels, got {x.shape[1]} (shape {tuple(x.shape)}); "
                f"build the encoder with in_channels={x.shape[1]} or convert the images."
            )
        if any(size < self.cell or size % self.cell for size in x.shape[2:]):
            mend = tuple(max(self.cell, math.ceil(size / self.cell) * self.cell) for size in x.shape[2:])
            raise ValueError(
                f"expected image sides that are multiples of the encoder's stride {self.cell}, "
                f"got {tuple(x.shape[2:])}; resize or pad the images, for example to {mend}."
            )


def register_encoder(name: str, cls: type[Encoder], **defaults: Any) -> None:
    """Make ``build_encoder(name)`` build ``cls(name, ..., **defaults)``.

    Args:
        name: the name, also that of the FlexibleUNet backbone (see :mod:`.flexible_unet`).
        cls: a subclass of :class:`Encoder` whose constructor takes ``(name, spatial_dims, in_channels, **kwargs)``.
        defaults: keyword arguments that the user may override.

    Raises:
        TypeError: when ``cls`` is not an :class:`Encoder`.
        ValueError: when the name is taken by another class or other defaults.
    """
    if not (isinstance(cls, type) and issubclass(cls, Encoder)):
        raise TypeError(f"an encoder must be a subclass of Encoder, got {cls!r} for '{name}'.")
    if _REGISTRY.get(name, (cls, defaults)) != (cls, defaults):
        raise ValueError(f"the encoder name '{name}' is taken by {_REGISTRY[name][0].__name__}; choose another name.")
    _REGISTRY[name] = (cls, defaults)


def encoder_names() -> list[str]:
    """Names that :func:`build_encoder` knows, sorted."""
    return sorted(_REGISTRY)


def build_encoder(name: str, spatial_dims: int = 2, in_channels: int = 1, **kwargs: Any) -> Encoder:
    """Build an encoder by name.

    Args:
        name: one of :func:`encoder_names`.
        spatial_dims: 2 or 3.
        in_channels: number of image channels.
        kwargs: overrides of the encoder's own arguments, such as ``drop_path`` or ``embed_dim``.

    Raises:
        ValueError: when the name is unknown (with the nearest known one).
        TypeError: when the encoder does not know one of ``kwargs``.
    """
    cls, merged = _look_up(name, kwargs)
    build: Callable[..., Encoder] = cls  # constructors take a name, which the abstract base does not
    return build(name, spatial_dims=spatial_dims, in_channels=in_channels, **merged)


def encoder_levels(name: str, **kwargs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """``(strides, channels)`` of the encoder that ``build_encoder(name, **kwargs)`` would build."""
    cls, merged = _look_up(name, kwargs)
    return cls.levels(name, **merged)


def _look_up(name: str, kwargs: dict[str, Any]) -> tuple[type[Encoder], dict[str, Any]]:
    if name not in _REGISTRY:
        near = difflib.get_close_matches(str(name), _REGISTRY, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"unknown encoder '{name}', expected one of {encoder_names()}.{hint}")
    cls, defaults = _REGISTRY[name]
    known = [key for key in inspect.signature(cls).parameters if key not in ("name", "spatial_dims", "in_channels")]
    for key in kwargs:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise TypeError(f"encoder '{name}' has no argument '{key}', expected some of {known}.{hint}")
    return cls, {**defaults, **kwargs}
