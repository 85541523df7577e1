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
"""Weights of a Swin encoder into MONAI's SwinUNETR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monai.networks.nets import SwinUNETR
from torch import Tensor, nn

from ..networks.encoders import SwinEncoder
from .import_report import ImportReport, match_weights

__all__ = ["load_swin_unetr", "merge_patches"]

_PROJECTION = "patch_embed.proj.weight"
_MEND = "build the network with monai_lamps.networks.build_swin_unetr(encoder, out_channels), which takes them from it"


def load_swin_unetr(net: SwinUNETR, encoder: SwinEncoder) -> ImportReport:
    """Copy the weights of a Swin encoder into the encoder part (``swinViT``) of MONAI's SwinUNETR, in place.

    2-D into 2-D, 3-D into 3-D. What the network has beyond the encoder stays as it was, random in a new network: the
    patch merging after the fourth stage (the encoder ends before it), the convolutional blocks on the skips and the
    decoder. The encoder's final LayerNorm has no place in the network, which normalises the output of each stage
    without weights of its own.

    SwinUNETR has patches of 2 px, released Swin weights have patches of 4 px: the kernel of the patch embedding is
    then summed over the pixels that fall together (:func:`merge_patches`), so that the network sees in an image what
    the encoder sees in the image enlarged twice.

    Args:
        net: the network, with the encoder's sizes, see :func:`monai_lamps.networks.build_swin_unetr`.
        encoder: the trained encoder; it is not changed.

    Returns:
        what was loaded and what stays random; ``str(report)`` is for people. ``coverage`` is the share of the
        parameters of ``net.swinViT``.

    Raises:
        TypeError: when one of the two has another type.
        ValueError: when the sizes or kinds of the layers differ; the network is then left as it was.
    """
    if not isinstance(net, SwinUNETR) or not isinstance(encoder, SwinEncoder):
        raise TypeError(
            f"expected MONAI's SwinUNETR and a SwinEncoder, got {type(net).__name__} and {type(encoder).__name__}."
        )
    target = net.swinViT.state_dict()
    given, notes = _encoder_weights(net, encoder)
    _check_sizes(net, encoder, target, given)
    pairs, missing = match_weights(target, lambda key: key, given, "the encoder")
    net.swinViT.load_state_dict({**target, **{key: given[name] for key, name in pairs.items()}})
    parameters = dict(net.swinViT.named_parameters())
    total = sum(parameter.numel() for parameter in parameters.values())
    coverage = sum(parameter.numel() for key, parameter in parameters.items() if key in pairs) / total
    prefixed = (f"swinViT.{key}" for key in missing)
    own = [key for key, _ in net.named_parameters() if not key.startswith("swinViT.")]
    ignored = dict.fromkeys(("norm.weight", "norm.bias"), "the network normalises without weights")
    return ImportReport(
        source=f"encoder '{encoder.config['name']}' into SwinUNETR ({encoder.spatial_dims}-D)",
        loaded=tuple(f"swin.{key}" for key in pairs.values()),
        missing=(*prefixed, *own),
        ignored=ignored,
        coverage=coverage,
        notes=(*notes, _random_parts(net, {f"swinViT.{key}" for key in pairs})),
    )


def merge_patches(weight: Tensor, patch_size: int) -> Tensor:
    """The kernel of a patch embedding for smaller patches: pixels that fall together are summed.

    On an image it gives what the original kernel gives on the image enlarged by repeating each pixel.

    Args:
        weight: (D, C, p, p[, p]), the kernel of a convolution whose stride is its size.
        patch_size: pixels per side of the smaller patches, a divisor of p.

    Returns:
        (D, C, patch_size, patch_size[, patch_size]).

    Raises:
        ValueError: when ``patch_size`` does not divide p.
    """
    side = weight.shape[2]
    if patch_size < 1 or side % patch_size:
        raise ValueError(
            f"a kernel for patches of {side} px cannot be merged to patches of {patch_size} px; "
            f"choose a divisor of {side}."
        )
    for axis in range(2, weight.ndim):
        weight = weight.unflatten(axis, (patch_size, side // patch_size)).sum(axis + 1)
    return weight


def _encoder_weights(net: SwinUNETR, encoder: SwinEncoder) -> tuple[dict[str, Tensor], list[str]]:
    """The encoder's weights under the network's names, and what was changed in them."""
    given = {key: tensor.detach().clone() for key, tensor in encoder.swin.state_dict().items()}
    notes = []
    own, theirs = encoder.config["patch_size"], net.patch_size
    if own != theirs and isinstance(theirs, int) and own % theirs == 0:
        given[_PROJECTION] = merge_patches(given[_PROJECTION], theirs)
        notes.append(
            f"the kernel of the patch embedding was summed from {own} to {theirs} px: the network sees in an image "
            f"what the encoder sees in the image enlarged {own // theirs} times"
        )
    if encoder.config["small_grid_shift"]:
        notes.append("the encoder shifts windows on grids that equal the window, SwinUNETR does not")
    eps = {layer.eps for layer in net.swinViT.modules() if isinstance(layer, nn.LayerNorm)}
    if eps != {1e-6}:
        notes.append(f"the LayerNorms of the network have eps {sorted(eps)}, those of the encoder 1e-06")
    return given, notes


def _check_sizes(
    net: SwinUNETR, encoder: SwinEncoder, target: Mapping[str, Tensor], given: Mapping[str, Tensor]
) -> None:
    """Refuse a network whose layers are not those of the encoder; tensors of the same shape can mean other things."""
    wide = target[_PROJECTION].ndim - 2
    if wide != encoder.spatial_dims:
        raise ValueError(f"the network is {wide}-D and the encoder {encoder.spatial_dims}-D; {_MEND}.")
    left = sorted(key for key in given if key not in target)
    if left:
        raise ValueError(
            f"the network has no place for {len(left)} tensors of the encoder, such as '{left[0]}': its patch_norm, "
            f"qkv_bias or depths differ; {_MEND}."
        )
    shapes = [key for key in given if given[key].shape != target[key].shape]
    if shapes:
        key = shapes[0]
        raise ValueError(
            f"'{key}' is {tuple(given[key].shape)} in the encoder and {tuple(target[key].shape)} in the network: "
            f"in_channels, feature_size, num_heads, window_size, mlp_ratio or patch_size differ; {_MEND}."
        )
    kinds = [_merging(net.swinViT, stage).__name__ for stage in (1, 2, 3)]
    expected = [_merging(encoder.swin, stage).__name__ for stage in (1, 2, 3)]
    if encoder.spatial_dims == 3 and kinds != expected:  # the same shapes, but another order of the merged cells
        raise ValueError(f"the network merges patches by {kinds[0]}, the encoder by {expected[0]}; {_MEND}.")
    blocks = {f"layers{stage}": len(getattr(net.swinViT, f"layers{stage}")[0].blocks) for stage in (1, 2, 3, 4)}
    if list(blocks.values()) != list(encoder.config["depths"]):
        raise ValueError(
            f"the stages of the network have {list(blocks.values())} blocks, those of the encoder "
            f"{encoder.config['depths']}; {_MEND}."
        )


def _merging(swin: nn.Module, stage: int) -> type:
    return type(getattr(swin, f"layers{stage}")[0].downsample)


def _random_parts(net: nn.Module, loaded: Iterable[str]) -> str:
    """Parameters that stay as they were, counted by part of the network."""
    loaded = set(loaded)
    counts: dict[str, int] = {}
    for key, parameter in net.named_parameters():
        if key not in loaded:
            words = key.split(".")
            part = ".".join(words[:4] if words[0] == "swinViT" else words[:1])
            counts[part] = counts.get(part, 0) + parameter.numel()
    listed = ", ".join(f"{part} ({count:,})" for part, count in counts.items())
    return f"stay as they were (random in a new network), with their parameters: {listed or 'none'}"
