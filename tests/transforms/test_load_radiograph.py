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

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, set_track_meta
from monai.transforms import Compose, Resized
from PIL import Image

from monai_lamps.data.radiograph import RadiographError
from monai_lamps.transforms import load_radiograph
from monai_lamps.transforms.load_radiograph import LoadRadiograph, LoadRadiographD, LoadRadiographd, LoadRadiographDict


def pixels() -> npt.NDArray[np.uint8]:
    """(40, 56), different in every direction."""
    rows, columns = np.mgrid[0:40, 0:56]
    return np.rint(255 * (0.6 * (rows / 39) ** 2 + 0.4 * columns / 55)).astype(np.uint8)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    Image.fromarray(pixels()).save(tmp_path / "film.png")
    return tmp_path / "film.png"


@pytest.fixture
def plain() -> Any:
    set_track_meta(False)
    yield
    set_track_meta(True)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_file_becomes_one_channel_with_rows_downwards(film: Path, as_text: bool) -> None:
    image = LoadRadiograph()(str(film) if as_text else film)
    assert image.shape == (1, 40, 56)
    assert image.dtype == torch.float32
    assert torch.equal(torch.as_tensor(np.asarray(image))[0], torch.from_numpy(pixels().astype(np.float32)) / 255)


@pytest.mark.parametrize("track_meta", [True, False])
def test_what_is_asked_for_goes_before_the_setting_of_monai(film: Path, plain: Any, track_meta: bool) -> None:
    image = LoadRadiographd("image", track_meta=track_meta)({"image": film})["image"]
    assert isinstance(image, MetaTensor) == track_meta
    set_track_meta(True)
    assert isinstance(LoadRadiograph(track_meta=track_meta)(film), MetaTensor) == track_meta


def test_the_meta_data_say_what_was_read(film: Path) -> None:
    image = LoadRadiograph()(film)
    assert isinstance(image, MetaTensor)
    assert image.meta["filename_or_obj"] == str(film)
    assert image.meta["original_channel_dim"] == 0
    assert (image.meta["format"], image.meta["bits"], image.meta["height"], image.meta["width"]) == ("PNG", 8, 40, 56)


def test_without_tracking_it_is_a_plain_tensor(film: Path, plain: None) -> None:
    assert type(LoadRadiograph()(film)) is torch.Tensor
    assert type(LoadRadiographd("image")({"image": film})["image"]) is torch.Tensor


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, np.float64, "float64"])
def test_the_type_can_be_chosen(film: Path, dtype: Any) -> None:
    image = LoadRadiograph(dtype=dtype)(film)
    assert image.dtype == (torch.float16 if dtype == torch.float16 else torch.float64)
    assert float(image.max()) == 1


@pytest.mark.parametrize("dtype", [torch.uint8, np.int16, bool])
def test_integer_types_are_refused(dtype: Any) -> None:
    with pytest.raises(
        TypeError, match=r"dtype must be floating because pixels lie in \[0, 1\], got .*; use torch.float32"
    ):
        LoadRadiograph(dtype=dtype)


def test_the_dictionary_version_replaces_names_and_leaves_the_rest(film: Path) -> None:
    data = {"image": str(film), "other": film, "patient": "P1"}
    result = LoadRadiographd(["image", "other"])(data)
    assert torch.equal(result["image"], LoadRadiograph()(film))
    assert torch.equal(result["image"], result["other"])
    assert (result["patient"], data["image"]) == ("P1", str(film))


def test_missing_keys_are_an_error_unless_allowed(film: Path) -> None:
    with pytest.raises(KeyError, match="other"):
        LoadRadiographd(["image", "other"])({"image": film})
    result = LoadRadiographd(["image", "other"], allow_missing_keys=True)({"image": film})
    assert (set(result), result["image"].shape) == ({"image"}, (1, 40, 56))


def test_the_aliases_are_the_class() -> None:
    assert LoadRadiographD is LoadRadiographDict is LoadRadiographd
    assert set(load_radiograph.__all__) == {
        "LoadRadiograph",
        "LoadRadiographd",
        "LoadRadiographD",
        "LoadRadiographDict",
    }


def test_the_limits_reach_the_reader(film: Path) -> None:
    for transform in (LoadRadiograph(min_size=41), LoadRadiograph(max_aspect=1.3)):
        with pytest.raises(RadiographError, match=r"film.png: 56 x 40 pixels"):
            transform(film)
    with pytest.raises(RadiographError, match="lower min_size"):
        LoadRadiographd("image", min_size=41)({"image": film})


def test_another_reader_takes_the_place_of_the_files_own(film: Path) -> None:
    def reader(filename: Any) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        return np.full((2, 3), 0.5, dtype=np.float32), {"format": "cache", "of": Path(filename).name}

    image = LoadRadiograph(reader=reader)("nowhere/film.png")
    assert torch.equal(image.as_tensor(), torch.full((1, 2, 3), 0.5))
    assert (image.meta["format"], image.meta["of"]) == ("cache", "film.png")
    assert torch.equal(LoadRadiographd("image", reader=reader)({"image": film})["image"], image)


@pytest.mark.parametrize("workers", [0, 2])
def test_it_works_in_compose_and_a_data_loader(tmp_path: Path, film: Path, workers: int) -> None:
    transform = Compose([LoadRadiographd("image"), Resized("image", (20, 28))])
    loader = DataLoader(Dataset([{"image": str(film)}] * 4, transform), batch_size=2, num_workers=workers)
    batches = [batch["image"] for batch in loader]
    assert [tuple(batch.shape) for batch in batches] == [(2, 1, 20, 28)] * 2
    assert float(batches[0][0, 0, -1, -1]) > 0.9 > 0.1 > float(batches[0][0, 0, 0, 0])


def test_a_bad_file_is_named_through_compose(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    with pytest.raises(RuntimeError, match="applying transform") as caught:
        Compose([LoadRadiographd("image")])({"image": tmp_path / "bad.png"})
    assert "bad.png: empty file (0 bytes)" in str(caught.value.__cause__)
