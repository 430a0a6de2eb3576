"""How each simulated network writes ISO 8583:1987, as its own specification would say."""

from __future__ import annotations

from typing import Any

# Number: digits of the length prefix (0 is fixed), greatest length.
_LENGTHS: dict[str, tuple[int, int]] = {
    "2": (2, 19),
    "3": (0, 6),
    "4": (0, 12),
    "7": (0, 10),
    "11": (0, 6),
    "14": (0, 4),
    "18": (0, 4),
    "22": (0, 3),
    "25": (0, 2),
    "32": (2, 11),
    "37": (0, 12),
    "38": (0, 6),
    "39": (0, 2),
    "41": (0, 8),
    "42": (0, 15),
    "48": (3, 999),
    "49": (0, 3),
    "63": (3, 50),
    "70": (0, 3),
    "90": (0, 42),
}


def _specification(text: str, bitmap: str, bitmap_length: int) -> dict[str, dict[str, Any]]:
    rows = {name: (*lengths, text) for name, lengths in _LENGTHS.items()}
    rows |= {
        "h": (0, 0, text),
        "t": (0, 4, text),
        "p": (0, bitmap_length, bitmap),
        "1": (0, bitmap_length, bitmap),
    }
    return {
        name: {
            "len_type": len_type,
            "max_len": max_len,
            "data_enc": encoding,
            "len_enc": text,
            "desc": name,
        }
        for name, (len_type, max_len, encoding) in rows.items()
    }


SPECIFICATIONS = {
    "visa_sim": _specification("ascii", "ascii", 16),
    "mastercard_sim": _specification("cp500", "b", 8),
}
