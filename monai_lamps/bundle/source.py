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

from monai_lamps.bundle.distributed import on_first_process
from monai_lamps.data import index_folder, load_datalist

__all__ = ["radiograph_datalist"]


def radiograph_datalist(
    dataset_dir: str | Path | None,
    datalist: str | Path | None,
    output_dir: str | Path,
    validation: float = 0.1,
    seed: int = 0,
    workers: int | None = None,
    max_reject: float = 0.05,
    patient_pattern: str = "",
) -> Path:
    """The datalist to train on: the given one, or the folder's index, made once into the output folder.

    A folder is verified once and its index kept as ``OUT/datalist.json`` (with ``OUT/rejected.csv``), so that a resumed
    run trains on exactly the same images. A datalist's relative image paths are relative to ``dataset_dir`` if that is
    given, else to the datalist's folder.

    Args:
        dataset_dir: folder of radiographs.
        datalist: a MONAI datalist; takes precedence over scanning the folder.
        output_dir: where the index is written.
        validation: share of patients for validation when a folder is scanned.
        seed: seed of that split.
        workers: processes that verify files.
        max_reject: largest tolerated share of unreadable files.
        patient_pattern: regular expression whose first group finds the patient in a file's path; patients are never
            split between training and validation.

    Returns:
        path of the datalist.

    Raises:
        ValueError: when neither a folder nor a datalist is given.
        FileNotFoundError: when what is given does not exist.
    """
    if datalist:
        if not Path(datalist).is_file():
            raise FileNotFoundError(f"datalist '{datalist}' does not exist; give --datalist an existing MONAI datalist.")
        return Path(datalist)
    if not dataset_dir:
        raise ValueError("no data: give --dataset_dir FOLDER with radiographs, or --datalist FILE.")
    if not Path(dataset_dir).is_dir():
        raise FileNotFoundError(f"dataset_dir '{dataset_dir}' is not a folder; give --dataset_dir an existing folder.")
    index = Path(output_dir) / "datalist.json"
    if index.is_file() and load_datalist(index, "training"):
        return index
    return on_first_process(
        lambda: index_folder(
            dataset_dir, output_dir, validation=validation, seed=seed, workers=workers or None, max_reject=max_reject
        )
    )
