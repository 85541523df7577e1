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

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import _get_current_dispatch_mode
from torch.utils.checkpoint import checkpoint
from toy_training import BATCH, STEPS, ToyMethod, assert_same, build, load, save, stop_after

from monai_lamps.engines import flops
from monai_lamps.engines.flops import StepFlops, counting_flops, matmul_rate


def count(action: Callable[[], object]) -> int:
    with counting_flops() as counter:
        action()
    return int(counter.get_total_flops())


def layers(*widths: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(widths)))


def forward_flops(rows: int, *widths: int) -> int:
    return sum(2 * rows * a * b for a, b in pairwise(widths))


@pytest.mark.parametrize("bf16", [False, True])
def test_linear_layers_cost_two_operations_a_weight_forward_and_twice_that_backward(bf16: bool) -> None:
    network, images = layers(4, 6, 3), torch.rand(5, 4)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = network(images).square().mean()
        loss.backward()

    first_input_gradient = forward_flops(5, 4, 6)  # nobody asks for the gradient of the images
    assert count(step) == 3 * forward_flops(5, 4, 6, 3) - first_input_gradient


def test_a_frozen_network_costs_its_forward_pass() -> None:
    with torch.no_grad():
        assert count(lambda: layers(4, 6, 3)(torch.rand(5, 4))) == forward_flops(5, 4, 6, 3)


def test_under_activation_checkpointing_the_second_forward_pass_counts() -> None:
    network, images = layers(4, 6, 3), torch.rand(5, 4, requires_grad=True)
    plain = count(lambda: network(images).sum().backward())
    again = count(lambda: checkpoint(network, images, use_reentrant=True).sum().backward())
    assert plain == 3 * forward_flops(5, 4, 6, 3)
    assert again == 4 * forward_flops(5, 4, 6, 3)
    stops_early = count(lambda: checkpoint(network, images, use_reentrant=False).sum().backward())
    assert stops_early == plain + forward_flops(5, 4, 6)  # the last layer's output is not needed again


@pytest.mark.parametrize(("groups", "inputs", "outputs"), [(1, 4, 6), (2, 4, 8), (6, 6, 6)])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_cost_two_operations_a_weight_and_place_in_groups_too(
    groups: int, inputs: int, outputs: int, transposed: bool
) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = kind(inputs, outputs, 3, stride=2, padding=1, groups=groups)
    images = torch.rand(2, inputs, 10, 10, requires_grad=True)
    places = (images if transposed else layer(images))[0, 0].numel()
    assert count(lambda: layer(images).sum().backward()) == 3 * 2 * len(images) * places * layer.weight.numel()


@pytest.mark.parametrize("bias", ["none", "constant", "learned"])
def test_attention_costs_two_products_forward_and_four_backward_and_one_where_the_kernel_repeats_it(bias: str) -> None:
    tokens = torch.rand(2, 3, 16, 8, requires_grad=True)
    mask = None if bias == "none" else torch.rand(1, 3, 16, 16, requires_grad=bias == "learned")
    product = 2 * (2 * 3) * 16 * 16 * 8
    forward = count(lambda: scaled_dot_product_attention(tokens, tokens, tokens, mask))
    both = count(lambda: scaled_dot_product_attention(tokens, tokens, tokens, mask).sum().backward())
    assert forward == 2 * product
    assert both == (6 if bias == "learned" else 7) * product  # a learned bias has no fused kernel on a CPU


def test_compiled_functions_are_counted_and_not_compiled_for_it() -> None:
    compilations: list[Any] = []

    def backend(graph: Any, _inputs: Any) -> Any:
        compilations.append(graph)
        return graph.forward

    network, images = layers(4, 6), torch.rand(5, 4)
    compiled = torch.compile(network, backend=backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert count(lambda: compiled(images)) == forward_flops(5, 4, 6)
    assert not compilations
    compiled(images)
    assert count(lambda: compiled(images)) == forward_flops(5, 4, 6)
    compiled(images)
    assert len(compilations) == 1


@pytest.mark.parametrize(("true_rate", "size"), [(1e6, 256), (3e11, 1024), (1e15, 8192)])
def test_the_matrices_grow_until_a_product_keeps_the_device_busy(
    monkeypatch: pytest.MonkeyPatch, true_rate: float, size: int
) -> None:
    sizes: list[int] = []

    def product(rows: int, device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
        sizes.append(rows)
        return lambda: rows

    def seconds(action: Callable[[], Any], times: int, device: torch.device) -> float:
        return times * 2 * action() ** 3 / true_rate

    monkeypatch.setattr(flops, "_product", product)
    monkeypatch.setattr(flops, "_seconds", seconds)
    assert matmul_rate("cpu", torch.float32) == pytest.approx(true_rate)
    assert sizes[-1] == size


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_this_machine_has_a_rate_and_measuring_it_leaves_random_draws_alone(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    assert matmul_rate("cpu", dtype) > 1e6
    assert torch.equal(torch.rand(2), expected)


def metered(meter: StepFlops, **kwargs: Any) -> Any:
    trainer = build(**kwargs)
    meter.attach(trainer)
    return trainer


def test_one_step_of_every_set_of_objectives_is_counted_and_all_steps_are_summed() -> None:
    meter = StepFlops(rate=lambda device, dtype: 1e9)
    trainer = metered(meter)
    trainer.run()
    teacher, student = 2 * (4 * 6 + 6 * 3), 3 * 2 * (4 * 6 + 6 * 3) - 2 * 4 * 6
    assert meter.per_image == {("match",): teacher + student, ("match", "size"): teacher + student}
    assert meter.done == STEPS * BATCH * (teacher + student)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_with_the_meter_is_bit_for_bit_that_without(precision: str) -> None:
    plain, watched = build(precision=precision), metered(StepFlops(rate=lambda *_: 1.0), precision=precision)
    plain.run()
    watched.run()
    assert_same(plain, watched)
    assert plain.journal.losses == watched.journal.losses


def test_the_peak_is_asked_once_for_the_device_and_the_precision_of_the_run() -> None:
    asked: list[Any] = []

    def rate(*arguments: Any) -> float:
        asked.append(arguments)
        return 2e9

    meter = StepFlops(rate)
    trainer = stop_after(metered(meter, precision="bf16"), 3)
    trainer.run()
    trainer.run()
    assert trainer.state.iteration == STEPS
    assert asked == [(torch.device("cpu"), torch.bfloat16)]
    assert meter.peak == 2e9


def test_a_resumed_run_does_not_count_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = StepFlops(rate=lambda *_: 1.0)
    trainer = stop_after(metered(first), 5)
    trainer.run()

    def refuse() -> None:
        raise AssertionError("counted again")

    monkeypatch.setattr(flops, "counting_flops", refuse)
    second = StepFlops(rate=lambda *_: 1.0)
    second.load_state_dict(first.state_dict())
    resumed = load(metered(second), save(trainer))
    resumed.run()
    assert second.per_image == first.per_image
    assert second.done == pytest.approx(first.done * (STEPS - 5) / 5)


def test_after_a_step_that_fails_nothing_is_counted_any_more() -> None:
    class Failing(ToyMethod):
        def forward(self, batch: Any, progress: Any) -> Any:
            assert _get_current_dispatch_mode() is not None
            raise RuntimeError("no such luck")

    trainer = metered(StepFlops(rate=lambda *_: 1.0), method=Failing())
    with pytest.raises(RuntimeError, match="no such luck"):
        trainer.run()
    assert _get_current_dispatch_mode() is None


def test_running_out_of_memory_while_counting_says_what_to_do() -> None:
    def step(engine: Engine, batch: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    engine = Engine(step)
    StepFlops(rate=lambda *_: 1.0).attach(engine)
    expected = r"CUDA out of memory\. In this step FLOPs were counted, .* Lower the batch size; .* leave StepFlops out"
    with pytest.raises(torch.OutOfMemoryError, match=expected):
        engine.run([None])


def test_an_engine_without_a_curriculum_has_one_figure() -> None:
    layer = nn.Linear(4, 3, bias=False)

    def step(engine: Engine, images: torch.Tensor) -> dict[str, int]:
        layer(images)
        return {"batch_size": len(images)}

    engine, meter = Engine(step), StepFlops(rate=lambda *_: 1.0)
    meter.attach(engine)
    engine.run([torch.rand(5, 4), torch.rand(2, 4)])
    assert meter.per_image == {(): 24}
    assert meter.done == 7 * 24
