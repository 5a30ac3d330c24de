"""Building blocks that the encoder's, the decoder's and the restoration network share.

No layer normalises over the image: statistics over space would tie the result to the size of the
crop or tile that the network happens to see.
"""

import math
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .roles import Role


def zero_init(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """Starts a layer at zero, so that the branch it closes starts as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _float32(x: Tensor) -> torch.autocast:
    """Keeps what N does to the features out of autocast: an error there moves whole pictures."""
    return torch.autocast(x.device.type, enabled=False)


class LevelEmbedding(nn.Module):
    """Embedding of the parameter N: sines and cosines of log2 N through an MLP.

    The sinusoids follow Vaswani et al. 2017 (and the time embedding of Ho et al. 2020).
    """

    frequencies: Tensor

    def __init__(self, channels: int, frequencies: int = 8) -> None:
        super().__init__()
        self.register_buffer(
            "frequencies", math.pi / 8 * 2.0 ** torch.arange(frequencies) / 2, persistent=False
        )
        self.mlp = nn.Sequential(
            nn.Linear(2 * frequencies, channels), nn.SiLU(), nn.Linear(channels, channels)
        )

    def forward(self, levels: Tensor) -> Tensor:
        """N of each image, (B,) -> (B, channels)."""
        with _float32(levels):
            phase = torch.log2(levels.float())[:, None] * self.frequencies
            return F.silu(self.mlp(torch.cat((phase.sin(), phase.cos()), 1)))


class ResidualBlock(nn.Module):
    """x + conv3(SiLU(FiLM(conv3(x)))), after He et al. 2016; FiLM after Perez et al. 2018.

    The second convolution starts at zero. Without an embedding there is no FiLM.
    """

    roles: ClassVar = {"film": Role.OUTER}

    def __init__(self, channels: int, embedding_channels: int = 0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = zero_init(nn.Conv2d(channels, channels, 3, padding=1))
        self.film = (
            zero_init(nn.Linear(embedding_channels, 2 * channels)) if embedding_channels else None
        )

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """(B, C, h, w) and the embedding (B, E) -> (B, C, h, w)."""
        if torch.is_inference_mode_enabled() and len(x) == 1:
            return self._infer(x, embedding)
        hidden = self.conv1(x)
        if self.film is not None and embedding is not None:
            scale, shift = self._scale_and_shift(embedding)
            scale, shift = (part[:, :, None, None].to(hidden.dtype) for part in (scale, shift))
            hidden = hidden * (1 + scale) + shift
        return x + cast(Tensor, self.conv2(F.silu(hidden)))

    def _scale_and_shift(self, embedding: Tensor) -> tuple[Tensor, ...]:
        """What N does to each feature, float32: (B, E) -> two of (B, C)."""
        assert self.film is not None
        with _float32(embedding):
            return cast(Tensor, self.film(embedding)).chunk(2, 1)

    def _infer(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """The same for one image: FiLM within the convolution, all else in place.

        Passes over features in memory take as long here as half of the multiplications.
        """
        weight, bias = self.conv1.weight, self.conv1.bias
        if self.film is not None and embedding is not None:
            scale, shift = (part[0] for part in self._scale_and_shift(embedding))
            weight = weight * (1 + scale)[:, None, None, None]
            bias = cast(Tensor, bias) * (1 + scale) + shift
        hidden = F.silu(F.conv2d(x, weight, bias, padding=1), inplace=True)
        return cast(Tensor, self.conv2(hidden)).add_(x)


class WindowAttention(nn.Module):
    """Self-attention within windows of ``window`` x ``window`` positions, with a residual.

    Windows (Liu et al. 2021) keep the cost linear in the image's area. The output projection
    starts at zero.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = zero_init(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        batch, _, height, width = x.shape
        size = self.window
        rows, columns = -(-height // size), -(-width // size)
        q, k, v, mask = self._attend(x)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        mixed = self.out(mixed.transpose(1, 2).flatten(2))
        mixed = mixed.unflatten(1, (size, size)).unflatten(0, (batch, rows, columns))
        mixed = mixed.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        return cast(Tensor, x + mixed[..., :height, :width])

    def weights(self, x: Tensor, row: int, column: int) -> Tensor:
        """How much one position attends to every other: softmax(q k / sqrt(d)), for looking at.

        Args:
            x: features (1, C, h, w).
            row, column: the position that asks, within h and w.

        Returns:
            (heads, h, w): each head's weights sum to 1, and are 0 outside the position's window.
        """
        height, width = x.shape[-2:]
        size = self.window
        q, k, _, mask = self._attend(x)
        window = row // size * -(-width // size) + column // size
        asking = row % size * size + column % size
        # No matrix product, which autocast would round.
        scores = (q[window, :, asking : asking + 1].float() * k[window].float()).sum(-1)
        scores = scores / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[window, 0], -torch.inf)
        own = scores.softmax(-1).unflatten(-1, (size, size))
        top, left = row // size * size, column // size * size
        weights: Tensor = own.new_zeros(self.heads, height, width)
        target = weights[:, top : top + size, left : left + size]
        target.copy_(own[:, : target.shape[1], : target.shape[2]])
        return weights

    def _attend(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Queries, keys, values (windows, heads, positions, d), and which positions count."""
        batch, _, height, width = x.shape
        size = self.window
        rows, columns = -(-height // size), -(-width // size)
        margin = (0, columns * size - width, 0, rows * size - height)
        mask = None
        padded = x
        if any(margin):
            padded = F.pad(x, margin)
            inside = F.pad(x.new_ones(1, 1, height, width, dtype=torch.bool), margin)
            mask = self._windows(inside, rows, columns).transpose(1, 2)[:, None]
            mask = mask.repeat(batch, 1, 1, 1)
        tokens = self._windows(padded, rows, columns)
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(tokens).chunk(3, -1)
        )
        return q, k, v, mask

    def _windows(self, x: Tensor, rows: int, columns: int) -> Tensor:
        """(B, C, rows * size, columns * size) -> (B * rows * columns, size * size, C)."""
        x = x.unflatten(2, (rows, self.window)).unflatten(4, (columns, self.window))
        return x.permute(0, 2, 4, 3, 5, 1).flatten(0, 2).flatten(1, 2)


class UNet(nn.Module):
    """The trunk: a U-Net whose resolutions are those of the latents' pyramid.

    Level 0 is the finest. Level l reads its inputs on the way down and writes its outputs on the
    way up; skip connections add. With four levels::

        in[0] -> stem -> blocks ------------------- + -> blocks -> head -> out[0]
                           | 2x2/2                  | 2x2 transposed
        in[1] -> stem ---- + -> blocks ------------ + -> blocks -> head -> out[1]
                                  | 2x2/2           |
        in[2] -> stem ----------- + -> blocks ----- + -> blocks -> head -> out[2]
                                         |          |
        in[3] -> stem ------------------ + -> blocks, attention -> head -> out[3]

    After Ronneberger et al. 2015. A level with zero input channels has neither stem nor head.

    Args:
        inputs, outputs: channels read and written at every level, finest first.
        widths: features at every level, finest first.
        blocks_down, blocks_up: residual blocks per level on each way.
        embedding_channels: 0 for a network without N as an input.
        heads, window: of the self-attention at the coarsest level; 0 heads for none.
    """

    roles: ClassVar = {"stems": Role.OUTER, "heads": Role.HEAD}

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        widths: Sequence[int],
        blocks_down: int,
        blocks_up: int,
        embedding_channels: int = 0,
        heads: int = 0,
        window: int = 16,
    ) -> None:
        super().__init__()

        def blocks(width: int, count: int) -> nn.ModuleList:
            return nn.ModuleList(ResidualBlock(width, embedding_channels) for _ in range(count))

        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.stems = nn.ModuleList(
            nn.Conv2d(n, width, 3, padding=1) if n else nn.Identity()
            for n, width in zip(inputs, widths, strict=True)
        )
        self.heads = nn.ModuleList(
            zero_init(nn.Conv2d(width, n, 3, padding=1)) if n else nn.Identity()
            for n, width in zip(outputs, widths, strict=True)
        )
        self.down_blocks = nn.ModuleList(blocks(width, blocks_down) for width in widths)
        self.up_blocks = nn.ModuleList(blocks(width, blocks_up) for width in widths)
        self.downs = nn.ModuleList(nn.Conv2d(fine, coarse, 2, 2) for fine, coarse in pairs)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2) for fine, coarse in pairs)
        self.attention = WindowAttention(widths[-1], heads, window) if heads else None

    def forward(
        self, inputs: Sequence[Tensor | None], embedding: Tensor | None = None
    ) -> list[Tensor | None]:
        """Inputs (B, C_l, h / 2^l, w / 2^l), finest first -> outputs of the same sizes.

        ``None`` stands at levels without channels. h and w are multiples of 2^(levels - 1).
        """
        skips = self.descend(inputs, embedding)
        hidden = skips[-1]
        if self.attention is not None:
            hidden = self.attention(hidden)
        outputs: list[Tensor | None] = [None] * len(skips)
        for level in reversed(range(len(skips))):
            skip = skips.pop()  # the finest are as large as all else, so none is kept for long
            if level < len(self.ups):
                hidden = self.ups[level](hidden).add_(skip)
            del skip
            for block in cast(nn.ModuleList, self.up_blocks[level]):
                hidden = block(hidden, embedding)
            if isinstance(self.heads[level], nn.Conv2d):
                outputs[level] = self.heads[level](hidden)
        return outputs

    def descend(self, inputs: Sequence[Tensor | None], embedding: Tensor | None) -> list[Tensor]:
        """The way down: the features at every level, finest first; see ``forward``."""
        assert inputs[0] is not None
        hidden: Tensor = self.stems[0](inputs[0])
        skips: list[Tensor] = []
        for level, blocks in enumerate(self.down_blocks):
            if level > 0:
                hidden = self.downs[level - 1](hidden)
                given = inputs[level]
                if given is not None:
                    hidden = hidden + self.stems[level](given)
            for block in cast(nn.ModuleList, blocks):
                hidden = block(hidden, embedding)
            skips.append(hidden)
        return skips


def group_bands(
    bands: Sequence[Tensor], band_levels: Sequence[int], levels: int
) -> list[Tensor | None]:
    """Concatenates the bands that live at the same U-Net level: a list, finest first."""
    groups: list[Tensor | None] = [None] * levels
    for level in set(band_levels):
        members = [band for band, at in zip(bands, band_levels, strict=True) if at == level]
        groups[level] = torch.cat(members, 1) if len(members) > 1 else members[0]
    return groups


def ungroup_bands(
    groups: Sequence[Tensor | None], band_channels: Sequence[int], band_levels: Sequence[int]
) -> tuple[Tensor, ...]:
    """The inverse of ``group_bands``: bands in their own order."""
    taken = [0] * len(groups)
    bands = []
    for channels, level in zip(band_channels, band_levels, strict=True):
        group = groups[level]
        assert group is not None
        bands.append(group[:, taken[level] : taken[level] + channels])
        taken[level] += channels
    return tuple(bands)
