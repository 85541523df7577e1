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

"""How much arithmetic a training step does, counted, and how fast the device could do it, measured."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil, prod
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

__all__ = ["StepFlops", "counting_flops", "matmul_rate"]

_LEAST, _MOST = 256, 8192  # rows of the matrices that a device is measured with
_ROUNDS, _ROUND_SECONDS, _PRODUCT_SECONDS = 7, 0.03, 0.005


class StepFlops:
    """
    Counts the floating-point operations of training steps while they are done, without slowing them down.

    Steps with the same active objectives do the same arithmetic, so only the first step of every set of objectives is
    counted (see `counting_flops` for what counts), divided by its number of images, and every step with these
    objectives adds its images times that figure. The names are those of ``method.curriculum.weights(progress)``; a
    method without a curriculum has one figure for all its steps. Training computes the same numbers with and without.

    The step that is counted runs without compilation, about half as fast, and may need more memory than a compiled one.
    The figures are part of the run's state, so a resumed run does not count again. They are those of the network as it
    was when they were counted: switch activation checkpointing off or on in a resumed run, and they are a little wrong.

    Args:
        rate: the greatest possible FLOP/s of a device in a dtype; asked once, when the run starts.

    Attributes:
        per_image: FLOPs that a step does for an image, by the sorted names of the active objectives.
        done: FLOPs of all steps of this process so far.
        peak: what `rate` gave; 0.0 before the run starts.
    """

    def __init__(self, rate: Callable[[torch.device, torch.dtype], float] | None = None) -> None:
        self._rate = matmul_rate if rate is None else rate
        self.per_image: dict[tuple[str, ...], float] = {}
        self.done = 0.0
        self.peak = 0.0

    def attach(self, engine: Engine) -> None:
        """
        Count the steps of an engine.

        The step function is wrapped rather than framed by events, because only so is counting switched off again when a
        step fails.

        Args:
            engine: the trainer; the output of a step holds "batch_size". `method`, `progress`, `state.device` and
                `autocast_dtype` are used where it has them.
        """
        engine.add_event_handler(Events.STARTED, self._started)
        step = engine._process_function

        def counted_step(engine: Engine, batch: Any) -> Any:
            return self._step(step, engine, batch)

        engine._process_function = counted_step

    def state_dict(self) -> dict[str, Any]:
        """``{"per_image": {objectives: FLOPs}}``, so that a resumed run does not count again."""
        return {"per_image": dict(self.per_image)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """
        Take over what was counted.

        Args:
            state: from :meth:`state_dict`.
        """
        self.per_image = {tuple(objectives): float(flops) for objectives, flops in state["per_image"].items()}

    def _started(self, engine: Any) -> None:
        if not self.peak:
            device = torch.device(getattr(engine.state, "device", "cpu"))
            self.peak = self._rate(device, getattr(engine, "autocast_dtype", torch.float32))

    def _step(self, step: Callable[[Engine, Any], Any], engine: Any, batch: Any) -> Any:
        curriculum = getattr(getattr(engine, "method", None), "curriculum", None)
        objectives = () if curriculum is None else tuple(sorted(curriculum.weights(engine.progress)))
        if objectives in self.per_image:
            output = step(engine, batch)
        else:
            try:
                with counting_flops() as counter:
                    output = step(engine, batch)
            except torch.OutOfMemoryError as error:
                raise torch.OutOfMemoryError(
                    f"{error} In this step FLOPs were counted, for which it was not compiled. Lower the batch size; if "
                    "compiled steps are known to fit, leave StepFlops out instead."
                ) from error
            self.per_image[objectives] = counter.get_total_flops() / output["batch_size"]
        self.done += self.per_image[objectives] * output["batch_size"]
        return output


@contextmanager
def counting_flops() -> Iterator[FlopCounterMode]:
    """
    Count the floating-point operations done inside; ``get_total_flops()`` of what it gives tells them.

    Matrix products, convolutions and scaled dot-product attention count, an addition and a multiplication as two,
    forward and backward, of frozen networks, too; everything else is left out, as is customary. It is what is really
    computed: under activation checkpointing the second forward pass counts as well, and the fused attention kernels
    compute their scores again in the backward pass. The share of a device's peak that follows is that of the arithmetic
    done (hardware utilisation), not of the least that the method needs.

    torch's `FlopCounterMode` knows neither the attention kernels of the CPU nor, in the backward pass, convolution in
    groups (it counts a depthwise one too high by the number of channels); both are mended here. Compiled functions run
    uncompiled inside, for a compiled one hides its operations. Results are the same as without, bit for bit, where
    compilation does not change them.
    """
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        warnings.filterwarnings("ignore", message=r".*when there are global hooks on modules")  # those of the counter
        with FlopCounterMode(display=False, custom_mapping=_FORMULAS) as counter:
            yield counter


def matmul_rate(device: torch.device | str, dtype: torch.dtype) -> float:
    """
    FLOP/s of a large matrix product, the greatest rate of arithmetic that a network can hope for on a device.

    Square matrices as large as it takes to keep the device busy, 256 to 8192 rows; the best of a few rounds, about
    0.3 seconds in all. So it is the rate of a device that is not yet hot, with the settings that hold now (threads,
    TF32); what other processes compute at the same time lowers it. No global random state is touched.

    Args:
        device: what is measured.
        dtype: of the matrices, as the run computes: float32, bfloat16 or float16.
    """
    device, size = torch.device(device), _LEAST
    while True:
        product = _product(size, device, dtype)
        _seconds(product, 1, device)
        once = min(_seconds(product, 1, device) for _ in range(3))  # a stall must not end the growth
        if once >= _PRODUCT_SECONDS or size >= _MOST:
            break
        size *= 2
    times = max(1, ceil(_ROUND_SECONDS / max(once, 1e-9)))
    seconds = min(_seconds(product, times, device) for _ in range(_ROUNDS))
    return 2.0 * size**3 * times / seconds


def _product(size: int, device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
    generator = torch.Generator(device).manual_seed(0)
    left, right = (torch.randn(size, size, device=device, generator=generator).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=out)


def _seconds(action: Callable[[], object], times: int, device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    for _ in range(times):
        action()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(
    gradient: Sequence[int], query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))


def _convolution_backward(
    gradient: Sequence[int],
    inputs: Sequence[int],
    weight: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    mask: Sequence[bool],
    **_: Any,
) -> int:
    """The gradients of inputs and weight each cost as much as the forward pass; that of the bias does not count."""
    places = prod((inputs if transposed else gradient)[2:])
    return 2 * inputs[0] * places * prod(weight) * (int(mask[0]) + int(mask[1]))


_FORMULAS = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    torch.ops.aten.convolution_backward: _convolution_backward,
}
