"""What OCPP wants of TLS, as contexts for the interpreter's own ``ssl`` (security profiles, block A00).

A policy makes a context, and the context holds everybody to it who makes connections with ``wrap_bio``: this
package's adapters, asyncio, anyio and trio alike. What OpenSSL does not check itself is checked at the end of
its handshake, before a byte of OCPP is sent.
"""

import errno
import logging
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias, cast

from ocpp_core import ConfigurationError, LocalProtocolError
from ocpp_core.domain.network import SecurityProfile as SecurityProfile

from .tls_failures import CertificateRefusedError, TlsFault
from .tls_peer import PeerCertificate, peer_certificate, validity, verified_chain

if TYPE_CHECKING:
    import _ssl

STANDARD_CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""For TLS 1.2, by OpenSSL's names: the four that a CSMS must have (A00.FR.318, A00.FR.421), the last two of
which are TLS_RSA_*, and forward secrecy for RSA certificates. TLS 1.3 has its own, all of them good."""
_SECURITY_LEVEL: Final = 2
"""OpenSSL's level of 112 bits, for keys, signatures and digests (A00.FR.501 to A00.FR.503)."""
_NO_CHECK_TIME: Final = 0x20_0000
"""X509_V_FLAG_NO_CHECK_TIME, which :mod:`ssl` has no name for."""
_log = logging.getLogger(__name__)
_CERTIFICATE_REQUEST: Final = (22, 13)
"""The content type and the message (RFC 8446 §4.3.2, RFC 5246 §7.4.4)."""
_ISSUERS: Final = 64
"""Issuers of peers that are remembered."""
_SESSIONS: Final = 16
"""Sessions kept for resumption, one per server name."""

Credential: TypeAlias = Callable[[ssl.SSLContext], None]
"""Puts a certificate chain and its key into a context: :func:`files`, or a key store's
``partial(key.use_for_tls, chain=path)``, whose key may be in a TPM."""
Check: TypeAlias = Callable[[PeerCertificate], None]
"""A further look at a certificate that was verified, from what is at hand, without waiting: cached OCSP
responses, say. Raises CertificateRefusedError."""


class Names(Enum):
    """How a CSMS's certificate must name it (A00.FR.309, A00.FR.412)."""

    EXACT = "exact"
    """By its full name; what the standard wants."""
    WILDCARD = "wildcard"
    """By ``*.example`` too (SecurityCtrlr.AllowCSMSTLSWildcards)."""
    ANY = "any"
    """Not at all: any certificate below the trust anchors will do."""


def files(chain: Path, key: Path | None = None, password: str | bytes | None = None) -> Credential:
    """A certificate chain and its private key in PEM files; without ``key`` both are in ``chain``.

    The credential raises ConfigurationError if they cannot be read, or do not belong together.
    """

    def use(context: ssl.SSLContext) -> None:
        try:
            # Without a password OpenSSL would ask the terminal.
            context.load_cert_chain(chain, key, b"" if password is None else password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigurationError(f"cannot use {chain} with {key or chain}: {_told(error)}") from error

    return use


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPolicy:
    """What both roles have in common.

    Arguments:
        profile: TLS_BASIC or TLS_CERTIFICATE.
        trust: PEM files with the trust anchors; intermediate certificates may be anchors too.
        ciphers: for TLS 1.2, by OpenSSL's names, the preferred first; those of TLS 1.3 cannot be chosen.
        maximum: the newest version to use; TLS 1.2 is always the oldest (A00.FR.313).
        crls: PEM files with revocation lists; if there is one, every issuer's must be there and current.
        crl_chain: look for the intermediate certificates in the lists, too.
        check: see :data:`Check`.
        keylog: a file to which the connections' secrets are appended, for Wireshark. For debugging only. It
            is made readable by its owner only; another user's is refused.

    Raises:
        ConfigurationError: at construction, or as a context is made: the values make no sense, a file cannot
            be used, or a cipher suite is none, or weak.
    """

    profile: SecurityProfile = SecurityProfile.TLS_BASIC
    trust: tuple[Path, ...] = ()
    ciphers: tuple[str, ...] = STANDARD_CIPHERS
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    crls: tuple[Path, ...] = ()
    crl_chain: bool = False
    check: Check | None = None
    keylog: Path | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a file."""
        if not self.profile.secure:
            raise ConfigurationError(f"security profile {self.profile} has no TLS")
        if self.maximum not in {
            ssl.TLSVersion.MAXIMUM_SUPPORTED,
            ssl.TLSVersion.TLSv1_2,
            ssl.TLSVersion.TLSv1_3,
        }:
            raise ConfigurationError("maximum: OCPP has TLS 1.2 and later only (A00.FR.313)")

    def _prepare(self, context: "PolicyContext") -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = self.maximum
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        _set_ciphers(context, self.ciphers)
        for path in (*self.trust, *self.crls):
            _load(context, path)
        if self.crls:
            flag = ssl.VERIFY_CRL_CHECK_CHAIN if self.crl_chain else ssl.VERIFY_CRL_CHECK_LEAF
            context.verify_flags |= flag
        if self.keylog is not None:
            _log_keys(context, self.keylog)
        context.check = self.check


@dataclass(frozen=True, slots=True, kw_only=True)
class StationTls(TlsPolicy):
    """The charging station's side. Arguments and errors of :class:`TlsPolicy`, and:

    Arguments:
        credential: the station's certificate; profile 3 must have it.
        system_trust: trust the operating system's anchors, too; the standard advises against it.
        names: how the CSMS's certificate must name it.
        server_name: the name it must have, if not the connection URL's host.
        resumption: shorten later handshakes by what an earlier one has agreed on.
    """

    credential: Credential | None = None
    system_trust: bool = False
    names: Names = Names.EXACT
    server_name: str | None = None
    resumption: bool = True

    def __post_init__(self) -> None:
        """Check what can be checked without a file."""
        TlsPolicy.__post_init__(self)
        if self.profile is SecurityProfile.TLS_CERTIFICATE and self.credential is None:
            raise ConfigurationError("security profile 3 needs a client certificate (A00.FR.402)")
        if not self.trust and not self.system_trust:
            raise ConfigurationError("there is no trust anchor: no CSMS could be verified")

    def context(self) -> "PolicyContext":
        """A new context. Reads files; raises ConfigurationError for one that cannot be used."""
        context = PolicyContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.names is not Names.ANY
        self._prepare(context)
        if self.system_trust:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if self.profile is SecurityProfile.TLS_CERTIFICATE and self.credential is not None:
            self.credential(context)
            context.insist_on_request()
        context.exact = self.names is Names.EXACT
        context.server_name = self.server_name
        context.resumption = self.resumption
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class CsmsTls(TlsPolicy):
    """The CSMS's side. Arguments and errors of :class:`TlsPolicy`, and:

    Arguments:
        credentials: its certificates: one RSA and one ECDSA for all four suites of the standard.
        accept_expired: the stations that are let in though their certificate, and nothing else of the chain,
            has expired (A00.FR.429); they are to be given a new one at once. With it revocation lists are
            used even when they are out of date.
    """

    credentials: tuple[Credential, ...]
    accept_expired: Callable[[PeerCertificate], bool] | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a file."""
        TlsPolicy.__post_init__(self)
        if not self.credentials:
            raise ConfigurationError("a CSMS needs a certificate (A00.FR.307)")
        if self.profile is SecurityProfile.TLS_CERTIFICATE and not self.trust:
            raise ConfigurationError("there is no trust anchor: no station could be verified")

    def context(self) -> "PolicyContext":
        """A new context. Reads files; raises ConfigurationError for one that cannot be used."""
        context = PolicyContext(ssl.PROTOCOL_TLS_SERVER)
        self._prepare(context)
        for credential in self.credentials:
            credential(context)
        if self.profile is SecurityProfile.TLS_CERTIFICATE:
            context.verify_mode = ssl.CERT_REQUIRED
            if self.accept_expired is not None:
                context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
                context.accept_expired = self.accept_expired
        return context


class PolicyObject(ssl.SSLObject):
    """A connection whose handshake is over when the policy is content with the peer, too."""

    _reading = True
    """No application data was read yet."""
    asked = False
    """The peer wants to see a certificate."""

    def do_handshake(self) -> None:
        """Shake hands; raises CertificateRefusedError if a rule of the policy refuses the peer."""
        super().do_handshake()
        cast(PolicyContext, self.context).judge(self)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - as in the standard library
        """Read; the first time, keep the session: by then the server has sent its tickets."""
        data = super().read(len, buffer)
        if self._reading:
            self._reading = False
            cast(PolicyContext, self.context).keep_session(self)
        return data


class PolicyContext(ssl.SSLContext):
    """A context that knows a policy's further rules; made by ``StationTls.context``, ``CsmsTls.context``."""

    sslobject_class = PolicyObject

    def __init__(self, protocol: int) -> None:
        del protocol  # taken by __new__
        self.check: Check | None = None
        self.exact = False
        self.server_name: str | None = None
        self.resumption = False
        self._insistent = False
        self.accept_expired: Callable[[PeerCertificate], bool] | None = None
        self.issuers: dict[_ssl.Certificate, Any] = {}
        """Of peers that were verified, with their names: who resumes a session shows none."""
        self._sessions: dict[str, ssl.SSLSession] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """See :meth:`ssl.SSLContext.wrap_bio`; a station's gets its server's name and last session.

        A session is offered once (RFC 8446 appendix C.4): one that is refused, by either end, is not in the
        way of the full handshake that the next attempt makes.

        Raises ValueError: the name is to be checked, and there is none. (OpenSSL would just not check.)
        """
        if not server_side:
            if isinstance(server_hostname, bytes):  # as anyio's own TLS has it
                server_hostname = server_hostname.decode("ascii")
            server_hostname = self.server_name or server_hostname
            if self.check_hostname and not server_hostname:
                raise ValueError("check_hostname requires server_hostname")
            session = session or self._sessions.pop(str(server_hostname), None)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def wrap_socket(self, *args: Any, **options: Any) -> NoReturn:
        """Not supported. Raises LocalProtocolError: the policy's own rules are held through ``wrap_bio``."""
        raise LocalProtocolError("a policy's context is for wrap_bio, not for wrap_socket")

    def insist_on_request(self) -> None:
        """Refuse a server that does not want our certificate: it uses another profile (1.6-A00.FR.003)."""
        self._insistent = True
        setattr(self, "_msg_callback", _note_request)  # noqa: B010 - the one way to know, not in the stub

    def judge(self, tls: ssl.SSLObject) -> None:
        """What OpenSSL does not check. Raises CertificateRefusedError; a check with a bug lets nobody in."""
        for issuer in verified_chain(tls)[1:]:
            if issuer not in self.issuers:
                self.issuers[issuer] = issuer.get_info()["subject"]
                if len(self.issuers) > _ISSUERS:
                    del self.issuers[next(iter(self.issuers))]
        try:
            self._judge(tls)
        except CertificateRefusedError:
            raise
        except Exception as error:
            _log.exception("a check of a certificate failed")
            words = f"the check of it failed: {error!r}"
            raise CertificateRefusedError(TlsFault.BAD_CERTIFICATE, words) from error

    def _judge(self, tls: ssl.SSLObject) -> None:
        if self._insistent and not tls.session_reused and not cast(PolicyObject, tls).asked:
            raise CertificateRefusedError(TlsFault.OTHER_PROFILE, "")
        judges = self.exact or self.accept_expired is not None or self.check is not None
        if not (judges or tls.session_reused):
            return
        certificate = peer_certificate(tls)
        if certificate is None:
            return  # OpenSSL has seen to it that there is one if there must be
        if self.exact and not certificate.names_exactly(str(tls.server_hostname)):
            raise CertificateRefusedError(TlsFault.WILDCARD, f"for {tls.server_hostname}")
        if self.accept_expired is not None:
            self._judge_validity(tls, certificate, self.accept_expired)
        elif tls.session_reused:  # OpenSSL does not look at the time again
            _check_time(time.time(), certificate.not_before, certificate.not_after)
        if self.check is not None:
            self.check(certificate)

    def _judge_validity(
        self,
        tls: ssl.SSLObject,
        certificate: PeerCertificate,
        accept_expired: Callable[[PeerCertificate], bool],
    ) -> None:
        now = time.time()
        for issuer in verified_chain(tls)[1:]:
            _check_time(now, *validity(issuer.get_info()))
        if now > certificate.not_after and accept_expired(certificate):
            return
        _check_time(now, certificate.not_before, certificate.not_after)

    def keep_session(self, tls: ssl.SSLObject) -> None:
        """Remember what a later connection to the same server may resume."""
        session = tls.session if self.resumption and tls.server_hostname is not None else None
        if session is None:
            return
        name = str(tls.server_hostname)
        self._sessions.pop(name, None)  # of a connection beside this one
        self._sessions[name] = session
        if len(self._sessions) > _SESSIONS:
            del self._sessions[next(iter(self._sessions))]


def _note_request(
    tls: PolicyObject, direction: str, _version: int, content: int, message: int, _data: bytes
) -> None:
    if (content, message) == _CERTIFICATE_REQUEST and direction == "read":
        tls.asked = True


def _check_time(now: float, not_before: float, not_after: float) -> None:
    if now > not_after:
        raise CertificateRefusedError(
            TlsFault.EXPIRED, time.strftime("since %Y-%m-%d", time.gmtime(not_after))
        )
    if now < not_before:
        raise CertificateRefusedError(
            TlsFault.NOT_YET_VALID, time.strftime("until %Y-%m-%d", time.gmtime(not_before))
        )


def _set_ciphers(context: ssl.SSLContext, names: tuple[str, ...]) -> None:
    """Exactly these for TLS 1.2; a keyword such as ALL or @SECLEVEL is no name."""
    try:
        context.set_ciphers(":".join((*names, f"@SECLEVEL={_SECURITY_LEVEL}")))
    except ssl.SSLError:
        raise ConfigurationError(f"ciphers: none of {', '.join(names) or 'nothing'} can be used") from None
    chosen = [cast(dict[str, Any], cipher) for cipher in context.get_ciphers()]
    known = {cipher["name"] for cipher in chosen}
    if unknown := [name for name in names if name not in known]:
        raise ConfigurationError(f"ciphers: unknown or too weak: {', '.join(unknown)}")
    if weak := [cipher["name"] for cipher in chosen if _weak(cipher)]:
        raise ConfigurationError(f"ciphers: not to be used in OCPP (A00.FR.320): {', '.join(weak)}")


def _weak(cipher: dict[str, Any]) -> bool:
    """Without encryption or authentication, below 112 bits, or with a primitive that nobody should use."""
    text = f"{cipher['symmetric']} {cipher['digest']} {cipher['auth']}"
    return cipher["strength_bits"] < 112 or any(
        word in text for word in ("null", "rc4", "des", "md5", "idea", "seed")
    )


def _load(context: ssl.SSLContext, path: Path) -> None:
    """Trust anchors, or revocation lists, of a PEM file or a directory with OpenSSL's hashed names."""
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(path)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"cannot use {path}: {_told(error)}") from error


def _log_keys(context: ssl.SSLContext, path: Path) -> None:
    """Have OpenSSL append to a file that nobody else can read; by itself it would share it, and whoever had
    made one in /tmp before would read along."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "it is another user's")
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        context.keylog_filename = str(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error


def _told(error: Exception) -> str:
    """What an error of a file means, without OpenSSL's source lines."""
    reason = getattr(error, "reason", None)
    if reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}:
        return "the private key does not belong to the certificate"
    if reason == "NO_CERTIFICATE_OR_CRL_FOUND":
        return "there is no PEM certificate or revocation list in it"
    if isinstance(error, ssl.SSLError) and "PEM lib" in str(error):
        return "one of them is no PEM file of its kind, or the key has another password"
    return reason or getattr(error, "strerror", None) or str(error)
