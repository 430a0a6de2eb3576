from paymesh.intent.v1 import failure_pb2 as _failure_pb2
from paymesh.merchant.v1 import mode_pb2 as _mode_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PaymentIntentStatusEnum(_message.Message):
    __slots__ = ()
    class PaymentIntentStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[PaymentIntentStatusEnum.PaymentIntentStatus]
        created: _ClassVar[PaymentIntentStatusEnum.PaymentIntentStatus]
        processing: _ClassVar[PaymentIntentStatusEnum.PaymentIntentStatus]
        authorized: _ClassVar[PaymentIntentStatusEnum.PaymentIntentStatus]
        succeeded: _ClassVar[PaymentIntentStatusEnum.PaymentIntentStatus]
        failed: _ClassVar[PaymentIntentStatusEnum.PaymentIntentStatus]
        canceled: _ClassVar[PaymentIntentStatusEnum.PaymentIntentStatus]
    unspecified: PaymentIntentStatusEnum.PaymentIntentStatus
    created: PaymentIntentStatusEnum.PaymentIntentStatus
    processing: PaymentIntentStatusEnum.PaymentIntentStatus
    authorized: PaymentIntentStatusEnum.PaymentIntentStatus
    succeeded: PaymentIntentStatusEnum.PaymentIntentStatus
    failed: PaymentIntentStatusEnum.PaymentIntentStatus
    canceled: PaymentIntentStatusEnum.PaymentIntentStatus
    def __init__(self) -> None: ...

class CaptureMethodEnum(_message.Message):
    __slots__ = ()
    class CaptureMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[CaptureMethodEnum.CaptureMethod]
        automatic: _ClassVar[CaptureMethodEnum.CaptureMethod]
        manual: _ClassVar[CaptureMethodEnum.CaptureMethod]
    unspecified: CaptureMethodEnum.CaptureMethod
    automatic: CaptureMethodEnum.CaptureMethod
    manual: CaptureMethodEnum.CaptureMethod
    def __init__(self) -> None: ...

class PartialApprovalEnum(_message.Message):
    __slots__ = ()
    class PartialApproval(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[PartialApprovalEnum.PartialApproval]
        refused: _ClassVar[PartialApprovalEnum.PartialApproval]
        accepted: _ClassVar[PartialApprovalEnum.PartialApproval]
    unspecified: PartialApprovalEnum.PartialApproval
    refused: PartialApprovalEnum.PartialApproval
    accepted: PartialApprovalEnum.PartialApproval
    def __init__(self) -> None: ...

class PaymentIntent(_message.Message):
    __slots__ = ("id", "amount_in_cents", "currency", "status", "capture_method", "description", "metadata", "amount_captured_in_cents", "latest_transaction_id", "last_failure", "client_secret", "created", "mode", "capture_before", "partial_approval", "amount_authorized_in_cents", "archived")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_METHOD_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_CAPTURED_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    LATEST_TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_APPROVAL_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_AUTHORIZED_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    id: str
    amount_in_cents: int
    currency: str
    status: PaymentIntentStatusEnum.PaymentIntentStatus
    capture_method: CaptureMethodEnum.CaptureMethod
    description: str
    metadata: _containers.ScalarMap[str, str]
    amount_captured_in_cents: int
    latest_transaction_id: str
    last_failure: _failure_pb2.Failure
    client_secret: str
    created: int
    mode: _mode_pb2.ModeEnum.Mode
    capture_before: int
    partial_approval: PartialApprovalEnum.PartialApproval
    amount_authorized_in_cents: int
    archived: bool
    def __init__(self, id: _Optional[str] = ..., amount_in_cents: _Optional[int] = ..., currency: _Optional[str] = ..., status: _Optional[_Union[PaymentIntentStatusEnum.PaymentIntentStatus, str]] = ..., capture_method: _Optional[_Union[CaptureMethodEnum.CaptureMethod, str]] = ..., description: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., amount_captured_in_cents: _Optional[int] = ..., latest_transaction_id: _Optional[str] = ..., last_failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., client_secret: _Optional[str] = ..., created: _Optional[int] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ..., capture_before: _Optional[int] = ..., partial_approval: _Optional[_Union[PartialApprovalEnum.PartialApproval, str]] = ..., amount_authorized_in_cents: _Optional[int] = ..., archived: _Optional[bool] = ...) -> None: ...
