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

import csv
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator

from monai_lamps.engines import DenseInferer
from monai_lamps.handlers import EmbeddingWriter
from monai_lamps.networks import Encoder, build_encoder


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return build_encoder("resnet18", stride=8, base_channels=4).eval()


IMAGES = torch.rand(5, 1, 16, 24, generator=torch.Generator().manual_seed(1))
ITEMS = [{"image": f"folder, with a comma/{number}.png"} for number in range(5)]


def evaluator(encoder: Encoder, writer: EmbeddingWriter, count: int = 5, **kwargs: Any) -> SupervisedEvaluator:
    """As the bundle's inference.json builds it; two images a batch, so the last batch is short."""
    kwargs = {"inferer": DenseInferer(), "decollate": False, **kwargs}
    data = DataLoader(Dataset([{"image": image} for image in IMAGES[:count]]), batch_size=2)
    return SupervisedEvaluator("cpu", val_data_loader=data, network=encoder, val_handlers=[writer], **kwargs)


def test_row_i_is_the_embedding_of_image_i(tmp_path: Path, encoder: Encoder) -> None:
    evaluator(encoder, EmbeddingWriter(tmp_path / "out", ITEMS)).run()
    rows = np.load(tmp_path / "out" / "embeddings.npy")
    assert rows.dtype == np.float32
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(rows), encoder(IMAGES))
    with open(tmp_path / "out" / "embeddings.csv", newline="") as file:
        index = list(csv.reader(file))
    assert index == [["row", "image"], *([str(row), item["image"]] for row, item in enumerate(ITEMS))]
    assert sorted(os.listdir(tmp_path / "out")) == ["embeddings.csv", "embeddings.npy"]


def test_dense_embeddings_are_the_tokens(tmp_path: Path, encoder: Encoder) -> None:
    evaluator(encoder, EmbeddingWriter(tmp_path, ITEMS, dense=True)).run()
    tokens = np.load(tmp_path / "dense_embeddings.npy")
    assert tokens.shape == (5, 2 * 3, encoder.embed_dim)
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(tokens), encoder.embed(IMAGES)[0])
    np.testing.assert_allclose(np.load(tmp_path / "embeddings.npy"), tokens.mean(1), atol=1e-6)
    assert sorted(os.listdir(tmp_path)) == ["dense_embeddings.npy", "embeddings.csv", "embeddings.npy"]


def test_half_precision_is_written_as_float32(tmp_path: Path, encoder: Encoder) -> None:
    class Half(DenseInferer):
        def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            return super().__call__(*args, **kwargs).bfloat16()

    evaluator(encoder, EmbeddingWriter(tmp_path, ITEMS), inferer=Half()).run()
    rows = np.load(tmp_path / "embeddings.npy")
    assert rows.dtype == np.float32
    with torch.no_grad():  # the mean is over rounded tokens, but is not rounded itself; batches as above, since another
        # size of batch may differ in the last bit, which rounding to bfloat16 makes large
        tokens = torch.cat([encoder.embed(images)[0].bfloat16().float() for images in IMAGES.split(2)])
    torch.testing.assert_close(torch.from_numpy(rows), tokens.mean(1))


@pytest.mark.parametrize("count", [3, 5])
def test_another_number_of_images_is_an_error_and_nothing_is_left(tmp_path: Path, encoder: Encoder, count: int) -> None:
    with pytest.raises(RuntimeError, match=rf"expected embeddings of 4 images, got {count}; nothing was written"):
        evaluator(encoder, EmbeddingWriter(tmp_path, ITEMS[:4], dense=True), count).run()
    assert os.listdir(tmp_path) == []


def test_a_failure_midway_leaves_the_files_of_an_earlier_run(tmp_path: Path, encoder: Encoder) -> None:
    evaluator(encoder, EmbeddingWriter(tmp_path, ITEMS)).run()
    before = (tmp_path / "embeddings.npy").read_bytes()

    class Failing(DenseInferer):
        calls = 0

        def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            self.calls += 1
            if self.calls == 2:
                raise FloatingPointError("of the second batch")
            return super().__call__(*args, **kwargs) + 1

    with pytest.raises(FloatingPointError, match="of the second batch"):
        evaluator(encoder, EmbeddingWriter(tmp_path, ITEMS), inferer=Failing()).run()
    assert (tmp_path / "embeddings.npy").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["embeddings.csv", "embeddings.npy"]


def test_an_evaluator_may_run_again_and_clears_what_a_killed_one_left(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / ".dense_embeddings.npy.tmp").write_bytes(b"left by a killed process")
    engine = evaluator(encoder, EmbeddingWriter(tmp_path, ITEMS))
    engine.run()
    first = np.load(tmp_path / "embeddings.npy")
    engine.run()
    np.testing.assert_array_equal(np.load(tmp_path / "embeddings.npy"), first)
    assert sorted(os.listdir(tmp_path)) == ["embeddings.csv", "embeddings.npy"]


def test_an_evaluator_that_decollates_is_named(tmp_path: Path, encoder: Encoder) -> None:
    with pytest.raises(TypeError, match="expected one dictionary for a batch, got list: set decollate to false"):
        evaluator(encoder, EmbeddingWriter(tmp_path, ITEMS), decollate=True).run()


def test_a_full_disk_shows_at_the_first_batch(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, offset: int, size: int) -> None:
        assert size > 5 * encoder.embed_dim * 4
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    engine = evaluator(encoder, EmbeddingWriter(tmp_path, ITEMS))
    with pytest.raises(OSError, match="No space left on device"):
        engine.run()
    assert engine.state.iteration == 1
    assert os.listdir(tmp_path) == []
