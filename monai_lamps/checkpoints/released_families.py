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
"""The methods whose released weights are known, and the images that each expects."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from .convnext_layout import ConvNeXtLayout
from .encoder_layout import EncoderLayout
from .resnet_layout import ResNetLayout

__all__ = ["ReleasedFamily", "recognise_family"]

_RADIOGRAPHS = ((0.5056,), (0.252,))
_IMAGENET_CLASSES = (1000, 21841, 21843)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class ReleasedFamily:
    """What is known of a family of released weights but does not stand in the file.

    Attributes:
        name: short name, goes into the card.
        title: for people.
        mean, std: normalisation of images in [0, 1], one number or one per channel.
        cells: side of the training image in cells of the encoder, where no head tells it.
        region, margin: how a whole radiograph is brought to the scale of training, see
            :class:`~monai_lamps.transforms.GridRegion`; region None is the whole short side, in ``cells`` cells.
        order_head: prefix of the weights of a patch order head, whose classes are the cells; empty for none.
        small_grid_shift: whether the code shifts windows on a grid that is a single window.
        eps_known: whether the import was compared with the outputs of the weights' own code, LayerNorms included.
        unused: tensors of the encoder (keys without the prefix) that its own code does not use, with the reason.
        assumed: nothing in the file tells the family, so its normalisation is an assumption.
    """

    name: str
    title: str
    mean: tuple[float, ...] = _RADIOGRAPHS[0]
    std: tuple[float, ...] = _RADIOGRAPHS[1]
    cells: int = 14
    region: int | None = None
    margin: int = 0
    order_head: str = ""
    small_grid_shift: bool = False
    eps_known: bool = False
    unused: Mapping[str, str] = field(default_factory=dict)
    assumed: bool = False

    def view_cells(self, state: Mapping[str, Tensor]) -> int:
        """Side of the training image in cells: the root of the order head's classes where there is one."""
        head = state.get(f"{self.order_head}weight") if self.order_head else None
        return math.isqrt(len(head)) if head is not None else self.cells

    def preparation(self, cell: int, cells: int) -> dict[str, Any]:
        """The card's entry on how a whole radiograph is prepared, for cells of ``cell`` px and images of ``cells``."""
        return {"transform": "GridRegion", "cell": cell, "region": self.region or cells, "margin": self.margin}


LAMPS = ReleasedFamily(
    "lamps",
    "Lamps",
    region=18,
    margin=1,
    order_head="popar_head.",
    small_grid_shift=True,
    eps_known=True,
    unused={"absolute_pos_embed": "never trained: the released code allocates it but does not add it to the tokens"},
)
ACE = ReleasedFamily("ace", "ACE")
PEAC = ReleasedFamily("peac", "PEAC", order_head="head.")
POPAR = ReleasedFamily("popar", "POPAR", order_head="head.")
IMAGENET = ReleasedFamily("imagenet", "ImageNet classification", *_IMAGENET, cells=7)
UNKNOWN = ReleasedFamily("swin", "a Swin Transformer of unknown origin", assumed=True)
# head and normalisation are those of MoCo-v2 and DINO on ImageNet, whose files read alike
ADAM = replace(IMAGENET, name="adam", title="Adam (or another MoCo-v2)")
ADAM_V2 = replace(IMAGENET, name="adam_v2", title="Adam-v2 (or another DINO)")
UNKNOWN_RESNET = replace(IMAGENET, name="resnet", title="a ResNet of unknown origin", assumed=True)
UNKNOWN_CONVNEXT = replace(IMAGENET, name="convnext", title="a ConvNeXt of unknown origin", assumed=True)


def recognise_family(state: Mapping[str, Tensor], layout: EncoderLayout, networks: Collection[str]) -> ReleasedFamily:
    """Tell the family of released weights by the heads beside the encoder.

    Args:
        state: tensors by key.
        layout: the encoder in it.
        networks: names of all networks in the file; PEAC has a teacher, POPAR has not.
    """
    if isinstance(layout, ResNetLayout):
        return _convolutional(state, layout.prefix, UNKNOWN_RESNET)
    if isinstance(layout, ConvNeXtLayout):
        return _convolutional(state, layout.prefix, UNKNOWN_CONVNEXT)
    tops = {key.split(".", 1)[0] for key in state}
    if {"vitdecoder", "popar_head"} <= tops:
        return LAMPS
    if "DenseHead" in tops:
        return ACE
    if layout.prefix == "swin_model." and "head.weight" in state:
        return PEAC if "teacher" in networks else POPAR
    return IMAGENET if _classifies_imagenet(state, layout.prefix) else UNKNOWN


def _convolutional(state: Mapping[str, Tensor], prefix: str, unknown: ReleasedFamily) -> ReleasedFamily:
    if f"{prefix}fc.0.weight" in state and f"{prefix}fc.2.weight" in state:  # the projection head of MoCo-v2
        return ADAM
    if "head.mlp.0.weight" in state and any(key.startswith("head.last_layer.") for key in state):
        return ADAM_V2
    return IMAGENET if _classifies_imagenet(state, prefix) else unknown


def _classifies_imagenet(state: Mapping[str, Tensor], prefix: str) -> bool:
    heads = (state.get(f"{prefix}{name}.weight") for name in ("head", "head.fc", "fc"))
    return any(head is not None and len(head) in _IMAGENET_CLASSES for head in heads)
