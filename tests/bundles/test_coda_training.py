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
from monai_lamps.data import build_cache

Run = Callable[..., ConfigWorkflow]


def _checkpoint(out: Path) -> dict[str, Any]:
    newest = sorted((out / "checkpoints").glob("*.pt"))[-1]
    content: dict[str, Any] = torch.load(newest, weights_only=True)
    return content


def _assert_same_training(a: Path, b: Path) -> None:
    """Networks, centre and optimizer are the same, bit for bit."""
    first, second = _checkpoint(a), _checkpoint(b)
    assert first["method"].keys() == second["method"].keys()
    assert "intra_loss.center" in first["method"]
    for name, value in first["method"].items():
        assert torch.equal(value, second["method"][name]), name
    moments = [content["optimizer"]["state"] for content in (first, second)]
    assert moments[0]
    for number, state in moments[0].items():
        assert all(torch.equal(value, moments[1][number][name]) for name, value in state.items()), number


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


def test_a_finished_run_leaves_everything_that_is_promised(trained_coda: Path, metrics: Callable) -> None:
    for name in ("encoder.pt", "encoder.json", "metrics.json", "rejected.csv", "history.csv"):
        assert (trained_coda / name).is_file(), name
    assert len(list((trained_coda / "checkpoints").glob("step=*.pt"))) == 2
    assert any((trained_coda / "tensorboard").iterdir())
    drawn = {path.stem.split("_", 1)[1] for path in (trained_coda / "pictures").glob("*.png")}
    assert drawn == {"views", "locals", "organs"}
    report = metrics(trained_coda)
    assert report["finished"]
    assert (report["epochs"], report["training_images"]) == (2, 18)
    figures = report["figures"]
    for name in ("inter", "intra"):
        assert figures[f"loss/{name}"]["last"] > 0
        assert figures[f"validation/{name}"]["last"] > 0
    for name in ("train/organ_accuracy", "validation/organ_accuracy", "validation/organ_retrieval"):
        assert 0 <= figures[name]["last"] <= 1
    assert figures["train/organ_chance"]["last"] == pytest.approx(1 / 3)  # two images each of two organs, in every step
    assert 1 <= figures["train/prototypes_used"]["last"] <= 16
    assert 0 <= figures["train/teacher_entropy"]["last"] <= 1
    assert figures["collapse/effective_rank"]["last"] > 1


def test_the_teachers_encoder_is_exported_with_a_card_that_rebuilds_it(trained_coda: Path) -> None:
    card = read_card(trained_coda / "encoder.pt")
    assert card["encoder"]["name"] == "resnet18"
    assert card["image_size"] == [32, 32]
    assert card["preparation"] == {"transform": "GridRegion", "cell": 8, "region": 4}
    assert (card["method"], card["epochs"], card["seed"]) == ("coda", 2, 0)
    encoder = load_encoder(trained_coda / "encoder.pt").state_dict()
    method = _checkpoint(trained_coda)["method"]
    assert encoder
    assert all(torch.equal(value, method[f"teacher.module.encoder.{name}"]) for name, value in encoder.items())
    assert any(not torch.equal(value, method[f"student.encoder.{name}"]) for name, value in encoder.items())


@pytest.fixture(scope="module")
def straight(run_coda: Run, body_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four epochs in one go."""
    out = tmp_path_factory.mktemp("straight")
    run_coda(datalist=body_parts, output_dir=out, epochs=4)
    return out


@pytest.mark.parametrize("stop", [3, 8, 11])
def test_a_stopped_run_continues_to_the_same_bits(
    run_coda: Run, coda_workflow: Run, straight: Path, body_parts: Path, tmp_path: Path, stop: int
) -> None:
    flow = coda_workflow(datalist=body_parts, output_dir=tmp_path, epochs=4)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    assert trainer.state.epoch_length == 4  # so two epochs end after step 8
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=stop), trainer.terminate)
    flow.run()
    run_coda(datalist=body_parts, output_dir=tmp_path, epochs=4, num_workers=2)
    _assert_same_training(straight, tmp_path)


def test_every_step_has_as_many_images_of_each_of_its_organs(
    coda_workflow: Run, body_parts: Path, tmp_path: Path
) -> None:
    flow = coda_workflow(datalist=body_parts, output_dir=tmp_path, batch_size=6, images_per_organ=2)
    flow.initialize()
    batches = list(flow.parser.get_parsed_content("train#dataloader"))
    assert len(batches) == 2 * 3
    for batch in batches:
        assert torch.bincount(batch["organ_index"]).tolist() == [2, 2, 2]
        assert batch["wholes"].shape == (6, 2, 1, 32, 32)
        assert batch["locals"].shape == (6, 2, 1, 16, 16)


def test_the_teachers_temperature_and_the_prototypes_follow_the_epochs(
    coda_workflow: Run, body_parts: Path, tmp_path: Path
) -> None:
    flow = coda_workflow(datalist=body_parts, output_dir=tmp_path, epochs=3, temperature_epochs=2)
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
    run_coda: Run, body_parts: Path, tmp_path: Path, metrics: Callable, off: str, left: str
) -> None:
    run_coda(datalist=body_parts, output_dir=tmp_path, epochs=1, **{f"{off}_weight": 0})
    figures = metrics(tmp_path)["figures"]
    assert {name for name in figures if name.startswith("loss/")} == {"loss/total", f"loss/{left}"}
    assert {"validation/organ_retrieval", "validation/organ_chance"} <= set(figures)
    heads = {name.split(".")[1] for name in _checkpoint(tmp_path)["method"] if name.startswith("student.")}
    assert heads == {"encoder", "organ_head" if left == "inter" else "instance_head"}


def test_the_printed_denominator_is_one_option(run_coda: Run, body_parts: Path, tmp_path: Path) -> None:
    flow = run_coda(
        datalist=body_parts, output_dir=tmp_path, epochs=1, denominator="$monai_lamps.losses.negatives_denominator"
    )
    assert flow.parser.get_parsed_content("method").inter_loss.denominator.__name__ == "negatives_denominator"
    identity = flow.parser.get_parsed_content("train#checkpoint").identity
    assert identity["contrast"] == [0.1, "negatives_denominator"]


def test_organs_come_from_the_names_of_folders(
    run_coda: Run, body_parts: Path, tmp_path: Path, metrics: Callable
) -> None:
    flow = run_coda(dataset_dir=body_parts.parent / "images", output_dir=tmp_path, organs="folder", epochs=1)
    assert flow.parser.get_parsed_content("organ_table").names == ["chest", "hand", "knee"]
    assert metrics(tmp_path)["finished"]


def test_images_of_unknown_organs_take_part(run_coda: Run, body_parts: Path, tmp_path: Path) -> None:
    def change(item: dict[str, Any]) -> None:
        if item["organ"] == "knee":
            item["organ"] = {0: "kneee", 1: ""}.get(int(item["image"][-5]), "KNEE_LT")

    datalist = _relisted(body_parts, tmp_path, change)
    flow = run_coda(datalist=datalist, output_dir=tmp_path / "out", epochs=1)
    table = flow.parser.get_parsed_content("organ_table")
    assert table.counts == {"chest": 6, "hand": 6, "knee": 4}
    assert table.index.count(-1) == 2


def test_one_organ_trains_without_the_contrast(run_coda: Run, body_parts: Path, tmp_path: Path) -> None:
    datalist = _relisted(body_parts, tmp_path, lambda item: item.update(organ="hand"))
    flow = run_coda(datalist=datalist, output_dir=tmp_path / "out", epochs=1, inter_weight=0)
    assert flow.parser.get_parsed_content("organ_table").counts == {"hand": 18}


def test_training_from_a_cache_gives_the_numbers_of_training_from_the_files(
    run_coda: Run, body_parts: Path, tmp_path: Path
) -> None:
    shutil.copytree(body_parts.parent, tmp_path / "films")
    cache = build_cache(tmp_path / "films" / "datalist.json", tmp_path / "cache", 48, workers=0, progress=False)
    run_coda(datalist=tmp_path / "films" / "datalist.json", output_dir=tmp_path / "from_files")
    run_coda(cache=cache, output_dir=tmp_path / "from_cache")
    _assert_same_training(tmp_path / "from_files", tmp_path / "from_cache")


def test_bad_files_are_set_aside_and_the_run_goes_on(
    run_coda: Run, body_parts: Path, tmp_path: Path, metrics: Callable
) -> None:
    shutil.copytree(body_parts.parent, tmp_path / "data")
    broken = tmp_path / "data" / "images" / "hand" / "hand_00000.png"
    broken.write_bytes(b"broken")
    run_coda(datalist=tmp_path / "data" / "datalist.json", output_dir=tmp_path / "out", val_interval=9)
    rows = (tmp_path / "out" / "rejected.csv").read_text().splitlines()[1:]
    assert [Path(row.split(",")[0]).name for row in rows] == [broken.name]
    assert metrics(tmp_path / "out")["finished"]


def test_a_run_without_validation_images_trains_all_the_same(
    run_coda: Run, body_parts: Path, tmp_path: Path, metrics: Callable
) -> None:
    folder = body_parts.parent / "images"
    run_coda(dataset_dir=folder, output_dir=tmp_path, organs="folder", validation_share=0.0, epochs=1)
    assert metrics(tmp_path)["training_images"] == 24
    assert not any(name.startswith("validation/") for name in metrics(tmp_path)["figures"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"datalist": ""}, "no data: give --dataset_dir FOLDER with radiographs, or --datalist FILE"),
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
)
def test_wrong_use_is_named_with_its_mend(
    coda_workflow: Run,
    body_parts: Path,
    tmp_path: Path,
    said: Callable[[BaseException], str],
    overrides: dict[str, Any],
    message: str,
) -> None:
    flow = coda_workflow(**{"datalist": body_parts, "output_dir": tmp_path / "out", **overrides})

    def use() -> None:
        flow.initialize()
        flow.run()

    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        use()
    assert message in said(error.value)


def test_data_of_one_organ_are_refused_before_the_start(
    coda_workflow: Run, body_parts: Path, tmp_path: Path, said: Callable[[BaseException], str]
) -> None:
    datalist = _relisted(body_parts, tmp_path, lambda item: item.update(organ="hand"))
    flow = coda_workflow(datalist=datalist, output_dir=tmp_path / "out")
    with pytest.raises(Exception) as error:  # noqa: PT011
        flow.initialize()
    assert "the images show hand 18, expected at least two organs" in said(error.value)


def test_checkpoints_of_other_organs_are_refused(
    run_coda: Run, trained_coda: Path, body_parts: Path, said: Callable[[BaseException], str]
) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011
        run_coda(datalist=body_parts, output_dir=trained_coda, organs="folder")
    assert "organs" in said(error.value)
