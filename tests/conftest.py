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

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

warnings.filterwarnings("ignore", category=DeprecationWarning)
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout, where README.md, bundles/ and configs/ lie."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Development data beside the checkout; tests that use it are skipped where it is missing."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the development data (../shared) is not present beside this checkout")
    return folder


@pytest.fixture(scope="session")
def onnx_output() -> Callable[[Path, torch.Tensor], torch.Tensor]:
    """Compute what the graph of an ONNX file gives for some images, with ONNX's own reference evaluator."""
    onnx, reference = pytest.importorskip("onnx"), pytest.importorskip("onnx.reference")
    pytest.importorskip("onnxscript")  # torch's exporter needs it

    def compute(file: Path, images: torch.Tensor) -> torch.Tensor:
        graph = onnx.load(file)
        (output,) = reference.ReferenceEvaluator(graph).run(None, {graph.graph.input[0].name: images.numpy()})
        return torch.from_numpy(output)

    return compute
