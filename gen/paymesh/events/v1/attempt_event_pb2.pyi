from paymesh.merchant.v1 import mode_pb2 as _mode_pb2
from paymesh.txn.v1 import attempt_pb2 as _attempt_pb2
from paymesh.txn.v1 import transaction_pb2 as _transaction_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttemptEvent(_message.Message):
    __slots__ = ("id", "type", "created", "version", "merchant_id", "mode", "attempt", "transaction")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    created: int
    version: int
    merchant_id: str
    mode: _mode_pb2.ModeEnum.Mode
    attempt: _attempt_pb2.Attempt
    transaction: _transaction_pb2.Transaction
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., created: _Optional[int] = ..., version: _Optional[int] = ..., merchant_id: _Optional[str] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ..., attempt: _Optional[_Union[_attempt_pb2.Attempt, _Mapping]] = ..., transaction: _Optional[_Union[_transaction_pb2.Transaction, _Mapping]] = ...) -> None: ...
