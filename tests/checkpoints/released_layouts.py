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
"""Synthetic checkpoints in the released layouts, with every key of the real ones, scaled down."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference_networks import convnext, resnet
from torch import Tensor, nn

State = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
TINY = {"embed": 8, "depths": (1, 2, 2, 2), "heads": (1, 2, 4, 8), "cells": 2, "decoder_blocks": 2, "prototypes": 16}


def linear(name: str, out: int, into: int, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (out, into), **({f"{name}.bias": (out,)} if bias else {})}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def block(name: str, width: int, heads: int = 0, window: int = 7) -> Shapes:
    tables: Shapes = {
        f"{name}.attn.relative_position_bias_table": ((2 * window - 1) ** 2, heads),
        f"{name}.attn.relative_position_index": (window**2, window**2),
    }
    return {
        **norm(f"{name}.norm1", width),
        **(tables if heads else {}),
        **linear(f"{name}.attn.qkv", 3 * width, width),
        **linear(f"{name}.attn.proj", width, width),
        **norm(f"{name}.norm2", width),
        **linear(f"{name}.mlp.fc1", 4 * width, width),
        **linear(f"{name}.mlp.fc2", width, 4 * width),
    }


def swin_shapes(embed: int, depths: Sequence[int], heads: Sequence[int], window: int = 7, channels: int = 3) -> Shapes:
    """A Swin V1 of patch 4 as its authors' code names it."""
    shapes: Shapes = {
        "patch_embed.proj.weight": (embed, channels, 4, 4),
        "patch_embed.proj.bias": (embed,),
        **norm("patch_embed.norm", embed),
    }
    for stage, depth in enumerate(depths):
        width = embed * 2**stage
        for number in range(depth):
            shapes |= block(f"layers.{stage}.blocks.{number}", width, heads[stage], window)
        if stage < len(depths) - 1:
            shapes |= linear(f"layers.{stage}.downsample.reduction", 2 * width, 4 * width, bias=False)
            shapes |= norm(f"layers.{stage}.downsample.norm", 4 * width)
    return shapes | norm("norm", embed * 2 ** (len(depths) - 1))


def released_shapes(
    embed: int, depths: Sequence[int], heads: Sequence[int], cells: int, decoder_blocks: int, prototypes: int
) -> Shapes:
    """Every key of one network of a released Lamps checkpoint, with its shape."""
    width, tokens = embed * 2 ** (len(depths) - 1), cells**2
    backbone: Shapes = {"absolute_pos_embed": (1, tokens * 64, embed), "mask_token": (1, 1, width)}
    backbone |= swin_shapes(embed, depths, heads)
    shapes: Shapes = {"bias": (tokens,), **{f"backbone.{key}": shape for key, shape in backbone.items()}}
    for layer, (out, into) in zip((0, 2, 4), ((2048, width), (2048, 2048), (256, 2048))):
        shapes |= linear(f"peac_global.mlp.{layer}", out, into)
    shapes |= {"peac_global.last_layer.weight_g": (prototypes, 1), "peac_global.last_layer.weight_v": (prototypes, 256)}
    shapes |= {**linear("peac_local.0", 512, width), **norm("peac_local.1", 512), **linear("peac_local.3", 512, 512)}
    shapes |= {**norm("peac_local.4", 512), **linear("peac_local.6", 512, 512, bias=False)}
    shapes |= {"vitdecoder.cls_token": (1, 1, width), "vitdecoder.mask_token": (1, 1, width)}
    shapes |= {"vitdecoder.decoder_pos_embed": (1, tokens + 1, width)}
    shapes |= {"vitdecoder.patch_embed.proj.weight": (width, 3, 32, 32), "vitdecoder.patch_embed.proj.bias": (width,)}
    for number in range(decoder_blocks):
        shapes |= block(f"vitdecoder.decoder_blocks.{number}", width)
    shapes |= {**norm("vitdecoder.decoder_norm", width), **linear("popar_head", tokens, width)}
    shapes |= {**linear("composer.layer.0", width, 4 * width, bias=False), **norm("composer.layer.1", width)}
    shapes |= {**linear("composer.layer.3", width, width), **norm("composer.layer.4", width)}
    shapes |= linear("composer.layer.6", width, width)
    shapes |= {**linear("decomposer.layer.0", 4 * width, width, bias=False), **norm("decomposer.layer.1", 4 * width)}
    return shapes | linear("decomposer.layer.3", 4 * width, 4 * width)


def drawn(shapes: Shapes, seed: int = 0) -> State:
    """Random tensors of these shapes; relative positions and the doubled bias as they have to be."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for key, shape in shapes.items():
        if key.endswith("relative_position_index"):
            state[key] = position_index(round(shape[0] ** 0.5))
            continue
        value = torch.randn(shape, generator=generator) * 0.1
        state[key] = value + 1 if key.endswith(".weight") and len(shape) == 1 else value
    if "popar_head.bias" in state:
        state["popar_head.bias"] = state["bias"]
    return state


def position_index(window: int) -> Tensor:
    """Row of the table for every pair of cells: (dy + w - 1) (2 w - 1) + (dx + w - 1)."""
    cells = [(y, x) for y in range(window) for x in range(window)]
    rows = [[(a - c + window - 1) * (2 * window - 1) + b - d + window - 1 for c, d in cells] for a, b in cells]
    return torch.tensor(rows)


def lamps_checkpoint(student: State, teacher: State) -> dict[str, Any]:
    """A whole released Lamps checkpoint: student under ``module.``, teacher, optimizer, arguments and all."""
    args = argparse.Namespace(
        arch="swin_base", epochs=302, lr=5e-4, seed=np.int64(3), data=Path("lists") / "train.txt", crops=[0.05, 0.4]
    )
    return {
        "student": {f"module.{key}": value for key, value in student.items()},
        "teacher": teacher,
        "optimizer": {"state": {0: {"step": 7, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-3}]},
        "epoch": 302,
        "args": args,
        "barlow_loss": {},
        "dino_loss": {"center": torch.arange(16.0)[None]},
        "fp16_scaler": {"scale": 65536.0, "_growth_tracker": 5},
    }


def adam(prefix: str = "") -> State:
    """The bare ``encoder_q`` of Adam: ResNet-50 with the projection head 2048-2048-128 of MoCo-v2."""
    head = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 16)).state_dict()
    whole = resnet() | {f"fc.{key}": value for key, value in head.items()}
    return {f"{prefix}{key}": value for key, value in whole.items()}


def dino(backbone: State) -> State:
    """A network of an Adam-v2 checkpoint."""
    head = {"head.mlp.0.weight": torch.zeros(3, 128), "head.last_layer.weight_g": torch.ones(5, 1)}
    return {
        **{f"module.backbone.{key}": value for key, value in backbone.items()},
        **{f"module.{key}": value for key, value in head.items()},
    }


def released_checkpoint(family: str) -> dict[str, Any]:
    """A checkpoint of one of the families whose weights can be imported, as torch.save takes it."""
    sizes = {key: TINY[key] for key in ("embed", "depths", "heads")}
    swin = drawn({f"swin_model.{key}": shape for key, shape in swin_shapes(**sizes).items()})  # type: ignore[arg-type]
    ordering = swin | {"head.weight": torch.zeros(196, 64), "head.bias": torch.zeros(196)}
    parallel = {f"module.{key}": value for key, value in ordering.items()}
    if family == "lamps":
        return lamps_checkpoint(*(drawn(released_shapes(**TINY), seed) for seed in (1, 2)))  # type: ignore[arg-type]
    if family == "ace":
        kept = {key.replace("swin_model.", "module.backbone."): value for key, value in swin.items()}
        return {"student": kept | {"module.DenseHead.weight": torch.zeros(3, 3)}}
    return {
        "popar": {"model": ordering},
        "peac": {"student": parallel, "teacher": parallel},
        "adam": {"epoch": 200, "state_dict": adam("module.encoder_q.")},
        "adam_v2": {"student": dino(convnext()), "teacher": dino(convnext()), "epoch": 265},
    }[family]
