from paymesh.intent.v1 import failure_pb2 as _failure_pb2
from paymesh.merchant.v1 import mode_pb2 as _mode_pb2
from paymesh.txn.v1 import attempt_pb2 as _attempt_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TransactionTypeEnum(_message.Message):
    __slots__ = ()
    class TransactionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[TransactionTypeEnum.TransactionType]
        charge: _ClassVar[TransactionTypeEnum.TransactionType]
        refund: _ClassVar[TransactionTypeEnum.TransactionType]
        dispute: _ClassVar[TransactionTypeEnum.TransactionType]
        payout: _ClassVar[TransactionTypeEnum.TransactionType]
    unspecified: TransactionTypeEnum.TransactionType
    charge: TransactionTypeEnum.TransactionType
    refund: TransactionTypeEnum.TransactionType
    dispute: TransactionTypeEnum.TransactionType
    payout: TransactionTypeEnum.TransactionType
    def __init__(self) -> None: ...

class TransactionStatusEnum(_message.Message):
    __slots__ = ()
    class TransactionStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[TransactionStatusEnum.TransactionStatus]
        pending: _ClassVar[TransactionStatusEnum.TransactionStatus]
        pending_verification: _ClassVar[TransactionStatusEnum.TransactionStatus]
        succeeded: _ClassVar[TransactionStatusEnum.TransactionStatus]
        failed: _ClassVar[TransactionStatusEnum.TransactionStatus]
    unspecified: TransactionStatusEnum.TransactionStatus
    pending: TransactionStatusEnum.TransactionStatus
    pending_verification: TransactionStatusEnum.TransactionStatus
    succeeded: TransactionStatusEnum.TransactionStatus
    failed: TransactionStatusEnum.TransactionStatus
    def __init__(self) -> None: ...

class CardBrandEnum(_message.Message):
    __slots__ = ()
    class CardBrand(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[CardBrandEnum.CardBrand]
        visa: _ClassVar[CardBrandEnum.CardBrand]
        mastercard: _ClassVar[CardBrandEnum.CardBrand]
    unspecified: CardBrandEnum.CardBrand
    visa: CardBrandEnum.CardBrand
    mastercard: CardBrandEnum.CardBrand
    def __init__(self) -> None: ...

class Card(_message.Message):
    __slots__ = ("brand", "last4", "exp_month", "exp_year", "bin", "fingerprint")
    BRAND_FIELD_NUMBER: _ClassVar[int]
    LAST4_FIELD_NUMBER: _ClassVar[int]
    EXP_MONTH_FIELD_NUMBER: _ClassVar[int]
    EXP_YEAR_FIELD_NUMBER: _ClassVar[int]
    BIN_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    brand: CardBrandEnum.CardBrand
    last4: str
    exp_month: int
    exp_year: int
    bin: str
    fingerprint: str
    def __init__(self, brand: _Optional[_Union[CardBrandEnum.CardBrand, str]] = ..., last4: _Optional[str] = ..., exp_month: _Optional[int] = ..., exp_year: _Optional[int] = ..., bin: _Optional[str] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class Transaction(_message.Message):
    __slots__ = ("id", "payment_intent_id", "type", "status", "amount_in_cents", "currency", "card", "failure", "created", "mode", "attempts", "amount_captured_in_cents", "capture_before", "amount_approved_in_cents", "archived")
    ID_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_CAPTURED_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_APPROVED_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    id: str
    payment_intent_id: str
    type: TransactionTypeEnum.TransactionType
    status: TransactionStatusEnum.TransactionStatus
    amount_in_cents: int
    currency: str
    card: Card
    failure: _failure_pb2.Failure
    created: int
    mode: _mode_pb2.ModeEnum.Mode
    attempts: _attempt_pb2.AttemptList
    amount_captured_in_cents: int
    capture_before: int
    amount_approved_in_cents: int
    archived: bool
    def __init__(self, id: _Optional[str] = ..., payment_intent_id: _Optional[str] = ..., type: _Optional[_Union[TransactionTypeEnum.TransactionType, str]] = ..., status: _Optional[_Union[TransactionStatusEnum.TransactionStatus, str]] = ..., amount_in_cents: _Optional[int] = ..., currency: _Optional[str] = ..., card: _Optional[_Union[Card, _Mapping]] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., created: _Optional[int] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ..., attempts: _Optional[_Union[_attempt_pb2.AttemptList, _Mapping]] = ..., amount_captured_in_cents: _Optional[int] = ..., capture_before: _Optional[int] = ..., amount_approved_in_cents: _Optional[int] = ..., archived: _Optional[bool] = ...) -> None: ...
