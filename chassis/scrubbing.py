"""Takes card numbers and secrets out of everything that is written down: logs, spans, errors.

Pure. What is written is cut to a length first, and the work is linear in that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice

from chassis.card_numbers import CARD_NUMBER, DIGITS_MAX, hide_card_numbers, is_issued

TEXT_LENGTH_MAX = 2_048
TRACEBACK_LENGTH_MAX = 16_384
DEPTH_MAX = 4
ITEMS_MAX = 100
HIDDEN = "[secret]"

# Names of headers and fields, in lower case, whose values are hidden whatever they are.
_SECRET_NAMES = frozenset(
    {
        "authorization",
        "x-signature",
        "cookie",
        "password",
        "cvc",
        "cvv",
        "client_secret",
        "secret_key",
    }
)
# The names and what stands around a value are kept, so that a line still tells what it is about.
_SECRETS = re.compile(
    r"\bsk_(?:test|live)_\w+|\bwhsec_[\w+/=-]+|_secret_\w{16,}"
    r"|\bBearer\s+[\w.~+/=-]+"
    r"|(?<![\w-])eyJ[\w-]+(?:\.[\w-]*){2,4}"  # a JWT or a JWE
    r"|\bsha256=[0-9a-fA-F]{64}"
    r"|(?P<user>(?<=://)[^\s/@:]*:)[^\s/@]+(?=@)"
    r"|(?P<name>\b(?i:password|x-signature|authorization)[\"']?(?:\s?[:=]\s?|,\s?b?(?=[\"']))[\"']?)"
    r"(?:(?i:bearer|basic|digest)\s+)?[^\s\"',;}&]+"
    r"|(?P<code>\b(?i:cv[cv]2?)\W{0,4})\d{3,4}(?!\d)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?P<detail>\bDETAIL:\s+)[^\n]+",  # where PostgreSQL repeats values of the row
    re.DOTALL,
)
# Most texts have none of this, and finding that out is cheap.
_HINT = re.compile(
    r"sk_|whsec_|_secret_|Bearer|eyJ|sha256=|://|(?i:password|authoriz|x-sign|cv[cv])|-----|DETAIL"
)


def scrub(text: str) -> str:
    """Return the text without card numbers and secrets, at most 2,048 characters of it."""
    if len(text) > TEXT_LENGTH_MAX:
        text = _cut(text[:TEXT_LENGTH_MAX]) + " [cut]"
    return _scrub(text)


def scrub_traceback(text: str) -> str:
    """Return a traceback without card numbers and secrets; the middle of a long one is left out."""
    text = _scrub(text)
    if len(text) > TRACEBACK_LENGTH_MAX:
        half = TRACEBACK_LENGTH_MAX // 2
        text = f"{text[:half]}\n[cut]\n{text[-half:]}"
    return text


def scrub_value(value: object, depth: int = 0) -> object:
    """Return a value for JSON without card numbers and secrets.

    A number is taken for a card's only if a scheme issues it, so times in nanoseconds stay. What
    JSON can't write becomes text, as do values more than four deep; lists end after 100 items.
    """
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return CARD_NUMBER if 0 < value < 10**DIGITS_MAX and is_issued(str(value)) else value
    if isinstance(value, bytes):
        return scrub(value.decode("latin-1"))
    if depth < DEPTH_MAX and isinstance(value, Mapping):
        return {
            scrub(str(name)): HIDDEN
            if str(name).lower() in _SECRET_NAMES
            else scrub_value(item, depth + 1)
            for name, item in islice(value.items(), ITEMS_MAX)
        }
    if depth < DEPTH_MAX and isinstance(value, list | tuple | set | frozenset):
        return [scrub_value(item, depth + 1) for item in islice(value, ITEMS_MAX)]
    return scrub(str(value))


def _cut(text: str) -> str:
    """Return the text without what the cut may have gone through, which nobody would know again.

    That is the last word, and digits with all that may stand between them.
    """
    end = text.rfind(" ")
    if end < 0:
        end = len(text)
    while end and not text[end - 1].isalpha():
        end -= 1
    return text[:end]


def _scrub(text: str) -> str:
    if _HINT.search(text) is not None:
        text = _SECRETS.sub(_hidden, text)
    return hide_card_numbers(text)


def _hidden(found: re.Match[str]) -> str:
    kept = found["user"] or found["name"] or found["code"] or found["detail"] or ""
    return kept + HIDDEN
