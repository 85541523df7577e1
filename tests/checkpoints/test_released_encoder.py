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

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_lamps.checkpoints import is_released, load_released_encoder, open_released_encoder
from monai_lamps.networks import SwinEncoder

Write, State = Callable[..., Path], dict[str, Tensor]
HEAD = {"head.weight": torch.zeros(4, 64), "bias": torch.zeros(4), "decoder.0.weight": torch.zeros(3, 64, 1, 1)}


def reference(state: State, small_grid_shift: bool) -> SwinEncoder:
    """The same encoder, on three channels, by a mapping of its own."""
    encoder = SwinEncoder("swin_base", in_channels=3, embed_dim=8, depths=(1, 2, 2, 2), num_heads=(1, 2, 4, 8),
                          small_grid_shift=small_grid_shift)  # fmt: skip
    renamed = {}
    for key, value in state.items():
        if key.startswith("layers."):
            stage, rest = key.removeprefix("layers.").split(".", 1)
            renamed[f"swin.layers{int(stage) + 1}.0.{rest.replace('mlp.fc', 'mlp.linear')}"] = value
        elif key.startswith("patch_embed."):
            renamed[f"swin.{key}"] = value
        elif key.startswith("norm."):
            renamed[key] = value
    encoder.load_state_dict(renamed)
    return encoder.eval()


def part(state: State, prefix: str) -> State:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


@torch.no_grad()
def assert_same_tokens(encoder: Any, expected: SwinEncoder, size: int, atol: float = 2e-5) -> None:
    images = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    normalised = (images - 0.5056) / 0.252
    torch.testing.assert_close(encoder.embed(normalised)[0], expected.embed(normalised.expand(-1, 3, -1, -1))[0],
                               rtol=0, atol=atol)  # fmt: skip


@pytest.mark.parametrize("size", [64, 224, 256])
def test_the_encoder_of_released_weights_gives_what_they_give_for_grey_rgb(
    released: Path, network: Callable, size: int
) -> None:
    encoder, report = load_released_encoder(released)
    assert not encoder.training
    assert encoder.in_channels == 1
    assert report.coverage == 1.0
    assert not report.missing
    assert not report.unexpected
    assert_same_tokens(encoder, reference(part(network(2), "backbone."), True), size)


def test_three_channels_keep_the_weights_bit_for_bit(released: Path, network: Callable) -> None:
    encoder, _ = load_released_encoder(released, in_channels=3)
    expected = reference(part(network(2), "backbone."), True).state_dict()
    assert encoder.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in encoder.state_dict().items())


def test_the_student_is_another_network(released: Path, network: Callable) -> None:
    encoder, _ = load_released_encoder(open_released_encoder(released, "student"))
    assert_same_tokens(encoder, reference(part(network(1), "backbone."), True), 64)


def test_windows_on_a_single_window_are_shifted_as_released_unless_switched_off(
    released: Path, network: Callable
) -> None:
    state = part(network(2), "backbone.")
    images = torch.rand(1, 1, 224, 224, generator=torch.Generator().manual_seed(0))
    shifted, _ = load_released_encoder(released)
    standard, _ = load_released_encoder(open_released_encoder(released, small_grid_shift=False))
    assert shifted.config["small_grid_shift"]
    assert not standard.config["small_grid_shift"]
    with torch.no_grad():
        assert (shifted(images) - standard(images)).abs().max() > 1e-4
    assert_same_tokens(standard, reference(state, False), 224)


def test_the_report_says_what_is_left_out_and_why(released: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "monai_lamps"):
        report = load_released_encoder(released)[1]
    assert report.ignored["backbone.absolute_pos_embed"].startswith("never trained")
    assert report.ignored["backbone.mask_token"] == "fills hidden cells after the encoder"
    assert report.ignored["composer.layer.0.weight"] == "heads and decoders of the method, not of the encoder"
    text = str(report)
    assert text in caplog.text
    assert text.startswith(f"'{released}' (Lamps, network 'teacher')\n  loaded      ")
    for line in (
        "100.00% of the encoder's parameters\n",
        "  missing     none\n  unexpected  none\n",
        "layers.0.blocks.0.attn.relative_position_index, ",
        "and 5 more: computed from the sizes of window and image\n",
        "  note        input is normalised with mean 0.5056 and standard deviation 0.2520 of images in [0, 1]\n",
        "  note        the 3 input channels are folded into 1, exactly for grey images\n",
        "  note        windows are shifted on a 7x7 grid, too (images of 224 px), as the released code does",
    ):
        assert line in text


def test_the_card_travels_with_the_preprocessing_that_the_weights_expect(released: Path) -> None:
    card = open_released_encoder(released).card()
    digest = hashlib.sha256(released.read_bytes()).hexdigest()
    assert card["encoder"].items() <= load_released_encoder(released)[0].config.items()
    assert (card["embed_dim"], card["cell"], card["image_size"]) == (64, 32, [64, 64])
    assert card["normalization"]["mean"] == 0.5056
    assert card["normalization"]["std"] == 0.252
    assert card["preparation"] == {"transform": "GridRegion", "cell": 32, "region": 18, "margin": 1}
    assert card["released"] == {"file": "released.pth", "sha256": digest, "network": "teacher"}
    assert (card["method"], card["epochs"], card["sha256"]) == ("lamps", 302, digest)


@pytest.mark.parametrize(
    ("wrap", "name", "cells"),
    [
        (lambda s: {"model": {f"module.{k}": v for k, v in s("swin_model.").items()} | HEAD}, "popar", 2),
        (lambda s: {"student": s("swin_model.") | HEAD, "teacher": s("swin_model.") | HEAD}, "peac", 2),
        (lambda s: {"teacher": s("backbone.") | {"DenseHead.w": torch.zeros(2), "head.b": torch.zeros(2)}}, "ace", 14),
        (lambda s: {"model": s() | {"head.weight": torch.zeros(1000, 64)}}, "imagenet", 7),
        (lambda s: {f"module.backbone.{k}": v for k, v in s().items()}, "swin", 14),
    ],
)  # fmt: skip
def test_sibling_files_are_recognised_by_their_heads(
    swin: Callable, write: Write, wrap: Callable, name: str, cells: int
) -> None:
    released = open_released_encoder(write(wrap(swin)))
    assert released.family.name == name
    encoder, report = load_released_encoder(released)
    assert report.coverage == 1.0
    assert not report.unexpected
    card = released.card()
    assert card["image_size"] == [32 * cells] * 2
    assert card["preparation"] == {"transform": "GridRegion", "cell": 32, "region": cells, "margin": 0}
    assert not encoder.config["small_grid_shift"]
    if name != "imagenet":  # another normalisation
        assert_same_tokens(encoder, reference(swin(), False), 64)


def test_weights_of_unknown_origin_say_that_the_normalisation_is_assumed(swin: Callable, write: Write) -> None:
    report = load_released_encoder(write(swin()))[1]
    assert "assumed, since the file does not tell: pass the mean and std" in report.notes[0]
    assert "LayerNorm eps is 1e-6 here" in report.notes[-1]


@torch.no_grad()
def test_another_normalisation_than_that_of_the_family_is_folded_in(swin: Callable, write: Write) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    released = open_released_encoder(write(swin()), mean=mean, std=std)
    encoder, _ = load_released_encoder(released)
    given = released.card()["normalization"]
    assert given["mean"] == pytest.approx(0.449)
    assert given["std"] == pytest.approx(0.226)
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    rgb = (images.expand(-1, 3, -1, -1) - torch.tensor(mean).reshape(1, 3, 1, 1)) / torch.tensor(std).reshape(
        1, 3, 1, 1
    )
    expected = reference(swin(), False)(rgb)
    torch.testing.assert_close(encoder((images - given["mean"]) / given["std"]), expected, rtol=0, atol=2e-5)


def test_one_number_stands_for_all_channels(swin: Callable, write: Write) -> None:
    released = open_released_encoder(write(swin()), mean=0.4, std=0.2)
    assert (released.mean, released.std) == ((0.4,), (0.2,))


def test_a_deviation_that_is_not_positive_is_refused(swin: Callable, write: Write) -> None:
    with pytest.raises(ValueError, match=r"deviation of the images must be positive, got \[0\.2, 0\.0, 0\.2\]"):
        open_released_encoder(write(swin()), std=(0.2, 0.0, 0.2))


def test_files_in_the_layout_of_timm_give_the_same(swin: Callable, write: Write) -> None:
    state = {}
    for key, value in swin().items():
        stage = int(key.split(".")[1]) if key.startswith("layers.") else 0
        state[key.replace(f"layers.{stage}.down", f"layers.{stage + 1}.down")] = value
    assert_same_tokens(load_released_encoder(write(state))[0], reference(swin(), False), 64)


def test_weights_in_half_precision_are_widened(swin: Callable, write: Write) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in swin().items()}
    encoder, report = load_released_encoder(write(half))
    assert report.coverage == 1.0
    assert {value.dtype for value in encoder.parameters()} == {torch.float32}


def test_buffers_of_a_fixed_image_size_are_left_out(swin: Callable, write: Write) -> None:
    state = swin("backbone.") | {"backbone.layers.1.blocks.1.attn_mask": torch.zeros(4, 49, 49)}
    report = load_released_encoder(write(state))[1]
    assert report.ignored["backbone.layers.1.blocks.1.attn_mask"] == "computed from the sizes of window and image"


def test_keys_of_the_encoder_that_nothing_is_known_of_are_unexpected(swin: Callable, write: Write) -> None:
    extra = {"backbone.absolute_pos_embed": torch.zeros(1, 4, 8), "backbone.layers.0.gate": torch.zeros(2)}
    report = load_released_encoder(write(swin("backbone.") | extra))[1]
    assert report.unexpected == tuple(extra)
    assert "  unexpected  backbone.absolute_pos_embed, backbone.layers.0.gate\n" in str(report)


def test_too_little_of_the_encoder_is_refused_with_what_is_missing(swin: Callable, write: Write) -> None:
    path = write({key: value for key, value in swin().items() if ".3.blocks.1." not in key or ".mlp." not in key})
    with pytest.raises(
        ValueError,
        match=r"only 7\d\.\d% of the encoder's parameters are in '.*\(a Swin.*expected at least 95\.0%; missing: "
        r"swin\.layers4\.0\.blocks\.1\.mlp\.linear1\.weight, .*Likely the file holds only a part of the network",
    ):
        load_released_encoder(path)
    report = load_released_encoder(path, minimum_coverage=0.5)[1]
    assert len(report.missing) == 4
    assert 0.7 < report.coverage < 0.8


def test_a_few_missing_tensors_are_reported_and_not_refused(swin: Callable, write: Write) -> None:
    state = swin()
    del state["norm.weight"]
    report = load_released_encoder(write(state))[1]
    assert report.missing == ("norm.weight",)
    assert 0.95 < report.coverage < 1
    assert "  missing     norm.weight\n" in str(report)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(swin: Callable, write: Write) -> None:
    state = swin("backbone.") | {"backbone.layers.1.blocks.0.mlp.fc1.bias": torch.zeros(63)}
    with pytest.raises(
        ValueError,
        match=r"'backbone\.layers\.1\.blocks\.0\.mlp\.fc1\.bias' in '.*' \(.*\) is \(63,\), but "
        r"'swin\.layers2\.0\.blocks\.0\.mlp\.linear1\.bias' of the network to fill is \(64,\)",
    ):
        load_released_encoder(write(state))


def test_values_that_are_not_finite_are_named(swin: Callable, write: Write) -> None:
    state = swin() | {"norm.bias": torch.full((64,), torch.nan)}
    with pytest.raises(
        ValueError, match=r"'norm\.bias' in '.*' \(.*\) holds values that are not finite; .* is damaged"
    ):
        load_released_encoder(write(state))


def test_relative_positions_in_another_order_are_refused(swin: Callable, write: Write) -> None:
    key = "layers.2.blocks.1.attn.relative_position_index"
    with pytest.raises(ValueError, match=rf"'{key}' in '.*' \(.*\) orders relative positions otherwise"):
        load_released_encoder(write(swin() | {key: swin()[key].T}))


def test_a_file_without_the_bias_of_its_patch_embedding_is_refused(swin: Callable, write: Write) -> None:
    state = swin()
    del state["patch_embed.proj.bias"]
    with pytest.raises(ValueError, match=r"lacks \['patch_embed\.proj\.bias'\]; take the whole file"):
        load_released_encoder(write(state))


def test_channels_that_the_weights_do_not_fold_into_are_refused(released: Path) -> None:
    with pytest.raises(ValueError, match="take 3 channels, which fold into 1 exactly but not into 4"):
        load_released_encoder(released, in_channels=4)


def test_released_files_are_told_from_others(released: Path, write: Write, tmp_path: Path) -> None:
    assert is_released(released)
    assert not is_released(write({"layer1.0.conv1.weight": torch.zeros(2)}, "resnet.pth"))
    assert not is_released(tmp_path / "nothing.pth")
