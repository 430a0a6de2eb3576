from google.api import field_behavior_pb2 as _field_behavior_pb2
from paymesh.intent.v1 import failure_pb2 as _failure_pb2
from paymesh.intent.v1 import payment_intent_pb2 as _payment_intent_pb2
from paymesh.merchant.v1 import mode_pb2 as _mode_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BatchBeginProcessingRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[BeginProcessingItem]
    def __init__(self, items: _Optional[_Iterable[_Union[BeginProcessingItem, _Mapping]]] = ...) -> None: ...

class BeginProcessingItem(_message.Message):
    __slots__ = ("merchant_id", "mode", "payment_intent_id", "transaction_id", "claim_before")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    CLAIM_BEFORE_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    mode: _mode_pb2.ModeEnum.Mode
    payment_intent_id: str
    transaction_id: str
    claim_before: int
    def __init__(self, merchant_id: _Optional[str] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ..., payment_intent_id: _Optional[str] = ..., transaction_id: _Optional[str] = ..., claim_before: _Optional[int] = ...) -> None: ...

class BatchBeginProcessingResponse(_message.Message):
    __slots__ = ("verdicts",)
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[BeginProcessingVerdict]
    def __init__(self, verdicts: _Optional[_Iterable[_Union[BeginProcessingVerdict, _Mapping]]] = ...) -> None: ...

class BeginProcessingVerdict(_message.Message):
    __slots__ = ("terms", "refusal")
    TERMS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    terms: ChargeTerms
    refusal: Refusal
    def __init__(self, terms: _Optional[_Union[ChargeTerms, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class ChargeTerms(_message.Message):
    __slots__ = ("amount_in_cents", "currency", "capture_method", "partial_approval")
    AMOUNT_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_METHOD_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_APPROVAL_FIELD_NUMBER: _ClassVar[int]
    amount_in_cents: int
    currency: str
    capture_method: _payment_intent_pb2.CaptureMethodEnum.CaptureMethod
    partial_approval: _payment_intent_pb2.PartialApprovalEnum.PartialApproval
    def __init__(self, amount_in_cents: _Optional[int] = ..., currency: _Optional[str] = ..., capture_method: _Optional[_Union[_payment_intent_pb2.CaptureMethodEnum.CaptureMethod, str]] = ..., partial_approval: _Optional[_Union[_payment_intent_pb2.PartialApprovalEnum.PartialApproval, str]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class BatchApplyOutcomeRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ApplyOutcomeItem]
    def __init__(self, items: _Optional[_Iterable[_Union[ApplyOutcomeItem, _Mapping]]] = ...) -> None: ...

class OutcomeEnum(_message.Message):
    __slots__ = ()
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[OutcomeEnum.Outcome]
        succeeded: _ClassVar[OutcomeEnum.Outcome]
        authorized: _ClassVar[OutcomeEnum.Outcome]
        failed: _ClassVar[OutcomeEnum.Outcome]
        capture_refused: _ClassVar[OutcomeEnum.Outcome]
    unspecified: OutcomeEnum.Outcome
    succeeded: OutcomeEnum.Outcome
    authorized: OutcomeEnum.Outcome
    failed: OutcomeEnum.Outcome
    capture_refused: OutcomeEnum.Outcome
    def __init__(self) -> None: ...

class ApplyOutcomeItem(_message.Message):
    __slots__ = ("merchant_id", "payment_intent_id", "transaction_id", "outcome", "amount_captured_in_cents", "failure", "capture_before", "capture_number", "amount_authorized_in_cents")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_CAPTURED_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_AUTHORIZED_IN_CENTS_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    payment_intent_id: str
    transaction_id: str
    outcome: OutcomeEnum.Outcome
    amount_captured_in_cents: int
    failure: _failure_pb2.Failure
    capture_before: int
    capture_number: int
    amount_authorized_in_cents: int
    def __init__(self, merchant_id: _Optional[str] = ..., payment_intent_id: _Optional[str] = ..., transaction_id: _Optional[str] = ..., outcome: _Optional[_Union[OutcomeEnum.Outcome, str]] = ..., amount_captured_in_cents: _Optional[int] = ..., failure: _Optional[_Union[_failure_pb2.Failure, _Mapping]] = ..., capture_before: _Optional[int] = ..., capture_number: _Optional[int] = ..., amount_authorized_in_cents: _Optional[int] = ...) -> None: ...

class LookUpPaymentIntentRequest(_message.Message):
    __slots__ = ("merchant_id", "mode", "payment_intent_id")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    mode: _mode_pb2.ModeEnum.Mode
    payment_intent_id: str
    def __init__(self, merchant_id: _Optional[str] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ..., payment_intent_id: _Optional[str] = ...) -> None: ...

class LookUpPaymentIntentResponse(_message.Message):
    __slots__ = ("payment_intent",)
    PAYMENT_INTENT_FIELD_NUMBER: _ClassVar[int]
    payment_intent: _payment_intent_pb2.PaymentIntent
    def __init__(self, payment_intent: _Optional[_Union[_payment_intent_pb2.PaymentIntent, _Mapping]] = ...) -> None: ...

class BatchApplyOutcomeResponse(_message.Message):
    __slots__ = ("verdicts",)
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[ApplyOutcomeVerdict]
    def __init__(self, verdicts: _Optional[_Iterable[_Union[ApplyOutcomeVerdict, _Mapping]]] = ...) -> None: ...

class ApplyOutcomeVerdict(_message.Message):
    __slots__ = ("payment_intent", "refusal")
    PAYMENT_INTENT_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    payment_intent: _payment_intent_pb2.PaymentIntent
    refusal: Refusal
    def __init__(self, payment_intent: _Optional[_Union[_payment_intent_pb2.PaymentIntent, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class BatchCheckClientSecretsRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[CheckClientSecretItem]
    def __init__(self, items: _Optional[_Iterable[_Union[CheckClientSecretItem, _Mapping]]] = ...) -> None: ...

class CheckClientSecretItem(_message.Message):
    __slots__ = ("merchant_id", "mode", "payment_intent_id", "client_secret")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    mode: _mode_pb2.ModeEnum.Mode
    payment_intent_id: str
    client_secret: str
    def __init__(self, merchant_id: _Optional[str] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ..., payment_intent_id: _Optional[str] = ..., client_secret: _Optional[str] = ...) -> None: ...

class BatchCheckClientSecretsResponse(_message.Message):
    __slots__ = ("verdicts",)
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[CheckClientSecretVerdict]
    def __init__(self, verdicts: _Optional[_Iterable[_Union[CheckClientSecretVerdict, _Mapping]]] = ...) -> None: ...

class CheckClientSecretVerdict(_message.Message):
    __slots__ = ("refusal",)
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    refusal: Refusal
    def __init__(self, refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class BatchFindPurgedPaymentsRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[FindPurgedPaymentItem]
    def __init__(self, items: _Optional[_Iterable[_Union[FindPurgedPaymentItem, _Mapping]]] = ...) -> None: ...

class FindPurgedPaymentItem(_message.Message):
    __slots__ = ("merchant_id", "payment_intent_id")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    payment_intent_id: str
    def __init__(self, merchant_id: _Optional[str] = ..., payment_intent_id: _Optional[str] = ...) -> None: ...

class BatchFindPurgedPaymentsResponse(_message.Message):
    __slots__ = ("payment_intent_ids",)
    PAYMENT_INTENT_IDS_FIELD_NUMBER: _ClassVar[int]
    payment_intent_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, payment_intent_ids: _Optional[_Iterable[str]] = ...) -> None: ...
