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
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from monai_lamps.checkpoints import load_encoder, read_card, save_encoder
from monai_lamps.checkpoints.__main__ import main
from monai_lamps.networks import build_encoder


def test_inspect_tells_what_a_released_file_is(released: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["inspect", str(released)]) == 0
    printed = capsys.readouterr().out
    for line in (
        f"'{released}': Lamps, Swin with depths [1, 2, 2, 2] and width 8\n",
        "  networks    teacher, student; taken here: teacher, encoder 'backbone.'\n",
        "  entries     student, teacher, optimizer, epoch, args, barlow_loss, dino_loss, fp16_scaler\n",
        "  epoch       302\n  arguments   arch=swin_base, epochs=302, lr=0.0005, crops=[0.05, 0.4]\n",
        "100.00% of the encoder's parameters\n",
    ):
        assert line in printed
    assert json.loads(printed.split("card:\n")[1])["normalization"]["mean"] == 0.5056


def test_inspect_shows_even_what_would_be_refused(
    swin: Callable, write: Callable, capsys: pytest.CaptureFixture
) -> None:
    path = write({key: value for key, value in swin().items() if not key.startswith("layers.2.blocks.0")})
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "missing     swin.layers3.0.blocks.0.norm1.weight" in printed
    assert "entries     a bare state dict\n  epoch       not noted\n" in printed


def test_inspect_knows_our_own_files(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    card = {"image_size": [32, 32], "normalization": {"mean": 0.5, "std": 0.25}}
    path = save_encoder(tmp_path / "encoder.pt", build_encoder("resnet18", stride=8, base_channels=4), card)
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"'{path}' is an encoder file of this package, whole and fit to load\ncard:\n")
    assert json.loads(printed.split("card:\n")[1]) == read_card(path)


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_convert_writes_an_encoder_file_with_its_card(
    released: Path, tmp_path: Path, network: Callable, capsys: pytest.CaptureFixture, name: str
) -> None:
    out = tmp_path / "out" / "encoder.pt"
    assert main(["convert", str(released), "--out", str(out), "--network", name]) == 0
    assert capsys.readouterr().out.endswith(f"written: {out} and {out.with_suffix('.json')}\n")
    encoder, card = load_encoder(out), read_card(out)
    expected = network({"student": 1, "teacher": 2}[name])["backbone.norm.weight"]
    assert torch.equal(encoder.norm.weight, expected)
    assert card["released"]["network"] == name
    assert card["image_size"] == [64, 64]
    assert card["sha256"] != card["released"]["sha256"]


def test_what_is_converted_equals_what_is_imported_directly(released: Path, tmp_path: Path) -> None:
    out = tmp_path / "encoder.pt"
    assert main(["convert", str(released), "--out", str(out)]) == 0
    direct, converted = load_encoder(released), load_encoder(out)
    assert direct.config == converted.config
    assert all(torch.equal(value, direct.state_dict()[key]) for key, value in converted.state_dict().items())
    cards = read_card(released), read_card(out)
    assert {key for key in cards[0] if cards[0][key] != cards[1][key]} == {"encoder", "sha256"}
    assert cards[0]["encoder"].items() <= cards[1]["encoder"].items()


def test_options_of_convert_reach_the_card(released: Path, tmp_path: Path) -> None:
    out = tmp_path / "encoder.pt"
    options = ["--no-small-grid-shift", "--mean", "0.4", "0.5", "0.6", "--std", "0.2", "--in-channels", "3"]
    assert main(["convert", str(released), "--out", str(out), *options]) == 0
    card = read_card(out)
    assert not card["encoder"]["small_grid_shift"]
    assert card["encoder"]["in_channels"] == load_encoder(out).in_channels == 3
    assert card["normalization"]["mean"] == pytest.approx(0.5)
    assert card["normalization"]["std"] == 0.2


def test_too_little_coverage_is_refused_unless_allowed(
    swin: Callable, write: Callable, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = write({key: value for key, value in swin().items() if not key.startswith("layers.3.blocks.0")})
    out = tmp_path / "encoder.pt"
    assert main(["convert", str(path), "--out", str(out)]) == 2
    assert capsys.readouterr().err.startswith("error: only ")
    assert not out.exists()
    assert main(["convert", str(path), "--out", str(out), "--minimum-coverage", "0.3"]) == 0
    assert out.exists()


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_errors_of_use_end_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture, command: str) -> None:
    extra = ["--out", str(tmp_path / "encoder.pt")] if command == "convert" else []
    assert main([command, str(tmp_path / "nothing.pth"), *extra]) == 2
    assert capsys.readouterr().err == f"error: no checkpoint at '{tmp_path / 'nothing.pth'}'.\n"


def test_the_command_runs_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["checkpoints", "--help"])
    monkeypatch.delitem(sys.modules, "monai_lamps.checkpoints.__main__")
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("monai_lamps.checkpoints", run_name="__main__")
    printed = capsys.readouterr().out
    assert "inspect" in printed
    assert "convert" in printed
