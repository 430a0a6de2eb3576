"""Parquet's split block Bloom filter: says of most keys that a file does not hold them.

Source: Apache Parquet format, BloomFilter.md. pyarrow writes these filters and reads none.
"""

from __future__ import annotations

import struct

from xxhash import xxh64_intdigest

BLOCK = struct.Struct("<8I")
SALT = (
    *(0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D),
    *(0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31),
)
WORD = 0xFFFFFFFF


def may_hold(raw: bytes, key: bytes) -> bool:
    """Return whether a key may be in a column; False is certain.

    raw: the filter as it lies in the file, its header first.
    """
    # The header is shorter than the bits, whose number of bytes is a power of two.
    bits = raw[-(1 << (len(raw).bit_length() - 1)) :]
    digest = xxh64_intdigest(key)
    blocks = len(bits) // BLOCK.size
    words = BLOCK.unpack_from(bits, ((digest >> 32) * blocks >> 32) * BLOCK.size)
    return all(
        word >> ((digest & WORD) * salt & WORD) // (1 << 27) & 1
        for word, salt in zip(words, SALT, strict=True)
    )
