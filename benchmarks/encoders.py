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
"""Forward and backward pass of the encoders: precision, memory format and recomputation compared."""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from measure import compare, machine, median, table

from monai_lamps.engines.flops import counting_flops
from monai_lamps.networks import Encoder, build_encoder, encoder_names

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_HEADER = ["encoder", "precision", "memory", "seconds", "min..max", "to first", "to contiguous", "GFLOP/s",
           "share of matmul"]  # fmt: skip


def main() -> None:
    """Measure what the command line asks for, and print it."""
    options = _parse()
    device = torch.device(options.device)
    print(machine())
    print(
        f"images ({options.batch}, 1, {options.size}, {options.size}); medians of {options.repeats} interleaved repeats"
    )
    rows = []
    for name in options.encoders:
        rows += _measure(name, options, device)
    print(table(rows, _HEADER))
    print("Ratios: of seconds, to the first row of the encoder and to contiguous in the same precision.")
    print("FLOP/s: those counted in the step of the first row; what other rows recompute is not counted as work done.")
    print("share of matmul: of the rate of a large matrix product in the same precision, timed turn by turn.")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Seconds of a forward and backward pass of each encoder in training mode, contiguous against "
        "channels_last parameters, and each choice of what the backward pass recomputes (default: 'between'), in fp32 "
        "and in bf16 autocast; counted FLOP/s, and their share of the rate of a large matrix product."
    )
    parser.add_argument(
        "--encoders",
        nargs="+",
        default=["resnet50", "convnext_tiny"],
        metavar="NAME",
        help=f"of {', '.join(encoder_names())}, or preset files such as configs/encoders/resnet50.json "
        "(default: %(default)s)",
    )
    parser.add_argument("--size", type=int, default=448, help="pixels per side (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=2, help="images in a batch (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds that count (default: %(default)s)")
    parser.add_argument("--precisions", nargs="+", default=list(_DTYPES), choices=list(_DTYPES), help="default: both")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    return parser.parse_args()


def _measure(name: str, options: argparse.Namespace, device: torch.device) -> list[tuple[object, ...]]:
    """The rows of one encoder. A large matrix product in each precision takes its turn among the steps."""
    images = torch.rand(options.batch, 1, options.size, options.size, device=device)
    side = 8192 if device.type == "cuda" else 2048
    steps, products, flops = {}, {}, {}
    variants = _variants(name, device)
    for precision in options.precisions:
        dtype = _DTYPES[precision]
        for memory, encoder in variants.items():
            steps[f"{precision}|{memory}"] = _step(encoder, images, dtype)
        matrix = torch.randn(side, side, device=device).to(dtype)
        products[precision] = partial(torch.mm, matrix, matrix)
        with counting_flops() as counter:
            steps[f"{precision}|contiguous"]()
        flops[precision] = counter.get_total_flops()
    seconds = compare({**steps, **products}, repeats=options.repeats)
    first = median(seconds[next(iter(steps))])
    rows: list[tuple[object, ...]] = []
    for key in steps:
        precision, memory = key.split("|")
        taken = median(seconds[key])
        speed, possible = flops[precision] / taken, 2 * side**3 / median(seconds[precision])
        ratios = taken / first, taken / median(seconds[f"{precision}|contiguous"])
        spread = f"{min(seconds[key]):.3g}..{max(seconds[key]):.3g}"
        share = f"{speed / possible:.0%}"
        rows.append((Path(name).stem, precision, memory, taken, spread, *ratios, speed / 1e9, share))
    return rows


def _variants(name: str, device: torch.device) -> dict[str, Encoder]:
    """The same encoder in both memory formats, and with each choice of what is recomputed where it has one."""
    arguments: dict[str, object] = {}
    if name.endswith(".json"):
        preset = json.loads(Path(name).read_text())
        name, arguments = preset["encoder"], preset["encoder_args"]
    torch.manual_seed(0)
    built = build_encoder(name, **arguments).to(device).train()  # a residual network may choose channels_last itself
    contiguous = built.to(memory_format=torch.contiguous_format)
    variants = {
        "contiguous": contiguous,
        "channels_last": copy.deepcopy(contiguous).to(memory_format=torch.channels_last),
    }
    if "recompute" in contiguous.config:
        for policy in ("nothing", "all"):
            recomputing = build_encoder(**{**contiguous.config, "recompute": policy})
            variants[f"contiguous, recompute {policy}"] = recomputing.to(device).train()
    return variants


def _step(encoder: Encoder, images: torch.Tensor, dtype: torch.dtype) -> Callable[[], None]:
    """One forward and backward pass, gradients made anew."""

    def step() -> None:
        encoder.zero_grad(set_to_none=True)
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            tokens, mean = encoder.embed(images)
        (tokens.float().square().mean() + mean.float().square().mean()).backward()

    return step


if __name__ == "__main__":
    main()
