from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from paymesh.txn.v1 import transaction_pb2 as _transaction_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateCardTokenRequest(_message.Message):
    __slots__ = ("payment_intent_id", "client_secret", "encrypted_card")
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_CARD_FIELD_NUMBER: _ClassVar[int]
    payment_intent_id: str
    client_secret: str
    encrypted_card: str
    def __init__(self, payment_intent_id: _Optional[str] = ..., client_secret: _Optional[str] = ..., encrypted_card: _Optional[str] = ...) -> None: ...

class CardToken(_message.Message):
    __slots__ = ("id", "card", "created", "expires")
    ID_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    id: str
    card: _transaction_pb2.Card
    created: int
    expires: int
    def __init__(self, id: _Optional[str] = ..., card: _Optional[_Union[_transaction_pb2.Card, _Mapping]] = ..., created: _Optional[int] = ..., expires: _Optional[int] = ...) -> None: ...

class GetCardEncryptionKeysRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CardEncryptionKeys(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[CardEncryptionKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[CardEncryptionKey, _Mapping]]] = ...) -> None: ...

class CardEncryptionKey(_message.Message):
    __slots__ = ("kid", "kty", "crv", "x", "y", "use", "alg")
    KID_FIELD_NUMBER: _ClassVar[int]
    KTY_FIELD_NUMBER: _ClassVar[int]
    CRV_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    ALG_FIELD_NUMBER: _ClassVar[int]
    kid: str
    kty: str
    crv: str
    x: str
    y: str
    use: str
    alg: str
    def __init__(self, kid: _Optional[str] = ..., kty: _Optional[str] = ..., crv: _Optional[str] = ..., x: _Optional[str] = ..., y: _Optional[str] = ..., use: _Optional[str] = ..., alg: _Optional[str] = ...) -> None: ...
