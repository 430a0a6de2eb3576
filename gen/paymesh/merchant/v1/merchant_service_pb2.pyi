from google.api import field_behavior_pb2 as _field_behavior_pb2
from paymesh.merchant.v1 import api_key_change_pb2 as _api_key_change_pb2
from paymesh.merchant.v1 import api_key_rights_pb2 as _api_key_rights_pb2
from paymesh.merchant.v1 import mode_pb2 as _mode_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Merchant(_message.Message):
    __slots__ = ("id", "name", "country", "mcc", "bank_account", "created")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    MCC_FIELD_NUMBER: _ClassVar[int]
    BANK_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    country: str
    mcc: str
    bank_account: BankAccount
    created: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., country: _Optional[str] = ..., mcc: _Optional[str] = ..., bank_account: _Optional[_Union[BankAccount, _Mapping]] = ..., created: _Optional[int] = ...) -> None: ...

class BankAccount(_message.Message):
    __slots__ = ("account_holder", "country", "currency", "last4")
    ACCOUNT_HOLDER_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    LAST4_FIELD_NUMBER: _ClassVar[int]
    account_holder: str
    country: str
    currency: str
    last4: str
    def __init__(self, account_holder: _Optional[str] = ..., country: _Optional[str] = ..., currency: _Optional[str] = ..., last4: _Optional[str] = ...) -> None: ...

class BankAccountInput(_message.Message):
    __slots__ = ("account_holder", "country", "currency", "account_number", "routing_number")
    ACCOUNT_HOLDER_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ROUTING_NUMBER_FIELD_NUMBER: _ClassVar[int]
    account_holder: str
    country: str
    currency: str
    account_number: str
    routing_number: str
    def __init__(self, account_holder: _Optional[str] = ..., country: _Optional[str] = ..., currency: _Optional[str] = ..., account_number: _Optional[str] = ..., routing_number: _Optional[str] = ...) -> None: ...

class ApiKey(_message.Message):
    __slots__ = ("id", "merchant_id", "mode", "publishable_key", "secret_last4", "created", "expires", "status", "last_used", "rights", "networks")
    ID_FIELD_NUMBER: _ClassVar[int]
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PUBLISHABLE_KEY_FIELD_NUMBER: _ClassVar[int]
    SECRET_LAST4_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_FIELD_NUMBER: _ClassVar[int]
    RIGHTS_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    id: str
    merchant_id: str
    mode: _mode_pb2.ModeEnum.Mode
    publishable_key: str
    secret_last4: str
    created: int
    expires: int
    status: ApiKeyStatusEnum.ApiKeyStatus
    last_used: int
    rights: _api_key_rights_pb2.ApiKeyRights
    networks: _api_key_rights_pb2.ApiKeyNetworks
    def __init__(self, id: _Optional[str] = ..., merchant_id: _Optional[str] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ..., publishable_key: _Optional[str] = ..., secret_last4: _Optional[str] = ..., created: _Optional[int] = ..., expires: _Optional[int] = ..., status: _Optional[_Union[ApiKeyStatusEnum.ApiKeyStatus, str]] = ..., last_used: _Optional[int] = ..., rights: _Optional[_Union[_api_key_rights_pb2.ApiKeyRights, _Mapping]] = ..., networks: _Optional[_Union[_api_key_rights_pb2.ApiKeyNetworks, _Mapping]] = ...) -> None: ...

class ApiKeyStatusEnum(_message.Message):
    __slots__ = ()
    class ApiKeyStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        unspecified: _ClassVar[ApiKeyStatusEnum.ApiKeyStatus]
        active: _ClassVar[ApiKeyStatusEnum.ApiKeyStatus]
        expiring: _ClassVar[ApiKeyStatusEnum.ApiKeyStatus]
        expired: _ClassVar[ApiKeyStatusEnum.ApiKeyStatus]
        revoked: _ClassVar[ApiKeyStatusEnum.ApiKeyStatus]
    unspecified: ApiKeyStatusEnum.ApiKeyStatus
    active: ApiKeyStatusEnum.ApiKeyStatus
    expiring: ApiKeyStatusEnum.ApiKeyStatus
    expired: ApiKeyStatusEnum.ApiKeyStatus
    revoked: ApiKeyStatusEnum.ApiKeyStatus
    def __init__(self) -> None: ...

class CreateMerchantRequest(_message.Message):
    __slots__ = ("name", "country", "mcc", "bank_account")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    MCC_FIELD_NUMBER: _ClassVar[int]
    BANK_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    country: str
    mcc: str
    bank_account: BankAccountInput
    def __init__(self, name: _Optional[str] = ..., country: _Optional[str] = ..., mcc: _Optional[str] = ..., bank_account: _Optional[_Union[BankAccountInput, _Mapping]] = ...) -> None: ...

class CreateMerchantResponse(_message.Message):
    __slots__ = ("merchant",)
    MERCHANT_FIELD_NUMBER: _ClassVar[int]
    merchant: Merchant
    def __init__(self, merchant: _Optional[_Union[Merchant, _Mapping]] = ...) -> None: ...

class GetMerchantRequest(_message.Message):
    __slots__ = ("merchant_id",)
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    def __init__(self, merchant_id: _Optional[str] = ...) -> None: ...

class GetMerchantResponse(_message.Message):
    __slots__ = ("merchant",)
    MERCHANT_FIELD_NUMBER: _ClassVar[int]
    merchant: Merchant
    def __init__(self, merchant: _Optional[_Union[Merchant, _Mapping]] = ...) -> None: ...

class CreateApiKeyRequest(_message.Message):
    __slots__ = ("merchant_id", "mode", "requested_by", "rights", "networks")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    RIGHTS_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    mode: _mode_pb2.ModeEnum.Mode
    requested_by: str
    rights: _api_key_rights_pb2.ApiKeyRights
    networks: _api_key_rights_pb2.ApiKeyNetworks
    def __init__(self, merchant_id: _Optional[str] = ..., mode: _Optional[_Union[_mode_pb2.ModeEnum.Mode, str]] = ..., requested_by: _Optional[str] = ..., rights: _Optional[_Union[_api_key_rights_pb2.ApiKeyRights, _Mapping]] = ..., networks: _Optional[_Union[_api_key_rights_pb2.ApiKeyNetworks, _Mapping]] = ...) -> None: ...

class CreateApiKeyResponse(_message.Message):
    __slots__ = ("api_key", "secret_key")
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    SECRET_KEY_FIELD_NUMBER: _ClassVar[int]
    api_key: ApiKey
    secret_key: str
    def __init__(self, api_key: _Optional[_Union[ApiKey, _Mapping]] = ..., secret_key: _Optional[str] = ...) -> None: ...

class ListApiKeysRequest(_message.Message):
    __slots__ = ("merchant_id",)
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    def __init__(self, merchant_id: _Optional[str] = ...) -> None: ...

class ListApiKeysResponse(_message.Message):
    __slots__ = ("api_keys",)
    API_KEYS_FIELD_NUMBER: _ClassVar[int]
    api_keys: _containers.RepeatedCompositeFieldContainer[ApiKey]
    def __init__(self, api_keys: _Optional[_Iterable[_Union[ApiKey, _Mapping]]] = ...) -> None: ...

class RollApiKeyRequest(_message.Message):
    __slots__ = ("api_key_id", "overlap_in_seconds", "requested_by")
    API_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_IN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    api_key_id: str
    overlap_in_seconds: int
    requested_by: str
    def __init__(self, api_key_id: _Optional[str] = ..., overlap_in_seconds: _Optional[int] = ..., requested_by: _Optional[str] = ...) -> None: ...

class RollApiKeyResponse(_message.Message):
    __slots__ = ("api_key", "secret_key")
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    SECRET_KEY_FIELD_NUMBER: _ClassVar[int]
    api_key: ApiKey
    secret_key: str
    def __init__(self, api_key: _Optional[_Union[ApiKey, _Mapping]] = ..., secret_key: _Optional[str] = ...) -> None: ...

class RevokeApiKeyRequest(_message.Message):
    __slots__ = ("api_key_id", "requested_by")
    API_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    api_key_id: str
    requested_by: str
    def __init__(self, api_key_id: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class RevokeApiKeyResponse(_message.Message):
    __slots__ = ("api_key",)
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    api_key: ApiKey
    def __init__(self, api_key: _Optional[_Union[ApiKey, _Mapping]] = ...) -> None: ...

class RestrictApiKeyRequest(_message.Message):
    __slots__ = ("api_key_id", "requested_by", "rights", "networks")
    API_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    RIGHTS_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    api_key_id: str
    requested_by: str
    rights: _api_key_rights_pb2.ApiKeyRights
    networks: _api_key_rights_pb2.ApiKeyNetworks
    def __init__(self, api_key_id: _Optional[str] = ..., requested_by: _Optional[str] = ..., rights: _Optional[_Union[_api_key_rights_pb2.ApiKeyRights, _Mapping]] = ..., networks: _Optional[_Union[_api_key_rights_pb2.ApiKeyNetworks, _Mapping]] = ...) -> None: ...

class RestrictApiKeyResponse(_message.Message):
    __slots__ = ("api_key",)
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    api_key: ApiKey
    def __init__(self, api_key: _Optional[_Union[ApiKey, _Mapping]] = ...) -> None: ...

class ListApiKeyChangesRequest(_message.Message):
    __slots__ = ("merchant_id", "limit", "before")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    limit: int
    before: int
    def __init__(self, merchant_id: _Optional[str] = ..., limit: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class ListApiKeyChangesResponse(_message.Message):
    __slots__ = ("changes", "has_more")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[_api_key_change_pb2.ApiKeyChange]
    has_more: bool
    def __init__(self, changes: _Optional[_Iterable[_Union[_api_key_change_pb2.ApiKeyChange, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...
