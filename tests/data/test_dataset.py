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

import pickle
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, MetaTensor
from monai.transforms import Compose, MapTransform, RandGaussianNoised, Randomizable
from torch.utils.data import Subset

from monai_lamps.data.dataset import RadiographDataset, root_cause
from monai_lamps.data.packed import PackedItems
from monai_lamps.data.rejects import RejectLog
from monai_lamps.data.sampler import ResumableBatchSampler


class Loadd(MapTransform):
    """Stand-in for a reader: a file holds one number; everything else fails."""

    def __init__(self) -> None:
        super().__init__(["image"])

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        value = float(Path(data["image"]).read_text())
        return {**data, "image": torch.full((1, 2, 2), value)}


class RandomShift(MapTransform, Randomizable):
    """Adds a random number."""

    def __init__(self) -> None:
        super().__init__(["image"])

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        return {**data, "image": data["image"] + self.R.uniform()}


def files(folder: Path, bad: set[int], number: int = 40) -> list[dict[str, str]]:
    for index in range(number):
        (folder / f"{index}.txt").write_text("broken" if index in bad else str(index))
    return [{"image": str(folder / f"{index}.txt")} for index in range(number)]


def arrays(number: int = 6) -> list[dict[str, Any]]:
    return [{"image": np.full((1, 2, 2), index, np.float32)} for index in range(number)]


def test_a_sample_is_a_function_of_seed_epoch_and_index() -> None:
    first, second = (RadiographDataset(arrays(), [RandomShift()], seed=5) for _ in range(2))
    keys = [(epoch, index) for epoch in range(2) for index in range(6)]
    forward = {key: first[key] for key in keys}
    backward = {key: second[key] for key in reversed(keys)}
    for key in keys:
        assert np.array_equal(forward[key]["image"], backward[key]["image"])
        assert forward[key]["seed"] == backward[key]["seed"]
    drawn = {float(forward[epoch, index]["image"].flat[0]) - index for epoch, index in keys}
    assert len({round(value, 5) for value in drawn}) == len(keys)
    assert len({sample["seed"] for sample in forward.values()}) == len(keys)
    assert first[3]["seed"] == forward[0, 3]["seed"]
    assert (
        RadiographDataset(arrays(), [RandomShift()], seed=6)[0, 0]["image"][0, 0, 0] != forward[0, 0]["image"][0, 0, 0]
    )


def test_a_lap_gives_a_sample_other_draws_and_the_first_lap_those_without_one() -> None:
    dataset = RadiographDataset(arrays(), [RandomShift()], seed=5)
    keys = [(epoch, index, lap) for epoch in range(2) for index in range(6) for lap in range(3)]
    samples = {key: dataset[key] for key in keys}
    assert all(samples[key]["index"] == key[1] for key in keys)
    assert len({sample["seed"] for sample in samples.values()}) == len(keys)
    assert len({round(float(samples[key]["image"].flat[0]) - key[1], 5) for key in keys}) == len(keys)
    for epoch, index in ((0, 2), (1, 5)):
        assert samples[epoch, index, 0]["seed"] == dataset[epoch, index]["seed"]
        assert np.array_equal(samples[epoch, index, 0]["image"], dataset[epoch, index]["image"])


def test_seed_and_index_are_added_and_the_item_is_left_alone() -> None:
    data = arrays()
    sample = RadiographDataset(data, RandGaussianNoised("image", prob=1.0))[(3, 2)]
    assert sample["index"] == 2
    assert 0 <= sample["seed"] < 2**62
    assert sorted(data[2]) == ["image"]
    assert (data[2]["image"] == 2).all()


class Epochd(MapTransform):
    """Notes the epoch that the item tells."""

    def __init__(self) -> None:
        super().__init__(["image"])

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        return {**data, "told": data.get("epoch")}


def test_the_transform_finds_the_epoch_in_the_item_where_the_sampler_gives_one() -> None:
    dataset = RadiographDataset(arrays(), [Epochd()])
    assert [dataset[key]["told"] for key in ((0, 2), (7, 2), 2)] == [0, 7, None]
    assert sorted(dataset[7, 2]) == ["image", "index", "seed", "told"]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_the_number_of_workers(workers: int, tmp_path: Path) -> None:
    data = files(tmp_path, bad={3}, number=24)
    dataset = RadiographDataset(data, Compose([Loadd(), RandomShift()]), 1, RejectLog(tmp_path / "rejected.csv"), 0.1)
    loader = DataLoader(dataset, num_workers=workers, batch_sampler=ResumableBatchSampler(24, 4, 0, total_epochs=2))
    got = [(batch["image"], batch["seed"], batch["index"]) for batch in loader]
    reference = RadiographDataset(data, Compose([Loadd(), RandomShift()]), 1, RejectLog(tmp_path / "other.csv"), 0.1)
    for (image, seed, index), keys in zip(got, ResumableBatchSampler(24, 4, 0, total_epochs=2)):
        samples = [reference[key] for key in keys]
        assert torch.equal(image, torch.stack([sample["image"] for sample in samples]))
        assert seed.tolist() == [sample["seed"] for sample in samples]
        assert index.tolist() == [sample["index"] for sample in samples]
        assert seed.dtype == index.dtype == torch.int64
    assert len(got) == 12


def test_a_bad_file_is_recorded_once_and_replaced_by_a_sample_that_its_key_determines(tmp_path: Path) -> None:
    data = files(tmp_path, bad={3, 4})
    log = RejectLog(tmp_path / "rejected.csv")
    dataset = RadiographDataset(data, Loadd(), rejects=log)
    again = RadiographDataset(data, Loadd(), rejects=RejectLog(tmp_path / "again.csv"))
    used = [dataset[epoch, index]["index"] for epoch in range(3) for index in (3, 4, 3)]
    assert used == [again[epoch, index]["index"] for epoch in range(3) for index in (3, 4, 3)]
    assert not {3, 4} & set(used)
    assert len(set(used)) > 1
    sample = dataset[0, 3]
    assert float(sample["image"][0, 0, 0]) == sample["index"]
    assert sorted(log.rows()) == [
        (data[index]["image"], "ValueError: could not convert string to float: 'broken'") for index in (3, 4)
    ]


def test_a_bad_file_is_not_read_again(tmp_path: Path) -> None:
    data = files(tmp_path, bad={3})
    dataset = RadiographDataset(data, Loadd(), rejects=RejectLog(tmp_path / "rejected.csv"))
    used = dataset[0, 3]["index"]
    Path(data[3]["image"]).write_text("3")
    assert dataset[0, 3]["index"] == used != 3


def test_a_missing_file_counts_as_bad(tmp_path: Path) -> None:
    data = [*files(tmp_path, bad=set()), {"image": str(tmp_path / "missing.txt")}]
    log = RejectLog(tmp_path / "rejected.csv")
    assert RadiographDataset(data, Loadd(), rejects=log)[0, 40]["index"] != 40
    assert "FileNotFoundError" in log.rows()[0][1]


def test_too_many_bad_files_stop_the_run_and_name_counts_log_and_mend(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "rejected.csv")
    dataset = RadiographDataset(files(tmp_path, bad={1, 2, 3}), Loadd(), rejects=log, max_reject=0.05)
    for index in (1, 2):
        dataset[0, index]
    with pytest.raises(RuntimeError, match=r"3 of 40 samples could not be loaded, more than max_reject=5.0%.*3.txt.*"):
        dataset[0, 3]
    resumed = RadiographDataset(dataset.data, Loadd(), rejects=log, max_reject=0.05)
    with pytest.raises(RuntimeError, match=r"rejected.csv for all files and reasons; mend the files"):
        resumed[0, 1]


def test_rejects_of_other_files_in_the_same_log_do_not_count(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "rejected.csv")
    log.extend((f"elsewhere{number}.png", "bad") for number in range(30))
    assert RadiographDataset(files(tmp_path, bad={1}), Loadd(), rejects=log)[0, 1]["index"] != 1


def test_rejects_are_counted_in_any_order_by_whichever_worker_without_a_list_of_names(tmp_path: Path) -> None:
    data = PackedItems({"image": f"/films/{number:05d}.png"} for number in range(4000))
    datasets = [
        RadiographDataset(data, Loadd(), rejects=RejectLog(tmp_path / "r.csv"), max_reject=0.005) for _ in range(2)
    ]
    RejectLog(tmp_path / "r.csv").add("/films/elsewhere.png", "no item of these")
    tracemalloc.start()
    datasets[0]._reject(0, ValueError("bad"))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000  # 4000 names are 280 kB
    for number, item in enumerate([3999, 7, 1234, 7, 2500, *range(100, 115)]):
        datasets[number % 2]._reject(item, ValueError("bad"))
    with pytest.raises(RuntimeError, match=r"21 of 4000 samples could not be loaded, more than max_reject=0\.5%"):
        datasets[1]._reject(115, ValueError("bad"))
    assert [dataset._rejected() for dataset in datasets] == [21, 21]


def test_one_bad_file_is_always_allowed_but_not_the_only_one(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "rejected.csv")
    assert (
        RadiographDataset(files(tmp_path, bad={0}, number=3), Loadd(), rejects=log, max_reject=0.0)[0, 0]["index"] != 0
    )
    alone = RadiographDataset(files(tmp_path, bad={0}, number=1), Loadd(), rejects=log)
    with pytest.raises(RuntimeError, match=r"No readable sample in place of .*0.txt after 10 substitutes.*broken"):
        alone[0, 0]
    with pytest.raises(RuntimeError, match=r"No readable sample in place of .*0.txt after 10 substitutes\. Read"):
        alone[0, 0]


def test_the_strict_dataset_raises_with_the_file_name_and_the_root_cause(tmp_path: Path) -> None:
    dataset = RadiographDataset(files(tmp_path, bad={3}), Loadd())
    with pytest.raises(RuntimeError, match=r"Loading .*3.txt failed: ValueError: could not convert.*Mend or remove"):
        dataset[0, 3]


def test_running_out_of_memory_is_no_fault_of_the_file(tmp_path: Path) -> None:
    def greedy(item: dict) -> dict:
        raise MemoryError("no memory")

    log = RejectLog(tmp_path / "rejected.csv")
    dataset = RadiographDataset(arrays(), greedy, rejects=log)
    dataset.transform = type("Greedy", (Compose,), {"__call__": lambda self, item: greedy(item)})([])
    with pytest.raises(MemoryError):
        dataset[0]
    assert len(log) == 0


def test_items_in_memory_are_named_by_position_or_by_their_meta_data() -> None:
    data = [*arrays(2), {"image": MetaTensor(torch.zeros(1, 2, 2), meta={"filename_or_obj": "here.png"})}, {"label": 1}]
    dataset = RadiographDataset(data, None)
    assert [dataset.name(index) for index in range(4)] == ["<item 0>", "<item 1>", "here.png", "<item 3>"]


def test_slices_give_a_subset_and_integers_epoch_0() -> None:
    dataset = RadiographDataset(arrays(), RandomShift())
    subset = dataset[1:3]
    assert isinstance(subset, Subset)
    assert np.array_equal(subset[0]["image"], dataset[0, 1]["image"])
    assert np.array_equal(dataset[-1]["image"], dataset[np.int64(5)]["image"])


def test_the_dataset_can_be_pickled_into_a_worker(tmp_path: Path) -> None:
    dataset = RadiographDataset(arrays(), RandomShift(), 2, RejectLog(tmp_path / "rejected.csv"))
    assert np.array_equal(pickle.loads(pickle.dumps(dataset))[1, 2]["image"], dataset[1, 2]["image"])


def test_root_cause_unwraps_monai_but_not_the_reader() -> None:
    inner = ValueError("no\n image")
    inner.__cause__ = OSError("deep")
    outer = RuntimeError("applying transform <Load object at 0x1>")
    outer.__cause__ = inner
    assert root_cause(outer) == "ValueError: no image"
    assert root_cause(RuntimeError("applying transform alone")) == "RuntimeError: applying transform alone"


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_an_ill_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"max_reject got .*, expected a share in \[0, 1\]"):
        RadiographDataset(arrays(), None, max_reject=share)


def test_an_empty_section_is_a_data_set_without_samples() -> None:
    assert len(RadiographDataset([], None)) == 0


def test_a_transform_that_gives_no_dictionary_is_refused() -> None:
    with pytest.raises(TypeError, match=r"returned a list for <item 0>, expected a dictionary"):
        RadiographDataset(arrays(), lambda item: [item])[0]


def test_an_index_out_of_range_is_refused() -> None:
    with pytest.raises(IndexError, match="index got 6, expected one below 6"):
        RadiographDataset(arrays(), None)[0, 6]
