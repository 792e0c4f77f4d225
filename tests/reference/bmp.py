"""Windows bitmaps of all kinds, as Pillow reads them: python tests/reference/bmp.py

Writes tests/fixtures/pictures/bitmaps.json: for each kind the file and its RGB pixels, both in base64. Pillow writes
few of the kinds; the others are put together here.
"""

from __future__ import annotations

import base64
import io
import json
import struct
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "pictures" / "bitmaps.json"
WIDTH, HEIGHT = 7, 5
RNG = np.random.default_rng(5)


def bmp(rows: list[bytes], bits: int, *, compression=0, palette=b"", masks=b"", top_down=False, core=False, colours=0):
    """Rows from the bottom up, unless top_down; padded here but for run lengths."""
    data = b"".join(rows) if compression in (1, 2) else b"".join(row + bytes(-len(row) % 4) for row in rows)
    if core:
        header = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
    else:
        height = -HEIGHT if top_down else HEIGHT
        header = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, compression, len(data), 0, 0, colours, 0)
    offset = 14 + len(header) + len(masks) + len(palette)
    return struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset) + header + masks + palette + data


def saved(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "BMP")
    return buffer.getvalue()


def kinds() -> dict[str, bytes]:
    rgb = Image.fromarray(RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    alpha = Image.fromarray(RNG.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8))
    words = [RNG.integers(0, 65536, WIDTH, dtype=np.uint16).tobytes() for _ in range(HEIGHT)]
    longs = [RNG.integers(0, 2**32, WIDTH, dtype=np.uint32).tobytes() for _ in range(HEIGHT)]
    nibbles = [RNG.integers(0, 256, 4, dtype=np.uint8).tobytes() for _ in range(HEIGHT)]
    octets = [RNG.integers(0, 256, WIDTH, dtype=np.uint8).tobytes() for _ in range(HEIGHT)]
    sixteen = RNG.integers(0, 256, 64, dtype=np.uint8).tobytes()
    many = RNG.integers(0, 256, 1024, dtype=np.uint8).tobytes()
    runs = [bytes([3, 9, 0, 4, 1, 2, 3, 4, 0, 0]), bytes([7, 200, 0, 0])] * 2 + [bytes([0, 7, 5, 6, 7, 8, 9, 1, 2, 0, 0, 1])]
    halves = [bytes([5, 0x3C, 2, 0x11, 0, 0]), bytes([0, 4, 0x12, 0x34, 3, 0xAB, 0, 0])] * 2 + [bytes([7, 0xF0, 0, 0, 0, 1])]
    return {
        "1 bit": saved(rgb.convert("1")),
        "8 bits, grey": saved(rgb.convert("L")),
        "8 bits, palette": saved(rgb.convert("P")),
        "24 bits": saved(rgb),
        "32 bits, alpha": saved(alpha),
        "1 bit, two colours": bmp([row[:1] for row in octets], 1, palette=sixteen[:8]),
        "4 bits": bmp(nibbles, 4, palette=sixteen),
        "4 bits, few colours": bmp(nibbles, 4, palette=sixteen[:12], colours=3),
        "8 bits": bmp(octets, 8, palette=many),
        "8 bits, few colours": bmp(octets, 8, palette=many[:40], colours=10),
        "16 bits": bmp(words, 16),
        "16 bits, 565": bmp(words, 16, compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
        "16 bits, 555": bmp(words, 16, compression=3, masks=struct.pack("<III", 0x7C00, 0x3E0, 0x1F)),
        "32 bits": bmp(longs, 32),
        "32 bits, masks": bmp(longs, 32, compression=3, masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00)),
        "top down": bmp([np.asarray(rgb)[y, :, ::-1].tobytes() for y in range(HEIGHT)], 24, top_down=True),
        "core header": bmp([np.asarray(rgb)[y, :, ::-1].tobytes() for y in range(HEIGHT)], 24, core=True),
        "core header, 4 bits": bmp(nibbles, 4, palette=many[:48], core=True),
        "run lengths of 8 bits": bmp(runs, 8, compression=1, palette=many),
        "run lengths of 4 bits": bmp(halves, 4, compression=2, palette=sixteen),
    }


def main() -> None:
    found = {}
    for name, data in kinds().items():
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert pixels.shape == (HEIGHT, WIDTH, 3), name
        found[name] = {"file": base64.b64encode(data).decode(), "rgb": base64.b64encode(pixels.tobytes()).decode()}
    OUT.write_text(json.dumps({"width": WIDTH, "height": HEIGHT, "kinds": found}, indent=1) + "\n")
    print(f"{OUT.name}: {len(found)} kinds, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
