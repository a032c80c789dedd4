"""What a CSMS machine may be told; one object serves any number of connections."""

from dataclasses import dataclass, field

from ..domain.layout import Layout
from ..domain.status import RegistrationStatus
from ..domain.tokens import AuthorizationStatus, IdTokenInfo
from ..errors import ConfigurationError
from ..rpc import RpcConfig

_UNKNOWN_TOKEN = IdTokenInfo(AuthorizationStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Registration:
    """An answer to a BootNotification: the verdict and an interval in seconds.

    The interval is the heartbeat's for Accepted, otherwise the least wait before the next BootNotification;
    0 leaves that to the station. Raises :class:`ConfigurationError` for a negative one.
    """

    status: RegistrationStatus
    interval: int = 300

    def __post_init__(self) -> None:
        if self.interval < 0:
            raise ConfigurationError("an interval is not negative")


_PENDING = Registration(RegistrationStatus.PENDING, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsmsConfig:
    """The settings of a CSMS machine.

    Arguments:
        registration: the answer to every BootNotification; None: the application is asked.
        unanswered_registration: the answer when it does not say in time.
        registration_without_boot: the standing of a station of which nothing is stored and that has not
            booted over this connection. A fleet taken over from another CSMS is best seeded or Accepted, as a
            station need not boot again to reconnect.
        authorization: what is said of every token; None: the application is asked.
        unanswered_authorization: what is said when it does not in time.
        question_timeout: seconds an answer of the application may take. A station gives up after its message
            time-out, so this is at most two thirds of that.
        requests: the actions beyond this machine's own that the application answers, by name. A request that
            is neither is refused (NotSupported).
        vendors: the vendor ids of data transfers that the application answers; others are UnknownVendorId.
        layout: the EVSEs and connectors of the station, for 1.6's numbering; None: connector n of 1.6 is
            the only one of EVSE n.
        open_transactions: transactions without an end that are kept.
        closed_transactions: ended transactions that are kept, to recognise what comes again.
        rpc: the settings of the RPC session.

    Raises:
        ConfigurationError: for a limit, interval or time-out that makes no sense.
    """

    registration: Registration | None = None
    unanswered_registration: Registration = _PENDING
    registration_without_boot: RegistrationStatus = RegistrationStatus.PENDING
    authorization: IdTokenInfo | None = None
    unanswered_authorization: IdTokenInfo = _UNKNOWN_TOKEN
    question_timeout: float = 20.0
    requests: frozenset[str] = frozenset()
    vendors: frozenset[str] = frozenset()
    layout: Layout | None = None
    open_transactions: int = 64
    closed_transactions: int = 16
    rpc: RpcConfig = field(default_factory=RpcConfig)

    def __post_init__(self) -> None:
        if not self.question_timeout > 0:
            raise ConfigurationError("question_timeout must be positive")
        if self.open_transactions < 1:
            raise ConfigurationError("open_transactions must be at least 1")
        if self.closed_transactions < 1:
            raise ConfigurationError("closed_transactions must be at least 1")
