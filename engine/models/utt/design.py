"""Sizes of the satellite branch."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import ModelError


@dataclass(frozen=True)
class SatelliteDesign:
    """Sizes of a U-TAE; the defaults are those of the FLAIR #2 baseline.

    Args:
        encoder_widths: Channels of the encoder's maps, finest first.
        decoder_widths: Channels of the decoder's; the last is the encoder's last.
        class_widths: Channels of the convolutions to classes, without the classes; idle in U-T&T.
        heads: Attention heads; divide `attention_width` and all encoder widths.
        attention_width: Channels that the heads share.
        key_width: Length of a key.
        kernel: Side of the convolutions that halve and double a map.
        stride: Their step.
        padding: Their border.
    """

    encoder_widths: tuple[int, ...] = (64, 64, 128, 128)
    decoder_widths: tuple[int, ...] = (64, 64, 128, 128)
    class_widths: tuple[int, ...] = (32,)
    heads: int = 16
    attention_width: int = 256
    key_width: int = 4
    kernel: int = 4
    stride: int = 2
    padding: int = 1

    def __post_init__(self) -> None:
        widths = (self.attention_width, *self.encoder_widths)
        if len(self.encoder_widths) != len(self.decoder_widths) or self.encoder_widths[-1] != self.decoder_widths[-1]:
            raise ModelError("Encoder and decoder of a U-TAE have the same steps, and meet in the deepest map.")
        if any(width % self.heads for width in widths):
            raise ModelError(f"{self.heads} attention heads do not divide the widths {list(widths)}.")

    @property
    def step(self) -> int:
        """What sides of an input are multiples of: two times or more, or the deepest map could not be mirrored."""
        return int(self.stride ** (len(self.encoder_widths) - 1))
