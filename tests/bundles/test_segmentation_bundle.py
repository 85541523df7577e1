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

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow
from PIL import Image

from monai_lamps.checkpoints import load_network, read_network_card, save_encoder
from monai_lamps.data import read_radiograph
from monai_lamps.data.annotations import read_binary_mask
from monai_lamps.networks import build_encoder

Run = Callable[..., ConfigWorkflow]
ROOT = Path(__file__).resolve().parents[2]
BUNDLE = "radiograph_segmentation"
CONFIGS = ROOT / "bundles" / BUNDLE / "configs"
STRUCTURES = ["right_lung", "left_lung", "heart"]
PROTOCOLS = sorted((ROOT / "configs" / "protocols").glob("*.json"))


def _encoder_file(path: Path, **kwargs: Any) -> Path:
    torch.manual_seed(3)
    card = {"image_size": [32, 32], "normalization": {"mean": 0.4, "std": 0.2}, "method": "test", "epochs": 7}
    return save_encoder(path, build_encoder("resnet18", stride=8, base_channels=4, **kwargs), card)


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_finished_run_leaves_everything_that_is_promised(segmentation: Path, metrics: Callable) -> None:
    for name in ("best.pt", "last.pt", "network.json", "metrics.json", "history.csv", "rejected.csv"):
        assert (segmentation / name).is_file(), name
    assert {path.name for path in (segmentation / "pictures").glob("epoch=0002_*.png")} == {
        f"epoch=0002_overlay_{name}.png" for name in STRUCTURES
    }
    assert any((segmentation / "tensorboard").iterdir())
    assert len(_rows(segmentation / "cases_validation.csv")) == 6
    report = metrics(segmentation)
    assert report["finished"]
    assert not report["stopped_early"]
    assert (report["epochs"], report["steps"]) == (2, 6)
    assert (report["training_images"], report["validation_images"]) == (12, 6)
    assert 0 < report["best validation/dice"] <= 1
    assert report["figures"]["validation/dice/heart"]["last"] > 0


def test_the_card_rebuilds_the_network_and_says_how_its_input_is_prepared(segmentation: Path) -> None:
    card = read_network_card(segmentation / "best.pt")
    assert (card["task"], card["names"], card["image_size"]) == ("segmentation", STRUCTURES, 32)
    assert card["normalization"] == {"mean": 0.5056, "std": 0.252}
    assert card["start"] == {"encoder": "none"}
    assert load_network(segmentation / "last.pt")(torch.zeros(1, 1, 32, 32)).shape == (1, 3, 32, 32)


def test_two_and_two_epochs_are_four(
    run_task: Run, task_workflow: Run, tmp_path: Path, assert_same_end: Callable, metrics: Callable
) -> None:
    run_task(BUNDLE, output_dir=tmp_path / "straight", epochs=4)
    flow = task_workflow(BUNDLE, output_dir=tmp_path / "halved", epochs=4)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda: trainer.terminate())
    flow.run()
    assert not metrics(tmp_path / "halved")["finished"]
    run_task(BUNDLE, output_dir=tmp_path / "halved", epochs=4, memory_gb=0)
    assert_same_end(tmp_path / "straight", tmp_path / "halved")
    best = [torch.load(tmp_path / run / "best.pt", weights_only=True) for run in ("straight", "halved")]
    assert best[0]["epoch"] == best[1]["epoch"]
    for name, value in best[0]["network"].items():
        assert torch.equal(value, best[1]["network"][name]), name


def test_a_run_without_progress_stops_early_and_stays_stopped(run_task: Run, tmp_path: Path, metrics: Callable) -> None:
    for _ in range(2):
        run_task(BUNDLE, output_dir=tmp_path, epochs=6, patience=1, learning_rate=0.0, final_learning_rate=0.0)
        report = metrics(tmp_path)
        assert report["stopped_early"]
        assert report["finished"]
        assert report["epochs"] < 6


def test_few_shots_take_few_images_for_many_steps(run_task: Run, tmp_path: Path, metrics: Callable) -> None:
    run_task(BUNDLE, output_dir=tmp_path, shots=3, steps=9, epoch_steps=4)
    assert (metrics(tmp_path)["training_images"], metrics(tmp_path)["steps"]) == (3, 10)  # two epochs of five steps


def test_an_encoder_file_brings_weights_and_normalisation_and_can_be_frozen(run_task: Run, tmp_path: Path) -> None:
    file = _encoder_file(tmp_path / "encoder.pt")
    flow = run_task(BUNDLE, output_dir=tmp_path / "out", encoder=file, frozen="true", decoder="upernet", epochs=1)
    card = read_network_card(tmp_path / "out")
    assert card["normalization"] == {"mean": 0.4, "std": 0.2}
    assert (card["start"]["encoder"], card["start"]["epochs"]) == ("encoder.pt", 7)
    trained, given = flow.parser.get_parsed_content("task").encoder.state_dict(), torch.load(file, weights_only=True)
    for name, value in given.items():
        assert torch.equal(trained[name], value), name


@pytest.mark.parametrize("preset", PROTOCOLS, ids=lambda path: path.stem)
def test_every_protocol_trains(run_task: Run, tmp_path: Path, preset: Path, metrics: Callable) -> None:
    settings = json.loads(preset.read_text())
    small = {"epochs": 1, "batch_size": 4, "steps": min(settings.get("steps", 0), 2)}
    run_task(BUNDLE, "train.json", preset, output_dir=tmp_path, **{**settings, **small})
    assert metrics(tmp_path)["finished"]


def test_quickstart_runs_on_built_in_data(run_task: Run, tmp_path: Path, metrics: Callable) -> None:
    settings = json.loads((CONFIGS / "quickstart.json").read_text())
    tiny = {"phantoms": 8, "phantom_size": 32, "image_size": 32, "steps": 2, "shots": 2}
    kept = {key: settings[key] for key in settings if key not in (*tiny, "datalist", "output_dir")}
    kept["architecture_args"] = {"stride": 8, "base_channels": 4}
    drawn = settings["datalist"]
    run_task(BUNDLE, "train.json", "quickstart.json", output_dir=tmp_path, datalist=drawn, **{**kept, **tiny})
    assert metrics(tmp_path)["finished"]
    assert len(list((tmp_path / "phantoms" / "images").glob("*.png"))) == 8


def test_evaluation_writes_figures_with_intervals_cases_and_pictures(
    run_task: Run, segmentation: Path, labelled: Path, tmp_path: Path
) -> None:
    run_task(BUNDLE, "evaluate.json", kind="infer", datalist=labelled, network_file=segmentation / "best.pt",
             output_dir=tmp_path, bootstrap_draws=20)  # fmt: skip
    report = json.loads((tmp_path / "figures.json").read_text())
    assert (report["cases"], report["patients"], report["section"]) == (6, 6, "test")
    dice = report["figures"]["dice/heart"]
    assert dice["lower"] <= dice["value"] <= dice["upper"]
    cases = _rows(tmp_path / "cases.csv")
    assert np.mean([float(row["dice/heart"]) for row in cases]) == pytest.approx(dice["value"])
    assert cases[0]["image"].endswith("thorax_00018.png")
    assert {path.stem for path in (tmp_path / "pictures").glob("*.png")} == {f"overlay_{name}" for name in STRUCTURES}


def test_evaluation_of_validation_gives_what_training_found_best(
    run_task: Run, segmentation: Path, labelled: Path, tmp_path: Path, metrics: Callable
) -> None:
    run_task(BUNDLE, "evaluate.json", kind="infer", datalist=labelled, network_file=segmentation / "best.pt",
             output_dir=tmp_path, bootstrap_draws=2, section="validation", batch_size=4)  # fmt: skip
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report["figures"]["dice"]["value"] == pytest.approx(metrics(segmentation)["best validation/dice"], abs=1e-6)


def test_distances_are_in_mm_too_where_the_files_know_the_size_of_their_pixels(
    run_task: Run, segmentation: Path, labelled: Path, tmp_path: Path
) -> None:
    def nifti(path: Path, name: str) -> str:
        pixels = np.asarray(Image.open(labelled.parent / path))
        volume = nib.Nifti1Image(pixels.T[:, :, None].astype(np.int16), np.diag([-0.5, -0.5, 1, 1]))
        nib.save(volume, tmp_path / name)
        return name

    items = [
        {"image": nifti(item["image"], f"{number}.nii.gz"), "patient": str(number),
         "masks": {key: nifti(mask, f"{number}_{key}.nii.gz") for key, mask in item["masks"].items()}}
        for number, item in enumerate(json.loads(labelled.read_text())["test"])
    ]  # fmt: skip
    (tmp_path / "datalist.json").write_text(json.dumps({"training": [], "test": items}))
    for name, datalist in (("mm", tmp_path / "datalist.json"), ("px", labelled)):
        run_task(BUNDLE, "evaluate.json", kind="infer", datalist=datalist, network_file=segmentation / "best.pt",
                 output_dir=tmp_path / name, bootstrap_draws=2)  # fmt: skip
    found, plain = (json.loads((tmp_path / name / "figures.json").read_text())["figures"] for name in ("mm", "px"))
    for figure in ("hd95", "surface_distance"):
        pixels = found[f"{figure}_px/heart"]["value"]
        assert pixels == pytest.approx(plain[f"{figure}_px/heart"]["value"], rel=1e-3)
        assert found[f"{figure}_mm/heart"]["value"] == pytest.approx(0.75 * pixels, rel=1e-5)  # 48 px of 0.5 mm in 32
        assert not any(f"{figure}_mm" in key for key in plain)


def test_inference_writes_masks_in_the_geometry_of_each_file(run_task: Run, segmentation: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 255, (80, 56), dtype=np.uint8)
    Image.fromarray(pixels).save(data / "upright.png")
    affine = np.array([[0, 0.5, 0, 3], [0.4, 0, 0, -7], [0, 0, 1, 2], [0, 0, 0, 1.0]])  # turned and mirrored
    nib.save(nib.Nifti1Image(pixels[:, :, None].astype(np.int16), affine), data / "turned.nii.gz")
    (data / "broken.png").write_bytes(b"broken")
    run_task(BUNDLE, "inference.json", kind="infer", dataset_dir=data, network_file=segmentation / "best.pt",
             output_dir=tmp_path / "out", max_reject=0.5)  # fmt: skip
    rows = {(Path(row["image"]).name, row["structure"]): row for row in _rows(tmp_path / "out" / "masks.csv")}
    assert set(rows) == {(name, s) for name in ("upright.png", "turned.nii.gz") for s in STRUCTURES}
    assert "broken.png" in (tmp_path / "out" / "index" / "rejected.csv").read_text()
    for (image, _), row in rows.items():
        mask = read_binary_mask(tmp_path / "out" / row["mask"])
        assert mask.shape == read_radiograph(data / image)[0].shape
        assert mask.sum() == int(row["area"])
    turned = nib.load(tmp_path / "out" / rows["turned.nii.gz", "heart"]["mask"])
    assert turned.shape == (80, 56, 1)
    np.testing.assert_allclose(turned.affine, affine, rtol=1e-6)
    assert {path.name for path in (tmp_path / "out" / "overlays").iterdir()} == {"upright.png", "turned.png"}
    assert Image.open(tmp_path / "out" / "overlays" / "upright.png").size == (56, 80)


def test_a_mask_lies_where_the_network_sees_the_structure(
    run_task: Run, segmentation: Path, labelled: Path, tmp_path: Path
) -> None:
    run_task(BUNDLE, "inference.json", kind="infer", datalist=labelled, network_file=segmentation / "best.pt",
             output_dir=tmp_path)  # fmt: skip
    row = _rows(tmp_path / "masks.csv")[0]
    pixels = torch.from_numpy(read_radiograph(row["image"])[0])[None, None]
    small = torch.nn.functional.interpolate(pixels, (32, 32), mode="area")
    with torch.no_grad():
        logits = load_network(segmentation / "best.pt")((small - 0.5056) / 0.252)
    large = torch.nn.functional.interpolate(logits.sigmoid(), pixels.shape[2:], mode="bilinear", antialias=True)
    np.testing.assert_array_equal(read_binary_mask(tmp_path / row["mask"]), large[0, 0].numpy() >= 0.5)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"datalist": ""}, "no labelled data: give --datalist FILE"),
        ({"datalist": "nowhere.json"}, "'nowhere.json' does not exist"),
        ({"shots": 13}, "shots got 13, but there are 12 labelled training images; give at most --shots 12"),
        ({"shots": 3, "share": 0.5}, "shots=3 and share=0.5 were both given"),
        ({"structures": ["liver"]}, "12 of 12 training images have no annotation of 'liver'.*has right_lung"),
        ({"encoder": "nowhere.pt"}, "no encoder file at 'nowhere.pt'"),
        ({"encoder": "swin_tiny"}, "the name of an architecture.*--architecture swin_tiny"),
        ({"architecture": "resnet19"}, "unknown encoder 'resnet19'.*resnet18"),
        ({"image_size": 36}, "image_size got 36, expected a multiple of the encoder's cell of 8 px, such as 32 or 40"),
        ({"largest_component": ["liver"]}, r"largest_component got \['liver'\], .*: right_lung, left_lung, heart"),
        ({"decoder": "unet"}, "unknown segmenter 'unet'"),
        ({"key_figure": "dise"}, "no figure 'dise'.*dice"),
        ({"frozen": 9}, "levels got 9"),
        ({"frozen": "yes"}, "frozen got 'yes', expected true or false"),
        ({"loss_weights": {"focal": 1.0}}, "focal.*dice"),
        ({"epochz": 3}, "'epochz'.*--epochs"),
    ],
)
def test_wrong_use_is_named_with_its_mend(
    task_workflow: Run, tmp_path: Path, overrides: dict[str, Any], message: str, said: Callable
) -> None:
    flow = task_workflow(BUNDLE, output_dir=tmp_path, **overrides)

    def use() -> None:
        flow.initialize()
        flow.run()

    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        use()
    assert re.search(message, said(error.value))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"in_channels": 3}, "takes 3 channels and 2-D images"), ({"spatial_dims": 3}, "takes 1 channels and 3-D images")],
)
def test_an_encoder_of_other_images_is_refused(
    task_workflow: Run, tmp_path: Path, kwargs: dict[str, int], message: str, said: Callable
) -> None:
    file = _encoder_file(tmp_path / "other.pt", **kwargs)
    with pytest.raises(Exception) as error:  # noqa: PT011
        task_workflow(BUNDLE, output_dir=tmp_path / "out", encoder=file).initialize()
    assert message in said(error.value)
    assert "expected one channel and 2-D" in said(error.value)


@pytest.mark.parametrize(
    ("size", "message"),
    [((40, 48), "has 48 x 40 pixels and its image"), ((48, 48), "none of 3 training images shows heart: the")],
)
def test_masks_of_another_size_or_without_a_structure_end_a_few_shot_run(
    task_workflow: Run, carry_out: Callable, labelled: Path, tmp_path: Path, said: Callable, size: Any, message: str
) -> None:
    shutil.copytree(labelled.parent, tmp_path / "data")
    for path in (tmp_path / "data" / "masks" / "heart").glob("*.png"):
        Image.fromarray(np.zeros(size, dtype=np.uint8)).save(path)
    flow = task_workflow(BUNDLE, output_dir=tmp_path / "out", datalist=tmp_path / "data" / "datalist.json", shots=3)
    with pytest.raises(Exception) as error:  # noqa: PT011
        carry_out(flow)
    assert message in said(error.value)


def test_checkpoints_of_other_images_are_refused(run_task: Run, segmentation: Path, said: Callable) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011
        run_task(BUNDLE, output_dir=segmentation, shots=3)
    assert "holds checkpoints of another run" in said(error.value)
    assert read_network_card(segmentation)["names"] == STRUCTURES


def test_two_processes_train_with_torchrun(labelled: Path, tmp_path: Path, metrics: Callable) -> None:
    files = json.dumps([str(CONFIGS / name) for name in ("train.json", "multi_gpu_train.json")])
    settings = {
        "architecture_args": "{'stride':8,'base_channels':4}", "image_size": 32, "epochs": 1, "batch_size": 4,
        "num_workers": 0, "precision": "fp32", "datalist": labelled, "output_dir": tmp_path / "out", "frozen": 1,
    }  # fmt: skip
    pairs = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", "-m", "monai.bundle",
         "run", "--config_file", files, "--bundle_root", str(CONFIGS.parent), *pairs],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert metrics(tmp_path / "out")["finished"]
    assert len(_rows(tmp_path / "out" / "cases_validation.csv")) == 6
    assert load_network(tmp_path / "out" / "best.pt") is not None
