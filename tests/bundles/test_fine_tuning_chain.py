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
"""From released weights, in bfloat16 or with MONAI's SwinUNETR: training, evaluation, inference and export."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from monai.bundle.scripts import ckpt_export, onnx_export
from released_layouts import released_checkpoint
from torch.nn.functional import interpolate

from monai_lamps.checkpoints import load_network, open_released_encoder, read_network_card, save_encoder
from monai_lamps.data import read_radiograph
from monai_lamps.data.annotations import read_binary_mask
from monai_lamps.networks import build_encoder

Run = Callable[..., ConfigWorkflow]
ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ["radiograph_segmentation", "radiograph_classification"]
RADIOGRAPHS, IMAGENET = {"mean": 0.5056, "std": 0.252}, {"mean": 0.449, "std": 0.226}
FAMILIES = {
    "lamps": RADIOGRAPHS,
    "popar": RADIOGRAPHS,
    "peac": RADIOGRAPHS,
    "ace": RADIOGRAPHS,
    "adam": IMAGENET,
    "adam_v2": IMAGENET,
}
#: one step of four images of 64 px, two cells of the released encoders a side
STEP: dict[str, Any] = {"image_size": 64, "epochs": 1, "steps": 1, "epoch_steps": 1}


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write a small checkpoint in the layout of a family's released weights."""

    def write(family: str) -> Path:
        path = tmp_path_factory.mktemp("released") / f"{family}.pth"
        torch.save(released_checkpoint(family), path)
        return path

    return write


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def assert_the_rest_agrees(
    run_task: Run, labelled: Path, export_arguments: Callable, onnx_output: Callable
) -> Callable[[str, Path], None]:
    """Evaluate, apply and export a trained network, and compare with the network itself, prepared as its card says."""

    @torch.no_grad()
    def check(name: str, trained: Path) -> None:
        judge = {"kind": "infer", "datalist": labelled, "network_file": trained / "best.pt"}
        run_task(name, "evaluate.json", output_dir=trained / "test", bootstrap_draws=2, **judge)
        report = json.loads((trained / "test" / "figures.json").read_text())
        assert report["cases"] == 6
        assert all(np.isfinite(figure["value"]) for key, figure in report["figures"].items() if key.startswith("loss/"))
        run_task(name, "inference.json", output_dir=trained / "answers", **judge)
        network, card = load_network(trained / "best.pt"), read_network_card(trained)
        assert all(value.dtype != torch.bfloat16 for value in network.state_dict().values())
        segments = name == "radiograph_segmentation"
        row = _rows(trained / "answers" / ("masks.csv" if segments else "probabilities.csv"))[0]
        pixels = torch.from_numpy(read_radiograph(row["image"])[0])[None, None]
        small = interpolate(pixels, (card["image_size"],) * 2, mode="area")
        images = (small - card["normalization"]["mean"]) / card["normalization"]["std"]
        expected = network(images)
        if segments:
            large = interpolate(expected.sigmoid(), pixels.shape[2:], mode="bilinear", antialias=True)[0, 0] >= 0.5
            np.testing.assert_array_equal(read_binary_mask(trained / "answers" / row["mask"]), large.numpy())
        else:
            assert float(row["opacity"]) == pytest.approx(float(expected.sigmoid()), abs=1e-5)
        export = export_arguments(name, trained / "best.pt", images.shape)
        ckpt_export(filepath=str(trained / "model.ts"), **export)
        torch.testing.assert_close(torch.jit.load(trained / "model.ts")(images), expected, rtol=1e-4, atol=1e-4)
        onnx_export(filepath=str(trained / "model.onnx"), **export)
        torch.testing.assert_close(onnx_output(trained / "model.onnx", images), expected, rtol=1e-4, atol=1e-4)

    return check


@pytest.mark.parametrize("name", BUNDLES)
@pytest.mark.parametrize("family", ["lamps", "adam", "adam_v2"])
def test_released_weights_are_fine_tuned_judged_applied_and_exported(
    run_task: Run,
    released: Callable[[str], Path],
    assert_the_rest_agrees: Callable[[str, Path], None],
    tmp_path: Path,
    family: str,
    name: str,
) -> None:
    run_task(name, output_dir=tmp_path, encoder=released(family), layer_decay=0.5, **STEP)
    assert_the_rest_agrees(name, tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_released_weights_stay_and_the_card_says_what_they_are_and_expect(
    run_task: Run, released: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    path = released(family)
    flow = run_task("radiograph_classification", output_dir=tmp_path, encoder=path, frozen="true", **STEP)
    card, start = read_network_card(tmp_path), flow.parser.get_parsed_content("start")
    assert card["normalization"] == pytest.approx(FAMILIES[family])
    assert (card["start"]["encoder"], card["start"]["method"]) == (path.name, family)
    assert card["start"]["released"]["sha256"] == card["start"]["sha256"]
    given = open_released_encoder(path).folded(1, *FAMILIES[family].values())
    kept = load_network(tmp_path / "best.pt").encoder.state_dict()
    stems = [key for key in open_released_encoder(path).layout.stem if key.endswith("weight")]
    assert any(torch.equal(value, given[stems[0]]) for value in kept.values() if value.shape == given[stems[0]].shape)
    assert all(torch.equal(value, kept[key]) for key, value in start.encoder.state_dict().items())


def test_the_student_and_another_normalisation_are_options(
    task_workflow: Run, released: Callable[[str], Path], tmp_path: Path
) -> None:
    options = {"network": "student", "mean": 0.5, "std": 0.25}
    flow = task_workflow(
        "radiograph_segmentation", output_dir=tmp_path, encoder=released("lamps"), released_args=options, **STEP
    )
    flow.initialize()
    card = read_network_card(tmp_path)
    assert card["normalization"] == {"mean": 0.5, "std": 0.25}
    assert card["start"]["released"]["network"] == "student"


@pytest.mark.parametrize("name", BUNDLES)
def test_a_released_file_that_lacks_much_of_the_encoder_is_refused_with_the_share(
    task_workflow: Run, tmp_path: Path, said: Callable, name: str
) -> None:
    content = released_checkpoint("lamps")
    content["teacher"] = {key: value for key, value in content["teacher"].items() if "layers.3.blocks.0" not in key}
    torch.save(content, tmp_path / "part.pth")
    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        task_workflow(name, output_dir=tmp_path / "out", encoder=tmp_path / "part.pth", **STEP).initialize()
    assert "% of the encoder's parameters are in" in said(error.value)
    assert "expected at least 95.0%; missing: swin.layers4.0.blocks.0" in said(error.value)
    assert not (tmp_path / "out" / "network.json").exists()


@pytest.mark.parametrize("name", BUNDLES)
def test_a_network_trained_in_bfloat16_is_judged_applied_and_exported(
    run_task: Run, assert_the_rest_agrees: Callable[[str, Path], None], tmp_path: Path, name: str
) -> None:
    run_task(name, output_dir=tmp_path, precision="bf16")
    assert_the_rest_agrees(name, tmp_path)


def test_monais_swin_unetr_is_trained_judged_applied_and_exported(
    run_task: Run,
    assert_the_rest_agrees: Callable[[str, Path], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sizes = {"embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2], "window_size": 2}
    card = {"image_size": [64, 64], "normalization": {"mean": 0.4, "std": 0.2}}
    file = save_encoder(tmp_path / "encoder.pt", build_encoder("swin_tiny", **sizes), card)
    flow = run_task(
        "radiograph_segmentation",
        output_dir=tmp_path / "out",
        encoder=file,
        decoder="swin_unetr",
        frozen="true",
        **STEP,
    )
    logged = capsys.readouterr()
    trained, given = flow.parser.get_parsed_content("task").encoder.state_dict(), torch.load(file, weights_only=True)
    assert all(torch.equal(trained[key], value) for key, value in given.items())
    assert (
        "parameters are the encoder's; random in a new network: merging after the fourth stage"
        in logged.out + logged.err
    )
    assert_the_rest_agrees("radiograph_segmentation", tmp_path / "out")


def test_an_encoder_that_swin_unetr_cannot_take_is_refused_before_the_run(
    task_workflow: Run, tmp_path: Path, said: Callable
) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        task_workflow("radiograph_segmentation", output_dir=tmp_path, decoder="swin_unetr").initialize()
    assert "takes the weights of a SwinEncoder, got ResNetEncoder; use UPerNet or EncoderUNet" in said(error.value)
