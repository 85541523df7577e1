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

import argparse
import os
import pickle
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monai_lamps.checkpoints.inert_pickle import Inert, load_inert

Write = Callable[..., Path]


class Calls:
    """Unpickled by the usual pickle it would call a function."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def hostile(marker: Path) -> dict[str, Any]:
    """Attacks that make a file, by the name that stands in a pickle of protocol 2."""
    code = f"open({str(marker)!r}, 'w').close()"
    return {
        "exec": Calls(exec, code),
        "eval": Calls(eval, code),
        "getattr": Calls(getattr, marker, "touch"),
        "posix.system": Calls(os.system, f"touch {marker}"),
        "posix.mkdir": Calls(os.mkdir, str(marker)),
        "commands.Popen": Calls(subprocess.Popen, ["touch", str(marker)]),
        "functools.partial": Calls(partial, Path.touch, marker),
    }


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_and_plain_values_come_back_and_records_become_inert(write: Write, legacy: bool) -> None:
    args = argparse.Namespace(
        lr=0.5, names=["a", "b"], nested=argparse.Namespace(x=1), scale=np.float64(2), where=Path("x")
    )
    content = {
        "weights": OrderedDict(w=torch.arange(3.0)),
        "args": args,
        "loss": np.float32(1),
        "all": np.ones(3),
        "epoch": 4,
    }
    loaded = load_inert(write(content, _use_new_zipfile_serialization=not legacy))
    assert torch.equal(loaded["weights"]["w"], torch.arange(3.0))
    assert loaded["epoch"] == 4
    assert type(loaded["args"]) is type(loaded["loss"]) is type(loaded["all"]) is Inert
    assert loaded["args"].values == {"lr": 0.5, "names": ["a", "b"]}  # neither the namespace in it nor NumPy and paths


@pytest.mark.parametrize("place", ["alone", "among the weights", "inside the arguments"])
@pytest.mark.parametrize("name", list(hostile(Path("x"))))
@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_would_run_code_is_refused_and_runs_none(
    write: Write, tmp_path: Path, name: str, place: str, legacy: bool
) -> None:
    marker = tmp_path / "marker"
    attack = hostile(marker)[name]
    content = {
        "alone": attack,
        "among the weights": {"teacher": {"w": torch.zeros(2)}, "optimizer": [attack]},
        "inside the arguments": {"teacher": {"w": torch.zeros(2)}, "args": argparse.Namespace(lr=1, run=attack)},
    }[place]
    path = write(content, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        ValueError, match=rf"released\.pth' was not loaded: it refers to '{name}'.*save its weights alone"
    ):
        load_inert(path)
    assert not marker.exists()


def test_the_attacks_of_this_test_do_run_where_nothing_guards(write: Write, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    torch.load(write(hostile(marker)["exec"]), weights_only=False)
    assert marker.exists()


def test_a_pickle_of_a_newer_protocol_does_not_slip_through(write: Write, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = write(hostile(marker)["exec"], pickle_protocol=4)
    with pytest.raises(ValueError, match=r"is not a PyTorch checkpoint of tensors \(UnpicklingError"):
        load_inert(path)
    assert not marker.exists()


def test_a_whole_model_in_the_file_is_refused_by_its_class(write: Write) -> None:
    with pytest.raises(ValueError, match=r"it refers to 'torch\.nn\.modules\.linear\.Linear', which is no tensor"):
        load_inert(write(torch.nn.Linear(2, 2)))


def test_what_the_program_allows_elsewhere_is_not_allowed_here_and_stays_allowed_there(write: Write) -> None:
    path = write({"module": torch.nn.Identity()})
    with torch.serialization.safe_globals([torch.nn.Identity, set]):
        before = set(torch.serialization.get_safe_globals())
        with pytest.raises(ValueError, match=r"it refers to 'torch\.nn\.modules\.linear\.Identity'"):
            load_inert(path)
        assert set(torch.serialization.get_safe_globals()) == before


def test_writing_into_what_was_read_leaves_the_file_alone(write: Write) -> None:
    path = write({"w": torch.zeros(1000)})
    before = path.read_bytes()
    load_inert(path)["w"].add_(1)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"no checkpoint\n", b"\x89PNG\r\n\x1a\n" + bytes(50), pickle.dumps({"a": 1}), bytes(1000)]
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pth' is (not a PyTorch checkpoint of tensors|cut short)"):
        load_inert(path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_said_to_be_cut_short(write: Write, legacy: bool, share: float) -> None:
    content = {"w": torch.rand(1000), "v": torch.rand(1000)}
    path = write(content, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"released\.pth' is cut short: its end is missing; copy or download it again"):
        load_inert(path)


def test_a_torchscript_archive_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.trace(torch.nn.Identity(), torch.zeros(1)), path)
    with pytest.raises(ValueError, match=r"script\.pt' is a TorchScript archive, which is code"):
        load_inert(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at '.*nothing\.pth'"):
        load_inert(tmp_path / "nothing.pth")
