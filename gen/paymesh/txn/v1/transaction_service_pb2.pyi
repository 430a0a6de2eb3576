from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from paymesh.txn.v1 import transaction_pb2 as _transaction_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateTransactionRequest(_message.Message):
    __slots__ = ("payment_intent_id", "type", "card")
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    payment_intent_id: str
    type: _transaction_pb2.TransactionTypeEnum.TransactionType
    card: CardInput
    def __init__(self, payment_intent_id: _Optional[str] = ..., type: _Optional[_Union[_transaction_pb2.TransactionTypeEnum.TransactionType, str]] = ..., card: _Optional[_Union[CardInput, _Mapping]] = ...) -> None: ...

class CardInput(_message.Message):
    __slots__ = ("token", "number", "exp_month", "exp_year", "cvc")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    EXP_MONTH_FIELD_NUMBER: _ClassVar[int]
    EXP_YEAR_FIELD_NUMBER: _ClassVar[int]
    CVC_FIELD_NUMBER: _ClassVar[int]
    token: str
    number: str
    exp_month: int
    exp_year: int
    cvc: str
    def __init__(self, token: _Optional[str] = ..., number: _Optional[str] = ..., exp_month: _Optional[int] = ..., exp_year: _Optional[int] = ..., cvc: _Optional[str] = ...) -> None: ...

class GetTransactionRequest(_message.Message):
    __slots__ = ("payment_intent_id", "transaction_id")
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    payment_intent_id: str
    transaction_id: str
    def __init__(self, payment_intent_id: _Optional[str] = ..., transaction_id: _Optional[str] = ...) -> None: ...

class ListTransactionsRequest(_message.Message):
    __slots__ = ("payment_intent_id", "limit", "starting_after", "ending_before")
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STARTING_AFTER_FIELD_NUMBER: _ClassVar[int]
    ENDING_BEFORE_FIELD_NUMBER: _ClassVar[int]
    payment_intent_id: str
    limit: int
    starting_after: str
    ending_before: str
    def __init__(self, payment_intent_id: _Optional[str] = ..., limit: _Optional[int] = ..., starting_after: _Optional[str] = ..., ending_before: _Optional[str] = ...) -> None: ...

class TransactionList(_message.Message):
    __slots__ = ("data", "has_more")
    DATA_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    data: _containers.RepeatedCompositeFieldContainer[_transaction_pb2.Transaction]
    has_more: bool
    def __init__(self, data: _Optional[_Iterable[_Union[_transaction_pb2.Transaction, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...
