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
"""Swin encoders on MONAI's SwinTransformer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from monai.networks.nets.swin_unetr import (
    BasicLayer,
    SwinTransformer,
    SwinTransformerBlock,
    compute_mask,
    get_window_size,
)
from torch import nn

from ..recompute import recompute_policy
from .encoder import Encoder, register_encoder
from .swin_block import SwinBlock, shift_on_equal_grid

__all__ = ["SwinEncoder"]

# embed_dim, depths, num_heads of the Swin paper (Liu et al., arXiv 2103.14030, section 3.3)
_SIZES: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    "swin_tiny": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "swin_small": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "swin_base": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
}


class SwinEncoder(Encoder):
    """Swin Transformer (Liu et al., arXiv 2103.14030) as the backbone of Lamps (arXiv 2512.22872), 2-D or 3-D.

    The modules are those of MONAI's ``SwinTransformer`` (attribute ``swin``; its parameter names are kept) with inner
    LayerNorms of eps 1e-6, normalised patch embedding, no absolute position code, no fourth patch merging, and an own
    final affine LayerNorm. With the released weights it gives the released network's tokens bit for bit at 448 and
    352 px; at 224 px it does so with ``small_grid_shift=True``. The features are taken before the patch merging.

    A masked view of the paper is the same as its cropped window: encode the crop.

    Args:
        name: ``swin_tiny``, ``swin_small`` or ``swin_base`` give the sizes of the Swin paper; any other name needs
            ``embed_dim``, ``depths`` and ``num_heads``.
        spatial_dims: 2 or 3.
        in_channels: number of image channels.
        embed_dim: channels after the patch embedding; they double from stage to stage.
        depths: blocks of each of the one to four stages.
        num_heads: attention heads of each stage, a divisor of the stage's channels.
        window_size: cells per side of an attention window. A grid smaller than the window is one window of its own
            size; MONAI then takes the leading part of the relative position table, so keep the coarsest grid at least
            as large as the window where you can.
        patch_size: pixels per side of a token of the first stage; ``cell = patch_size * 2**(stages - 1)``.
        mlp_ratio: hidden over embedding width of the feed-forward parts.
        qkv_bias: whether queries, keys and values have a bias.
        drop_path: stochastic depth at the last block, rising linearly from 0 at the first, in [0, 1). The paper: 0.2.
        small_grid_shift: shift and mask the windows also where the grid equals the window. Swin does not, the code of
            Lamps does (it decides by the size of the view at construction), which shows on the 224 px quadrants.
            Only needed for bit parity with the released weights.
        recompute: what the backward pass computes again to save memory: ``between`` (default) what lies between the
            linear layers (half the memory for about a twentieth of the time), ``all`` whole blocks, ``nothing``.

    Raises:
        ValueError: when an argument is missing or does not fit the others.
    """

    def __init__(
        self,
        name: str = "swin_base",
        spatial_dims: int = 2,
        in_channels: int = 1,
        *,
        embed_dim: int | None = None,
        depths: Sequence[int] | None = None,
        num_heads: Sequence[int] | None = None,
        window_size: int = 7,
        patch_size: int = 4,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path: float = 0.2,
        small_grid_shift: bool = False,
        recompute: str = "between",
    ) -> None:
        embed_dim, depths, num_heads = _sizes(name, embed_dim, depths, num_heads)
        _check(embed_dim, depths, num_heads, window_size, drop_path)
        strides, channels = self.levels(name, embed_dim=embed_dim, depths=depths, patch_size=patch_size)
        own = {
            "embed_dim": embed_dim,
            "depths": list(depths),
            "num_heads": list(num_heads),
            "window_size": window_size,
            "patch_size": patch_size,
            "mlp_ratio": mlp_ratio,
            "qkv_bias": qkv_bias,
            "drop_path": drop_path,
            "small_grid_shift": small_grid_shift,
            "recompute": recompute,
        }
        super().__init__(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            strides=strides,
            channels=channels,
            config={"name": name, "spatial_dims": spatial_dims, "in_channels": in_channels, **own},
        )
        self.swin = SwinTransformer(
            in_chans=in_channels,
            embed_dim=embed_dim,
            window_size=(window_size,) * spatial_dims,
            patch_size=(patch_size,) * spatial_dims,
            depths=depths,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            qkv_bias=qkv_bias,
            drop_path_rate=drop_path,
            norm_layer=cast("type[nn.LayerNorm]", partial(nn.LayerNorm, eps=1e-6)),
            patch_norm=True,
            spatial_dims=spatial_dims,
        )
        self.stages()[-1].downsample = None  # MONAI always adds a merging after the last stage; nothing reads it
        self.apply(_init_linear)
        rule = shift_on_equal_grid if small_grid_shift else get_window_size
        for stage in self.stages():
            blocks = cast("list[SwinTransformerBlock]", list(stage.blocks))
            stage.blocks = nn.ModuleList(SwinBlock(block, rule, *recompute_policy(recompute)) for block in blocks)
        self._masks: dict[tuple[Any, ...], torch.Tensor] = {}

    @classmethod
    def levels(cls, name: str, **kwargs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """``(strides, channels)`` for these arguments: strides patch, 2 patch, ...; channels D, 2 D, ..."""
        known = {key: kwargs.get(key) for key in ("embed_dim", "depths")}
        embed_dim, depths, _ = _sizes(name, num_heads=kwargs.get("num_heads", ()), **known)
        patch_size = kwargs.get("patch_size", 4)
        if isinstance(patch_size, bool) or not isinstance(patch_size, int) or patch_size < 1:
            raise ValueError(f"patch_size must be a positive integer (the same on every axis), got {patch_size!r}.")
        strides = tuple(patch_size * 2**stage for stage in range(len(depths)))
        return strides, tuple(embed_dim * 2**stage for stage in range(len(depths)))

    def stages(self) -> list[BasicLayer]:
        """MONAI's stages, fine to coarse."""
        return [getattr(self.swin, f"layers{stage + 1}")[0] for stage in range(len(self.strides))]

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Stage outputs before the patch merging, fine to coarse: (B, channels[i], H / strides[i], ...), float.

        Raises:
            ValueError: when the shape of ``x`` does not fit the encoder.
        """
        self.check_input(x)
        return self._stage_outputs(x, self._attention_masks(x))

    def compile_features(self, **kwargs: Any) -> None:
        """As in :class:`Encoder`; the masks of shifted windows are made outside of what is compiled."""
        setattr(self, "_stage_outputs", torch.compile(self._stage_outputs, **kwargs))  # noqa: B010

    def _stage_outputs(self, x: torch.Tensor, masks: Sequence[torch.Tensor | None]) -> list[torch.Tensor]:
        """Patch embedding and stages: what costs time, and what is compiled where a run asks for it."""
        x = self.swin.pos_drop(self.swin.patch_embed(x)).movedim(1, -1)  # [B, H/p, W/p, C]
        features = []
        for stage, mask in zip(self.stages(), masks):
            for block in stage.blocks:
                x = block(x, mask)
            features.append(x.movedim(-1, 1))
            if stage.downsample is not None:
                x = stage.downsample(x)  # [B, H/2, W/2, 2C]
        return features

    def _attention_masks(self, x: torch.Tensor) -> list[torch.Tensor | None]:
        """Mask (windows, N, N) of 0 and -100 for the shifted blocks of each stage; None where nothing is shifted.

        A mask is made once for a size of grid and kept; MONAI makes it in every forward.
        """
        masks = []
        for stage, stride in zip(self.stages(), self.strides):
            grid = tuple(int(size) // stride for size in x.shape[2:])  # int: a trace has tensors here
            odd = cast(SwinBlock, stage.blocks[min(1, len(stage.blocks) - 1)])  # the blocks that shift
            window, shift = odd.window_and_shift(grid)
            masks.append(self._mask(grid, window, shift, x.device) if any(shift) else None)
        return masks

    def _mask(
        self, grid: Sequence[int], window: Sequence[int], shift: Sequence[int], device: torch.device
    ) -> torch.Tensor:
        padded = [-(-size // side) * side for size, side in zip(grid, window)]
        # a network is traced twice, to check it: kept masks would make the traces differ
        if torch.jit.is_tracing() or torch.compiler.is_exporting():
            traced: torch.Tensor = compute_mask(padded, window, shift, device)
            return traced
        key = (*grid, *window, *shift, device)
        if key not in self._masks:
            with torch.inference_mode(False):
                self._masks[key] = compute_mask(padded, window, shift, device)
        return self._masks[key]


def _init_linear(module: nn.Module) -> None:
    """Swin's initialisation, which MONAI leaves out: truncated normal of deviation 0.02, biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _sizes(
    name: str, embed_dim: int | None, depths: Sequence[int] | None, num_heads: Sequence[int] | None
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Fill what was not given from the size that the name stands for."""
    if name not in _SIZES and (embed_dim is None or depths is None or num_heads is None):
        raise ValueError(
            f"'{name}' is not one of the Swin sizes {sorted(_SIZES)}; "
            "give embed_dim, depths and num_heads, or take one of these names."
        )
    known = _SIZES.get(name, (0, (), ()))
    return (
        known[0] if embed_dim is None else embed_dim,
        known[1] if depths is None else tuple(depths),
        known[2] if num_heads is None else tuple(num_heads),
    )


def _check(embed_dim: int, depths: Sequence[int], num_heads: Sequence[int], window_size: int, drop_path: float) -> None:
    if not 1 <= len(depths) <= 4 or len(depths) != len(num_heads) or min(depths) < 1:
        raise ValueError(
            "depths and num_heads must name the same one to four stages, each with at least one block, "
            f"got depths {tuple(depths)} and num_heads {tuple(num_heads)}."
        )
    for stage, heads in enumerate(num_heads):
        if heads < 1 or (embed_dim * 2**stage) % heads:
            raise ValueError(
                f"num_heads[{stage}] = {heads} must divide the {embed_dim * 2**stage} channels of that stage; "
                "change num_heads or embed_dim."
            )
    if isinstance(window_size, bool) or not isinstance(window_size, int) or window_size < 2:
        raise ValueError(f"window_size must be an integer of at least 2 (the same on every axis), got {window_size!r}.")
    if not 0 <= drop_path < 1:
        raise ValueError(f"drop_path must lie in [0, 1), got {drop_path}.")


for _name in _SIZES:
    register_encoder(_name, SwinEncoder)
