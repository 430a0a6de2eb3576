"""JWE: what is not exactly ours is refused before any key is used; nothing else ever comes out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe as joserfc_jwe
from joserfc.jwk import ECKey

from chassis.keystore.file import FileKeyStore
from chassis.keystore.keys import KeyUnknown
from tests.fakes import FakeClock
from tests.jose import Sender, b64u, jwk_of
from txn_svc.cards.jwe import CHARS_MAX, JweInvalid, decrypt_jwe, derive_key, parse_jwe
from txn_svc.cards.strict import NotStrict, decode_base64url, parse_object

PLAIN = b'{"any":"text"}'


class Uses(FileKeyStore):
    """A key store that counts how often a private key was asked for."""

    agreements = 0

    def agree(self, kid: Any, point: bytes) -> bytes:
        """Agree, and remember it."""
        self.agreements += 1
        return super().agree(kid, point)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uses]:
    store = Uses(tmp_path_factory.mktemp("keys") / "keys", bytes(32), FakeClock())
    store.create_missing()
    yield store
    store.close()


@pytest.fixture
def sender(keys: Uses) -> Sender:
    keys.agreements = 0
    return Sender(keys.public_keys()[0])


def _decrypt(text: str, keys: Uses) -> bytes:
    return decrypt_jwe(parse_jwe(text), keys)


def test_what_joserfc_encrypts_is_decrypted(keys: Uses) -> None:
    [public] = keys.public_keys()
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": public.kid}

    text = joserfc_jwe.encrypt_compact(header, PLAIN, ECKey.import_key(jwk_of(public)))

    assert _decrypt(text, keys) == PLAIN


def test_what_a_browser_encrypts_is_decrypted(keys: Uses, sender: Sender) -> None:
    assert _decrypt(".".join(sender.encrypt(PLAIN)), keys) == PLAIN


def test_the_key_of_the_standards_example_comes_out() -> None:
    # RFC 7518, appendix C: Alice's ephemeral key, Bob's static one, A128GCM used directly.
    alice_d = decode_base64url("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo")
    bob_x = decode_base64url("weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ")
    bob_y = decode_base64url("e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck")
    bob = ec.EllipticCurvePublicNumbers(
        int.from_bytes(bob_x), int.from_bytes(bob_y), ec.SECP256R1()
    ).public_key()
    agreed = ec.derive_private_key(int.from_bytes(alice_d), ec.SECP256R1()).exchange(ec.ECDH(), bob)

    derived = derive_key(agreed, "A128GCM", 128, b"Alice", b"Bob")

    assert b64u(derived) == "VqqN6vgjbSBcIijNcacQGg"


def _changed(header: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (header | changes).items() if value is not ...}


def _epk(header: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return header | {"epk": _changed(header["epk"], **changes)}


HEADERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "alg dir": lambda header: _changed(header, alg="dir"),
    "alg ECDH-ES+A128KW": lambda header: _changed(header, alg="ECDH-ES+A128KW"),
    "alg ECDH-ES+A256KW": lambda header: _changed(header, alg="ECDH-ES+A256KW"),
    "alg RSA-OAEP": lambda header: _changed(header, alg="RSA-OAEP"),
    "alg RSA1_5": lambda header: _changed(header, alg="RSA1_5"),
    "alg PBES2": lambda header: _changed(header, alg="PBES2-HS256+A128KW", p2c=10**9, p2s="AA"),
    "alg none": lambda header: _changed(header, alg="none"),
    "alg in lower case": lambda header: _changed(header, alg="ecdh-es"),
    "alg a list": lambda header: _changed(header, alg=["ECDH-ES"]),
    "no alg": lambda header: _changed(header, alg=...),
    "enc A128GCM": lambda header: _changed(header, enc="A128GCM"),
    "enc A128CBC-HS256": lambda header: _changed(header, enc="A128CBC-HS256"),
    "enc null": lambda header: _changed(header, enc=None),
    "no enc": lambda header: _changed(header, enc=...),
    "zip": lambda header: _changed(header, zip="DEF"),
    "crit": lambda header: _changed(header, crit=["exp"], exp=1),
    "b64": lambda header: _changed(header, b64=False),
    "jwk": lambda header: _changed(header, jwk=header["epk"]),
    "jku": lambda header: _changed(header, jku="https://example.com/keys"),
    "x5u": lambda header: _changed(header, x5u="https://example.com/cert"),
    "apu": lambda header: _changed(header, apu="QWxpY2U"),
    "typ": lambda header: _changed(header, typ="JWE"),
    "iat": lambda header: _changed(header, iat=1),
    "no kid": lambda header: _changed(header, kid=...),
    "kid a number": lambda header: _changed(header, kid=1),
    "kid empty": lambda header: _changed(header, kid=""),
    "kid a path": lambda header: _changed(header, kid="../../etc/passwd"),
    "kid with a surrogate": lambda header: _changed(header, kid="kid_\ud800"),
    "kid with other digits": lambda header: _changed(header, kid="kid_" + "٤" * 24),
    "kid with a line end": lambda header: _changed(header, kid=header["kid"] + "\n"),
    "no epk": lambda header: _changed(header, epk=...),
    "epk null": lambda header: _changed(header, epk=None),
    "epk a text": lambda header: _changed(header, epk="kty crv x y"),
    "epk empty": lambda header: _changed(header, epk={}),
    "epk private": lambda header: _epk(header, d="AA"),
    "epk with kid": lambda header: _epk(header, kid="1"),
    "epk RSA": lambda header: _changed(header, epk={"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    "epk OKP": lambda header: _epk(header, kty="OKP", crv="X25519"),
    "epk of P-384": lambda header: _epk(header, crv="P-384"),
    "epk without y": lambda header: _epk(header, y=...),
    "epk x a number": lambda header: _epk(header, x=1),
    "epk x null": lambda header: _epk(header, x=None),
    "epk x too short": lambda header: _epk(header, x=b64u(bytes(31))),
    "epk x too long": lambda header: _epk(header, x=b64u(bytes(33))),
    "epk x padded": lambda header: _epk(header, x=header["epk"]["x"] + "="),
    "epk x with other letters": lambda header: _epk(header, x="é" * 43),
    "not an object": lambda _: "[]",
    "not JSON": lambda _: "{",
    "alg twice": lambda header: json.dumps(header)[:-1] + ',"alg":"ECDH-ES"}',
    "epk.x twice": lambda header: json.dumps(header).replace('"x":', '"x":"AA","x":'),
    "a byte order mark": lambda header: "\ufeff" + json.dumps(header),
    "deep": lambda _: "[" * 1200,
    "a long number": lambda _: '{"alg":' + "1" * 1200 + "}",
    "NaN": lambda _: '{"alg":NaN}',
    "text after it": lambda header: json.dumps(header) + "{}",
}


@pytest.mark.parametrize("name", HEADERS)
def test_another_header_is_refused_before_any_key_is_used(
    keys: Uses, sender: Sender, name: str
) -> None:
    text = ".".join(sender.encrypt(PLAIN, HEADERS[name](sender.header())))
    assert len(text) <= CHARS_MAX

    with pytest.raises(JweInvalid):
        _decrypt(text, keys)

    assert keys.agreements == 0


def _part(place: int, change: Callable[[str], str]) -> Callable[[list[str]], str]:
    def changed(parts: list[str]) -> str:
        return ".".join([*parts[:place], change(parts[place]), *parts[place + 1 :]])

    return changed


FORMS: dict[str, Callable[[list[str]], str]] = {
    "nothing": lambda _: "",
    "dots": lambda _: "....",
    "four parts": lambda parts: ".".join(parts[:4]),
    "six parts": lambda parts: ".".join([*parts, parts[4]]),
    "three parts, as a JWS": lambda parts: ".".join([parts[0], parts[3], parts[4]]),
    "an encrypted key": _part(1, lambda _: "AAAA"),
    "no header": _part(0, lambda _: ""),
    "header in padding": _part(0, lambda part: part + "=="),
    "header as base64": _part(0, lambda part: part[:-1] + "+"),
    "header cut": _part(0, lambda part: part[:-4]),
    "no nonce": _part(2, lambda _: ""),
    "nonce of 11 bytes": _part(2, lambda _: b64u(bytes(11))),
    "nonce of 16 bytes": _part(2, lambda _: b64u(bytes(16))),
    "no ciphertext": _part(3, lambda _: ""),
    "one character": _part(3, lambda _: "A"),
    "no tag": _part(4, lambda _: ""),
    "tag of 12 bytes": _part(4, lambda part: part[:16]),
    "tag of 17 bytes": _part(4, lambda _: b64u(bytes(17))),
    "tag with bits that no byte uses": _part(4, lambda part: part[:-1] + "B"),
    "a space": lambda parts: " " + ".".join(parts),
    "a line end": lambda parts: ".".join(parts) + "\n",
    "letters that are not ASCII": _part(3, lambda part: part + "é"),
    "as JSON": lambda parts: json.dumps({"protected": parts[0], "ciphertext": parts[3]}),
    "too long": _part(3, lambda _: "A" * CHARS_MAX),
}


@pytest.mark.parametrize("name", FORMS)
def test_another_form_is_refused_before_any_key_is_used(
    keys: Uses, sender: Sender, name: str
) -> None:
    with pytest.raises(JweInvalid):
        _decrypt(FORMS[name](sender.encrypt(PLAIN)), keys)

    assert keys.agreements == 0


def _flip(part: str, place: int) -> str:
    raw = bytearray(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    raw[place] ^= 1
    return b64u(bytes(raw))


@pytest.mark.parametrize(("part", "place"), [(2, 0), (2, 11), (3, 0), (3, -1), (4, 0), (4, -1)])
def test_a_flipped_bit_is_noticed(keys: Uses, sender: Sender, part: int, place: int) -> None:
    with pytest.raises(JweInvalid, match="changed"):
        _decrypt(_part(part, lambda text: _flip(text, place))(sender.encrypt(PLAIN)), keys)


def test_the_header_is_covered_by_the_tag_as_it_was_written(keys: Uses, sender: Sender) -> None:
    parts = sender.encrypt(PLAIN)
    spaced = b64u(json.dumps(sender.header(), indent=1).encode())

    with pytest.raises(JweInvalid, match="changed"):
        _decrypt(".".join([spaced, *parts[1:]]), keys)


def _other_curve(curve: ec.EllipticCurve) -> tuple[bytes, bytes]:
    numbers = ec.generate_private_key(curve).public_key().public_numbers()
    return numbers.x.to_bytes(32), numbers.y.to_bytes(32)


FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1
POINTS = {
    "infinity": (bytes(32), bytes(32)),
    "order 2 on a twisted curve": ((1).to_bytes(32), bytes(32)),
    "all ones": (b"\xff" * 32, b"\xff" * 32),
    "x of the field": (FIELD.to_bytes(32), bytes(32)),
    "y off by one": None,
    "x over the field": None,
    "a point of secp256k1": _other_curve(ec.SECP256K1()),
    "a point of brainpoolP256r1": _other_curve(ec.BrainpoolP256R1()),
}


@pytest.mark.parametrize("name", POINTS)
def test_a_point_off_the_curve_is_refused(keys: Uses, sender: Sender, name: str) -> None:
    numbers = sender.ephemeral.public_key().public_numbers()
    given_point = (
        POINTS[name]
        or {
            "y off by one": (numbers.x.to_bytes(32), (numbers.y ^ 1).to_bytes(32)),
            "x over the field": (b"\xff" * 4 + numbers.x.to_bytes(32)[4:], numbers.y.to_bytes(32)),
        }[name]
    )
    header = _epk(sender.header(), x=b64u(given_point[0]), y=b64u(given_point[1]))

    with pytest.raises(JweInvalid, match="point on P-256"):
        _decrypt(".".join(sender.encrypt(PLAIN, header)), keys)


def test_an_unknown_key_is_named_as_such(keys: Uses, sender: Sender) -> None:
    unknown = sender.header() | {"kid": "kid_" + "0" * 24}
    of_another_purpose = sender.header() | {"kid": keys.seal_token(b"", "tok_1").kid}

    for header in (unknown, of_another_purpose):
        with pytest.raises(KeyUnknown):
            _decrypt(".".join(sender.encrypt(PLAIN, header)), keys)


PIECES = st.one_of(
    st.text(max_size=40),
    st.text("ABCabc-_=.", max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    ).map(lambda value: b64u(json.dumps(value).encode())),
    st.binary(max_size=40).map(b64u),
)


@given(parts=st.lists(PIECES, min_size=1, max_size=6))
def test_no_text_brings_out_anything_but_the_declared_error(keys: Uses, parts: list[str]) -> None:
    with pytest.raises(JweInvalid):
        _decrypt(".".join(parts), keys)


@given(data=st.data())
def test_no_change_of_a_good_one_brings_out_anything_else(keys: Uses, data: st.DataObject) -> None:
    good = ".".join(Sender(keys.public_keys()[0]).encrypt(PLAIN))
    place = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 20))
    put = data.draw(st.text(max_size=5) | st.text("ABab01.-_=", max_size=5))
    text = good[:place] + put + good[place + cut :]

    try:
        plain = _decrypt(text, keys)
    except (JweInvalid, KeyUnknown):
        return

    assert (text, plain) == (good, PLAIN)


@given(value=st.dictionaries(st.sampled_from(["alg", "enc", "kid", "epk", "x"]), st.text()))
def test_no_header_brings_out_anything_else(keys: Uses, value: dict[str, str]) -> None:
    parts = Sender(keys.public_keys()[0]).encrypt(PLAIN, value)

    with pytest.raises(JweInvalid):
        _decrypt(".".join(parts), keys)


@given(raw=st.binary(max_size=60))
def test_each_value_has_one_text(raw: bytes) -> None:
    assert decode_base64url(b64u(raw)) == raw


@given(text=st.text("AQgw-_", max_size=8))
def test_a_text_that_is_read_is_the_one_that_is_written(text: str) -> None:
    try:
        raw = decode_base64url(text)
    except NotStrict:
        return

    assert b64u(raw) == text


@given(raw=st.binary(max_size=60))
def test_no_bytes_bring_out_anything_but_not_strict(raw: bytes) -> None:
    try:
        parse_object(raw)
    except NotStrict:
        return

    assert isinstance(json.loads(raw), dict)


@pytest.mark.parametrize("raw", [b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b"\xff\xfe{\x00}\x00"])
def test_what_is_not_utf_8_is_not_strict(raw: bytes) -> None:
    with pytest.raises(NotStrict):
        parse_object(raw)
