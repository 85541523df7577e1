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

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow

from monai_lamps.data import build_cache, index_folder, load_datalist

Run = Callable[..., ConfigWorkflow]


@pytest.fixture(scope="module")
def data(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A datalist of the phantoms and its cache; the region and its margin have 48 px, as the phantoms have."""
    folder = tmp_path_factory.mktemp("cached")
    shutil.copytree(phantoms, folder / "films")
    datalist = index_folder(folder / "films", folder / "index", workers=0, progress=False)
    return {"datalist": datalist, "cache": build_cache(datalist, folder / "cache", 48, workers=0, progress=False)}


@pytest.fixture(scope="module")
def trained_on_files(run: Run, data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("files")
    run(datalist=data["datalist"], output_dir=out)
    return out


def _weights(out: Path) -> dict[str, Any]:
    newest = sorted((out / "checkpoints").glob("*.pt"))[-1]
    content: dict[str, Any] = torch.load(newest, weights_only=True)["method"]
    return content


def _assert_same_training(a: Path, b: Path) -> None:
    first, second = _weights(a), _weights(b)
    assert first.keys() == second.keys()
    for key in first:
        assert torch.equal(first[key], second[key]), key
    figures = [[line.split(",") for line in (out / "history.csv").read_text().splitlines()] for out in (a, b)]
    columns = [i for i, name in enumerate(figures[0][0]) if name.startswith(("loss", "validation", "train"))]
    assert columns
    assert [[row[i] for i in columns] for row in figures[0]] == [[row[i] for i in columns] for row in figures[1]]


def test_training_from_the_cache_gives_the_numbers_of_training_from_the_files(
    run: Run, data: dict[str, Path], trained_on_files: Path, tmp_path: Path
) -> None:
    run(datalist=data["datalist"], cache=data["cache"], output_dir=tmp_path)
    _assert_same_training(trained_on_files, tmp_path)


def test_the_cache_alone_is_enough_elsewhere_and_without_the_originals(
    run: Run, data: dict[str, Path], trained_on_files: Path, tmp_path: Path, metrics: Callable
) -> None:
    moved = tmp_path / "moved" / "cache"
    shutil.copytree(data["cache"], moved)
    assert not any(Path(item["image"]).exists() for item in load_datalist(moved / "datalist.json"))
    run(cache=moved, output_dir=tmp_path / "out", num_workers=2)
    _assert_same_training(trained_on_files, tmp_path / "out")
    assert metrics(tmp_path / "out")["rejected_files"] == 0


def test_inference_reads_from_the_cache_too(
    run: Run, data: dict[str, Path], trained_on_files: Path, tmp_path: Path
) -> None:
    settings = {"kind": "infer", "encoder_file": trained_on_files / "encoder.pt", "num_workers": 0, "device": "cpu"}
    run("inference.json", datalist=data["datalist"], output_dir=tmp_path / "files", **settings)
    run("inference.json", cache=data["cache"], output_dir=tmp_path / "cache", **settings)
    from_files, from_cache = (np.load(tmp_path / name / "embeddings.npy") for name in ("files", "cache"))
    np.testing.assert_array_equal(from_files, from_cache)


def test_a_damaged_record_is_set_aside_and_the_run_goes_on(
    run: Run, data: dict[str, Path], tmp_path: Path, metrics: Callable
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(data["cache"], cache)
    part = cache / "part-00000.bin"
    part.write_bytes(b"\x00" * 200 + part.read_bytes()[200:])
    run(cache=cache, output_dir=tmp_path / "out", max_reject=0.1)
    rows = (tmp_path / "out" / "rejected.csv").read_text().splitlines()[1:]
    assert len(rows) == 1
    assert f"verify {cache} --repair" in rows[0]
    assert metrics(tmp_path / "out")["finished"]


def _causes(error: BaseException | None) -> str:
    text = ""
    while error is not None:
        text, error = f"{text}\n{error}", error.__cause__ or error.__context__
    return text


def test_a_cache_that_does_not_fit_ends_the_run_before_it_begins(
    workflow: Run, data: dict[str, Path], trained_on_files: Path, tmp_path: Path
) -> None:
    for overrides, message in (
        (
            {"cache": data["cache"], "region_cells": 6},
            "at most 48 px, but the region that views are cut from needs 56 px",
        ),
        ({"cache": tmp_path / "none"}, "none' is not a cache"),
        ({"cache": data["cache"], "datalist": data["datalist"], "output_dir": trained_on_files}, "cache: expected '"),
    ):
        flow = workflow(**{"output_dir": tmp_path / "out", **overrides})
        with pytest.raises(Exception) as caught:  # noqa: PT011  (MONAI wraps what an expression raises)
            flow.initialize()
        assert message in _causes(caught.value)
