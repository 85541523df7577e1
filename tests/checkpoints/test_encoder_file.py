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

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monai_lamps.checkpoints import load_encoder, read_card, save_encoder
from monai_lamps.networks import Encoder, build_encoder

CARD = {"image_size": [32, 32], "normalization": {"mean": 0.5, "std": 0.25}, "epochs": 3}


def tiny(seed: int = 0, **kwargs: Any) -> Encoder:
    torch.manual_seed(seed)
    return build_encoder("resnet18", **{"stride": 8, "base_channels": 4, **kwargs}).eval()


def saved(folder: Path, encoder: Encoder | None = None) -> Path:
    return save_encoder(folder / "encoder.pt", encoder or tiny(), CARD)


def edit_card(path: Path, **entries: Any) -> None:
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**card, **entries}))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_encoder_comes_back_bit_for_bit_in_eval_mode(tmp_path: Path) -> None:
    encoder = tiny()
    encoder.train()(torch.rand(4, 1, 32, 32))  # batch statistics that are no longer the initial ones
    path = saved(tmp_path, encoder.eval())
    loaded = load_encoder(path)
    assert not loaded.training
    assert loaded.config == encoder.config
    expected = encoder.state_dict()
    assert list(loaded.state_dict()) == list(expected)
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
    images = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(images), encoder(images))


def test_encoders_other_than_the_first_one_are_replaced_together_with_their_card(tmp_path: Path) -> None:
    saved(tmp_path)
    path = saved(tmp_path, tiny(1, base_channels=8))
    assert load_encoder(path).embed_dim == 64
    assert sorted(os.listdir(tmp_path)) == ["encoder.json", "encoder.pt"]


def test_the_card_tells_how_to_build_the_encoder_and_prepare_its_input(tmp_path: Path) -> None:
    path = saved(tmp_path)
    card = read_card(path)
    encoder = tiny()
    assert card == {
        "encoder": encoder.config,
        "embed_dim": 32,
        "cell": 8,
        **CARD,
        "sha256": sha256(path),
    }
    assert read_card(path.with_suffix(".json")) == card


def test_the_weights_are_plain_tensors(tmp_path: Path) -> None:
    state = torch.load(saved(tmp_path), weights_only=True)
    assert {type(value) for value in state.values()} == {torch.Tensor}
    assert all(value.device.type == "cpu" and not value.requires_grad for value in state.values())


def test_a_card_entry_of_the_caller_does_not_replace_what_the_encoder_says(tmp_path: Path) -> None:
    path = save_encoder(tmp_path / "encoder.pt", tiny(), {**CARD, "cell": 99, "sha256": "x", "encoder": {}})
    assert read_card(path)["cell"] == 8
    assert load_encoder(path).cell == 8


def test_a_card_must_say_how_the_input_is_prepared(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"card lacks \['image_size', 'normalization'\]; it must say how the input"):
        save_encoder(tmp_path / "encoder.pt", tiny(), {"epochs": 3})
    assert os.listdir(tmp_path) == []


def test_a_card_that_json_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = sha256(path)
    with pytest.raises(TypeError, match=r"card must hold numbers, strings, lists and dictionaries \(.*float32"):
        save_encoder(path, tiny(1), {**CARD, "loss": np.float32(1)})
    assert sha256(path) == before


def test_weights_are_not_written_over_their_card(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"named NAME\.pt, with NAME\.json beside it; got '.*encoder\.json'"):
        save_encoder(tmp_path / "encoder.json", tiny(), CARD)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no encoder file at '.*encoder\.pt'; a pretraining run writes it"):
        load_encoder(tmp_path / "encoder.pt")


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no encoder card at '.*encoder\.json'.*copy both"):
        load_encoder(path)


@pytest.mark.parametrize("garbage", [b"", b"{", b"\x80\x02\xff garbage \xfe"])
def test_a_card_that_is_not_json_is_named(tmp_path: Path, garbage: bytes) -> None:
    path = saved(tmp_path)
    path.with_suffix(".json").write_bytes(garbage)
    with pytest.raises(ValueError, match=r"encoder card '.*encoder\.json' is not valid JSON \(.*copy it again"):
        load_encoder(path)


def test_a_card_that_is_json_but_no_object_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.with_suffix(".json").write_text("3")
    with pytest.raises(ValueError, match=r"encoder\.json' holds a JSON int, expected an object"):
        read_card(path)


def test_a_foreign_json_file_is_not_taken_for_a_card(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.with_suffix(".json").write_text(json.dumps({"encoder": {}, "sha256": ""}))
    with pytest.raises(ValueError, match=r"lacks \['image_size', 'normalization'\]; it was not written by"):
        read_card(path)


def test_one_changed_byte_of_the_weights_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"encoder\.pt' does not match its card's sha256: damaged or mixed up"):
        load_encoder(path)


def test_weights_of_another_encoder_do_not_fit_the_card_and_the_message_stays_short(tmp_path: Path) -> None:
    path = saved(tmp_path)
    edit_card(path, encoder={**tiny().config, "base_channels": 8})
    with pytest.raises(ValueError, match=r"do not fit the encoder of its card, .*'base_channels': 8.*size mis") as e:
        load_encoder(path)
    assert len(str(e.value)) < 1000
    assert "\n" not in str(e.value)


def test_an_encoder_that_this_version_does_not_know_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    edit_card(path, encoder={"name": "resnet19"})
    with pytest.raises(ValueError, match=r"encoder\.pt' describes no encoder that this version can build: .*net19'"):
        load_encoder(path)


class Attack:
    """Unpickles to a call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_file_that_would_run_code_is_refused_even_with_a_matching_card(tmp_path: Path, form: str) -> None:
    path = saved(tmp_path)
    attack = {"norm.weight": Attack(tmp_path / "attacked")}
    if form == "torch":
        torch.save(attack, path)
    else:
        path.write_bytes(pickle.dumps(attack))
    edit_card(path, sha256=sha256(path))
    with pytest.raises(ValueError, match=r"encoder\.pt' does not hold plain tensors and was not loaded") as caught:
        load_encoder(path)
    assert "weights_only" not in str(caught.value)  # torch's advice is to switch the protection off
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle at all"])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    path = saved(tmp_path)
    path.write_bytes(content)
    edit_card(path, sha256=sha256(path))
    with pytest.raises(ValueError, match="does not hold plain tensors"):
        load_encoder(path)


def test_tensors_that_are_no_state_dict_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    torch.save([torch.zeros(1)], path)
    edit_card(path, sha256=sha256(path))
    with pytest.raises(ValueError, match="do not fit the encoder of its card"):
        load_encoder(path)


@pytest.mark.parametrize("where", ["torch.save", "os.fsync"])
def test_on_a_full_disk_the_old_pair_stays_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    path = saved(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        with pytest.raises(OSError, match="No space left on device"):
            saved(tmp_path, tiny(1))
    expected = tiny().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in load_encoder(path).state_dict().items())
    assert sorted(os.listdir(tmp_path)) == ["encoder.json", "encoder.pt"]
