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

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from monai_lamps.checkpoints.swin_layout import read_swin
from monai_lamps.networks import build_encoder

FULL = {"embed": 128, "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32)}


def test_the_synthetic_layout_is_that_of_the_released_checkpoints(shared: Path, shapes: Callable) -> None:
    published = json.loads((shared / "reference" / "lamps" / "checkpoint_keys.json").read_text())
    ours = shapes(**FULL, cells=14, decoder_blocks=8, prototypes=65536)
    assert {key: list(shape) for key, shape in ours.items()} == published


@pytest.mark.parametrize("prefix", ["", "backbone.", "swin_model.", "encoder_q.", "encoder.", "my.net."])
def test_the_encoder_is_found_under_any_prefix(swin: Callable, prefix: str) -> None:
    layout = read_swin({"head.weight": torch.zeros(3, 64), **swin(prefix)}, "file")
    assert layout.prefix == prefix
    assert (layout.cell, layout.embed_dim, layout.merging_first) == (32, 64, False)
    encoder = build_encoder(**layout.config)
    assert layout.config.items() <= encoder.config.items()
    assert {layout.source_of(key) for key in encoder.state_dict()} == set(swin(prefix))


def test_of_several_encoders_the_one_that_is_trained_is_taken(swin: Callable) -> None:
    assert read_swin({**swin("encoder_k."), **swin("encoder_q.")}, "file").prefix == "encoder_q."


def test_several_unknown_encoders_are_refused(swin: Callable) -> None:
    with pytest.raises(
        ValueError, match=r"'file' holds several Swin Transformers, \['a\.', 'b\.'\]; save .* one alone"
    ):
        read_swin({**swin("a."), **swin("b.")}, "file")


@pytest.mark.parametrize("name", ["swin_tiny", "swin_small", "swin_base"])
def test_the_sizes_of_the_paper_are_recognised_even_when_blocks_are_missing(name: str, swin: Callable) -> None:
    config = build_encoder(name, embed_dim=8, num_heads=[1, 2, 4, 8]).config  # its depths
    full = {"swin_tiny": 96, "swin_small": 96, "swin_base": 128}[name]
    heads = [(full // 32) * 2**stage for stage in range(4)]
    kept = 3 if name == "swin_tiny" else 10
    state = swin("", embed=full, depths=(2, 2, kept), heads=heads[:3])
    found = read_swin(state, "file").config
    assert (found["name"], found["depths"], found["num_heads"]) == (name, config["depths"], heads)


def test_a_stage_without_blocks_does_not_hide_those_after_it(swin: Callable) -> None:
    state = {key: value for key, value in swin().items() if not key.startswith("layers.1.blocks")}
    assert read_swin(state, "file").config["depths"] == [1, 2, 2, 2]
    assert read_swin(state, "file").config["num_heads"] == [1, 2, 4, 8]


def test_windows_of_another_width_are_refused_with_the_table_that_tells_them(swin: Callable) -> None:
    with pytest.raises(ValueError, match=r"'file' are 12 cells wide \('layers\.0.*_table' is \(529, 1\)\), expected 7"):
        read_swin(swin(window=12), "file")


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("layers.0.blocks.0.attn.logit_scale", "a Swin Transformer V2, whose attention is another"),
        ("blocks.0.attn.qkv.weight", r"a vision transformer \(ViT\)"),
        ("vit_model.blocks.0.attn.qkv.weight", r"a vision transformer \(ViT\)"),
        ("swin.layers1.0.blocks.0.norm1.weight", "an encoder file of this package, which is named NAME.pt"),
        ("conv.weight", "no encoder"),
    ],
)
def test_another_network_is_refused_by_its_kind(key: str, what: str) -> None:
    with pytest.raises(
        ValueError,
        match=rf"unknown layout in 'file': {what}.*Expected a Swin V1.*, a ResNet or a ConvNeXt; the first keys",
    ):
        read_swin({key: torch.zeros(2)}, "file")


@pytest.mark.parametrize("key", ["patch_embed.proj.weight", "layers.0.blocks.0.mlp.fc1.weight"])
def test_a_file_that_lacks_what_tells_the_sizes_is_named(swin: Callable, key: str) -> None:
    state = swin("backbone.")
    del state[f"backbone.{key}"]
    with pytest.raises(ValueError, match=rf"'file' lacks 'backbone\.{key}', so it is only a part of a Swin"):
        read_swin(state, "file")


def test_the_merging_of_timm_lies_one_stage_later(swin: Callable) -> None:
    state = {}
    for key, value in swin().items():
        stage = int(key.split(".")[1]) if key.startswith("layers.") else 0
        state[key.replace(f"layers.{stage}.down", f"layers.{stage + 1}.down")] = value
    layout = read_swin(state, "file")
    assert layout.merging_first
    assert {layout.source_of(key) for key in build_encoder(**layout.config).state_dict()} == set(state)


def test_keys_of_our_encoder_are_those_of_the_file_that_the_specification_names(swin: Callable) -> None:
    layout = read_swin(swin("backbone."), "file")
    expected = {
        "swin.patch_embed.proj.bias": "backbone.patch_embed.proj.bias",
        "swin.layers1.0.blocks.0.attn.qkv.weight": "backbone.layers.0.blocks.0.attn.qkv.weight",
        "swin.layers3.0.blocks.1.mlp.linear1.bias": "backbone.layers.2.blocks.1.mlp.fc1.bias",
        "swin.layers4.0.blocks.1.mlp.linear2.weight": "backbone.layers.3.blocks.1.mlp.fc2.weight",
        "swin.layers2.0.downsample.norm.weight": "backbone.layers.1.downsample.norm.weight",
        "norm.weight": "backbone.norm.weight",
    }
    assert {key: layout.source_of(key) for key in expected} == expected
