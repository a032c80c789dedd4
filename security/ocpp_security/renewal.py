"""When to look after certificates: a machine without I/O that asks, sends, waits and tries again.

It owns the schedule (A02.FR.17 to A02.FR.20, A03.FR.02, M06.FR.07, M06.FR.10) and nothing else. Questions
among its actions are answered by a :class:`~ocpp_security.manager.CertificateManager`, requests to send by
the CSMS; the answers are its inputs. ``now`` is monotonic seconds; wall time is learned
(:meth:`Renewal.set_utc`), and until then nothing that depends on it is done. Rows survive power loss: when
OCSP is to be refreshed, and what was given up.
"""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TypeAlias

from ocpp_core.errors import LocalProtocolError, StoreError
from ocpp_core.store import Commit, Snapshot, Tables
from ocpp_core.timers import Timers

from .pki.ocsp import OcspRequestData
from .questions import CheckLeaf, LeafState, ListOcspRequests, MakeSigningRequest, SigningRequest
from .trust.inventory import LeafUse

MAX_OCSP_REQUESTS = 32
"""Certificates asked about in one refresh; four chains of the longest kind have sixteen."""
MAX_CLOCK_STEP = 600.0
"""Seconds by which the clock may be corrected without a check of what that means for certificates."""
MAX_WAIT = 366 * 86_400.0
"""Seconds between repetitions of a CSR, however often the wait was doubled."""
_TABLE = "certificates"
_OCSP_ROW = "ocsp"


@dataclass(frozen=True, slots=True)
class RenewalConfig:
    """The schedule; seconds throughout. Names in brackets are the standard's or libocpp's variables."""

    uses: frozenset[LeafUse] = frozenset()
    """What is renewed: CHARGING_STATION with security profile 3, the V2G ones if the CSMS manages them
    (ISO15118CertificateManagementEnabled, V2GCertificateInstallationEnabled)."""
    initial_delay: float = 60.0
    """From the first accepted boot to the first check
    ([Client, V2G]CertificateExpireCheckInitialDelaySeconds)."""
    interval: float = 43_200.0
    """Between checks ([Client, V2G]CertificateExpireCheckIntervalSeconds)."""
    renew_before: float = 30 * 86_400.0
    """How long before its expiry a certificate is renewed: one month (A03.FR.02)."""
    wait_minimum: float = 30.0
    """From an accepted CSR to its repetition, doubled each time (CertSigningWaitMinimum)."""
    repeat_times: int = 3
    """How often the wait is doubled before it is given up (CertSigningRepeatTimes)."""
    ask_again: bool = False
    """Whether what was given up is asked for again with the next check, as libocpp does; 1.6 lets a station,
    2.x does not (A02.FR.19, A02.FR.20). Without it, a station whose CSMS forgets it is lost in a month."""
    ocsp_interval: float = 604_800.0
    """Between refreshes of OCSP responses, at most a week (OcspRequestInterval, M06.FR.10)."""
    ocsp_retry: float = 3_600.0
    """From a refresh that failed in part to the next."""


# Actions besides the questions CheckLeaf, MakeSigningRequest and ListOcspRequests, and Commit.


@dataclass(frozen=True, slots=True)
class SendSigningRequest:
    """Send SignCertificate; answer with :meth:`Renewal.sign_answered`."""

    request: SigningRequest


@dataclass(frozen=True, slots=True)
class SendOcspRequest:
    """Send GetCertificateStatus; answer with :meth:`Renewal.ocsp_answered`."""

    request: OcspRequestData


@dataclass(frozen=True, slots=True)
class UseNewCertificate:
    """A newer certificate has become valid: reconnect with it (A02.FR.08), or serve it to vehicles."""

    use: LeafUse


@dataclass(frozen=True, slots=True)
class RenewalStopped:
    """No certificate came, or not a valid one: nothing more is tried until the CSMS asks for it (A02.FR.19,
    A02.FR.20), or the next check does (:attr:`RenewalConfig.ask_again`)."""

    use: LeafUse


@dataclass(frozen=True, slots=True)
class SigningRefused:
    """The CSMS rejected the CSR; for V2G it is recommended to turn Plug & Charge off until the next boot
    (A02.FR.21)."""

    use: LeafUse


RenewalAction: TypeAlias = (
    Commit
    | CheckLeaf
    | MakeSigningRequest
    | ListOcspRequests
    | SendSigningRequest
    | SendOcspRequest
    | UseNewCertificate
    | RenewalStopped
    | SigningRefused
)


class _Stage(Enum):
    """Where the request of one use stands."""

    MAKING = auto()
    SENDING = auto()
    WAITING = auto()
    """Accepted by the CSMS; the certificate is to come."""
    RETRYING = auto()
    """It could not be sent."""


@dataclass(slots=True)
class _Request:
    stage: _Stage = _Stage.MAKING
    made: SigningRequest | None = None
    repeated: int = 0


class _What(Enum):
    """What a timer is for."""

    CHECK = auto()
    RETRY = auto()
    SWITCH = auto()


@dataclass(slots=True)
class _Refresh:
    """One round of OCSP requests."""

    listing: bool = True
    queue: deque[OcspRequestData] = field(default_factory=deque)
    in_flight: OcspRequestData | None = None
    failed: bool = False
    again: bool = False
    """A chain is new since the list was made: another round follows."""


class Renewal:
    """The certificate schedule of one station.

    Arguments:
        config: intervals and uses.
        snapshot: the rows that an earlier boot committed.

    Raises StoreError: a row is damaged.
    """

    __slots__ = (
        "_actions",
        "_begins",
        "_booted",
        "_config",
        "_ocsp",
        "_offset",
        "_refresh",
        "_requests",
        "_tables",
        "_timers",
    )

    def __init__(self, config: RenewalConfig, snapshot: Snapshot | None = None) -> None:
        self._config = config
        self._tables = Tables(snapshot)
        _due(self._tables.get(_TABLE, _OCSP_ROW) or '{"next": 0}')
        self._timers: Timers[tuple[_What, LeafUse]] = Timers()
        self._ocsp: float | None = None
        self._offset: float | None = None
        self._booted: float | None = None
        self._begins: dict[LeafUse, datetime] = {}
        self._requests: dict[LeafUse, _Request] = {}
        self._refresh: _Refresh | None = None
        self._actions: list[RenewalAction] = []

    # Inputs.

    def boot_accepted(self, now: float) -> None:
        """The CSMS accepted a BootNotification; only the first of a run begins the schedule."""
        if self._booted is None:
            self._booted = now
            self._check_soon(self._config.uses, now)
            self._plan_ocsp(now)

    def set_utc(self, utc: datetime, now: float) -> None:
        """Wall time is (again) known: UTC at ``now``."""
        before, self._offset = self._offset, utc.timestamp() - now
        if before is None or abs(self._offset - before) > MAX_CLOCK_STEP:
            self._check_soon(self._config.uses, now)
        for use, begins in tuple(self._begins.items()):
            self._use_when_valid(use, begins, now)
        self._plan_ocsp(now)

    def configure(self, config: RenewalConfig, now: float) -> None:
        """Another schedule: uses that are new are checked soon, dropped ones forgotten."""
        for use in self._config.uses - config.uses:
            self._requests.pop(use, None)
            self._begins.pop(use, None)
            for what in _What:
                self._timers.cancel((what, use))
        added = config.uses - self._config.uses
        self._config = config
        self._check_soon(added, now)
        self._plan_ocsp(now)

    def requested(self, use: LeafUse, now: float) -> None:
        """The CSMS asks for a CSR (TriggerMessage SignChargingStationCertificate, …; A02.FR.02): whatever was
        under way or given up for the use begins anew."""
        del now
        self._tables.delete(_TABLE, use.value)
        self._begin(use)

    def leaf_checked(self, state: LeafState, now: float) -> None:
        """The answer to :class:`~ocpp_security.questions.CheckLeaf`.

        A use whose certificate has expired, or soon will with none to follow it, is renewed, unless that was
        given up. What was given up is no more once a good certificate is there, whoever brought it.
        """
        use = state.use
        utc = self._utc(now)
        if use not in self._config.uses or utc is None:
            return
        if state.next_valid is not None:
            self._use_when_valid(use, state.next_valid, now)
        early = timedelta(seconds=self._config.renew_before)
        if not _followed(state) and (state.expires is None or state.expires - utc <= early):
            if use not in self._requests and self._tables.get(_TABLE, use.value) is None:
                self._begin(use)
        else:
            self._tables.delete(_TABLE, use.value)

    def request_made(self, request: SigningRequest, now: float) -> None:
        """The answer to :class:`~ocpp_security.questions.MakeSigningRequest`: it is sent, unless something
        else has happened to the use since."""
        del now
        state = self._requests.get(request.use)
        if state is not None and state.stage is _Stage.MAKING:
            state.made, state.stage = request, _Stage.SENDING
            self._actions.append(SendSigningRequest(request))

    def request_failed(self, use: LeafUse, now: float) -> None:
        """No CSR could be made (no organization name, no TPM, …): tried again at the next check."""
        del now
        state = self._requests.get(use)
        if state is not None and state.stage is _Stage.MAKING:
            del self._requests[use]

    def sign_answered(self, request: SigningRequest, accepted: bool | None, now: float) -> None:
        """SignCertificateResponse came: Accepted, Rejected, or (None) there is none: no link, a time-out.

        An answer to an older request than the latest of its use means nothing.
        """
        state = self._requests.get(request.use)
        if state is None or state.made != request or state.stage is not _Stage.SENDING:
            return
        if accepted is False:
            del self._requests[request.use]
            self._actions.append(SigningRefused(request.use))
            return
        state.stage = _Stage.WAITING if accepted else _Stage.RETRYING
        wait = min(self._config.wait_minimum * 2.0 ** min(state.repeated, 64), MAX_WAIT)
        self._timers.set((_What.RETRY, request.use), now + wait)

    def certificate_taken(self, use: LeafUse, valid_from: datetime, now: float) -> None:
        """CertificateSigned brought a valid chain: nothing is repeated, and it is used when it is valid."""
        self._stop(use)
        self._tables.delete(_TABLE, use.value)
        self._use_when_valid(use, valid_from, now)

    def certificate_refused(self, use: LeafUse, now: float) -> None:
        """CertificateSigned brought a chain that was judged invalid: nothing is repeated (A02.FR.20).

        Not to be called for one that could not be judged or kept, which is no fault of the certificate: an
        outcome without events.
        """
        del now
        if use in self._requests:
            self._give_up(use)

    def ocsp_listed(self, requests: tuple[OcspRequestData, ...], now: float) -> None:
        """The answer to :class:`~ocpp_security.questions.ListOcspRequests`. Raises LocalProtocolError if none
        is asked for."""
        if self._refresh is None or not self._refresh.listing:
            raise LocalProtocolError("no list of OCSP requests was asked for")
        self._refresh.listing = False
        self._refresh.queue.extend(requests[:MAX_OCSP_REQUESTS])
        self._next_ocsp(now)

    def ocsp_answered(self, request: OcspRequestData, ok: bool, now: float) -> None:
        """GetCertificateStatusResponse was kept (``ok``), or there is none that can be believed. Raises
        LocalProtocolError if that request is not in flight."""
        refresh = self._refresh
        if refresh is None or refresh.in_flight != request:
            raise LocalProtocolError("that OCSP request is not in flight")
        refresh.failed |= not ok
        self._next_ocsp(now)

    def store_failed(self, now: float) -> None:
        """The last commit was not made durable; it is handed out again with the next actions."""
        del now
        self._tables.failed()

    # Outputs.

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for what, use in self._timers.due(now):
            if what is _What.CHECK:
                self._timers.set((what, use), now + self._config.interval)
                self._actions.append(CheckLeaf(use))
            elif what is _What.RETRY:
                self._repeat(use)
            else:
                self._use_when_valid(use, self._begins[use], now)
        if self._ocsp is not None and self._ocsp <= now:
            self._begin_ocsp()

    def next_timer(self) -> float | None:
        """When :meth:`handle_timer` is due, or None."""
        times = [at for at in (self._timers.next(), self._ocsp) if at is not None]
        return min(times, default=None)

    def actions(self) -> list[RenewalAction]:
        """What is to be done, in order, handed over once; a commit comes first."""
        actions, self._actions = self._actions, []
        return [self._tables.take(), *actions] if self._tables.dirty else actions

    def snapshot(self) -> Mapping[str, Mapping[str, str]]:
        """The rows that survive power loss."""
        return self._tables.snapshot()

    # Requests.

    def _check_soon(self, uses: frozenset[LeafUse], now: float) -> None:
        if self._booted is not None:
            at = max(now, self._booted + self._config.initial_delay)
            for use in sorted(uses):
                self._timers.set((_What.CHECK, use), at)

    def _begin(self, use: LeafUse) -> None:
        self._timers.cancel((_What.RETRY, use))
        self._requests[use] = _Request()
        self._actions.append(MakeSigningRequest(use))

    def _repeat(self, use: LeafUse) -> None:
        """The wait is over without a certificate: the same CSR again, or the end (A02.FR.17 to A02.FR.19)."""
        state = self._requests[use]
        assert state.made is not None
        if state.stage is _Stage.WAITING:
            if state.repeated == self._config.repeat_times:
                self._give_up(use)
                return
            state.repeated += 1
        state.stage = _Stage.SENDING
        self._actions.append(SendSigningRequest(state.made))

    def _give_up(self, use: LeafUse) -> None:
        self._stop(use)
        if not self._config.ask_again:
            self._tables.put(_TABLE, use.value, json.dumps({"given_up": True}))
        self._actions.append(RenewalStopped(use))

    def _stop(self, use: LeafUse) -> None:
        self._requests.pop(use, None)
        self._timers.cancel((_What.RETRY, use))

    def _use_when_valid(self, use: LeafUse, begins: datetime, now: float) -> None:
        """Now, or when wall time, as it is corrected meanwhile, has come to ``begins``."""
        utc = self._utc(now)
        if utc is not None and begins > utc:
            self._begins[use] = begins
            self._timers.set((_What.SWITCH, use), now + (begins - utc).total_seconds())
            return
        self._begins.pop(use, None)
        self._timers.cancel((_What.SWITCH, use))
        self._actions.append(UseNewCertificate(use))
        if use is not LeafUse.CHARGING_STATION:
            self._refresh_ocsp(now)  # M06.FR.07

    # OCSP.

    def _plan_ocsp(self, now: float) -> None:
        """When the next refresh is due: after the interval, counted in wall time across boots."""
        utc = self._utc(now)
        served = self._config.uses - {LeafUse.CHARGING_STATION}
        if utc is None or self._booted is None or not served or self._refresh is not None:
            self._ocsp = None
            return
        row = self._tables.get(_TABLE, _OCSP_ROW)
        due = 0.0 if row is None else _due(row)
        latest = utc.timestamp() + self._config.ocsp_interval
        if due > latest:
            # Put off by a clock that was wrong: that must not stop refreshes for years, nor may learning the
            # time again and again.
            due = latest
            self._keep_due(due)
        earliest = max(now, self._booted + self._config.initial_delay)
        self._ocsp = max(earliest, now + due - utc.timestamp())

    def _keep_due(self, due: float) -> None:
        self._tables.put(_TABLE, _OCSP_ROW, json.dumps({"next": due}))

    def _refresh_ocsp(self, now: float) -> None:
        if self._utc(now) is None:
            return  # without the time no response can be believed; learning it plans a refresh
        if self._refresh is None:
            self._begin_ocsp()
        else:
            self._refresh.again = True

    def _begin_ocsp(self) -> None:
        self._ocsp = None
        self._refresh = _Refresh()
        self._actions.append(ListOcspRequests())

    def _next_ocsp(self, now: float) -> None:
        refresh = self._refresh
        assert refresh is not None
        refresh.in_flight = refresh.queue.popleft() if refresh.queue else None
        if refresh.in_flight is not None:
            self._actions.append(SendOcspRequest(refresh.in_flight))
            return
        self._refresh = None
        if refresh.again:
            self._begin_ocsp()
            return
        utc = self._utc(now)
        assert utc is not None  # without it no round begins
        wait = self._config.ocsp_retry if refresh.failed else self._config.ocsp_interval
        self._keep_due(utc.timestamp() + wait)
        self._plan_ocsp(now)

    def _utc(self, now: float) -> datetime | None:
        return None if self._offset is None else datetime.fromtimestamp(now + self._offset, UTC)


def _followed(state: LeafState) -> bool:
    """Whether a certificate that is here takes over before the present one expires."""
    return state.expires is not None and state.next_valid is not None and state.next_valid <= state.expires


def _due(row: str) -> float:
    """UTC in epoch seconds of the next refresh."""
    try:
        return float(json.loads(row)["next"])
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise StoreError(f"the row of the OCSP refresh is damaged: {row}") from error
