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
"""Watching anatomy in the pretraining bundles."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

from monai_lamps.data import build_cache, index_folder

Run = Callable[..., ConfigWorkflow]
LAMPS = pytest.mark.parametrize("method", ["lamps"], indirect=True)
PARTS = ("method", "optimizer")
WATCHED = {"anatomy/warp/nme_side", "anatomy/position/r2", "anatomy/compositionality/gap_4"}


def _watched(out: Path) -> list[dict[str, str]]:
    """What history.csv says of anatomy, epoch by epoch."""
    with open(out / "history.csv", newline="") as file:
        return [{name: row[name] for name in row if name.startswith("anatomy/")} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def watched(run: Run, phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of the tiny training, watched in every epoch."""
    out = tmp_path_factory.mktemp("watched")
    run(dataset_dir=phantoms, output_dir=out, anatomy_interval=1)
    return out


@LAMPS
def test_a_watched_training_is_the_same_to_the_bit(trained: Path, watched: Path, assert_same_end: Callable) -> None:
    assert_same_end(trained, watched, PARTS)
    assert _watched(trained) == [{}, {}]
    assert all(row.keys() >= WATCHED and all(row.values()) for row in _watched(watched))


@LAMPS
def test_a_resumed_training_has_the_figures_of_a_straight_one(
    run: Run, workflow: Run, phantoms: Path, watched: Path, tmp_path: Path, assert_same_end: Callable
) -> None:
    flow = workflow(dataset_dir=phantoms, output_dir=tmp_path, anatomy_interval=1)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=1), trainer.terminate)
    flow.run()
    assert len(_watched(tmp_path)) == 1
    run(dataset_dir=phantoms, output_dir=tmp_path, anatomy_interval=1)
    assert_same_end(watched, tmp_path, PARTS)
    assert _watched(tmp_path) == _watched(watched)


@LAMPS
def test_the_quickstart_can_be_watched(run: Run, bundle: Path, tmp_path: Path, metrics: Callable) -> None:
    settings = json.loads((bundle / "configs" / "quickstart.json").read_text())
    tiny = {"phantoms": 20, "phantom_size": 64, "epochs": 1, "batch_size": 4, "anatomy_interval": 1}
    kept = {key: settings[key] for key in settings if key not in (*tiny, "dataset_dir", "output_dir")}
    run("train.json", "quickstart.json", output_dir=tmp_path, **{**kept, **tiny})
    assert metrics(tmp_path)["figures"].keys() >= WATCHED


@LAMPS
def test_landmarks_of_masks_are_watched_where_they_are_asked_for(
    run: Run, labelled: Path, tmp_path: Path, metrics: Callable
) -> None:
    run(datalist=labelled, output_dir=tmp_path, epochs=1, anatomy_interval=1, anatomy_landmarks="masks")
    assert metrics(tmp_path)["figures"].keys() >= {*WATCHED, "anatomy/locality/knn_accuracy"}


@LAMPS
def test_a_run_from_a_cache_alone_is_watched(run: Run, phantoms: Path, tmp_path: Path, metrics: Callable) -> None:
    shutil.copytree(phantoms, tmp_path / "films")
    datalist = index_folder(tmp_path / "films", tmp_path / "index", workers=0, progress=False)
    cache = build_cache(datalist, tmp_path / "cache", 48, workers=0, progress=False)
    shutil.rmtree(tmp_path / "films")
    run(cache=cache, output_dir=tmp_path / "out", epochs=1, anatomy_interval=1)
    assert metrics(tmp_path / "out")["figures"].keys() >= WATCHED
    assert metrics(tmp_path / "out")["rejected_files"] == 0


@LAMPS
def test_watching_without_validation_images_is_refused_before_training(
    workflow: Run, phantoms: Path, tmp_path: Path, said: Callable[[BaseException], str]
) -> None:
    flow = workflow(dataset_dir=phantoms, output_dir=tmp_path, validation_share=0.0, anatomy_interval=1)
    flow.initialize()
    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what a component raises)
        flow.run()
    assert "watching anatomy needs at least 2 validation images, got 0" in said(error.value)
    assert not (tmp_path / "history.csv").exists()


@pytest.mark.parametrize("method", ["adam"], indirect=True)
def test_adam_is_watched_and_its_training_is_the_same_to_the_bit(
    run: Run, trained: Path, phantoms: Path, tmp_path: Path, assert_same_end: Callable
) -> None:
    run(dataset_dir=phantoms, output_dir=tmp_path, anatomy_interval=2)
    assert_same_end(trained, tmp_path, PARTS)
    first, second = _watched(tmp_path)
    assert not any(first.values())
    assert second.keys() >= WATCHED
    assert all(second.values())
