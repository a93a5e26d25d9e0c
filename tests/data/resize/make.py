#!/usr/bin/env python3
"""Makes the pictures in this folder: one of our own, and what Pillow 13.0.0's BILINEAR makes of it in other sizes."""

from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
SIZES = [(30, 30), (97, 20), (13, 80), (150, 101), (1, 1), (61, 12)]


def main():
    rng = np.random.default_rng(11)
    y, x = np.mgrid[0:47, 0:61]
    smooth = np.stack([x * 4, y * 5, (x + y) * 2], axis=-1)
    noise = rng.integers(0, 256, (47, 61, 3))
    # Noise on the left, where every weight shows; smooth on the right; pure black and white between.
    pixels = np.where(x[..., None] < 24, noise, smooth)
    pixels[:, 24:30] = (y[:, 24:30, None] % 2) * 255
    source = Image.fromarray(pixels.astype(np.uint8))
    source.save(HERE / "source.png", optimize=True)
    for size in SIZES:
        source.resize(size, Image.Resampling.BILINEAR).save(HERE / f"{size[0]}x{size[1]}.png", optimize=True)


if __name__ == "__main__":
    main()
