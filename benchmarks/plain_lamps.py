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
"""The plain formulation of Lamps that step.py and memory.py compare with: MONAI's modules as they come."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from monai.networks.nets.swin_unetr import SwinTransformer
from torch import Tensor, nn

from monai_lamps.engines import Progress
from monai_lamps.methods.lamps import Lamps, LampsGeometry, lamps_curriculum
from monai_lamps.methods.lamps.crops import LampsCrops
from monai_lamps.networks import Encoder, SwinEncoder, build_encoder

__all__ = ["OBJECTIVES", "EveryObjective", "PlainSwin", "batch_of", "build", "progress_of"]

#: the three phases of the published curriculum, one an epoch
OBJECTIVES = ("extrapolation", "order + consistency", "composition + decomposition")


class PlainSwin(SwinEncoder):
    """The same encoder by MONAI's own blocks: matmul-softmax attention, masks made in every forward, nothing saved."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        own = self.config
        monai = SwinTransformer(
            in_chans=self.in_channels,
            embed_dim=own["embed_dim"],
            window_size=(own["window_size"],) * self.spatial_dims,
            patch_size=(own["patch_size"],) * self.spatial_dims,
            depths=own["depths"],
            num_heads=own["num_heads"],
            mlp_ratio=own["mlp_ratio"],
            qkv_bias=own["qkv_bias"],
            drop_path_rate=own["drop_path"],
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            patch_norm=True,
            spatial_dims=self.spatial_dims,
        )
        getattr(monai, f"layers{len(own['depths'])}")[0].downsample = None
        monai.load_state_dict(self.swin.state_dict())
        self.swin = monai

    def features(self, x: Tensor) -> list[Tensor]:
        """The coarsest features, by MONAI's stages."""
        x = self.swin.pos_drop(self.swin.patch_embed(x))
        for stage in self.stages():
            x = stage(x.contiguous())
        return [x]


class EveryObjective(Lamps):
    """Makes the tensors and computes the heads of every objective in every step, whatever is active."""

    def _terms(self, crops: LampsCrops, active: set[str]) -> dict[str, Tensor]:
        return super()._terms(crops, set(self.curriculum.objectives))


def build(
    kind: str,
    encoder: str = "swin_base",
    encoder_args: Mapping[str, Any] | None = None,
    share: Lamps | None = None,
    seed: int = 0,
    **kwargs: Any,
) -> Lamps:
    """Lamps in one of its formulations, all with the same weights for a seed.

    Args:
        kind: ``ours``; ``plain``: MONAI's modules and every objective in every step; ``plain modules``: MONAI's modules
            and the active objective alone.
        encoder: name of the encoder.
        encoder_args: its arguments.
        share: a method of another kind whose parameters are to be used, the same tensors, to spare memory.
        seed: of the weights.
        kwargs: arguments of the geometry.
    """
    torch.manual_seed(seed)
    arguments = dict(encoder_args or {})
    ours: Encoder = build_encoder(encoder, **arguments)
    geometry = LampsGeometry(ours.cell, **kwargs)
    torch.manual_seed(seed)
    method = (EveryObjective if kind == "plain" else Lamps)(ours, geometry, lamps_curriculum("epoch"))
    if kind != "ours" and isinstance(ours, SwinEncoder):
        for network in (method.student, method.teacher_network):
            network.encoder = _plain(network.encoder)
        for block in method.decoder.blocks:
            block.attn.use_flash_attention = False
    if share is not None:
        method.load_state_dict(share.state_dict(keep_vars=True), assign=True)
    return method


def _plain(encoder: Encoder) -> PlainSwin:
    config = dict(encoder.config)
    if not next(encoder.parameters()).requires_grad:  # the teacher has no stochastic depth
        config["drop_path"] = 0.0
    plain = PlainSwin(config.pop("name"), **config)
    plain.load_state_dict(encoder.state_dict(keep_vars=True), assign=True)
    return plain


def batch_of(geometry: LampsGeometry, images: int, device: str, seed: int = 0) -> dict[str, Tensor]:
    """A batch as the loader gives it, of noise."""
    draw = torch.Generator().manual_seed(seed)
    g, n = geometry, geometry.spatial_dims
    batch = {
        "image": torch.rand((images, 1, *[g.region_size] * n), generator=draw),
        "view_offset": torch.randint(0, g.region - g.view + 1, (images, 2, n), generator=draw),
        "window_offset": torch.randint(0, g.view - g.window + 1, (images, 2, n), generator=draw),
        "permutation": torch.stack([torch.randperm(g.tokens, generator=draw) for _ in range(images)]),
        "seed": torch.randint(0, 2**40, (images,), generator=draw),
    }
    return {key: value.to(device) for key, value in batch.items()}


def progress_of(objective: int) -> Progress:
    """A step of the epoch in which the objective of :data:`OBJECTIVES` is active."""
    return Progress.at(3 + objective, 1, 302)
