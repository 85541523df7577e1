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
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_lamps.bundle.cached import cached_datalist, check_cached
from monai_lamps.bundle.distributed import on_first_process
from monai_lamps.data.datalist import load_datalist
from monai_lamps.data.index import index_folder

__all__ = ["inference_datalist", "radiograph_datalist"]

_LOGGER = logging.getLogger(__name__)
_NO_DATA = "no data: give --dataset_dir FOLDER with radiographs, or --datalist FILE, or --cache CACHE."


def radiograph_datalist(
    dataset_dir: str | Path | None,
    datalist: str | Path | None,
    output_dir: str | Path,
    validation: float = 0.1,
    seed: int = 0,
    workers: int | None = None,
    max_reject: float = 0.05,
    patient_pattern: str = "",
    patients_csv: str | Path = "",
    exclude: Sequence[str] = (),
    cache: str | Path = "",
) -> Path:
    """The datalist to train on: the given one, or the folder's index, made once into the output folder, or the cache's.

    A folder is verified once and its index kept as ``OUT/datalist.json`` (with ``OUT/rejected.csv``), so that a resumed
    run trains on exactly the same images; an index of another folder is refused. A datalist's relative image paths are
    relative to ``dataset_dir`` if that is given, else to the datalist's folder. In a distributed run the first process
    looks and the others wait for its answer; a folder that takes longer than their timeout is better indexed before,
    with ``python -m monai_lamps.data index``.

    Args:
        dataset_dir: folder of radiographs.
        datalist: a MONAI datalist; takes precedence over scanning the folder.
        output_dir: where the index is written.
        validation: share of patients for validation when a folder is scanned.
        seed: seed of that split.
        workers: processes that verify files; None for all cores, 0 or 1 for this process alone.
        max_reject: largest tolerated share of unreadable files.
        patient_pattern: regular expression whose first group finds the patient in a file's path; patients are never
            split between training and validation.
        patients_csv: table with the columns file and patient, and optionally split.
        exclude: glob patterns of relative paths to leave out.
        cache: array cache to read the images from, or an empty text. Alone it is enough; of a folder or a datalist
            every image must be in it.

    Returns:
        path of the datalist.

    Raises:
        ValueError: when neither a folder nor a datalist nor a cache is given, the folder holds no usable radiographs,
            the output folder has the index of another folder, or the cache is damaged or lacks images.
        FileNotFoundError: when what is given does not exist.
        RuntimeError: on the other processes, when the first one failed.
    """

    settings: dict[str, Any] = {
        "validation": validation,
        "seed": seed,
        "pattern": patient_pattern or None,
        "patients_csv": str(patients_csv) or None,
        "exclude": list(exclude),
    }

    def find() -> Path:
        if cache and not datalist and not dataset_dir:
            return cached_datalist(cache)
        if datalist:
            return _given(Path(datalist))
        if not dataset_dir:
            raise ValueError(_NO_DATA)
        folder, index = Path(dataset_dir), Path(output_dir) / "datalist.json"
        if not folder.is_dir():
            raise FileNotFoundError(f"dataset_dir '{folder}' is not a folder; give --dataset_dir an existing folder.")
        if index.is_file():
            return _kept(index, folder, settings)
        return index_folder(folder, output_dir, workers=workers, max_reject=max_reject, **settings)

    return on_first_process(lambda: _checked(find(), cache, dataset_dir if datalist and dataset_dir else None))


def inference_datalist(
    dataset_dir: str | Path | None,
    datalist: str | Path | None,
    output_dir: str | Path,
    workers: int | None = None,
    max_reject: float = 0.05,
    cache: str | Path = "",
) -> Path:
    """The datalist of all images to embed: the given one, or the folder's index, made anew so that no image is missed.

    Nothing is split off and exact duplicates stay. The index and its ``rejected.csv`` lie in ``OUT/index``, beside
    nothing that a training run has left.

    Args:
        dataset_dir: folder of radiographs.
        datalist: a MONAI datalist; takes precedence over scanning the folder.
        output_dir: where the index is written.
        workers: processes that verify files; None for all cores, 0 or 1 for this process alone.
        max_reject: largest tolerated share of unreadable files.
        cache: array cache to read the images from, or an empty text. Alone it is enough, with its own datalist.

    Raises:
        ValueError: when neither a folder nor a datalist nor a cache is given, the folder holds no usable radiographs,
            or the cache is damaged or lacks images.
        FileNotFoundError: when what is given does not exist.
    """
    if cache and not datalist and not dataset_dir:
        return _checked(cached_datalist(cache), cache)
    if datalist:
        return _checked(_given(Path(datalist)), cache, dataset_dir or None)
    if not dataset_dir:
        raise ValueError(_NO_DATA)
    index = index_folder(
        dataset_dir,
        Path(output_dir) / "index",
        validation=0.0,
        workers=workers,
        max_reject=max_reject,
        keep_duplicates=True,
    )
    return _checked(index, cache)


def _checked(datalist: Path, cache: str | Path, base_dir: str | Path | None = None) -> Path:
    """A datalist whose images are all in the cache, if there is one."""
    if cache:
        check_cached(cache, datalist, base_dir)
    return datalist


def _given(datalist: Path) -> Path:
    if not datalist.is_file():
        raise FileNotFoundError(f"datalist '{datalist}' does not exist; give --datalist an existing MONAI datalist.")
    return datalist


def _kept(index: Path, folder: Path, settings: Mapping[str, Any]) -> Path:
    """The index that an earlier run has left, if it is one of this folder made with the same settings."""
    load_datalist(index)
    content = json.loads(index.read_text())
    source, wanted = content.get("source"), str(folder.resolve())
    if source != wanted:
        of = f"an index of '{source}'" if source else "no index of a folder"
        raise ValueError(
            f"'{index}' is {of}, but dataset_dir is '{wanted}'; give another --output_dir, "
            f"or --datalist '{index}' to use it all the same, or delete it to index the folder anew."
        )
    made_with = content.get("settings", {})
    other = {key: (made_with[key], value) for key, value in settings.items() if made_with.get(key, value) != value}
    if other:
        differences = ", ".join(f"{key} {old!r} (now {new!r})" for key, (old, new) in other.items())
        raise ValueError(
            f"'{index}' was made with {differences}; give the same values, or another --output_dir, or delete it "
            "to index the folder anew."
        )
    _LOGGER.info(f"the index '{index}' of '{folder}' is used again; delete it to index the folder anew.")
    return index
