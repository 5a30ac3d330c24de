"""What the tab "Compare" says."""

from __future__ import annotations

from dataclasses import dataclass

OPENING_SPLIT = 43.5
"""Where the divider stands at first, in per cent of the width: it runs through the face."""

MARKS = (16, 24, 40, 64, 100, 160, 250, 400)
"""Values of N that are written under the slider."""


@dataclass(frozen=True)
class Lesson:
    """A guided example: what to look at, with the photo, the N and the left side that show it."""

    photo: str
    levels: int
    title: str
    text: str
    left: str = "quantized"

    @property
    def sides(self) -> dict[str, str]:
        """What either side shows."""
        return {"left": self.left, "right": "restored"}


LESSONS = (
    Lesson(
        "astronaut",
        40,
        "1 · Break it, mend it",
        "A face at N = 40, in 4 kB. Drag the divider over the cheeks and the flag: on the left "
        "what the file holds, on the right what the network makes of it. The file is the same.",
    ),
    Lesson(
        "page",
        65,
        "2 · Read the small print",
        "Text at N = 65: letters have no smooth parts to hide errors in. Raise N until you can "
        "read with ease, and watch the bytes grow.",
    ),
    Lesson(
        "stream",
        40,
        "3 · Too many leaves",
        "Foliage at N = 40: detail that was never stored cannot come back. Find where the "
        "network helps and where it cannot.",
    ),
    Lesson(
        "window",
        50,
        "4 · Eye or decibels",
        "Two models, the same bytes. On the left the one trained for squared error, which has more "
        "decibels; on the right the one trained for the eye. Which one looks better to you?",
        left="psnr",
    ),
)

TRAINED_FOR = {"default": "the eye", "psnr": "squared error"}
"""What the bundled models were trained for; others go by their names."""

MODEL_INFO = (
    "For the eye: errors count as people see them. Squared error: all count alike, for more PSNR."
)

CODER_INFO = "How the integers become bytes. The picture is the same; only the file's size changes."

OPTIMISE_INFO = (
    "The encoder asks the network what each integer does to the picture, and chooses anew, four "
    "times over: some seconds for a better picture or a smaller file. Any decoder reads it. "
    "The tab Inside the codec goes on showing plain rounding."
)

EXPLANATION = """
**N** is the number of distinct values, the *pixel-range diversity*. The photo becomes wavelet
coefficients, most of them near zero. They are rounded to a grid of N values that spans
everything a pixel range of 0 … 255 can produce, so the **step** between two neighbours is
7067 / (N − 1). A small N means a wide step: few different numbers, long runs of zeros, and
Brotli packs them tightly.

**Quantized only** is the picture decoded from those rounded numbers. **Restored** comes from the
same file, byte for byte: a network is given N, so it knows how far each number may have moved, and
it nudges each one within its step before decoding.

**PSNR** measures the error, in decibels: +1 dB is 21 % less squared error; above 40 dB you will
hardly see any. **SSIM** compares local structure: 1 is equal. **Bits per pixel** is the whole
file over the pixels; a raw photo has 24. Every number here is measured on real files, against
your photo, after each move.

The pictures on this page travel losslessly (WebP lossless), so what you compare is exactly what
the decoders gave.
"""

TIPS = {
    "bytes": "Length of the .qann file, header included.",
    "ratio": "The raw 24-bit pixels are so many times larger than the file.",
    "psnr": "Peak signal-to-noise ratio over red, green and blue, in decibels; higher is better.",
    "ssim": "Structural similarity, mean over red, green and blue; 1 means equal.",
    "eye": "SSIMULACRA 2, a measure made to agree with what people see: 90 looks the same, 70 is "
           "high quality, 50 medium, 30 low; it can be negative.",
    "step": "Distance between two neighbouring values that a coefficient may take, in the "
            "coefficients' own unit: 7067 / (N − 1) for the default model.",
    "seconds": "What this server took: quantization and packing; restoration and decoding.",
    "gain": "What the restoration network adds, in decibels, without one byte more in the file.",
    "jpeg": "Bytes saved against a JPEG file (4:2:0, optimised tables) of the same PSNR as the "
            "restored picture, its length interpolated between two neighbouring qualities.",
}  # fmt: skip
