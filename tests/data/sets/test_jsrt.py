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

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_lamps.data.jsrt_raw import JSRT_SIZE, read_jsrt_raw
from monai_lamps.data.sets import read_set
from monai_lamps.data.sets.jsrt import SCR_STRUCTURES
from monai_lamps.transforms.load_structures import LoadStructures

Make = Callable[..., Any]

FILMS = ("JPCLN001", "JPCLN002", "JPCLN154", "JPCNN001", "JPCNN002", "JPCNN093")


@pytest.fixture
def scr(tmp_path: Path, picture: Make) -> Path:
    """Films as 64 x 64 copies and SCR masks of half their size, as both are unpacked."""
    folder = tmp_path / "JSRT"
    for name in FILMS:
        picture(folder / "All247images" / f"{name}.png", (64, 64))
        fold = "fold1" if int(name[-1]) % 2 else "fold2"
        for number, structure in enumerate(SCR_STRUCTURES):
            block = (slice(number, number + 5), slice(3, 9))
            picture(folder / "scratch" / fold / "masks" / structure / f"{name}.gif", (32, 32), block)
        (folder / "scratch" / fold / "landmarks").mkdir(exist_ok=True)
        (folder / "scratch" / fold / "landmarks" / f"{name}.pfs").write_text("[right lung]\n")
    return folder


def read(folder: Path, **options: Any) -> dict[str, list[dict[str, Any]]]:
    return read_set("jsrt", folder, max_missing=1.0, **options)  # type: ignore[return-value]


def test_films_have_their_masks_their_label_and_the_folds_of_scr(scr: Path) -> None:
    sections = read(scr, validation=0.0)
    assert [item["patient"] for item in sections["test"]] == ["JPCLN002", "JPCLN154", "JPCNN002"]
    assert [item["patient"] for item in sections["training"]] == ["JPCLN001", "JPCNN001", "JPCNN093"]
    item = sections["training"][0]
    assert item["image"] == str(scr / "All247images" / "JPCLN001.png")
    assert item["labels"] == {"nodule": 1}
    assert sections["training"][1]["labels"] == {"nodule": 0}
    assert item["masks"]["left lung"] == str(scr / "scratch/fold1/masks/left lung/JPCLN001.gif")
    assert list(item["masks"]) == list(SCR_STRUCTURES)
    assert item["mask_scale"] == 2


def test_the_masks_load_in_the_size_of_the_film(scr: Path) -> None:
    item = read(scr)["training"][0]
    mask, annotated = LoadStructures({"clavicles": ["left clavicle", "right clavicle"], "heart": ["heart"]})(
        item, (64, 64)
    )
    assert annotated.all()
    assert mask.sum(dim=(1, 2)).tolist() == [4 * 6 * 6, 4 * 5 * 6]


def test_the_other_fold_or_shares_may_be_the_test(scr: Path) -> None:
    assert [item["patient"][-1] for item in read(scr, test_fold=1)["test"]] == ["1", "1", "3"]
    assert "test" not in read(scr, test_fold=0)
    with pytest.raises(ValueError, match=r"test_fold must be one of 0, 1, 2, got '3'"):
        read(scr, test_fold=3)


def test_raw_films_are_preferred_and_twice_the_size_of_their_masks(tmp_path: Path, picture: Make) -> None:
    raw = tmp_path / "JPCLN001.IMG"
    np.arange(JSRT_SIZE[0] * JSRT_SIZE[1], dtype=np.uint32).astype(">u2").reshape(JSRT_SIZE).__and__(4095).astype(
        ">u2"
    ).tofile(raw)
    picture(tmp_path / "png" / "JPCLN001.png", (64, 64))
    picture(tmp_path / "fold1" / "masks" / "heart" / "JPCLN001.gif", (1024, 1024), (slice(0, 9), slice(0, 9)))
    (item,) = read(tmp_path, test_fold=0)["training"]
    assert item["image"] == str(raw)
    assert item["mask_scale"] == 2
    assert list(item["masks"]) == ["heart"]
    assert read_jsrt_raw(raw)[0].shape == (2048, 2048)


def test_masks_may_lie_elsewhere_and_films_may_lack_them(
    tmp_path: Path, scr: Path, picture: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    films = tmp_path / "masks of my own" / "films"  # the name of a folder above does not matter
    for name in ("JPCLN001", "JPCLN003"):
        picture(films / f"{name}.IMG.png", (64, 64))
    items = read(films, scr=str(scr), test_fold=0)["training"]
    assert ["masks" in item for item in items] == [True, False]
    assert "1 films have no SCR masks (first: JPCLN003)" in caplog.text
    assert "245 of 247 films are not in" in caplog.text


def test_a_film_that_lacks_one_mask_keeps_the_others(scr: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (scr / "scratch/fold1/masks/heart/JPCLN001.gif").unlink()
    item = read(scr)["training"][0]
    assert list(item["masks"]) == list(SCR_STRUCTURES[1:])
    assert "1 structures lack masks that other structures of the film have" in caplog.text
    assert "heart" in caplog.text


def test_masks_that_do_not_fit_the_film_are_refused(scr: Path, picture: Make) -> None:
    film = picture(scr / "All247images" / "JPCLN001.png", (48, 48))
    with pytest.raises(
        ValueError, match=rf"32 x 32 pixels and film '{film}' 48 x 48 .* no whole multiple; take the orig"
    ):
        read(scr)


def test_too_few_films_no_films_and_no_masks_are_refused(scr: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"241 of the 247 films are not in .*allowed 5% \(first: JPCLN003, JPCLN004"):
        read_set("jsrt", scr)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no film such as JPCLN001.IMG or JPCLN001.png; download JSRT"):
        read(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"has no masks such as fold1/masks/heart/JPCLN001.gif; download SCR"):
        read(scr, scr=str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match=r"'.*nowhere' is not a folder"):
        read(tmp_path / "nowhere")
