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

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_lamps.checkpoints import load_released_lamps
from monai_lamps.engines import Progress
from monai_lamps.methods import Lamps
from monai_lamps.methods.lamps import LampsGeometry, lamps_curriculum
from monai_lamps.networks import build_encoder

State, Write = dict[str, Tensor], Callable[..., Path]
SIZES = {"embed_dim": 8, "depths": [1, 2, 2, 2], "num_heads": [1, 2, 4, 8]}


def lamps(cross_view: bool = False, view: int = 2, depth: int = 2, shift: bool = True, **kwargs: Any) -> Lamps:
    torch.manual_seed(0)
    return Lamps(
        build_encoder("swin_base", small_grid_shift=shift, **SIZES),
        LampsGeometry(32, region=view + 1, view=view, window=1),
        lamps_curriculum(cross_view=cross_view),
        decoder_depth=depth,
        decoder_heads=4,
        prototypes=16,
        **kwargs,
    )


def assert_holds(method: Lamps, state: State, names: dict[str, str]) -> None:
    own = method.state_dict()
    for ours, theirs in names.items():
        assert torch.equal(own[ours], state[theirs]), ours


HEADS = {
    "decoder.cls_token": "vitdecoder.cls_token",
    "decoder.mask_token": "backbone.mask_token",
    "decoder.blocks.1.norm1.weight": "vitdecoder.decoder_blocks.1.norm1.weight",
    "decoder.blocks.1.attn.qkv.bias": "vitdecoder.decoder_blocks.1.attn.qkv.bias",
    "decoder.blocks.0.attn.out_proj.weight": "vitdecoder.decoder_blocks.0.attn.proj.weight",
    "decoder.blocks.0.mlp.linear1.weight": "vitdecoder.decoder_blocks.0.mlp.fc1.weight",
    "decoder.blocks.1.mlp.linear2.bias": "vitdecoder.decoder_blocks.1.mlp.fc2.bias",
    "decoder.norm.bias": "vitdecoder.decoder_norm.bias",
    "order_head.weight": "popar_head.weight",
    "order_head.bias": "popar_head.bias",
    "composer.layer.6.bias": "composer.layer.6.bias",
    "decomposer.layer.3.weight": "decomposer.layer.3.weight",
    "student.encoder.norm.weight": "backbone.norm.weight",
    "student.encoder.swin.layers2.0.blocks.1.mlp.linear2.weight": "backbone.layers.1.blocks.1.mlp.fc2.weight",
}
CROSS_VIEW = {
    "cross_view.whole.mlp.2.weight": "peac_global.mlp.2.weight",
    "cross_view.whole.last_layer.parametrizations.weight.original0": "peac_global.last_layer.weight_g",
    "cross_view.whole.last_layer.parametrizations.weight.original1": "peac_global.last_layer.weight_v",
    "cross_view.part.6.weight": "peac_local.6.weight",
}


def test_student_teacher_and_heads_are_filled_from_their_own_networks(
    released: Path, network: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    method = lamps()
    with caplog.at_level(logging.INFO, "monai_lamps"):
        reports = load_released_lamps(method, released)
    assert_holds(method, network(1), HEADS)
    assert_holds(method, network(2), {"teacher.module.encoder.norm.weight": "backbone.norm.weight"})
    stem = network(1)["backbone.patch_embed.proj.weight"].sum(dim=1, keepdim=True)
    torch.testing.assert_close(method.student.encoder.state_dict()["swin.patch_embed.proj.weight"], stem)
    for report in reports.values():
        assert report.coverage == 1.0
        assert not report.missing
        assert not report.unexpected
        assert str(report) in caplog.text
    assert {record.levelname for record in caplog.records} == {"INFO"}
    ignored = reports["student"].ignored or {}
    assert ignored["vitdecoder.mask_token"].startswith("never used: hidden cells are filled with the mask token of")
    assert ignored["vitdecoder.decoder_pos_embed"] == "fixed sine-cosine code, computed"
    assert ignored["vitdecoder.patch_embed.proj.bias"] == "never used by the released code"
    assert ignored["bias"] == "the bias of the order head under a second name"
    assert ignored["peac_local.0.weight"].startswith("head that this network of the method does not have")
    assert (reports["teacher"].ignored or {})["composer.layer.0.weight"] == ignored["peac_local.0.weight"]


def test_every_tensor_of_the_method_is_filled(released: Path) -> None:
    method = lamps(cross_view=True)
    for value in method.state_dict().values():
        value.copy_(torch.full_like(value, 1234)) if value.is_floating_point() else None
    load_released_lamps(method, released)
    left = [key for key, value in method.state_dict().items() if value.is_floating_point() and (value == 1234).any()]
    assert left == []


def test_heads_of_the_cross_view_objective_and_their_centre_are_filled_where_it_is_on(
    released: Path, network: Callable
) -> None:
    method = lamps(cross_view=True)
    reports = load_released_lamps(method, released)
    assert_holds(method, network(1), {f"student.{ours}": theirs for ours, theirs in CROSS_VIEW.items()})
    assert_holds(method, network(2), {f"teacher.module.{ours}": theirs for ours, theirs in CROSS_VIEW.items()})
    assert method.cross_view is not None
    assert torch.equal(method.cross_view.global_loss.center, torch.arange(16.0)[None])
    assert not reports["student"].missing
    assert not reports["teacher"].missing


@pytest.mark.parametrize("name", ["student", "teacher"])
def test_one_network_can_fill_both(released: Path, network: Callable, name: str) -> None:
    method = lamps()
    load_released_lamps(method, released, network=name)
    state = network({"student": 1, "teacher": 2}[name])
    assert_holds(method, state, {**HEADS, "teacher.module.encoder.norm.weight": "backbone.norm.weight"})


def test_a_file_with_one_network_fills_both(network: Callable, write: Write) -> None:
    method = lamps()
    load_released_lamps(method, write({"teacher": network(2)}))
    assert_holds(method, network(2), {**HEADS, "teacher.module.encoder.norm.bias": "backbone.norm.bias"})


def test_the_normalisation_of_the_method_is_folded_in(released: Path) -> None:
    published, other = lamps(), lamps(mean=0.4, std=0.3)
    load_released_lamps(published, released)
    load_released_lamps(other, released)
    images = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(other.embed(images)[1], published.embed(images)[1], rtol=0, atol=2e-5)


def test_the_method_trains_on_from_released_weights(released: Path) -> None:
    method = lamps()
    method.curriculum = lamps_curriculum("joint")
    load_released_lamps(method, released)
    batch = {
        "image": torch.rand(2, 1, 96, 96),
        "view_offset": torch.zeros(2, 2, 2, dtype=torch.long),
        "window_offset": torch.zeros(2, 2, 2, dtype=torch.long),
        "permutation": torch.stack([torch.randperm(4) for _ in range(2)]),
        "seed": torch.arange(2),
    }
    progress = Progress(step=0, epoch=0, total_steps=3, total_epochs=3)
    terms = method(batch, progress)
    assert set(terms) == set(method.curriculum.objectives)
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in method.student.parameters())


def test_blocks_that_the_decoder_lacks_are_unexpected(released: Path) -> None:
    report = load_released_lamps(lamps(depth=1), released)["student"]
    assert report.unexpected
    assert all(key.startswith("vitdecoder.decoder_blocks.1.") for key in report.unexpected)


def test_blocks_that_the_file_lacks_stay_random_with_a_warning(
    released: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "monai_lamps"):
        report = load_released_lamps(lamps(depth=3), released)["student"]
    assert report.missing
    assert all(key.startswith("decoder.blocks.2.") for key in report.missing)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_geometry_that_the_order_head_does_not_fit_is_refused_with_both_shapes(released: Path) -> None:
    with pytest.raises(
        ValueError, match=r"'popar_head\.weight' in .* is \(4, 64\), but 'order_head\.weight' .* \(16, 64\)"
    ):
        load_released_lamps(lamps(view=4), released)


def test_an_encoder_that_the_file_does_not_fit_is_refused_with_both_shapes(network: Callable, write: Write) -> None:
    with pytest.raises(
        ValueError, match=r"'backbone\.norm\.weight' in .* is \(128,\), but 'norm\.weight' .* is \(64,\)"
    ):
        load_released_lamps(lamps(), write({"teacher": network(0, embed=16, heads=(2, 4, 8, 16))}))


def test_another_shift_than_the_released_codes_is_noted(released: Path) -> None:
    notes = load_released_lamps(lamps(shift=False), released)["student"].notes
    assert any("build it with small_grid_shift=True" in note for note in notes)
    assert not any("small_grid_shift" in note for note in load_released_lamps(lamps(), released)["student"].notes)


def test_siblings_give_the_encoder_and_their_order_head(swin: Callable, write: Write) -> None:
    torch.manual_seed(1)
    head = {"head.weight": torch.randn(4, 64), "bias": torch.randn(4), "decoder.0.weight": torch.zeros(3, 64, 1, 1)}
    method = lamps(shift=False)
    reports = load_released_lamps(method, write({"student": swin("swin_model.") | head}))
    assert_holds(method, swin("swin_model.") | head, {
        "student.encoder.norm.bias": "swin_model.norm.bias", "teacher.module.encoder.norm.bias": "swin_model.norm.bias",
        "order_head.weight": "head.weight", "order_head.bias": "bias",
    })  # fmt: skip
    assert {key.split(".")[0] for key in reports["student"].missing} == {"decoder", "composer", "decomposer"}
    assert not reports["student"].unexpected
    assert not reports["teacher"].missing


def test_an_encoder_alone_leaves_all_heads_random(swin: Callable, write: Write) -> None:
    report = load_released_lamps(lamps(shift=False), write(swin()))["student"]
    tops = {key.split(".")[0] for key in report.missing}
    assert tops == {"decoder", "order_head", "composer", "decomposer"}


def test_too_little_of_the_encoder_is_refused(network: Callable, write: Write) -> None:
    state = {key: value for key, value in network().items() if "backbone.layers.3.blocks.0" not in key}
    with pytest.raises(
        ValueError, match=r"only \d\d\.\d% of the encoder's parameters are in '.*' \(Lamps, network 'tea"
    ):
        load_released_lamps(lamps(), write({"teacher": state}))


def test_an_encoder_of_another_kind_is_refused(network: Callable, write: Write) -> None:
    method = Lamps(build_encoder("resnet18", base_channels=8), LampsGeometry(32, region=3, view=2, window=1))
    with pytest.raises(ValueError, match=r"only \d+\.\d% of the .*, or the network to fill is another one"):
        load_released_lamps(method, write({"teacher": network()}))


def test_a_network_that_is_not_in_the_file_is_refused(network: Callable, write: Write) -> None:
    with pytest.raises(ValueError, match=r"holds no network 'student' but \['teacher'\]"):
        load_released_lamps(lamps(), write({"teacher": network()}), network="student")


def test_no_file_named_is_said_with_the_option_that_names_it() -> None:
    with pytest.raises(
        ValueError, match="no released weights were named; give their file, in the bundle with --released"
    ):
        load_released_lamps(lamps(), "")
