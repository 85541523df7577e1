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
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser, ConfigWorkflow

from monai_lamps.bundle import check_overrides

TRAIN = {
    "imports": ["$import monai_lamps"],
    "bundle_root": ".",
    "epochs": 3,
    "learning_rate": 0.1,
    "note": "nothing refers to this",
    "train": {"sampler": {"size": "@epochs"}},
    "initialize": ["$monai_lamps.bundle.check_overrides(@bundle_root)"],
    "run": ["$@train#sampler#size"],
}
QUICK = {"epochs": 1, "phantoms": 8, "train#sampler#size": 5, "+train": {"more": 1}}
EVALUATE = {"encoder_file": "encoder.pt", "card": 1, "run": ["$@encoder_file"]}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    configs = tmp_path / "bundle" / "configs"
    configs.mkdir(parents=True)
    for name, content in {"train": TRAIN, "quick": QUICK, "evaluate": EVALUATE, "metadata": {"version": "1"}}.items():
        (configs / f"{name}.json").write_text(json.dumps(content))
    return configs.parent


def start(bundle: Path, *chained: str | Path, **override: Any) -> ConfigWorkflow:
    """A workflow as `python -m monai.bundle run --config_file "['train.json', ...]" --id value ...` makes it."""
    files = [
        str(file) if isinstance(file, Path) else str(bundle / "configs" / file) for file in ("train.json", *chained)
    ]
    override = {"bundle_root": str(bundle), **override}
    workflow = ConfigWorkflow(files, workflow_type=None, logging_file=False, **override)
    workflow.initialize()
    return workflow


def test_the_bundle_as_it_is_passes_and_runs(bundle: Path) -> None:
    assert start(bundle).run() == [3]


def test_a_right_override_passes_and_counts(bundle: Path) -> None:
    assert start(bundle, epochs=7).run() == [7]


def refusal(error: BaseException | None) -> str:
    while error is not None and not isinstance(error, ValueError):
        error = error.__cause__
    return str(error)


def test_a_misspelt_override_is_refused_with_the_nearest_id(bundle: Path) -> None:
    with pytest.raises(RuntimeError, match="check_overrides") as caught:
        start(bundle, epochz=1)
    assert refusal(caught.value) == "unknown override 'epochz': did you mean '--epochs'?"


def test_every_misspelt_override_is_named(bundle: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        start(bundle, epochz=1, lerning_rate=2)
    assert refusal(caught.value) == (
        "unknown override 'epochz': did you mean '--epochs'? "
        "unknown override 'lerning_rate': did you mean '--learning_rate'?"
    )


def test_an_override_like_no_id_is_refused_with_all_valid_ids(bundle: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        start(bundle, qqqq=1)
    assert refusal(caught.value) == (
        "unknown override 'qqqq': valid ids are: bundle_root, epochs, finalize, imports, initialize, learning_rate, "
        "note, run, train."
    )


@pytest.mark.parametrize("reference", ["@mine", "$@mine + 1", "$[@mine#deep]", "$len(@mine::deep)"])
def test_an_id_of_ones_own_passes_when_another_item_refers_to_it(bundle: Path, reference: str) -> None:
    start(bundle, mine={"deep": [1]}, learning_rate=reference)


@pytest.mark.parametrize("text", ["costs @mine", "$'%mine'", "$@train#mine", "$'mine'"])
def test_a_text_that_only_looks_like_a_reference_is_none(bundle: Path, text: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        start(bundle, mine=1, learning_rate=text)
    assert "unknown override 'mine'" in refusal(caught.value)


def test_an_item_that_refers_to_itself_alone_is_refused(bundle: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        start(bundle, mine={"a": 1, "b": "@mine#a"})
    assert "unknown override 'mine'" in refusal(caught.value)


def test_ids_of_a_chained_file_of_the_bundle_pass(bundle: Path) -> None:
    assert start(bundle, "quick.json", phantoms=4).run() == [5]


def test_an_id_of_a_file_of_the_bundle_that_takes_no_part_is_refused_with_that_file(bundle: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        start(bundle, encoder_file="x.pt")
    assert refusal(caught.value) == (
        "unknown override 'encoder_file': it belongs to evaluate.json, which is not among the config files; add it to "
        "--config_file or leave it out."
    )


def test_a_chained_file_from_elsewhere_is_checked_like_overrides(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.json"
    other.write_text(json.dumps({"epochs": 9, "rate": 0.2, "learning_rate": "@rate"}))
    assert start(bundle, other).run() == [9]
    other.write_text(json.dumps({"epoch": 9}))
    with pytest.raises(RuntimeError) as caught:
        start(bundle, other)
    assert refusal(caught.value) == "unknown override 'epoch': did you mean '--epochs'?"


def test_nested_overrides_pass(bundle: Path) -> None:
    assert start(bundle, **{"train#sampler#size": 8, "train#other": 1}).run() == [8]


def test_other_names_for_initialize_and_run_pass(bundle: Path) -> None:
    files = [str(bundle / "configs" / "train.json")]
    override = {"bundle_root": str(bundle), "go": ["$@epochs"]}
    workflow = ConfigWorkflow(files, workflow_type=None, logging_file=False, run_id="go", **override)
    workflow.initialize()
    assert workflow.run() == [3]


def test_ids_that_monai_adds_for_tracking_pass(bundle: Path, tmp_path: Path) -> None:
    files = [str(bundle / "configs" / "train.json")]
    override = {"bundle_root": str(bundle), "output_dir": str(tmp_path / "out")}
    workflow = ConfigWorkflow(files, workflow_type=None, logging_file=False, tracking="mlflow", **override)
    assert "is_not_rank0" in workflow.parser.config
    workflow.initialize()
    with pytest.raises(RuntimeError) as caught:
        start(bundle, experiment_name="no tracking was asked for")
    assert "unknown override 'experiment_name'" in refusal(caught.value)


def test_a_relative_root_that_is_no_folder_here_is_no_trouble(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle.parent)
    assert start(bundle, bundle_root=".").run() == [3]
    with pytest.raises(RuntimeError) as caught:
        start(bundle, bundle_root=".", epochz=1)
    assert "did you mean '--epochs'?" in refusal(caught.value)


def test_a_yaml_file_in_the_configs_counts(bundle: Path) -> None:
    (bundle / "configs" / "more.yaml").write_text("phantom_size: 3\n")
    start(bundle, "more.yaml", phantom_size=4)


def test_a_config_file_that_cannot_be_read_is_named(bundle: Path) -> None:
    (bundle / "configs" / "draft.json").write_text("{")
    with pytest.raises(RuntimeError) as caught:
        start(bundle)
    assert "draft.json' cannot be read (" in refusal(caught.value)
    assert refusal(caught.value).endswith("mend it or move it away.")


def test_without_a_workflow_nothing_is_checked(bundle: Path) -> None:
    check_overrides(bundle)
    parser = ConfigParser({**TRAIN, "epochz": 1, "bundle_root": str(bundle)})
    parser.get_parsed_content("initialize")


def test_the_bundles_of_this_repository_pass(root: Path) -> None:
    """Every chain of config files that the documentation names, up to the check."""
    configs = root / "bundles" / "lamps_pretraining" / "configs"
    for chain in (["train"], ["train", "quickstart"], ["train", "multi_gpu_train"], ["inference"]):
        files = [str(configs / f"{name}.json") for name in chain]
        workflow = ConfigWorkflow(files, workflow_type=None, logging_file=False)
        workflow.parser["initialize"] = workflow.parser["initialize"][:1]
        workflow.initialize()
        workflow.parser["epochz"] = 1
        with pytest.raises(RuntimeError) as caught:
            workflow.initialize()
        assert "unknown override 'epochz'" in refusal(caught.value)
