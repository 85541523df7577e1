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
"""Training from a cache, in place of the files."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.bundle import ConfigWorkflow

from monai_lamps.data import build_cache, index_folder, load_datalist

Run = Callable[..., ConfigWorkflow]
LAMPS = pytest.mark.parametrize("method", ["lamps"], indirect=True)


@pytest.fixture(scope="module")
def cached(method: str, phantoms: Path, body_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A datalist of the images of ``trained`` and its cache: 48 px, as the region and its margin have."""
    folder = tmp_path_factory.mktemp("cached")
    if method == "coda":
        shutil.copytree(body_parts.parent, folder / "films")
        datalist = folder / "films" / "datalist.json"
    else:
        shutil.copytree(phantoms, folder / "films")
        datalist = index_folder(folder / "films", folder / "index", workers=0, progress=False)
    return {"datalist": datalist, "cache": build_cache(datalist, folder / "cache", 48, workers=0, progress=False)}


def _figures(out: Path) -> list[dict[str, str]]:
    """What the history says of every epoch, without what depends on the machine."""
    with (out / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: row[name] for name in row if name.startswith(("loss", "validation", "train"))} for row in rows]


@pytest.fixture
def assert_same_training(assert_same_end: Callable) -> Callable[[Path, Path], None]:
    """Assert that two runs have the same weights, moments and figures."""

    def compare(a: Path, b: Path) -> None:
        assert_same_end(a, b, ("method", "optimizer"))
        assert all(_figures(a))
        assert _figures(a) == _figures(b)

    return compare


@pytest.mark.parametrize("method", ["adam", "coda", "radlas"], indirect=True)
def test_training_from_a_cache_gives_the_numbers_of_training_from_the_files(
    run: Run, cached: dict[str, Path], trained: Path, tmp_path: Path, assert_same_training: Callable
) -> None:
    run(cache=cached["cache"], output_dir=tmp_path)
    assert_same_training(trained, tmp_path)


@LAMPS
def test_a_cache_may_be_given_with_its_datalist(
    run: Run, cached: dict[str, Path], trained: Path, tmp_path: Path, assert_same_training: Callable
) -> None:
    run(**cached, output_dir=tmp_path)
    assert_same_training(trained, tmp_path)


@LAMPS
def test_the_cache_alone_is_enough_elsewhere_and_without_the_originals(
    run: Run,
    cached: dict[str, Path],
    trained: Path,
    tmp_path: Path,
    metrics: Callable,
    assert_same_training: Callable,
) -> None:
    moved = tmp_path / "moved" / "cache"
    shutil.copytree(cached["cache"], moved)
    assert not any(Path(item["image"]).exists() for item in load_datalist(moved / "datalist.json"))
    run(cache=moved, output_dir=tmp_path / "out", num_workers=2)
    assert_same_training(trained, tmp_path / "out")
    assert metrics(tmp_path / "out")["rejected_files"] == 0


@LAMPS
def test_inference_reads_from_the_cache_too(run: Run, cached: dict[str, Path], trained: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"kind": "infer", "encoder_file": trained / "encoder.pt"}
    run("inference.json", datalist=cached["datalist"], output_dir=tmp_path / "files", **settings)
    run("inference.json", cache=cached["cache"], output_dir=tmp_path / "cache", **settings)
    from_files, from_cache = (np.load(tmp_path / name / "embeddings.npy") for name in ("files", "cache"))
    np.testing.assert_array_equal(from_files, from_cache)


@LAMPS
def test_a_damaged_record_is_set_aside_and_the_run_goes_on(
    run: Run, cached: dict[str, Path], tmp_path: Path, metrics: Callable
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(cached["cache"], cache)
    part = cache / "part-00000.bin"
    part.write_bytes(b"\x00" * 200 + part.read_bytes()[200:])
    run(cache=cache, output_dir=tmp_path / "out", max_reject=0.1)
    rows = (tmp_path / "out" / "rejected.csv").read_text().splitlines()[1:]
    assert len(rows) == 1
    assert f"verify {cache} --repair" in rows[0]
    assert metrics(tmp_path / "out")["finished"]


@LAMPS
def test_a_cache_that_does_not_fit_ends_the_run_before_it_begins(
    workflow: Run,
    cached: dict[str, Path],
    copy_of_trained: Path,
    tmp_path: Path,
    said: Callable[[BaseException], str],
) -> None:
    for overrides, message in (
        (
            {"cache": cached["cache"], "region_cells": 6},
            "at most 48 px, but the region that views are cut from needs 56 px",
        ),
        ({"cache": tmp_path / "none"}, "none' is not a cache"),
        ({**cached, "output_dir": copy_of_trained}, "cache: expected '"),
    ):
        flow = workflow(**{"output_dir": tmp_path / "out", **overrides})
        with pytest.raises(Exception) as caught:  # noqa: PT011  (MONAI wraps what an expression raises)
            flow.initialize()
        assert message in said(caught.value)
