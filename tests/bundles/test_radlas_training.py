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

from monai_lamps.checkpoints import load_encoder, load_evidence_network, read_card
from monai_lamps.data import build_cache, index_folder

Run = Callable[..., ConfigWorkflow]


def _checkpoint(out: Path) -> dict[str, Any]:
    newest = sorted((out / "checkpoints").glob("*.pt"))[-1]
    content: dict[str, Any] = torch.load(newest, weights_only=True)
    return content


def _assert_same_weights(a: Path, b: Path) -> None:
    first, second = _checkpoint(a)["method"], _checkpoint(b)["method"]
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_a_finished_run_leaves_everything_that_is_promised(trained_radlas: Path, metrics: Callable) -> None:
    files = ("encoder.pt", "encoder.json", "evidence.pt", "evidence.json", "metrics.json", "rejected.csv")
    for name in (*files, "history.csv", "datalist.json"):
        assert (trained_radlas / name).is_file(), name
    assert len(list((trained_radlas / "checkpoints").glob("step=*.pt"))) == 2
    assert any((trained_radlas / "tensorboard").iterdir())
    drawn = {path.stem.split("_", 1)[1] for path in (trained_radlas / "pictures").glob("*.png")}
    assert drawn == {"evidence"}
    report = metrics(trained_radlas)
    assert report["finished"]
    assert report["epochs"] == 2
    figures = report["figures"]
    for term in ("restoration", "discrimination", "context"):
        assert figures[f"loss/{term}"]["last"] > 0
    assert figures["validation/discrimination_accuracy"]["chance"] == 1 / 5
    assert figures["validation/pixel_auroc"]["chance"] == 0.5
    for name in ("lesion_error", "healthy_error", "lesion_before"):
        assert 0 < figures[f"validation/{name}"]["last"] < 1
    assert figures["collapse/effective_rank"]["last"] > 1


def test_the_teachers_encoder_and_its_evidence_network_are_exported(trained_radlas: Path) -> None:
    encoder = load_encoder(trained_radlas / "encoder.pt").state_dict()
    network, card = load_evidence_network(trained_radlas / "evidence.pt")
    method = _checkpoint(trained_radlas)["method"]
    assert encoder
    for name, value in encoder.items():
        assert torch.equal(value, method[f"teacher.module.evidence.encoder.{name}"]), name
        assert torch.equal(value, network.encoder.state_dict()[name]), name
    assert any(not torch.equal(value, method[f"student.evidence.encoder.{name}"]) for name, value in encoder.items())
    other = read_card(trained_radlas / "encoder.pt")
    for key in ("image_size", "normalization", "preparation", "method", "epochs", "seed", "encoder"):
        assert card[key] == other[key]
    assert card["preparation"] == {"transform": "GridRegion", "cell": 8, "region": 4}
    assert (card["method"], card["epochs"], card["image_size"]) == ("radlas", 2, [32, 32])
    assert float(network.scale) == float(method["teacher.module.evidence.scale"]) != 1


@pytest.fixture(scope="module")
def straight(run_radlas: Run, phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four epochs in one go, of which the first knows the masks."""
    out = tmp_path_factory.mktemp("straight")
    run_radlas(dataset_dir=phantoms, output_dir=out, epochs=4)
    return out


@pytest.mark.parametrize("stop", [3, 10, 13])
def test_a_stopped_run_continues_to_the_same_bits(
    run_radlas: Run, radlas_workflow: Run, straight: Path, phantoms: Path, tmp_path: Path, stop: int
) -> None:
    flow = radlas_workflow(dataset_dir=phantoms, output_dir=tmp_path, epochs=4)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    assert trainer.state.epoch_length == 5  # so 10 steps are two epochs
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=stop), trainer.terminate)
    flow.run()
    run_radlas(dataset_dir=phantoms, output_dir=tmp_path, epochs=4, num_workers=2)
    _assert_same_weights(straight, tmp_path)


def test_training_from_a_cache_gives_the_numbers_of_training_from_the_files(
    run_radlas: Run, phantoms: Path, tmp_path: Path
) -> None:
    shutil.copytree(phantoms, tmp_path / "films")
    datalist = index_folder(tmp_path / "films", tmp_path / "index", workers=0, progress=False)
    cache = build_cache(datalist, tmp_path / "cache", 48, workers=0, progress=False)
    run_radlas(datalist=datalist, output_dir=tmp_path / "from_files")
    run_radlas(cache=cache, output_dir=tmp_path / "from_cache")
    _assert_same_weights(tmp_path / "from_files", tmp_path / "from_cache")


def test_bad_files_are_set_aside_and_the_run_goes_on(
    run_radlas: Run, phantoms: Path, tmp_path: Path, metrics: Callable
) -> None:
    shutil.copytree(phantoms, tmp_path / "data")
    (tmp_path / "data" / "zero.png").touch()
    out = tmp_path / "out"
    run_radlas(dataset_dir=tmp_path / "data", output_dir=out, epochs=1, val_interval=9)
    listed = json.loads((out / "datalist.json").read_text())["training"][0]["image"]
    broken = (out / listed).resolve()
    broken.write_bytes(b"broken")
    shutil.rmtree(out / "checkpoints")
    run_radlas(dataset_dir=tmp_path / "data", output_dir=out, epochs=1, val_interval=9)
    rows = (out / "rejected.csv").read_text().splitlines()[1:]
    assert [Path(row.split(",")[0]).name for row in rows] == ["zero.png", broken.name]
    assert metrics(out)["finished"]


def test_a_run_without_validation_images_trains_all_the_same(
    run_radlas: Run, phantoms: Path, tmp_path: Path, metrics: Callable
) -> None:
    run_radlas(dataset_dir=phantoms, output_dir=tmp_path, validation_share=0.0, epochs=1)
    assert metrics(tmp_path)["training_images"] == 24
    assert not any(name.startswith("validation/") for name in metrics(tmp_path)["figures"])
    network, _ = load_evidence_network(tmp_path / "evidence.pt")
    assert float(network.scale) != 1


def _marked(phantoms: Path, folder: Path) -> Path:
    """A datalist of the phantoms, every other one of which is normal."""
    index = index_folder(phantoms, folder / "index", workers=0, progress=False)
    content = json.loads(index.read_text())
    for section in ("training", "validation"):
        for number, item in enumerate(content[section]):
            item["image"] = str((index.parent / item["image"]).resolve())
            item["labels"] = {"tb": number % 2}
    marked = folder / "marked.json"
    marked.write_text(json.dumps(content))
    return marked


def test_only_normal_images_are_learned_from_where_a_column_tells_them(
    run_radlas: Run, phantoms: Path, tmp_path: Path, metrics: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    datalist = _marked(phantoms, tmp_path)
    items = json.loads(datalist.read_text())["training"]
    run_radlas(
        datalist=datalist, output_dir=tmp_path / "out", normal_column="tb", normal_value=0, epochs=1, batch_size=2
    )
    assert metrics(tmp_path / "out")["training_images"] == sum(item["labels"]["tb"] == 0 for item in items)
    said = capsys.readouterr().out  # the bundle's own log
    assert "training images are normal (tb = 0)" in said
    assert "taken for normal" not in said


def test_without_a_column_a_warning_says_that_all_images_are_taken(
    radlas_workflow: Run, phantoms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = radlas_workflow(dataset_dir=phantoms, output_dir=tmp_path)
    flow.initialize()
    flow.parser.get_parsed_content("train#dataset")
    said = capsys.readouterr().out  # the bundle's own log
    assert "training images are taken for normal" in said
    assert "--normal_column" in said


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dataset_dir": ""}, "no data: give --dataset_dir FOLDER with radiographs, or --datalist FILE"),
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
)
def test_wrong_use_is_named_with_its_mend(
    radlas_workflow: Run,
    phantoms: Path,
    tmp_path: Path,
    said: Callable[[BaseException], str],
    overrides: dict[str, Any],
    message: str,
) -> None:
    flow = radlas_workflow(**{"dataset_dir": phantoms, "output_dir": tmp_path / "out", **overrides})

    def use() -> None:
        flow.initialize()
        flow.run()

    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        use()
    assert message in said(error.value)


def test_checkpoints_of_other_lesions_are_refused(
    run_radlas: Run, trained_radlas: Path, phantoms: Path, said: Callable[[BaseException], str]
) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011
        run_radlas(dataset_dir=phantoms, output_dir=trained_radlas, lesion_kinds=["opacity"])
    assert "lesions" in said(error.value)
