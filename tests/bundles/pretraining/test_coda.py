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
"""What is particular to the bundle of Coda: its organs, views and two losses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow

Run = Callable[..., ConfigWorkflow]
CONFIGS = Path(__file__).resolve().parents[3] / "bundles" / "coda_pretraining" / "configs"
pytestmark = pytest.mark.parametrize("method", ["coda"], indirect=True)


def _relisted(body_parts: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the datalist with absolute paths, of which every training item was changed."""
    content = json.loads(body_parts.read_text())
    for section in ("training", "validation"):
        for item in content[section]:
            item["image"] = str(body_parts.parent / item["image"])
    for item in content["training"]:
        change(item)
    (folder / "list.json").write_text(json.dumps(content))
    return folder / "list.json"


def test_the_views_are_cut_at_the_published_scales(workflow: Run, body_parts: Path, tmp_path: Path) -> None:
    flow = workflow(datalist=body_parts, output_dir=tmp_path)
    flow.initialize()
    views = flow.parser.get_parsed_content("train#preprocessing").transforms[1]
    assert [crop.area for crop in views.crops.crops] == [(0.8, 1.0), (0.4, 0.7)]
    assert [crop.cell for crop in views.crops.crops] == [32, 16]
    assert views.crops.counts == (2, 2)


def test_every_step_has_as_many_images_of_each_of_its_organs(workflow: Run, body_parts: Path, tmp_path: Path) -> None:
    flow = workflow(datalist=body_parts, output_dir=tmp_path, batch_size=6, images_per_organ=2)
    flow.initialize()
    batches = list(flow.parser.get_parsed_content("train#dataloader"))
    assert len(batches) == 2 * 3
    for batch in batches:
        assert torch.bincount(batch["organ_index"]).tolist() == [2, 2, 2]
        assert batch["wholes"].shape == (6, 2, 1, 32, 32)
        assert batch["locals"].shape == (6, 2, 1, 16, 16)


def test_the_teachers_temperature_and_the_prototypes_follow_the_epochs(
    workflow: Run, body_parts: Path, tmp_path: Path
) -> None:
    flow = workflow(datalist=body_parts, output_dir=tmp_path, epochs=3, temperature_epochs=2)
    flow.initialize()
    trainer, method = (flow.parser.get_parsed_content(name) for name in ("train#trainer", "method"))
    seen: list[tuple[float, bool]] = []

    def look() -> None:
        directions = method.student.instance_head.last_layer.parametrizations.weight.original1
        seen.append((method.intra_loss.teacher_temperature, directions.requires_grad))

    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=4), look)  # the last step of each epoch
    flow.run()
    assert [temperature for temperature, _ in seen] == pytest.approx([0.04 + 0.03 * 3 / 8, 0.04 + 0.03 * 7 / 8, 0.07])
    assert [trained for _, trained in seen] == [False, True, True]


@pytest.mark.parametrize(("off", "left"), [("inter", "intra"), ("intra", "inter")])
def test_an_ablation_is_one_option(
    run: Run, body_parts: Path, tmp_path: Path, metrics: Callable, off: str, left: str
) -> None:
    run(datalist=body_parts, output_dir=tmp_path, epochs=1, **{f"{off}_weight": 0})
    figures = metrics(tmp_path)["figures"]
    assert {name for name in figures if name.startswith("loss/")} == {"loss/total", f"loss/{left}"}
    assert {"validation/organ_retrieval", "validation/organ_chance"} <= set(figures)
    saved = torch.load(max((tmp_path / "checkpoints").glob("*.pt")), weights_only=True)["method"]
    heads = {name.split(".")[1] for name in saved if name.startswith("student.")}
    assert heads == {"encoder", "organ_head" if left == "inter" else "instance_head"}


def test_the_printed_denominator_is_one_option(run: Run, body_parts: Path, tmp_path: Path) -> None:
    flow = run(
        datalist=body_parts, output_dir=tmp_path, epochs=1, denominator="$monai_lamps.losses.negatives_denominator"
    )
    assert flow.parser.get_parsed_content("method").inter_loss.denominator.__name__ == "negatives_denominator"
    identity = flow.parser.get_parsed_content("train#checkpoint").identity
    assert identity["contrast"] == [0.1, "negatives_denominator"]


def test_organs_come_from_the_names_of_folders(run: Run, body_parts: Path, tmp_path: Path, metrics: Callable) -> None:
    flow = run(dataset_dir=body_parts.parent / "images", output_dir=tmp_path, organs="folder", epochs=1)
    assert flow.parser.get_parsed_content("organ_table").names == ["chest", "hand", "knee"]
    assert metrics(tmp_path)["finished"]


def test_the_quickstart_takes_a_folder_of_ones_own(workflow: Run, body_parts: Path, tmp_path: Path) -> None:
    folder, preset = body_parts.parent / "images", json.loads((CONFIGS / "quickstart.json").read_text())
    flow = workflow(
        "train.json",
        "quickstart.json",
        dataset_dir=folder,
        datalist=preset["datalist"],
        output_dir=tmp_path,
        organs="folder",
    )
    flow.initialize()
    assert flow.parser.get_parsed_content("organ_table").names == ["chest", "hand", "knee"]
    assert not (tmp_path / "body_parts").exists()


def test_images_of_unknown_organs_take_part(run: Run, body_parts: Path, tmp_path: Path) -> None:
    def change(item: dict[str, Any]) -> None:
        if item["organ"] == "knee":
            item["organ"] = {0: "kneee", 1: ""}.get(int(item["image"][-5]), "KNEE_LT")

    datalist = _relisted(body_parts, tmp_path, change)
    flow = run(datalist=datalist, output_dir=tmp_path / "out", epochs=1)
    table = flow.parser.get_parsed_content("organ_table")
    assert table.counts == {"chest": 6, "hand": 6, "knee": 4}
    assert table.index.count(-1) == 2


def test_one_organ_trains_without_the_contrast(run: Run, body_parts: Path, tmp_path: Path) -> None:
    datalist = _relisted(body_parts, tmp_path, lambda item: item.update(organ="hand"))
    flow = run(datalist=datalist, output_dir=tmp_path / "out", epochs=1, inter_weight=0)
    assert flow.parser.get_parsed_content("organ_table").counts == {"hand": 18}


def test_data_of_one_organ_are_refused_before_the_start(
    workflow: Run, body_parts: Path, tmp_path: Path, said: Callable[[BaseException], str]
) -> None:
    datalist = _relisted(body_parts, tmp_path, lambda item: item.update(organ="hand"))
    flow = workflow(datalist=datalist, output_dir=tmp_path / "out")
    with pytest.raises(Exception) as error:  # noqa: PT011
        flow.initialize()
    assert "the images show hand 18, expected at least two organs" in said(error.value)
