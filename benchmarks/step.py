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
"""Time of a training step of Lamps (Swin-B, 448 px views) against a plain formulation, for each objective.

``plain`` is MONAI's unmodified modules (matmul-softmax window attention, masks made in each forward), with every
objective's tensors and heads computed whatever is active, as the released code's data pipeline does. ``plain modules``
computes the active objective alone, so that what comes from the modules can be told from what comes from leaving out
idle objectives. Results and gradients are compared first. FLOPs are counted by torch's counter (recomputation and
all), the share is that of the rate of a large matrix product in the same precision and process.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial

import torch
from measure import compare, machine, median, table
from plain_lamps import OBJECTIVES, batch_of, build, progress_of
from training_step import Step

from monai_lamps.engines import counting_flops, matmul_rate
from monai_lamps.networks import compile_networks

_CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    """Compare the formulations and print the tables."""
    options = _options()
    print(machine())
    print(f"{options.encoder}, {options.batch} image(s) of two views, {options.encoder_args or 'published size'}\n")
    print(table(_differences(options), ["objective", "largest difference of terms", "of gradients, relative"]), "\n")
    rows = []
    for precision in options.precision:
        rows += _times(options, precision)
    header = ["precision", "objective", "ours s", "plain s", "plain modules s", "ours x plain", "ours x plain modules"]
    print(table(rows, [*header, "TFLOP", "GFLOP/s", "share of matmul"]))
    if {"fp32", "bf16"} <= set(options.precision):
        fp32, bf16 = (next(row[2] for row in rows if row[:2] == [name, "mean"]) for name in ("fp32", "bf16"))
        print(f"\nours in bf16 is {fp32 / bf16:.2f} times as fast as ours in fp32")


def _times(options: argparse.Namespace, precision: str) -> list[list[object]]:
    rate = matmul_rate(torch.device(options.device), {"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
    kinds = ("ours", "plain", "plain modules")
    steps: dict[str, Step] = {}
    for kind in kinds:  # all with the same parameters and optimizer, for the memory's sake
        steps[kind] = _step(options, kind, precision, steps.get("ours"))
    batch = batch_of(steps["ours"].method.geometry, options.batch, options.device)
    rows: list[list[object]] = []
    for number, objective in enumerate(OBJECTIVES):
        progress = progress_of(number)
        with counting_flops() as counter:
            steps["ours"](batch, progress)
        actions = {kind: partial(step, batch, progress) for kind, step in steps.items()}
        seconds = {
            kind: median(values)
            for kind, values in compare(actions, options.repeats, options.warmup, _CLOCKS[options.clock]).items()
        }
        rows.append([precision, objective, *(seconds[kind] for kind in kinds), float(counter.get_total_flops())])
    rows.append([precision, "mean", *(sum(row[column] for row in rows) / len(rows) for column in range(2, 6))])  # type: ignore[misc]
    return [_row(row, rate) for row in rows]


def _row(row: list[object], rate: float) -> list[object]:
    precision, objective, ours, plain, modules, flops = row
    return [
        precision,
        objective,
        ours,
        plain,
        modules,
        plain / ours,  # type: ignore[operator]
        modules / ours,  # type: ignore[operator]
        flops / 1e12,  # type: ignore[operator]
        flops / ours / 1e9,  # type: ignore[operator]
        flops / ours / rate,  # type: ignore[operator]
    ]


def _step(options: argparse.Namespace, kind: str, precision: str, share: Step | None) -> Step:
    like = share.method if share else None
    method = build(kind, options.encoder, options.encoder_args, like, **options.geometry).to(options.device)
    if kind == "ours":
        compile_networks(method, options.compile)
    elif options.device.startswith("cuda") and precision == "bf16":
        precision = "fp16"  # what the released code trains with
    return Step(method, precision, share)


def _differences(options: argparse.Namespace) -> list[list[object]]:
    """Ours against the plain formulation in fp32 without stochastic depth: largest differences."""
    arguments = {**options.encoder_args, "drop_path": 0.0}
    ours = build("ours", options.encoder, arguments, **options.geometry).to(options.device).train()
    plain = build("plain modules", options.encoder, arguments, ours, **options.geometry).to(options.device).train()
    batch = batch_of(ours.geometry, 1, options.device)
    rows: list[list[object]] = []
    for number, objective in enumerate(OBJECTIVES):
        terms, gradients = [], []
        for method in (ours, plain):
            method.zero_grad()
            values = method(batch, progress_of(number))
            torch.stack(list(values.values())).sum().backward()
            terms.append(torch.stack([value.detach() for value in values.values()]))
            named = {name: parameter.grad for name, parameter in method.named_parameters()}
            gradients.append({name: gradient.clone() for name, gradient in named.items() if gradient is not None})
        largest = max(float(gradient.abs().max()) for gradient in gradients[1].values())
        worst = max(float((gradients[0][name] - gradient).abs().max()) for name, gradient in gradients[1].items())
        rows.append([objective, f"{float((terms[0] - terms[1]).abs().max()):.1e}", f"{worst / largest:.1e}"])
    return rows


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="swin_base")
    parser.add_argument("--encoder-args", type=json.loads, default={}, help="JSON")
    parser.add_argument("--geometry", type=json.loads, default={}, help="JSON: region, view, window in cells")
    parser.add_argument("--batch", type=int, default=1, help="images")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--clock", default="wall", choices=list(_CLOCKS), help="cpu: for a busy machine, with 1 thread")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="compile our networks")
    parser.add_argument("--threads", type=int, help="CPU threads")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    return options


if __name__ == "__main__":
    main()
