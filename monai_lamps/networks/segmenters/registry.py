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
"""Segmentation networks by name."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from torch import nn

from ..encoders import Encoder
from .encoder_unet import EncoderUNet
from .swin_unetr import EncoderSwinUNETR
from .upernet import UPerNet

__all__ = ["build_segmenter", "register_segmenter", "segmenter_names"]

_REGISTRY: dict[str, type[nn.Module]] = {}


def register_segmenter(name: str, cls: type[nn.Module]) -> None:
    """Make ``build_segmenter(name, encoder, out_channels, **kwargs)`` build ``cls(encoder, out_channels, **kwargs)``.

    Args:
        name: the name.
        cls: a network that keeps the encoder as its attribute ``encoder`` and gives logits (B, K, H, W[, Z]).

    Raises:
        TypeError: when ``cls`` is not a class of networks.
        ValueError: when the name is taken by another class.
    """
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise TypeError(f"a segmentation network must be a subclass of torch.nn.Module, got {cls!r} for '{name}'.")
    if _REGISTRY.get(name, cls) is not cls:
        raise ValueError(f"the segmenter name '{name}' is taken by {_REGISTRY[name].__name__}; choose another name.")
    _REGISTRY[name] = cls


def segmenter_names() -> list[str]:
    """Names that :func:`build_segmenter` knows, sorted."""
    return sorted(_REGISTRY)


def build_segmenter(name: str, encoder: Encoder, out_channels: int, **kwargs: Any) -> nn.Module:
    """Build a segmentation network on an encoder.

    Args:
        name: one of :func:`segmenter_names`.
        encoder: the encoder with its weights; becomes a part of the network, as its attribute ``encoder``.
        out_channels: K, classes or structures.
        kwargs: further arguments of the network, such as ``norm`` or ``channels``.

    Raises:
        ValueError: when the name is unknown (with the nearest known one).
        TypeError: when the network does not know one of ``kwargs``.
    """
    if name not in _REGISTRY:
        raise ValueError(f"unknown segmenter '{name}', expected one of {segmenter_names()}.{_hint(name, _REGISTRY)}")
    cls = _REGISTRY[name]
    known = [key for key in inspect.signature(cls).parameters if key not in ("encoder", "out_channels")]
    for key in kwargs:
        if key not in known:
            raise TypeError(f"segmenter '{name}' has no argument '{key}', expected some of {known}.{_hint(key, known)}")
    return cls(encoder, out_channels, **kwargs)


def _hint(word: str, known: Any) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


register_segmenter("encoder_unet", EncoderUNet)
register_segmenter("swin_unetr", EncoderSwinUNETR)
register_segmenter("upernet", UPerNet)
