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
"""The formats that cache_formats.py compares, each behind the same two functions: write images, open them."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_lamps.data.cache.layout import CacheDescription, part_name
from monai_lamps.data.cache.part import PartFile, part_problem, read_table, write_part

__all__ = ["FORMATS", "Format", "Pixels"]

Pixels = npt.NDArray[np.uint8]


class Format(ABC):
    """A way to keep many images on disk.

    Attributes:
        name: for the table.
        module: what must be importable.
        install: packages for ``pip install --no-deps`` beside this project's own.
    """

    name: str
    module: str = "numpy"
    install: str = ""

    @property
    def available(self) -> bool:
        """Whether its library is there."""
        return importlib.util.find_spec(self.module) is not None

    @abstractmethod
    def write(self, folder: Path, image: Callable[[int], Pixels], count: int, part: int) -> None:
        """Write images 0 to count - 1, ``part`` of them to a file; go on with what lies there where it can."""

    @abstractmethod
    def open(self, folder: Path) -> Any:
        """A reader: with ``__len__`` and ``__getitem__``, or, where the format has no random access, an iterable."""


class _Reader:
    """Length and random access from two functions."""

    def __init__(self, length: int, read: Callable[[int], Pixels]) -> None:
        self._length, self._read = length, read

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Pixels:
        return self._read(index)


class ArrayParts(Format):
    """This project's cache: the pixels one after the other in a file, and a NumPy table with a CRC-32 for each."""

    name = "parts of this project"

    def write(self, folder: Path, image: Callable[[int], Pixels], count: int, part: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(str(count).encode()).hexdigest()
        description = CacheDescription(640, "uint8", count, digest, images_per_part=part)
        description.write(folder)
        for number in range(description.parts):
            if part_problem(folder, number, description) is not None:
                members = description.images_of(number)
                write_part(folder, number, description, [str(i) for i in members], map(image, members))

    def open(self, folder: Path) -> Any:
        description = CacheDescription.read(folder)
        tables = [read_table(folder, number, description) for number in range(description.parts)]
        table = np.concatenate(tables)
        file = lru_cache(maxsize=256)(lambda number: PartFile((folder / part_name(number)).with_suffix(".bin")))

        def read(index: int) -> Pixels:
            row = table[index]
            content = file(index // description.images_per_part).read(row)
            if content is None:
                raise ValueError(f"record {index} fails its checksum")
            return np.frombuffer(content, np.uint8).reshape(int(row["height"]), int(row["width"]))

        return _Reader(len(table), read)


class Zarr(Format):
    """One array, a chunk an image, in shards; each chunk with a CRC-32C. All images must have one shape."""

    name = "Zarr 3, sharded, crc32c"
    module = "zarr"
    install = "zarr donfig google-crc32c numcodecs"

    def write(self, folder: Path, image: Callable[[int], Pixels], count: int, part: int) -> None:
        import zarr

        if not (folder / "zarr.json").is_file():
            shape = image(0).shape
            layout = {"shape": (count, *shape), "chunks": (1, *shape), "shards": (min(part, count), *shape)}
            zarr.create_array(str(folder), dtype="u1", compressors=[zarr.codecs.Crc32cCodec()], **layout)
        array = zarr.open_array(str(folder))
        for number, start in enumerate(range(0, count, part)):
            if not (folder / "c" / str(number) / "0" / "0").is_file():
                end = min(start + part, count)
                array[start:end] = np.stack([image(i) for i in range(start, end)])

    def open(self, folder: Path) -> Any:
        import zarr

        array = zarr.open_array(str(folder), mode="r")
        return _Reader(array.shape[0], lambda index: np.asarray(array[index]))


class WebDataset(Format):
    """Tar files that are read from the front; for object stores and very large sets."""

    name = "WebDataset"
    module = "webdataset"
    install = "webdataset braceexpand"

    def write(self, folder: Path, image: Callable[[int], Pixels], count: int, part: int) -> None:
        import webdataset

        folder.mkdir(parents=True, exist_ok=True)
        pattern = str(folder / "part-%05d.tar")
        with webdataset.ShardWriter(pattern, maxcount=part, maxsize=1 << 50, verbose=0) as writer:
            for index in range(count):
                writer.write({"__key__": f"{index:09d}", "npy": image(index)})

    def open(self, folder: Path) -> Any:
        import webdataset

        files = [str(path) for path in sorted(folder.glob("*.tar"))]

        class Stream:
            def __iter__(self) -> Iterator[Pixels]:
                for sample in webdataset.WebDataset(files, shardshuffle=False, empty_check=False).decode():
                    yield sample["npy"]

        return Stream()


class LitData(Format):
    """Chunks with an index, streamed from object stores; read here in place."""

    name = "LitData"
    module = "litdata"
    install = (
        "litdata lightning-utilities boto3 botocore s3transfer jmespath requests urllib3 idna certifi "
        "charset-normalizer obstore"
    )

    def write(self, folder: Path, image: Callable[[int], Pixels], count: int, part: int) -> None:
        from litdata.streaming.cache import Cache

        folder.mkdir(parents=True, exist_ok=True)
        cache = Cache(str(folder), chunk_size=part)
        for index in range(count):
            cache[index] = image(index)
        cache.done()
        cache.merge()

    def open(self, folder: Path) -> Any:
        from litdata import StreamingDataset

        return StreamingDataset(str(folder))


class MosaicStreaming(Format):
    """MDS shards with an index; streamed, with an order of its own that does not depend on the number of GPUs.

    Its top module imports torchvision (in ``streaming.vision.base``), which does not import beside a CPU build of
    torch, and transformers. The part for arrays does without torchvision, so it is imported without the top module.
    """

    name = "MosaicML Streaming (MDS), xxh64"
    module = "streaming"
    install = (
        "mosaicml-streaming xxhash zstd Brotli python-snappy cramjam catalogue 'transformers<5' 'huggingface_hub<1' "
        "'tokenizers<0.23' safetensors regex boto3 botocore s3transfer jmespath requests urllib3 idna certifi "
        "charset-normalizer"
    )

    @staticmethod
    def _base() -> Any:
        if "streaming" not in sys.modules:
            spec = importlib.util.find_spec("streaming")
            assert spec is not None
            package = types.ModuleType("streaming")
            package.__path__ = list(spec.submodule_search_locations or [])
            sys.modules["streaming"] = package
        return importlib.import_module("streaming.base")

    def write(self, folder: Path, image: Callable[[int], Pixels], count: int, part: int) -> None:
        limit = part * (image(0).nbytes + 64)
        settings = {"columns": {"image": "ndarray"}, "hashes": ["xxh64"], "size_limit": limit}
        with self._base().MDSWriter(out=str(folder), **settings) as writer:
            for index in range(count):
                writer.write({"image": image(index)})

    def open(self, folder: Path) -> Any:
        base = self._base()
        base.util.clean_stale_shared_memory()
        data = base.StreamingDataset(local=str(folder), batch_size=1, validate_hash="xxh64")
        return _Reader(len(data), lambda index: data[index]["image"])


FORMATS: tuple[Format, ...] = (ArrayParts(), Zarr(), WebDataset(), LitData(), MosaicStreaming())
