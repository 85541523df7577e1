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
"""What is wrong with the options or the data of a pretraining bundle is said, or set aside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigWorkflow

from monai_lamps.networks import encoder_names

Run = Callable[..., ConfigWorkflow]
NO_DATA = "no data: give --dataset_dir FOLDER with radiographs, or --datalist FILE"
WRONG: dict[str, list[tuple[dict[str, Any], str]]] = {
    "lamps": [
        ({"dataset_dir": ""}, NO_DATA),
        ({"dataset_dir": "nowhere"}, "dataset_dir 'nowhere' is not a folder; give --dataset_dir an existing folder."),
        ({"dataset_dir": "", "datalist": "nowhere.json"}, "datalist 'nowhere.json' does not exist"),
        ({"precision": "fp8"}, "precision got 'fp8', expected one of ['fp32', 'bf16'] on device 'cpu'"),
        ({"precision": "fp16"}, "precision got 'fp16', expected one of ['fp32', 'bf16'] on device 'cpu'"),
        ({"encoder": "swin_huge"}, f"unknown encoder 'swin_huge', expected one of {encoder_names()}"),
        ({"curriculum": "weekly"}, "unknown curriculum 'weekly', valid values are epoch, step, joint"),
        ({"device": "tpu"}, "device got 'tpu', expected one of ['cpu'"),
        ({"resume": "nowhere.pt"}, "resume='nowhere.pt' is missing; expected 'auto', 'none', or a checkpoint file"),
        ({"batch_size": 400}, "expected at least batch_size=400: the data do not fill one batch"),
        ({"epochz": 3}, "unknown override 'epochz': did you mean '--epochs'?"),
        ({"objective_weights": {"jigsaw": 1.0}}, "unknown objectives ['jigsaw']"),
    ],
    "adam": [
        ({"dataset_dir": ""}, NO_DATA),
        ({"granularities": [0, -2]}, "granularities got -2, expected whole numbers >= 0"),
        ({"granularities": [14]}, "has no 16384 parts"),
        ({"stage_epochs": 0}, "length got 0, expected at least 1"),
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
        ({"threshold": 1.5}, "threshold must be a cosine"),
        ({"queue_size": 0}, "size and dim of a memory queue must be positive, got 0"),
        ({"reset_queue": "perhaps"}, "got 'perhaps', expected true or false"),
        ({"stage_epoch": 3}, "unknown override 'stage_epoch': did you mean '--stage_epochs'?"),
        ({"curriculum": "step"}, "unknown override 'curriculum'"),
    ],
    "coda": [
        ({"datalist": ""}, NO_DATA),
        ({"organs": "name"}, "organs got 'name', expected one of column, folder, dicom"),
        ({"organ_column": "part"}, "none of 18 images has a known organ in column 'part'"),
        ({"organ_column": "view"}, "none of 18 images has a known organ in column 'view', which have"),
        ({"organs": "folder", "folder_level": 0}, "level got 0, expected 1"),
        ({"images_per_organ": 3}, "per_group got 3, expected a divisor of batch_size=4"),
        ({"inter_weight": 0, "intra_weight": 0}, "expected one above 0"),
        ({"intra_weight": -1}, "Weight of objective 'intra' got -1"),
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
        ({"local_views": 0}, "local_views must be a whole number from 1 to 62, got 0"),
        ({"local_view": 3}, "unknown override 'local_view': did you mean '--local_views'?"),
    ],
    "radlas": [
        ({"dataset_dir": ""}, NO_DATA),
        ({"normal_column": "finding"}, "no training image has the column 'finding' of normal_column"),
        ({"lesion_kinds": ["blob"]}, "unknown kind of lesion 'blob'"),
        ({"hide_prob": 2}, "hide_prob must lie in [0, 1], got 2"),
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
        ({"true_mask_share": 1.5}, "true_mask_share in [0, 1], got 2 and 1.5"),
        ({"decoder_heads": 3}, "num_heads must divide width, got 3 and 16"),
        ({"restoration_weight": -1.0}, "Weight of objective 'restoration' got -1.0"),
        ({"normal_colum": "tb"}, "unknown override 'normal_colum': did you mean '--normal_column'?"),
        ({"queue_size": 16}, "unknown override 'queue_size'"),
    ],
}


@pytest.mark.parametrize(
    ("method", "overrides", "message"),
    [(name, overrides, message) for name in WRONG for overrides, message in WRONG[name]],
    indirect=["method"],
)
def test_wrong_use_is_named_with_its_mend(
    workflow: Run,
    data: dict[str, Any],
    tmp_path: Path,
    said: Callable[[BaseException], str],
    overrides: dict[str, Any],
    message: str,
) -> None:
    flow = workflow(**{**data, "output_dir": tmp_path / "out", **overrides})

    def use() -> None:
        flow.initialize()
        flow.run()

    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        use()
    assert message in said(error.value)


@pytest.mark.parametrize("method", ["lamps"], indirect=True)
def test_an_empty_folder_is_refused_before_anything_is_built(
    workflow: Run, tmp_path: Path, said: Callable[[BaseException], str]
) -> None:
    (tmp_path / "data").mkdir()
    flow = workflow(dataset_dir=tmp_path / "data", output_dir=tmp_path / "out")
    with pytest.raises(RuntimeError) as error:
        flow.initialize()
    assert str(tmp_path / "data") in said(error.value)
    assert "network_def" not in flow.parser.ref_resolver.resolved_content


@pytest.mark.parametrize("method", ["lamps"], indirect=True)
def test_inference_without_an_encoder_says_what_is_missing(
    workflow: Run, folder: dict[str, Any], tmp_path: Path, said: Callable[[BaseException], str]
) -> None:
    images = folder["dataset_dir"]
    flow = workflow("inference.json", kind="infer", dataset_dir=images, output_dir=tmp_path, encoder_file="none.pt")
    with pytest.raises(RuntimeError) as error:
        flow.initialize()
    assert "no encoder file at 'none.pt'" in said(error.value)


#: short trainings without validation images, or that do not look at them
SHORT: dict[str, dict[str, Any]] = {
    "lamps": {"epochs": 1},
    "adam": {"granularities": [4]},
    "coda": {"epochs": 1},
    "radlas": {"epochs": 1},
}


@pytest.mark.parametrize("method", ["lamps", "adam", "coda"], indirect=True)
def test_a_run_without_validation_images_trains_all_the_same(
    run: Run, method: str, folder: dict[str, Any], tmp_path: Path, metrics: Callable
) -> None:
    run(**folder, output_dir=tmp_path, validation_share=0.0, **SHORT[method])
    assert metrics(tmp_path)["training_images"] == 24
    assert not any(name.startswith("validation/") for name in metrics(tmp_path)["figures"])


@pytest.mark.parametrize("method", ["lamps", "adam", "radlas"], indirect=True)
def test_bad_files_are_set_aside_and_the_run_goes_on(
    run: Run, method: str, phantoms: Path, tmp_path: Path, metrics: Callable
) -> None:
    shutil.copytree(phantoms, tmp_path / "data")
    (tmp_path / "data" / "zero.png").touch()
    out = tmp_path / "out"
    settings = {"dataset_dir": tmp_path / "data", "output_dir": out, "val_interval": 9, **SHORT[method]}
    run(**settings)
    listed = json.loads((out / "datalist.json").read_text())["training"][0]["image"]
    broken = (out / listed).resolve()
    broken.write_bytes(b"broken")  # after the folder was indexed
    shutil.rmtree(out / "checkpoints")
    run(**settings)
    rows = (out / "rejected.csv").read_text().splitlines()[1:]
    assert [Path(row.split(",")[0]).name for row in rows] == ["zero.png", broken.name]
    assert metrics(out)["finished"]


@pytest.mark.parametrize("method", ["coda"], indirect=True)
def test_a_bad_file_of_a_datalist_is_set_aside_and_the_run_goes_on(
    run: Run, body_parts: Path, tmp_path: Path, metrics: Callable
) -> None:
    shutil.copytree(body_parts.parent, tmp_path / "data")
    broken = tmp_path / "data" / "images" / "hand" / "hand_00000.png"
    broken.write_bytes(b"broken")
    run(datalist=tmp_path / "data" / "datalist.json", output_dir=tmp_path / "out", val_interval=9)
    rows = (tmp_path / "out" / "rejected.csv").read_text().splitlines()[1:]
    assert [Path(row.split(",")[0]).name for row in rows] == [broken.name]
    assert metrics(tmp_path / "out")["finished"]


@pytest.mark.parametrize("method", ["lamps"], indirect=True)
def test_more_bad_files_than_are_allowed_end_the_run(
    run: Run, phantoms: Path, tmp_path: Path, metrics: Callable, said: Callable[[BaseException], str]
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    (folder / "zero.png").touch()
    (folder / "page.png").write_text("<!DOCTYPE html><html></html>")
    whole = (folder / "thorax_00000.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out"
    run(dataset_dir=folder, output_dir=out, max_reject=0.2)
    rows = (out / "rejected.csv").read_text().splitlines()[1:]
    assert sorted(Path(row.split(",")[0]).name for row in rows) == ["cut.png", "page.png", "zero.png"]
    assert metrics(out)["rejected_files"] == 3
    with pytest.raises(RuntimeError) as error:
        run(dataset_dir=folder, output_dir=tmp_path / "strict", max_reject=0.05)
    assert "3 of 27 files" in said(error.value)
