from paymesh.intent.v1 import failure_pb2 as _failure_pb2
from paymesh.intent.v1 import payment_intent_pb2 as _payment_intent_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttemptKindEnum(_message.Message):
    __slots__ = ()
    class AttemptKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[AttemptKindEnum.AttemptKind]
        authorization: _ClassVar[AttemptKindEnum.AttemptKind]
        capture: _ClassVar[AttemptKindEnum.AttemptKind]
    unspecified: AttemptKindEnum.AttemptKind
    authorization: AttemptKindEnum.AttemptKind
    capture: AttemptKindEnum.AttemptKind
    def __init__(self) -> None: ...

class AttemptStatusEnum(_message.Message):
    __slots__ = ()
    class AttemptStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[AttemptStatusEnum.AttemptStatus]
        recorded: _ClassVar[AttemptStatusEnum.AttemptStatus]
        succeeded: _ClassVar[AttemptStatusEnum.AttemptStatus]
        failed: _ClassVar[AttemptStatusEnum.AttemptStatus]
        timeout: _ClassVar[AttemptStatusEnum.AttemptStatus]
        reversed: _ClassVar[AttemptStatusEnum.AttemptStatus]
    unspecified: AttemptStatusEnum.AttemptStatus
    recorded: AttemptStatusEnum.AttemptStatus
    succeeded: AttemptStatusEnum.AttemptStatus
    failed: AttemptStatusEnum.AttemptStatus
    timeout: AttemptStatusEnum.AttemptStatus
    reversed: AttemptStatusEnum.AttemptStatus
    def __init__(self) -> None: ...

class ReversalStatusEnum(_message.Message):
    __slots__ = ()
    class ReversalStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[ReversalStatusEnum.ReversalStatus]
        pending: _ClassVar[ReversalStatusEnum.ReversalStatus]
        acknowledged: _ClassVar[ReversalStatusEnum.ReversalStatus]
        overdue: _ClassVar[ReversalStatusEnum.ReversalStatus]
    unspecified: ReversalStatusEnum.ReversalStatus
    pending: ReversalStatusEnum.ReversalStatus
    acknowledged: ReversalStatusEnum.ReversalStatus
    overdue: ReversalStatusEnum.ReversalStatus
    def __init__(self) -> None: ...

class MessageDirectionEnum(_message.Message):
    __slots__ = ()
    class MessageDirection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[MessageDirectionEnum.MessageDirection]
        sent: _ClassVar[MessageDirectionEnum.MessageDirection]
        received: _ClassVar[MessageDirectionEnum.MessageDirection]
    unspecified: MessageDirectionEnum.MessageDirection
    sent: MessageDirectionEnum.MessageDirection
    received: MessageDirectionEnum.MessageDirection
    def __init__(self) -> None: ...

class AttemptMessage(_message.Message):
    __slots__ = ("mti", "direction", "created", "response_code")
    MTI_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_CODE_FIELD_NUMBER: _ClassVar[int]
    mti: str
    direction: MessageDirectionEnum.MessageDirection
    created: int
    response_code: str
    def __init__(self, mti: _Optional[str] = ..., direction: _Optional[_Union[MessageDirectionEnum.MessageDirection, str]] = ..., created: _Optional[int] = ..., response_code: _Optional[str] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("id", "transaction_id", "payment_intent_id", "network", "status", "amount_in_cents", "currency", "stan", "rrn", "transmitted_at", "deadline", "response_code", "approval_code", "network_trace_id", "created", "reversal", "messages", "kind", "overdue_since", "capture_number", "failure", "amount_approved_in_cents", "partial_approval")
    ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    STAN_FIELD_NUMBER: _ClassVar[int]
    RRN_FIELD_NUMBER: _ClassVar[int]
    TRANSMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_CODE_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_CODE_FIELD_NUMBER: _ClassVar[int]
    NETWORK_TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    REVERSAL_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OVERDUE_SINCE_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_APPROVED_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_APPROVAL_FIELD_NUMBER: _ClassVar[int]
    id: str
    transaction_id: str
    payment_intent_id: str
    network: str
    status: AttemptStatusEnum.AttemptStatus
    amount_in_cents: int
    currency: str
    stan: str
    rrn: str
    transmitted_at: str
    deadline: int
    response_code: str
    approval_code: str
    network_trace_id: str
    created: int
    reversal: ReversalStatusEnum.ReversalStatus
    messages: _containers.RepeatedCompositeFieldContainer[AttemptMessage]
    kind: AttemptKindEnum.AttemptKind
    overdue_since: int
    capture_number: int
    failure: _failure_pb2.Failure
    amount_approved_in_cents: int
    partial_approval: _payment_intent_pb2.PartialApprovalEnum.PartialApproval
    def __init__(self, id: _Optional[str] = ..., transaction_id: _Optional[str] = ..., payment_intent_id: _Optional[str] = ..., network: _Optional[str] = ..., status: _Optional[_Union[AttemptStatusEnum.AttemptStatus, str]] = ..., amount_in_cents: _Optional[int] = ..., currency: _Optional[str] = ..., stan: _Optional[str] = ..., rrn: _Optional[str] = ..., transmitted_at: _Optional[str] = ..., deadline: _Optional[int] = ..., response_code: _Optional[str] = ..., approval_code: _Optional[str] = ..., network_trace_id: _Optional[str] = ..., created: _Optional[int] = ..., reversal: _Optional[_Union[ReversalStatusEnum.ReversalStatus, str]] = ..., messages: _Optional[_Iterable[_Union[AttemptMessage, _Mapping]]] = ..., kind: _Optional[_Union[AttemptKindEnum.AttemptKind, str]] = ..., overdue_since: _Optional[int] = ..., capture_number: _Optional[int] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., amount_approved_in_cents: _Optional[int] = ..., partial_approval: _Optional[_Union[_payment_intent_pb2.PartialApprovalEnum.PartialApproval, str]] = ...) -> None: ...

class AttemptList(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: _containers.RepeatedCompositeFieldContainer[Attempt]
    def __init__(self, data: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ...) -> None: ...
