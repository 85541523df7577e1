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
from typing import Any

import pytest
import torch
from reference_networks import State, convnext, convnext_features, resnet, resnet_features
from released_layouts import adam, dino
from torch import Tensor, nn

from monai_lamps.bundle.starting_encoder import starting_encoder
from monai_lamps.checkpoints import (
    is_released,
    load_encoder,
    load_released_encoder,
    load_released_lamps,
    open_released_encoder,
    read_card,
    save_encoder,
)
from monai_lamps.checkpoints.__main__ import main
from monai_lamps.networks import build_encoder

Write = Callable[..., Path]
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
CARD = {"image_size": [32, 32], "normalization": {"mean": 0.5, "std": 0.25}}


def as_timm(state: State) -> State:
    """The same ConvNeXt under timm's names, written out one by one."""
    renamed = {}
    for key, value in state.items():
        words = key.split(".")
        if words[0] == "norm":
            words = ["head", *words]
        elif words[0] == "downsample_layers":
            words = ["stem" if words[1] == "0" else f"stages.{words[1]}.downsample", *words[2:]]
        else:
            layer = {"dwconv": "conv_dw", "pwconv1": "mlp.fc1", "pwconv2": "mlp.fc2"}.get(words[3], words[3])
            words = ["stages", words[1], "blocks", words[2], layer, *words[4:]]
        renamed[".".join(words)] = value
    return renamed


@torch.no_grad()
def assert_same_features(encoder: Any, features: Callable[[State, Tensor], Tensor], state: State, mean: Any) -> None:
    images = torch.rand(2, 1, 96, 64, generator=torch.Generator().manual_seed(0))
    expected = features(state, (images - MEAN.reshape(3, 1, 1)) / STD.reshape(3, 1, 1))
    given = (images - mean["mean"]) / mean["std"]
    got = encoder.features(given.expand(-1, encoder.in_channels, -1, -1))[-1]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("in_channels", [1, 3])
def test_the_encoder_of_adam_gives_what_it_gives_for_grey_rgb_the_border_included(
    write: Write, in_channels: int
) -> None:
    released = open_released_encoder(write(adam(), "best_checkpoint.pth"))
    encoder, report = load_released_encoder(released, in_channels)
    card = released.card(in_channels)
    assert_same_features(encoder, resnet_features, resnet(), card["normalization"])
    assert not encoder.training
    assert (report.coverage, report.missing, report.unexpected) == (1.0, (), ())
    assert set(report.ignored) == {"fc.0.weight", "fc.0.bias", "fc.2.weight", "fc.2.bias"}
    assert (card["method"], card["embed_dim"], card["cell"], card["image_size"]) == ("adam", 128, 32, [224, 224])
    assert card["preparation"] == {"transform": "GridRegion", "cell": 32, "region": 7, "margin": 0}
    assert card["encoder"].items() <= encoder.config.items()
    assert "exact, the border included" in str(report)
    assert ("the 3 input channels are folded into 1" in str(report)) == (in_channels == 1)


def test_the_mean_of_the_features_is_the_pooled_embedding_and_tokens_are_normalised_without_weights(
    write: Write,
) -> None:
    encoder, report = load_released_encoder(write(adam()))
    assert torch.equal(encoder.norm.weight, torch.ones(128))
    assert torch.equal(encoder.norm.bias, torch.zeros(128))
    assert "features(x)[-1] over the cells is the embedding that the network was trained with" in str(report)


def test_of_a_checkpoint_of_adam_the_query_encoder_is_taken(write: Write) -> None:
    state = adam("module.encoder_q.") | {f"module.encoder_k.{key}": value + 1 for key, value in adam().items()}
    state |= {"module.queue": torch.zeros(16, 8), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    path = write({"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": {"state": {}}})
    released = open_released_encoder(path)
    encoder, report = load_released_encoder(released)
    assert (released.family.name, released.layout.prefix, released.card()["epochs"]) == ("adam", "encoder_q.", 200)
    assert_same_features(encoder, resnet_features, resnet(), released.card()["normalization"])
    assert not report.unexpected
    for key in ("queue", "queue_ptr", "encoder_k.conv1.weight", "encoder_k.fc.0.weight"):
        assert report.ignored[key] == "the second encoder and the queue of the method"
    assert report.ignored["encoder_q.fc.0.weight"] == "heads and decoders of the method, not of the encoder"


def test_the_teacher_of_adam_v2_is_imported_from_its_convnext(write: Write) -> None:
    other = {key: value * 2 for key, value in convnext().items()}
    whole = {
        f"module.{name}.backbone.{k}": v
        for name, s in (("student", other), ("teacher", convnext()))
        for k, v in s.items()
    }
    heads = {"module.compose_head.0.weight": torch.zeros(2), "module.decompose_head.0.weight": torch.zeros(2)}
    path = write({"model": whole | heads, "student": dino(other), "teacher": dino(convnext()), "epoch": 265})
    released = open_released_encoder(path)
    encoder, report = load_released_encoder(released)
    card = released.card()
    assert (released.network, card["method"], card["image_size"]) == ("teacher", "adam_v2", [224, 224])
    assert (report.coverage, report.missing, report.unexpected) == (1.0, (), ())
    assert_same_features(encoder, convnext_features, convnext(), card["normalization"])
    assert torch.equal(encoder.norm.weight, convnext()["norm.weight"])
    student, _ = load_released_encoder(open_released_encoder(path, "student"))
    assert torch.equal(student.norm.weight, other["norm.weight"])


def test_a_convnext_under_the_names_of_timm_gives_the_same(write: Write) -> None:
    released = open_released_encoder(write(as_timm(convnext()) | {"head.fc.weight": torch.zeros(1000, 32)}))
    encoder, report = load_released_encoder(released)
    assert released.family.name == "imagenet"
    assert (report.coverage, report.missing, report.unexpected) == (1.0, (), ())
    assert_same_features(encoder, convnext_features, convnext(), released.card()["normalization"])


@pytest.mark.parametrize("name", ["convnext_tiny", "convnext_small", "convnext_base", "convnext_large"])
def test_the_sizes_of_the_convnext_paper_are_recognised(write: Write, name: str) -> None:
    with torch.device("meta"):
        full = build_encoder(name, in_channels=3)
    kept = ("stages.0.0.", "downsample_layers.0.")
    state = {key: torch.zeros(value.shape if key.startswith(kept) else 1) for key, value in full.state_dict().items()}
    layout = open_released_encoder(write(state)).layout
    assert layout.config["name"] == name
    assert (layout.cell, layout.embed_dim) == (full.cell, full.embed_dim)
    assert layout.title == f"ConvNeXt with depths {full.config['depths']} and width {full.config['embed_dim']}"


def test_a_resnet18_is_imported_too(write: Write) -> None:
    state = resnet((2, 2, 2, 2), bottleneck=False)
    released = open_released_encoder(write(state))
    encoder, report = load_released_encoder(released)
    assert (released.layout.title, released.layout.embed_dim) == ("resnet18 with width 4", 32)
    assert report.coverage == 1.0
    assert_same_features(encoder, resnet_features, state, released.card()["normalization"])


@pytest.mark.parametrize(
    ("state", "name", "assumed"),
    [
        (lambda: dino(resnet()), "adam_v2", False),
        (lambda: resnet() | {"fc.weight": torch.zeros(1000, 128), "fc.bias": torch.zeros(1000)}, "imagenet", False),
        (lambda: resnet() | {"fc.weight": torch.zeros(14, 128)}, "resnet", True),
        (lambda: {f"encoder.{key}": value for key, value in resnet().items()}, "resnet", True),
        (lambda: convnext() | {"head.weight": torch.zeros(21841, 32)}, "imagenet", False),
        (convnext, "convnext", True),
    ],
)
def test_families_are_recognised_by_their_heads(
    write: Write, state: Callable[[], State], name: str, assumed: bool
) -> None:
    released = open_released_encoder(write(state()))
    report = load_released_encoder(released)[1]
    assert released.family.name == name
    assert (report.coverage, report.unexpected) == (1.0, ())
    assert ("assumed, since the file does not tell" in report.notes[0]) == assumed


def test_another_normalisation_is_folded_in(write: Write) -> None:
    released = open_released_encoder(write(adam()), mean=0.4, std=(0.1, 0.2, 0.3))
    encoder, _ = load_released_encoder(released)
    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    rgb = (images - 0.4) / torch.tensor([0.1, 0.2, 0.3]).reshape(3, 1, 1)
    given = released.card()["normalization"]
    with torch.no_grad():
        got = encoder.features((images - given["mean"]) / given["std"])[-1]
    torch.testing.assert_close(got, resnet_features(resnet(), rgb), rtol=1e-4, atol=1e-4)


def test_an_imported_encoder_is_converted_inspected_and_fine_tuned_like_any_other(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, out = write(adam(), "best_checkpoint.pth"), tmp_path / "encoder.pt"
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert f"'{path}': Adam (or another MoCo-v2), resnet50 with width 4\n" in printed
    assert json.loads(printed.split("card:\n")[1]) == read_card(path)
    assert main(["convert", str(path), "--out", str(out)]) == 0
    direct, converted = load_encoder(path).state_dict(), load_encoder(out).state_dict()
    assert all(torch.equal(value, direct[key]) for key, value in converted.items())
    start = starting_encoder(path, image_size=224, released_args={"mean": 0.5, "std": 0.25})
    assert start.normalization == {"mean": 0.5, "std": 0.25}
    assert start.source["method"] == "adam"


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny"])
def test_our_own_files_without_their_card_are_not_taken_for_released_ones(
    tmp_path: Path, write: Write, name: str
) -> None:
    sizes = {"base_channels": 4} if name == "resnet18" else {"embed_dim": 4, "depths": [1, 1]}
    path = save_encoder(tmp_path / "encoder.pt", build_encoder(name, **sizes), CARD)
    path.with_suffix(".json").unlink()
    assert not is_released(path)
    with pytest.raises(FileNotFoundError, match="no encoder card at"):
        load_encoder(path)
    for prefix in ("", "encoder.", "student.encoder."):  # also as a part of a network or of a training checkpoint
        state = {f"{prefix}{key}": value for key, value in torch.load(path).items()}
        with pytest.raises(ValueError, match=r"unknown layout in .*: an encoder file of this package, which is named"):
            open_released_encoder(write(state, "own.pth"))


def without(state: State, key: str) -> State:
    return {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            lambda: resnet((3, 4, 7, 3)),
            r"blocks, expected \[3, 4, 6, 3\] \(resnet50\); take the weights of a ResNet-50",
        ),
        (lambda: without(resnet(), "conv1.weight"), "lacks 'conv1.weight', so it is only a part of a ResNet; take"),
        (
            lambda: {f"{p}.{k}": v for p in "ab" for k, v in resnet().items()},
            r"several residual networks, \['a\.', 'b\.'\]",
        ),
        (lambda: {f"{p}.{k}": v for p in "ab" for k, v in convnext().items()}, r"several ConvNeXts, \['a\.', 'b\.'\]"),
        (lambda: convnext() | {"stages.0.0.grn.gamma": torch.zeros(1)}, "a ConvNeXt V2, whose blocks are others; take"),
        (lambda: without(convnext(), "downsample_layers.0.0.weight"), "only a part of a ConvNeXt; take the whole file"),
    ],
)
def test_what_is_no_such_encoder_is_refused(write: Write, state: Callable[[], State], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_released_encoder(write(state()))


def test_a_stem_without_its_bias_is_refused(write: Write) -> None:
    with pytest.raises(ValueError, match=r"lacks \['downsample_layers\.0\.0\.bias'\]; take the whole file"):
        load_released_encoder(write(without(convnext(), "downsample_layers.0.0.bias")))


def test_missing_blocks_are_counted_in_the_coverage(write: Write) -> None:
    path = write({key: value for key, value in resnet().items() if not key.startswith("layer4.2.")})
    with pytest.raises(
        ValueError, match=r"only \d\d\.\d% of the encoder's parameters .*missing: resnet\.layer4\.2\.conv1"
    ):
        load_released_encoder(path)


def test_channels_that_do_not_fold_are_refused(write: Write) -> None:
    with pytest.raises(ValueError, match="take 3 channels, which fold into 1 exactly but not into 2"):
        load_released_encoder(write(adam()), in_channels=2)


def test_options_of_swin_are_refused_for_others(write: Write) -> None:
    with pytest.raises(
        ValueError, match=r"small_grid_shift is an option of Swin, but '.*' holds a resnet50 with width 4"
    ):
        open_released_encoder(write(adam()), small_grid_shift=True)


def test_the_whole_lamps_method_is_not_filled_from_another_encoder(write: Write) -> None:
    with pytest.raises(ValueError, match=r"holds a resnet50 with width 4, expected the Swin of Lamps or its siblings"):
        load_released_lamps(nn.Module(), write(adam()))  # type: ignore[arg-type]
