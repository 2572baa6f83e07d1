"""Small real pictures without an imaging library: one plain colour, readable by any browser."""

from __future__ import annotations

import struct
import zlib

SIDE = 48  # pixels; a multiple of 8, so that a JPEG needs whole blocks only


def png(red: int, green: int, blue: int) -> bytes:
    """A PNG of SIDE × SIDE pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + bytes((red, green, blue)) * SIDE
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * SIDE)) + chunk(b"IEND", b"")


# All quantisers are 8, so that the one coefficient of a plain block is its level minus 128.
_DQT = b"\xff\xdb" + struct.pack(">HB", 67, 0) + b"\x08" * 64
# Twelve codes of four bits for the sizes 0..11 of the level; for the rest one code of one bit: "end of block".
_DC = b"\xff\xc4" + struct.pack(">HB", 31, 0x00) + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12))
_AC = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + bytes([1] + [0] * 15) + b"\0"
_SOF = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, SIDE, SIDE, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
_SOS = b"\xff\xda" + struct.pack(">HB", 12, 3) + bytes([1, 0, 2, 0, 3, 0, 0, 63, 0])
_JFIF = b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, 0, 1, 1, 0, 0)


def jpeg(luma: int, blue: int, red: int) -> bytes:
    """A baseline JPEG of SIDE × SIDE pixels; arguments are the levels 0..255 of Y, Cb and Cr (ITU T.81)."""
    first = ""
    for level in (luma, blue, red):
        value = level - 128
        size = abs(value).bit_length()
        first += f"{size:04b}"
        if size:
            first += f"{value if value > 0 else value + (1 << size) - 1:0{size}b}"
        first += "0"
    bits = first + "00000" * 3 * ((SIDE // 8) ** 2 - 1)
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return _JFIF + _DQT + _SOF + _DC + _AC + _SOS + data + b"\xff\xd9"
