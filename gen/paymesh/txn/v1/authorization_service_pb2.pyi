from google.api import field_behavior_pb2 as _field_behavior_pb2
from paymesh.txn.v1 import attempt_pb2 as _attempt_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CaptureAuthorizationRequest(_message.Message):
    __slots__ = ("merchant_id", "transaction_id", "amount_in_cents", "capture_number")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    transaction_id: str
    amount_in_cents: int
    capture_number: int
    def __init__(self, merchant_id: _Optional[str] = ..., transaction_id: _Optional[str] = ..., amount_in_cents: _Optional[int] = ..., capture_number: _Optional[int] = ...) -> None: ...

class CaptureAuthorizationResponse(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: _attempt_pb2.Attempt
    def __init__(self, attempt: _Optional[_Union[_attempt_pb2.Attempt, _Mapping]] = ...) -> None: ...

class VoidAuthorizationRequest(_message.Message):
    __slots__ = ("merchant_id", "transaction_id")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    transaction_id: str
    def __init__(self, merchant_id: _Optional[str] = ..., transaction_id: _Optional[str] = ...) -> None: ...

class VoidAuthorizationResponse(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: _attempt_pb2.Attempt
    def __init__(self, attempt: _Optional[_Union[_attempt_pb2.Attempt, _Mapping]] = ...) -> None: ...
