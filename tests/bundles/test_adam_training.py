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
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

from monai_lamps.checkpoints import load_encoder, read_card
from monai_lamps.data import build_cache, index_folder

Run = Callable[..., ConfigWorkflow]


def _checkpoint(out: Path) -> dict[str, Any]:
    newest = sorted((out / "checkpoints").glob("*.pt"))[-1]
    content: dict[str, Any] = torch.load(newest, weights_only=True)
    return content


def _assert_same_weights(a: Path, b: Path) -> None:
    first, second = _checkpoint(a)["method"], _checkpoint(b)["method"]
    assert first.keys() == second.keys()
    assert {"queue.keys", "queue.pointer"} < first.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_a_finished_run_leaves_everything_that_is_promised(trained_adam: Path, metrics: Callable) -> None:
    for name in ("encoder.pt", "encoder.json", "metrics.json", "rejected.csv", "history.csv", "datalist.json"):
        assert (trained_adam / name).is_file(), name
    assert len(list((trained_adam / "checkpoints").glob("step=*.pt"))) == 2
    assert any((trained_adam / "tensorboard").iterdir())
    drawn = {path.stem.split("_", 1)[1] for path in (trained_adam / "pictures").glob("*.png")}
    assert drawn == {"views", "neighbours"}
    report = metrics(trained_adam)
    assert report["finished"]
    assert report["epochs"] == 2
    figures = report["figures"]
    assert figures["loss/contrast"]["last"] > 0
    for part in ("train", "validation"):
        for name in ("pruned_share", "positive_cosine", "negative_cosine"):
            assert -1 <= figures[f"{part}/{name}"]["last"] <= 1
        assert figures[f"{part}/contrast_accuracy"]["chance"] == 1 / 17
    assert figures["collapse/effective_rank"]["last"] > 1


def test_the_students_encoder_is_exported_with_a_card_that_rebuilds_it(trained_adam: Path) -> None:
    card = read_card(trained_adam / "encoder.pt")
    assert card["encoder"]["name"] == "resnet18"
    assert card["image_size"] == [32, 32]
    assert card["preparation"] == {"transform": "GridRegion", "cell": 8, "region": 4}
    assert (card["method"], card["epochs"], card["seed"]) == ("adam", 2, 0)
    encoder = load_encoder(trained_adam / "encoder.pt").state_dict()
    method = _checkpoint(trained_adam)["method"]
    assert encoder
    assert all(torch.equal(value, method[f"student.encoder.{name}"]) for name, value in encoder.items())
    assert any(not torch.equal(value, method[f"teacher.module.encoder.{name}"]) for name, value in encoder.items())


@pytest.mark.parametrize("stop", [3, 10, 13])
def test_a_stopped_run_of_stages_continues_to_the_same_bits(
    run_adam: Run, adam_workflow: Run, straight: Path, phantoms: Path, tmp_path: Path, stop: int
) -> None:
    flow = adam_workflow(dataset_dir=phantoms, output_dir=tmp_path, stage_epochs=2, reset_queue="true")
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    assert trainer.state.epoch_length == 5  # so the second stage begins after step 10
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=stop), trainer.terminate)
    flow.run()
    run_adam(dataset_dir=phantoms, output_dir=tmp_path, stage_epochs=2, reset_queue="true", num_workers=2)
    _assert_same_weights(straight, tmp_path)


@pytest.fixture(scope="module")
def straight(run_adam: Run, phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stages of two epochs in one go, with the queue emptied between them."""
    out = tmp_path_factory.mktemp("straight")
    run_adam(dataset_dir=phantoms, output_dir=out, stage_epochs=2, reset_queue="true")
    return out


def test_the_learning_rate_falls_within_each_stage_and_begins_anew(
    adam_workflow: Run, phantoms: Path, tmp_path: Path
) -> None:
    flow = adam_workflow(dataset_dir=phantoms, output_dir=tmp_path, stage_epochs=2, batch_size=8)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    rates: list[float] = []
    optimizer = flow.parser.get_parsed_content("optimizer")
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: rates.append(optimizer.param_groups[0]["lr"]))
    flow.run()
    assert 0 < rates[1] < rates[0] < 0.03 * 8 / 256
    assert rates[2:] == pytest.approx(rates[:2])


def test_training_from_a_cache_gives_the_numbers_of_training_from_the_files(
    run_adam: Run, phantoms: Path, tmp_path: Path
) -> None:
    shutil.copytree(phantoms, tmp_path / "films")
    datalist = index_folder(tmp_path / "films", tmp_path / "index", workers=0, progress=False)
    cache = build_cache(datalist, tmp_path / "cache", 48, workers=0, progress=False)
    run_adam(datalist=datalist, output_dir=tmp_path / "from_files")
    run_adam(cache=cache, output_dir=tmp_path / "from_cache")
    _assert_same_weights(tmp_path / "from_files", tmp_path / "from_cache")


def test_bad_files_are_set_aside_and_the_run_goes_on(
    run_adam: Run, phantoms: Path, tmp_path: Path, metrics: Callable
) -> None:
    shutil.copytree(phantoms, tmp_path / "data")
    (tmp_path / "data" / "zero.png").touch()
    out = tmp_path / "out"
    run_adam(dataset_dir=tmp_path / "data", output_dir=out, granularities=[0], val_interval=9)
    listed = json.loads((out / "datalist.json").read_text())["training"][0]["image"]
    broken = (out / listed).resolve()
    broken.write_bytes(b"broken")
    shutil.rmtree(out / "checkpoints")
    run_adam(dataset_dir=tmp_path / "data", output_dir=out, granularities=[0], val_interval=9)
    rows = (out / "rejected.csv").read_text().splitlines()[1:]
    assert [Path(row.split(",")[0]).name for row in rows] == ["zero.png", broken.name]
    assert metrics(out)["finished"]


def test_a_run_without_validation_images_trains_all_the_same(
    run_adam: Run, phantoms: Path, tmp_path: Path, metrics: Callable
) -> None:
    run_adam(dataset_dir=phantoms, output_dir=tmp_path, validation_share=0.0, granularities=[4])
    assert metrics(tmp_path)["training_images"] == 24
    assert not any(name.startswith("validation/") for name in metrics(tmp_path)["figures"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dataset_dir": ""}, "no data: give --dataset_dir FOLDER with radiographs, or --datalist FILE"),
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
)
def test_wrong_use_is_named_with_its_mend(
    adam_workflow: Run,
    phantoms: Path,
    tmp_path: Path,
    said: Callable[[BaseException], str],
    overrides: dict[str, Any],
    message: str,
) -> None:
    flow = adam_workflow(**{"dataset_dir": phantoms, "output_dir": tmp_path / "out", **overrides})

    def use() -> None:
        flow.initialize()
        flow.run()

    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        use()
    assert message in said(error.value)


def test_checkpoints_of_other_stages_are_refused(
    run_adam: Run, trained_adam: Path, phantoms: Path, said: Callable[[BaseException], str]
) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011
        run_adam(dataset_dir=phantoms, output_dir=trained_adam, granularities=[0, 4])
    assert "curriculum" in said(error.value)
