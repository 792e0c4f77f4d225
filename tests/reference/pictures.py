"""Writes tests/fixtures/pictures: small pictures of every kind, and what Pillow and transformers make of them.

    python tests/reference/pictures.py [FOLDER]

FOLDER holds real pictures that are not part of this repository; collected.json then tells what Pillow sees in
them, and the test reads them where FLORENCE2_PICTURES names the folder. Needs pillow 13, numpy and transformers 5.18. The pictures are synthetic; coffee.png, if it is there, is
taken along as one more case of preprocessing. Every run writes the same bytes, but for the time in animated.avif.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

FOLDER = Path(__file__).parent.parent / "fixtures" / "pictures"
WIDTH, HEIGHT = 45, 31
ORIENTATION = 0x0112


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def scene() -> np.ndarray:
    """Slopes, noise and hard edges: chroma upsampling and every predictor have something to do."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    smooth = np.stack([x * 5 + y * 2, 255 - y * 7, (x - 20) ** 2 / 3 + y * 3], -1)
    noisy = smooth + np.random.default_rng(7).normal(0, 12, smooth.shape)
    noisy[8:16, 10:22] = [230, 30, 40]
    return np.clip(noisy, 0, 255).astype(np.uint8)


PIXELS = scene()
RAMP = np.add.outer(np.arange(HEIGHT) * 3, np.arange(WIDTH) * 11).astype(np.uint8)
GREY16 = np.clip(np.add.outer(np.arange(HEIGHT), np.arange(WIDTH) * 40 - 200), 0, 65535).astype(np.uint16)

RGB = Image.fromarray(PIXELS)
NEGATIVE = Image.fromarray(255 - PIXELS)
RGBA = Image.merge("RGBA", (*RGB.split(), Image.fromarray(RAMP)))
GREY = RGB.convert("L")
GREY_ALPHA = Image.merge("LA", (GREY, Image.fromarray(RAMP)))
PALETTE = RGB.quantize(60)
CMYK = RGB.convert("CMYK")


def encode(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    return exif


def profile(space: str) -> bytes:
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()
    return data[:24] + bytes(12) + data[36:]  # Without the time of writing.


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, colour_type: int, interlaced: bool = False, between: bytes = b"") -> bytes:
    """PNG of the kinds that Pillow does not write: 16-bit colour, interlaced, and with odd chunks."""
    height, width = pixels.shape[:2]
    bits = pixels.itemsize * 8
    # Adam7: first row, first column, and the steps of each pass.
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b""
    for top, left, down, right in passes if interlaced else [(0, 0, 1, 1)]:
        for row in pixels[top::down, left::right]:
            rows += b"\0" + row.astype(f">u{pixels.itemsize}").tobytes()
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, int(interlaced))
    body = chunk(b"IHDR", header) + between + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def pictures() -> dict[str, bytes]:
    """Encoded pictures by file name, all read by Pillow and by this library."""
    colour16 = PIXELS.astype(np.uint16) * 257 ^ RAMP[..., None]
    files = {
        "rgb.png": encode(RGB, "PNG"),
        "grey.png": encode(GREY, "PNG"),
        "grey-alpha.png": encode(GREY_ALPHA, "PNG"),
        "rgba.png": encode(RGBA, "PNG"),
        "palette.png": encode(PALETTE, "PNG"),
        "palette-4bit.png": encode(RGB.quantize(9), "PNG"),
        "palette-transparent.png": encode(PALETTE, "PNG", transparency=3),
        "1bit.png": encode(RGB.convert("1"), "PNG"),
        "grey-16bit.png": encode(Image.fromarray(GREY16), "PNG"),
        "rgb-16bit.png": png(colour16, 2),
        "rgba-16bit.png": png(np.dstack([colour16, RAMP]), 6),
        "grey-alpha-16bit.png": png(colour16[..., :2], 4),
        "transparent-colour.png": png(PIXELS, 2, between=chunk(b"tRNS", struct.pack(">HHH", 230, 30, 40))),
        "gamma.png": png(PIXELS, 2, between=chunk(b"gAMA", struct.pack(">I", 100000))),
        "interlaced.png": png(PIXELS, 2, interlaced=True),
        "animated.png": encode(RGBA, "PNG", save_all=True, append_images=[NEGATIVE.convert("RGBA")]),
        "turned.png": encode(RGB, "PNG", exif=oriented(6)),
        "1x1.png": encode(RGB.crop((20, 10, 21, 11)), "PNG"),
        "2x3.png": encode(RGB.crop((9, 7, 11, 10)), "PNG"),
        "1x20000.png": encode(Image.new("L", (1, 20000), 77), "PNG"),
        "20000x1.png": encode(Image.new("L", (20000, 1), 77), "PNG"),
        "444.jpg": encode(RGB, "JPEG", quality=90, subsampling="4:4:4"),
        "422.jpg": encode(RGB, "JPEG", quality=85, subsampling="4:2:2"),
        "420.jpg": encode(RGB, "JPEG", quality=85, subsampling="4:2:0"),
        "rgb.jpg": encode(RGB, "JPEG", quality=90, keep_rgb=True),
        "progressive.jpg": encode(RGB, "JPEG", quality=80, progressive=True),
        "coarse.jpg": encode(RGB, "JPEG", quality=15),
        "grey.jpg": encode(GREY, "JPEG"),
        "cmyk.jpg": encode(CMYK, "JPEG"),
        "cmyk-turned.jpg": encode(CMYK, "JPEG", exif=oriented(8)),
        "profile.jpg": encode(RGB, "JPEG", icc_profile=profile("XYZ")),
        "broken-profile.jpg": encode(RGB, "JPEG", icc_profile=b"no profile at all"),
        "trailing-zip.jpg": encode(RGB, "JPEG") + b"PK\3\4 and so on",
        "lossy.webp": encode(RGB, "WEBP", quality=80),
        "lossy-alpha.webp": encode(RGBA, "WEBP", quality=80),
        "lossless.webp": encode(RGB, "WEBP", lossless=True),
        "lossless-alpha.webp": encode(RGBA, "WEBP", lossless=True, exact=True),
        "animated.webp": encode(RGBA, "WEBP", save_all=True, append_images=[NEGATIVE], lossless=True),
        "turned.webp": encode(RGB, "WEBP", lossless=True, exif=oriented(6)),
        "still.gif": encode(RGB, "GIF"),
        "grey.gif": encode(GREY, "GIF"),
        "transparent.gif": encode(PALETTE, "GIF", transparency=3),
        "alpha.gif": encode(RGBA, "GIF"),
        "interlaced.gif": encode(PALETTE, "GIF", interlace=True),
        "comment.gif": encode(PALETTE, "GIF", transparency=3, comment=b"before the image"),
        "animated.gif": encode(RGB, "GIF", save_all=True, append_images=[NEGATIVE]),
        "420.avif": encode(RGB, "AVIF", quality=75),
        "444.avif": encode(RGB, "AVIF", quality=75, subsampling="4:4:4"),
        "alpha.avif": encode(RGBA, "AVIF", quality=75, subsampling="4:4:4"),
        "grey.avif": encode(GREY, "AVIF"),
        "turned.avif": encode(RGB, "AVIF", quality=75, subsampling="4:4:4", exif=oriented(6)),
        "mirrored.avif": encode(RGB, "AVIF", quality=75, subsampling="4:4:4", exif=oriented(5)),
        "animated.avif": encode(RGB, "AVIF", subsampling="4:4:4", save_all=True, append_images=[NEGATIVE]),
        "rgb.tif": encode(RGB, "TIFF"),
        "lzw.tif": encode(RGB, "TIFF", compression="tiff_lzw"),
        "deflate.tif": encode(RGB, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": encode(RGB, "TIFF", compression="jpeg"),
        "group4.tif": encode(RGB.convert("1"), "TIFF", compression="group4"),
        "grey.tif": encode(GREY, "TIFF"),
        "grey-alpha.tif": encode(GREY_ALPHA, "TIFF"),
        "grey-16bit.tif": encode(Image.fromarray(GREY16), "TIFF"),
        "rgba.tif": encode(RGBA, "TIFF"),
        "palette.tif": encode(PALETTE, "TIFF"),
        "cmyk.tif": encode(CMYK, "TIFF"),
        "big-endian.tif": encode(Image.fromarray(GREY16.astype(">u2")), "TIFF"),
        "turned.tif": encode(RGB, "TIFF", tiffinfo={ORIENTATION: 6}),
        "two-pages.tif": encode(RGB, "TIFF", save_all=True, append_images=[NEGATIVE]),
    }
    # 0 and 9 are no orientations and count as 1.
    for orientation in range(10):
        files[f"orientation-{orientation}.jpg"] = encode(RGB, "JPEG", quality=90, exif=oriented(orientation))
    # YCCK, as Photoshop writes it: the transform byte of the Adobe segment says so.
    ycck = bytearray(files["cmyk.jpg"])
    ycck[ycck.index(b"Adobe") + 11] = 2
    files["ycck.jpg"] = bytes(ycck)
    return files


def refused() -> dict[str, bytes]:
    """Pictures that this library does not read, and Pillow does."""
    return {
        "float.tif": encode(Image.fromarray(PIXELS[..., 0].astype(np.float32)), "TIFF"),
        "int32.tif": encode(Image.fromarray(PIXELS[..., 0].astype(np.int32)), "TIFF"),
        "lab.tif": encode(Image.merge("LAB", RGB.split()), "TIFF"),
        "ycbcr.tif": encode(RGB.convert("YCbCr"), "TIFF"),
        "windows.bmp": encode(RGB, "BMP"),
        "windows.ico": encode(RGB, "ICO", sizes=[(16, 16)]),
    }


def upright(data: bytes) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")


def random_bytes(seed: int, count: int) -> bytes:
    """A linear congruential generator that the test repeats: top byte of each state."""
    result = bytearray(count)
    for i in range(count):
        seed = (seed * 1664525 + 1013904223) % 2**32
        result[i] = seed >> 24
    return bytes(result)


RESIZES = [
    # width, height, new width, new height
    (1, 1, 1, 1), (1, 1, 5, 7), (2, 3, 7, 5), (3, 2, 1, 1), (5, 7, 5, 7), (5, 7, 5, 20), (5, 7, 20, 7),
    (5, 7, 5, 3), (5, 7, 2, 7), (7, 5, 14, 10), (7, 5, 768, 3), (64, 48, 32, 24), (64, 48, 33, 95),
    (97, 61, 48, 48), (61, 97, 144, 144), (100, 3, 7, 3), (3, 100, 3, 7), (1, 500, 16, 16), (500, 1, 16, 16),
    (1, 200, 768, 1), (257, 255, 256, 256), (255, 257, 256, 256), (300, 200, 144, 144), (31, 17, 768, 768),
    (320, 180, 768, 768), (3000, 2, 768, 2), (2, 3000, 2, 768), (20000, 1, 768, 8), (1, 20000, 8, 768),
    (769, 767, 768, 768), (90, 200, 60, 100), (91, 161, 61, 100), (90, 160, 60, 100), (200, 90, 50, 40),
    (40, 60, 50, 59),
]  # fmt: skip


def resize_cases() -> list[dict]:
    cases = []
    for seed, (width, height, new_width, new_height) in enumerate(RESIZES):
        image = Image.frombytes("RGB", (width, height), random_bytes(seed, width * height * 3))
        resized = image.resize((new_width, new_height), Image.Resampling.BICUBIC)
        sizes = {"width": width, "height": height, "newWidth": new_width, "newHeight": new_height}
        cases.append({"seed": seed, **sizes, "sha256": sha256(resized.tobytes())})
    return cases


RELEASED = {
    "size": {"height": 768, "width": 768},
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "do_center_crop": False,
    "do_convert_rgb": None,
}
OTHER = {
    **RELEASED,
    "size": {"height": 40, "width": 72},
    "rescale_factor": 1 / 127.5,
    "image_mean": [1, 0.3, 0.7],
    "image_std": [0.5, 0.03, 0.9],
}


def preprocess_cases(files: dict[str, bytes]) -> list[dict]:
    coffee = FOLDER / "coffee.png"
    if coffee.exists():
        files = {**files, "coffee.png": coffee.read_bytes()}
    wanted = ["coffee.png", "420.jpg", "rgba.png", "orientation-6.jpg", "1x1.png", "20000x1.png"]
    cases = []
    for name in [name for name in wanted if name in files]:
        for config in [RELEASED, OTHER]:
            image = upright(files[name])
            values = CLIPImageProcessorPil(**config)(image, return_tensors="np")["pixel_values"][0]
            assert values.dtype == np.float32 and values.shape[1:] == tuple(config["size"].values())
            case = {"name": name, "config": config, "width": image.width, "height": image.height}
            cases.append({**case, "sha256": sha256(values.astype("<f4").tobytes())})
    return cases


def collected_cases(folder: Path) -> list[dict]:
    cases = []
    for path in sorted(folder.rglob("*.*")):
        if path.suffix == ".md":
            continue
        case: dict = {"name": path.relative_to(folder).as_posix()}
        try:
            image = upright(path.read_bytes())
            case |= {"width": image.width, "height": image.height, "sha256": sha256(image.tobytes())}
        except (OSError, Image.DecompressionBombError):
            case["refused"] = True
        cases.append(case)
    return cases


def main() -> None:
    folder = FOLDER / "kinds"
    folder.mkdir(parents=True, exist_ok=True)
    files = pictures()
    decode = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        image = upright(data)
        case = {"name": name, "mode": Image.open(io.BytesIO(data)).mode, "width": image.width, "height": image.height}
        decode.append({**case, "sha256": sha256(image.tobytes())})
        # AVIF leaves the conversion to RGB to the decoder, so that a hash is too strict.
        if name.endswith(".avif"):
            image.save(folder / f"{name}.expected.png")
    for name, data in refused().items():
        (folder / name).write_bytes(data)
    cases = {"decode": decode, "resize": resize_cases(), "preprocess": preprocess_cases(files)}
    if len(sys.argv) > 1:
        collected = json.dumps(collected_cases(Path(sys.argv[1])), indent=1)
        (FOLDER / "collected.json").write_text(collected + "\n")
    (FOLDER / "pictures.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
