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

"""Parameter groups of the optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from monai_lamps.networks import Encoder

__all__ = ["freeze_encoder", "layer_decay_groups", "parameter_levels", "weight_decay_groups"]


def weight_decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """
    Two parameter groups: matrices and kernels with weight decay, biases and 1-D parameters (norm scales) without.

    This is the grouping of the released code of Lamps. Only parameters that are trained are taken, so a frozen teacher
    inside the module stays out.

    Args:
        module: the module to train.
        weight_decay: decay of the first group, >= 0; `PretrainingTrainer` overwrites it where a schedule is given.

    Returns:
        Two groups for a torch optimizer, with the extra key "decay" (True, False), which tells the trainer where the
        weight-decay schedule applies. A group may be empty.

    Raises:
        ValueError: When `weight_decay` is negative, or the module has nothing to train.
    """
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay got {weight_decay}, expected >= 0: use 0 for none.")
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError(
            f"{type(module).__name__} got no parameter with requires_grad, expected at least one: is everything frozen?"
        )
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay, "decay": True},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "decay": False},
    ]


def layer_decay_groups(task: nn.Module, weight_decay: float, decay: float) -> list[dict[str, Any]]:
    """
    Parameter groups whose learning rate falls level by level, from what is new down to the first layers of the encoder.

    With L levels, parameters of level l (0 is the finest, see `parameter_levels`) take ``decay ** (L - l)`` of the
    learning rate, everything outside the encoder takes all of it. The decay by stage is that of ConvNeXt's and Swin's
    segmentation recipes; BEiT (arXiv 2106.08254) does the same by block. Weight decay is as in `weight_decay_groups`.

    Args:
        task: what is fine-tuned; its ``encoder`` is an `Encoder`. Frozen parameters stay out.
        weight_decay: decay of matrices and kernels, >= 0.
        decay: factor from a level to the next finer one, above 0 and at most 1; 1 is the same rate for all.

    Returns:
        Groups for a torch optimizer with the extra keys "decay" and "lr_scale", finest level first, the rest last; no
        group is empty. "lr_scale" is read by `GroupSchedules`: give the trainer a schedule for "lr" (a number will do).

    Raises:
        ValueError: When `weight_decay` is negative, `decay` is out of its range, or there is nothing to train.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay got {decay}, expected above 0 and at most 1: 0.8 is usual, 1 is no decay.")
    encoder: Any = task.encoder
    level_of = parameter_levels(encoder)
    levels = len(encoder.strides)
    scales = {id(parameter): decay ** (levels - level_of[name]) for name, parameter in encoder.named_parameters()}
    groups = []
    for group in weight_decay_groups(task, weight_decay):
        for scale in sorted({scales.get(id(parameter), 1.0) for parameter in group["params"]}):
            params = [parameter for parameter in group["params"] if scales.get(id(parameter), 1.0) == scale]
            groups.append({**group, "params": params, "lr_scale": scale})
    return sorted(groups, key=lambda group: float(group["lr_scale"]))


def freeze_encoder(encoder: Encoder, levels: int | None = None) -> list[str]:
    """
    Stop training the finest levels of an encoder, or all of it (a linear probe, or only the decoder learns).

    Call it before the optimizer is made. A `Task` keeps what is frozen in eval mode, so batch statistics rest, too.

    Args:
        encoder: the encoder.
        levels: how many levels, fine to coarse, 0 to all; ``None`` for the whole encoder. A level is what a feature map
            needs beyond the finer ones, see `parameter_levels`; the final norm belongs to the coarsest.

    Returns:
        Names of the frozen parameters.

    Raises:
        ValueError: When there are not that many levels.
    """
    total = len(encoder.strides)
    if levels is not None and not 0 <= levels <= total:
        raise ValueError(f"levels got {levels}, expected 0 to {total}, the levels of this encoder, or None for all.")
    level_of = parameter_levels(encoder)
    frozen = [name for name, level in level_of.items() if level < (total if levels is None else levels)]
    for name in frozen:
        encoder.get_parameter(name).requires_grad_(False)
    return frozen


def parameter_levels(encoder: Encoder) -> dict[str, int]:
    """
    To which level of an encoder each parameter belongs: the finest feature map that depends on it.

    The answer is read off autograd with a small blank image, so it holds for every encoder, whatever its modules are
    called. What no feature map depends on (the final norm of the tokens) belongs to the coarsest level.

    Args:
        encoder: the encoder, not compiled yet; nothing of it is changed.

    Returns:
        Level by name of the parameter, 0 for the finest.
    """
    parameters = dict(encoder.named_parameters())
    device = next(iter(parameters.values())).device
    image = torch.zeros(1, encoder.in_channels, *(2 * encoder.cell,) * encoder.spatial_dims, device=device)
    modes = [(module, module.training) for module in encoder.modules()]
    trained = {name: parameter.requires_grad for name, parameter in parameters.items()}
    found: dict[str, int] = {}
    try:
        encoder.eval().requires_grad_(True)
        with torch.enable_grad():
            for level in range(len(encoder.strides)):
                feature = encoder.features(image)[level].sum()
                open_names = [name for name in parameters if name not in found]
                gradients = torch.autograd.grad(feature, [parameters[n] for n in open_names], allow_unused=True)
                found.update({name: level for name, value in zip(open_names, gradients) if value is not None})
    finally:
        for module, mode in modes:
            module.training = mode
        for name, parameter in parameters.items():
            parameter.requires_grad_(trained[name])
    return {name: found.get(name, len(encoder.strides) - 1) for name in parameters}
