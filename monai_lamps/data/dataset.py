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

"""The training dataset: keyed randomness, and bad files set aside instead of killing the run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from monai.data import Dataset

from monai_lamps.data.keys import derive_seed

if TYPE_CHECKING:
    from monai_lamps.data.rejects import RejectLog

__all__ = ["RadiographDataset", "root_cause"]

_ATTEMPTS = 10


class RadiographDataset(Dataset):
    """
    A `monai.data.Dataset` whose samples are a function of (seed, epoch, index) alone.

    The transform is seeded anew for every sample, so neither the number of workers or ranks nor a resume changes what
    is drawn. A sample that cannot be loaded or transformed is recorded once with its reason and replaced by another one
    that (seed, epoch, index) determines; a run with too many of them stops. This mends a failure of the loader in the
    released code of Lamps, where an error is swallowed and the sample becomes ``None``.

    A file that failed is not read again by the same worker. If a failure is not a property of the file (a network drive
    that hiccups), which samples are replaced may depend on the workers.

    Where the sampler gives one, the transform finds the epoch (0-based) under "epoch" in the item, so that what it
    draws may change in the course of a run; it is not part of the sample.

    Args:
        data: items, each a mapping such as ``{"image": path}`` or ``{"image": array}``; kept as it is, never copied.
            Use `PackedItems` for many files, so that loader workers share them. The transform must not change an array
            in place.
        transform: a transform or a sequence of them, from an item to a dictionary.
        seed: seed of the run.
        rejects: log of the samples that failed; ``None`` is strict: the first failure raises.
        max_reject: largest share of `data` that may fail, in [0, 1]. A single failure is always allowed.
        file_key: key of the item that names the file.

    Raises:
        ValueError: When `max_reject` is not in [0, 1].

    Example:
        >>> dataset = RadiographDataset([{"image": torch.zeros(1, 8, 8)}], transform=lambda item: item)
        >>> sorted(dataset[(0, 0)])
        ['image', 'index', 'seed']
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Sequence[Callable] | Callable | None,
        seed: int = 0,
        rejects: RejectLog | None = None,
        max_reject: float = 0.05,
        file_key: str = "image",
    ) -> None:
        if not 0 <= max_reject <= 1:
            raise ValueError(f"max_reject got {max_reject}, expected a share in [0, 1], e.g. 0.05 for 5 %.")
        super().__init__(data=data, transform=transform)
        self.seed = seed
        self.rejects = rejects
        self.max_reject = max_reject
        self.file_key = file_key
        self._generator = np.random.RandomState()
        self._failed: set[int] = set()
        self._names: npt.NDArray[np.uint64] | None = None
        self._read, self._count = 0, 0  # entries of the log that were read, and those that are items of this dataset

    def __getitem__(self, index: int | slice | Sequence[int]) -> Any:
        """
        Load and transform one sample.

        Args:
            index: ``(epoch, index)`` as `ResumableBatchSampler` yields it, ``(epoch, index, lap)`` as
                `BalancedBatchSampler` does (a sample that comes again in an epoch has another lap, and other draws), or
                an integer index (epoch 0). A slice gives a `Subset`, as in MONAI.

        Returns:
            What the transform returns, with "seed" (int in [0, 2**62), keys the augmentation on the device) and "index"
            (int, position in `data` of the sample that was read, which is a substitute's if the one asked for failed).

        Raises:
            IndexError: When the index is out of range.
            TypeError: When the transform does not return a dictionary.
            RuntimeError: When a sample fails and the dataset is strict, or too many samples failed.
        """
        if isinstance(index, slice):
            return super().__getitem__(index)
        epoch, number, lap = self._parts(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"index got {number}, expected one below {len(self)}, the number of items.")
        number %= len(self)
        slot = number + lap * len(self)  # what the draws belong to
        sample, used = self._load_or_substitute(epoch, number, slot)
        if not isinstance(sample, dict):
            raise TypeError(
                f"The transform returned a {type(sample).__name__} for {self.name(used)}, expected a dictionary: "
                "use transforms that give one sample for one item."
            )
        sample = {key: value for key, value in sample.items() if key != "epoch"}
        return {**sample, "seed": derive_seed(self.seed, epoch or 0, slot, 0) >> 1, "index": used}

    def name(self, index: int) -> str:
        """
        What a person calls an item: its file, or ``<item 3>`` for an array in memory.

        Args:
            index: position in `data`.
        """
        value = self.data[index].get(self.file_key)
        if not isinstance(value, (str, os.PathLike)):
            meta = getattr(value, "meta", None)
            value = meta.get("filename_or_obj") if isinstance(meta, Mapping) else None
        return os.fspath(value) if isinstance(value, (str, os.PathLike)) and os.fspath(value) else f"<item {index}>"

    @staticmethod
    def _parts(index: int | Sequence[int]) -> tuple[int | None, int, int]:
        if not isinstance(index, Sequence):
            return None, int(index), 0
        epoch, number, lap = index if len(index) == 3 else (*index, 0)
        return int(epoch), int(number), int(lap)

    def _load_or_substitute(self, epoch: int | None, number: int, slot: int) -> tuple[Any, int]:
        reason: Exception | None = None
        known, epoch = {} if epoch is None else {"epoch": epoch}, epoch or 0
        for attempt in range(_ATTEMPTS + 1):
            used = derive_seed(self.seed, epoch, slot, attempt) % len(self) if attempt else number
            if used in self._failed:
                continue
            # the draws belong to (epoch, slot), so a substitute is not a second copy of the same view
            self._generator.seed(derive_seed(self.seed, epoch, slot) % 2**32)
            self.transform.set_random_state(state=self._generator)  # as seed=..., but making no new generator
            try:
                with torch.autocast("cpu", enabled=False):  # a sample does not depend on who asks for it
                    return self.transform({**self.data[used], **known}), used
            except MemoryError:
                raise
            except Exception as error:
                reason = error
                self._reject(used, error)
        raise RuntimeError(
            f"No readable sample in place of {self.name(number)} after {_ATTEMPTS} substitutes"
            + (f"; the last one failed with: {root_cause(reason).rstrip('.')}. " if reason is not None else ". ")
            + self._mend()
        ) from reason

    def _reject(self, index: int, error: Exception) -> None:
        name, cause = self.name(index), root_cause(error)
        if self.rejects is None:
            raise RuntimeError(
                f"Loading {name} failed: {cause}. Mend or remove this file, or pass rejects=RejectLog(path) to train "
                "on without bad files."
            ) from error
        self._failed.add(index)
        self.rejects.add(name, cause)
        count = self._rejected()
        if count > max(1.0, self.max_reject * len(self)):
            raise RuntimeError(
                f"{count} of {len(self)} samples could not be loaded, more than max_reject={self.max_reject:.1%} "
                f"allows; the last one, {name}, failed with: {cause.rstrip('.')}. {self._mend()}"
            ) from error

    def _rejected(self) -> int:
        """Number of this dataset's items in the log, by whichever worker, rank or earlier start of the run."""
        assert self.rejects is not None
        if self._names is None:  # 8 bytes an item instead of its name
            names = (_digest(self.name(index)) for index in range(len(self)))
            self._names = np.sort(np.fromiter(names, np.uint64, len(self)))
        entries = self.rejects.rows(self._read)
        digests = np.array([_digest(file) for file, _ in entries], np.uint64)
        places = np.searchsorted(self._names, digests).clip(max=len(self) - 1)
        self._count += int((self._names[places] == digests).sum())
        self._read += len(entries)
        return self._count

    def _mend(self) -> str:
        where = getattr(self.rejects, "path", "rejected.csv")
        return f"Read {where} for all files and reasons; mend the files or the transform, or raise max_reject."


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def root_cause(error: BaseException | None) -> str:
    """
    The message that matters: MONAI wraps a failure as "applying transform <object at 0x...>", this unwraps it.

    Args:
        error: an exception raised by a transform.

    Returns:
        Type and message of the innermost exception below MONAI's wrappers, on one line.
    """
    while error is not None and error.__cause__ is not None and str(error).startswith("applying transform "):
        error = error.__cause__
    return " ".join(f"{type(error).__name__}: {error}".split())
