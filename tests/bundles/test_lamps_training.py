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
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow
from monai.networks.nets import FlexibleUNet

from monai_lamps.checkpoints import load_encoder, read_card
from monai_lamps.networks import register_backbone

Run = Callable[..., ConfigWorkflow]


def _checkpoint(out: Path) -> dict[str, Any]:
    newest = sorted((out / "checkpoints").glob("*.pt"))[-1]
    content: dict[str, Any] = torch.load(newest, weights_only=True)
    return content


def _assert_equal(a: Any, b: Any, where: str = "") -> None:
    """Bit for bit, for nested states."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            _assert_equal(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b)):
            _assert_equal(x, y, f"{where}/{i}")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def test_a_finished_run_leaves_everything_that_is_promised(trained: Path, metrics: Callable) -> None:
    for name in ("encoder.pt", "encoder.json", "metrics.json", "rejected.csv", "history.csv", "datalist.json"):
        assert (trained / name).is_file(), name
    assert len(list((trained / "checkpoints").glob("step=*.pt"))) == 2
    assert any((trained / "tensorboard").iterdir())
    drawn = {path.stem.split("_", 1)[1] for path in (trained / "pictures").glob("*.png")}
    assert drawn == {"views", "context", "quadrants", "order_map"}
    report = metrics(trained)
    assert report["finished"]
    assert report["epochs"] == 2
    figures = report["figures"]
    for term in ("extrapolation", "order", "consistency", "composition", "decomposition"):
        assert figures[f"loss/{term}"]["last"] > 0
        assert figures[f"validation/{term}"]["last"] > 0
    assert figures["validation/order_accuracy"]["chance"] == 1 / 16
    assert figures["collapse/effective_rank"]["last"] > 1


def test_the_card_rebuilds_the_encoder_and_says_where_it_comes_from(trained: Path) -> None:
    card = read_card(trained / "encoder.pt")
    assert card["encoder"]["name"] == "resnet18"
    assert card["image_size"] == [32, 32]
    assert card["normalization"]["mean"] == 0.5056
    assert (card["method"], card["epochs"], card["seed"]) == ("lamps", 2, 0)
    encoder = load_encoder(trained / "encoder.pt")
    teacher = {k.removeprefix("teacher.module.encoder."): v for k, v in _checkpoint(trained)["method"].items()}
    _assert_equal(dict(encoder.state_dict()), {k: teacher[k] for k in encoder.state_dict()})


def test_the_encoder_goes_into_a_monai_segmentation_network(trained: Path) -> None:
    encoder = load_encoder(trained / "encoder.pt")
    register_backbone("tiny_lamps", **encoder.config)
    network = FlexibleUNet(in_channels=1, out_channels=2, backbone="tiny_lamps", pretrained=False)
    network.encoder.load_encoder(encoder)
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 2, 32, 32)


def test_a_run_stopped_by_a_signal_continues_to_the_same_bits(
    run: Run, workflow: Run, trained: Path, phantoms: Path, tmp_path: Path, metrics: Callable
) -> None:
    flow = workflow(dataset_dir=phantoms, output_dir=tmp_path)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    stop_at = trainer.state.epoch_length + 2  # in the middle of the second epoch
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=stop_at), lambda: os.kill(os.getpid(), signal.SIGTERM))
    flow.run()
    with pytest.raises(SystemExit) as stopped:
        flow.finalize()
    assert stopped.value.code == 85
    assert not metrics(tmp_path)["finished"]
    run(dataset_dir=phantoms, output_dir=tmp_path)
    assert metrics(tmp_path)["finished"]
    straight, resumed = _checkpoint(trained), _checkpoint(tmp_path)
    for part in ("method", "optimizer", "trainer"):
        _assert_equal(straight[part], resumed[part], part)


def test_two_and_two_epochs_are_four(run: Run, workflow: Run, phantoms: Path, tmp_path: Path) -> None:
    run(dataset_dir=phantoms, output_dir=tmp_path / "straight", epochs=4)
    flow = workflow(dataset_dir=phantoms, output_dir=tmp_path / "halved", epochs=4)
    flow.initialize()
    trainer = flow.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=2), trainer.terminate)
    flow.run()
    run(dataset_dir=phantoms, output_dir=tmp_path / "halved", epochs=4, num_workers=2)
    for part in ("method", "optimizer", "trainer"):
        _assert_equal(_checkpoint(tmp_path / "straight")[part], _checkpoint(tmp_path / "halved")[part], part)


def test_a_finished_run_is_not_trained_again(run: Run, trained: Path, phantoms: Path) -> None:
    before = _checkpoint(trained)
    run(dataset_dir=phantoms, output_dir=trained)
    _assert_equal(before, _checkpoint(trained))


def test_a_run_without_validation_images_trains_all_the_same(
    run: Run, phantoms: Path, tmp_path: Path, metrics: Callable
) -> None:
    run(dataset_dir=phantoms, output_dir=tmp_path, validation_share=0.0, epochs=1)
    assert metrics(tmp_path)["training_images"] == 24
    assert not any(name.startswith("validation/") for name in metrics(tmp_path)["figures"])


def test_bad_files_are_set_aside_and_the_run_goes_on(
    run: Run, phantoms: Path, tmp_path: Path, metrics: Callable
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
    assert "3 of 27 files" in str(_root(error.value))


def test_a_file_that_breaks_after_indexing_is_replaced_and_recorded_once(
    run: Run, phantoms: Path, tmp_path: Path, metrics: Callable
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    out = tmp_path / "out"
    run(dataset_dir=folder, output_dir=out, epochs=1)
    listed = json.loads((out / "datalist.json").read_text())["training"][0]["image"]
    broken = (out / listed).resolve()
    broken.write_bytes(b"broken")
    shutil.rmtree(out / "checkpoints")
    run(dataset_dir=folder, output_dir=out, max_reject=0.2)
    rows = (out / "rejected.csv").read_text().splitlines()[1:]
    assert len(rows) == 1
    assert broken.name in rows[0]
    assert metrics(out)["finished"]


def test_the_bundle_works_when_its_folder_is_copied_elsewhere(
    run: Run, bundle: Path, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns("eval", "models"))
    monkeypatch.chdir(tmp_path)
    run(bundle_root=copy, dataset_dir=phantoms, epochs=1)
    assert (copy / "eval" / "encoder.pt").is_file()


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({}, "no data: give --dataset_dir FOLDER with radiographs, or --datalist FILE"),
        ({"dataset_dir": "nowhere"}, "'nowhere' .*existing folder"),
        ({"datalist": "nowhere.json"}, "'nowhere.json' does not exist"),
        ({"precision": "fp8"}, "fp8.*fp32"),
        ({"precision": "fp16"}, "fp16"),
        ({"encoder": "swin_huge"}, "swin_huge.*swin_base"),
        ({"curriculum": "weekly"}, "unknown curriculum 'weekly', valid values are epoch, step, joint"),
        ({"device": "tpu"}, "device got 'tpu', expected .*cpu"),
        ({"resume": "nowhere.pt"}, "nowhere.pt"),
        ({"batch_size": 400}, "batch_size"),
        ({"epochz": 3}, "'epochz'.*--epochs"),
        ({"objective_weights": {"jigsaw": 1.0}}, "unknown objectives"),
    ],
)
def test_wrong_use_is_named_with_its_mend(
    workflow: Run, phantoms: Path, tmp_path: Path, overrides: dict[str, Any], message: str
) -> None:
    data = {} if {"dataset_dir", "datalist"} & set(overrides) or not overrides else {"dataset_dir": phantoms}
    flow = workflow(output_dir=tmp_path / "out", **{**data, **overrides})

    def use() -> None:
        flow.initialize()
        flow.run()

    with pytest.raises(Exception) as error:  # noqa: PT011  (MONAI wraps what an expression raises)
        use()
    assert _matches(message, error.value)


def _matches(message: str, error: BaseException | None) -> bool:
    while error is not None:
        if re.search(message, str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def test_an_empty_folder_is_refused_before_anything_is_built(workflow: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    flow = workflow(dataset_dir=tmp_path / "data", output_dir=tmp_path / "out")
    with pytest.raises(RuntimeError) as error:
        flow.initialize()
    assert str(tmp_path / "data") in str(_root(error.value))
    assert "network_def" not in flow.parser.ref_resolver.resolved_content


def test_checkpoints_of_another_encoder_are_refused(run: Run, trained: Path, phantoms: Path, tmp_path: Path) -> None:
    out = trained.parent / f"copy_{tmp_path.name}"  # beside the original: the datalist's paths are relative
    shutil.copytree(trained, out)
    with pytest.raises(Exception) as error:  # noqa: PT011
        run(dataset_dir=phantoms, output_dir=out, encoder_args={"stride": 8, "base_channels": 8})
    assert _matches("encoder.*base_channels|base_channels.*encoder", error.value)


def test_a_folder_indexed_with_other_settings_is_refused(run: Run, trained: Path, phantoms: Path) -> None:
    with pytest.raises(RuntimeError) as error:
        run(dataset_dir=phantoms, output_dir=trained, validation_share=0.3)
    assert "validation 0.1 (now 0.3)" in str(_root(error.value))


def test_another_curriculum_does_not_resume(run: Run, trained: Path, phantoms: Path) -> None:
    with pytest.raises(Exception) as error:  # noqa: PT011
        run(dataset_dir=phantoms, output_dir=trained, curriculum="joint")
    assert _matches("curriculum", error.value)


def test_a_truncated_newest_checkpoint_is_passed_over(
    run: Run, trained: Path, phantoms: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, metrics: Callable
) -> None:
    out = trained.parent / f"copy_{tmp_path.name}"  # beside the original: the datalist's paths are relative
    shutil.copytree(trained, out)
    newest = sorted((out / "checkpoints").glob("*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    run(dataset_dir=phantoms, output_dir=out)
    assert metrics(out)["finished"]
    _assert_equal(_checkpoint(trained)["method"], _checkpoint(out)["method"])
