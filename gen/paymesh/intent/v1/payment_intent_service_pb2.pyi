from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from paymesh.intent.v1 import payment_intent_pb2 as _payment_intent_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreatePaymentIntentRequest(_message.Message):
    __slots__ = ("amount_in_cents", "currency", "description", "capture_method", "metadata", "partial_approval")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    AMOUNT_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_METHOD_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_APPROVAL_FIELD_NUMBER: _ClassVar[int]
    amount_in_cents: int
    currency: str
    description: str
    capture_method: _payment_intent_pb2.CaptureMethodEnum.CaptureMethod
    metadata: _containers.ScalarMap[str, str]
    partial_approval: _payment_intent_pb2.PartialApprovalEnum.PartialApproval
    def __init__(self, amount_in_cents: _Optional[int] = ..., currency: _Optional[str] = ..., description: _Optional[str] = ..., capture_method: _Optional[_Union[_payment_intent_pb2.CaptureMethodEnum.CaptureMethod, str]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., partial_approval: _Optional[_Union[_payment_intent_pb2.PartialApprovalEnum.PartialApproval, str]] = ...) -> None: ...

class GetPaymentIntentRequest(_message.Message):
    __slots__ = ("payment_intent_id",)
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    payment_intent_id: str
    def __init__(self, payment_intent_id: _Optional[str] = ...) -> None: ...

class ListPaymentIntentsRequest(_message.Message):
    __slots__ = ("limit", "starting_after", "ending_before", "status", "created")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STARTING_AFTER_FIELD_NUMBER: _ClassVar[int]
    ENDING_BEFORE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    limit: int
    starting_after: str
    ending_before: str
    status: _payment_intent_pb2.PaymentIntentStatusEnum.PaymentIntentStatus
    created: CreatedRange
    def __init__(self, limit: _Optional[int] = ..., starting_after: _Optional[str] = ..., ending_before: _Optional[str] = ..., status: _Optional[_Union[_payment_intent_pb2.PaymentIntentStatusEnum.PaymentIntentStatus, str]] = ..., created: _Optional[_Union[CreatedRange, _Mapping]] = ...) -> None: ...

class CreatedRange(_message.Message):
    __slots__ = ("gt", "gte", "lt", "lte")
    GT_FIELD_NUMBER: _ClassVar[int]
    GTE_FIELD_NUMBER: _ClassVar[int]
    LT_FIELD_NUMBER: _ClassVar[int]
    LTE_FIELD_NUMBER: _ClassVar[int]
    gt: int
    gte: int
    lt: int
    lte: int
    def __init__(self, gt: _Optional[int] = ..., gte: _Optional[int] = ..., lt: _Optional[int] = ..., lte: _Optional[int] = ...) -> None: ...

class PaymentIntentList(_message.Message):
    __slots__ = ("data", "has_more")
    DATA_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    data: _containers.RepeatedCompositeFieldContainer[_payment_intent_pb2.PaymentIntent]
    has_more: bool
    def __init__(self, data: _Optional[_Iterable[_Union[_payment_intent_pb2.PaymentIntent, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class CancelPaymentIntentRequest(_message.Message):
    __slots__ = ("payment_intent_id",)
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    payment_intent_id: str
    def __init__(self, payment_intent_id: _Optional[str] = ...) -> None: ...

class CapturePaymentIntentRequest(_message.Message):
    __slots__ = ("payment_intent_id", "amount_to_capture_in_cents")
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_TO_CAPTURE_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    payment_intent_id: str
    amount_to_capture_in_cents: int
    def __init__(self, payment_intent_id: _Optional[str] = ..., amount_to_capture_in_cents: _Optional[int] = ...) -> None: ...
