#!/usr/bin/env python3
"""Writes the pictures of this folder. Needs `pip install pillow==13.0.0 numpy==2.4.6`; the pictures are committed, so that only those
who change them run it."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
WIDTH, HEIGHT = 24, 16
LEFT, RIGHT = (200, 40, 40), (40, 60, 190)
LEFT_GREY, RIGHT_GREY = 200, 60


def halves(left, right):
    """The left half in one colour, the right half in the other."""
    pixels = np.zeros((HEIGHT, WIDTH, len(left)), np.uint8)
    pixels[:, : WIDTH // 2], pixels[:, WIDTH // 2 :] = left, right
    return pixels


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels, colour_type):
    """A PNG of 16 bits a value, which Pillow does not write in colour."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def main():
    colour = Image.fromarray(halves(LEFT, RIGHT))
    grey = Image.fromarray(halves([LEFT_GREY], [RIGHT_GREY])[:, :, 0])
    jpeg = {"quality": 95, "subsampling": 0}
    colour.save(HERE / "colour.jpg", **jpeg)
    grey.save(HERE / "grey.jpg", **jpeg)
    # Pillow stores CMYK inverted and says so, as Adobe's programs do.
    colour.convert("CMYK").save(HERE / "cmyk.jpg", **jpeg)
    colour.save(HERE / "progressive.jpg", progressive=True, **jpeg)
    # A quarter turn to the left as the sensor stored it; the tag (6) says how to hold it.
    exif = Image.Exif()
    exif[0x0112] = 6
    colour.transpose(Image.Transpose.ROTATE_90).save(HERE / "turned.jpg", exif=exif, **jpeg)
    colour.save(HERE / "jpeg-by-content.png", format="JPEG", **jpeg)
    colour.quantize(2).save(HERE / "palette.png")
    rgba = np.concatenate([halves(LEFT, RIGHT), np.full((HEIGHT, WIDTH, 1), 128, np.uint8)], axis=2)
    Image.fromarray(rgba).save(HERE / "translucent.png")
    (HERE / "colour16.png").write_bytes(png(halves(LEFT, RIGHT).astype(np.uint16) * 257, 2))
    (HERE / "grey16.png").write_bytes(png(halves([LEFT_GREY], [RIGHT_GREY])[:, :, 0].astype(np.uint16) * 257, 0))


if __name__ == "__main__":
    main()
