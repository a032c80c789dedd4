"""The CSMS's answer to GetCertificateChainStatus: what of a vehicle's chain is revoked (OCPP 2.1, M07).

The station names certificates by hashes and says whom to ask. What was answered is believed only if an
authority that the CSMS knows has signed it: everything else is Failed.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any

from ocpp_core.messages import Request, Response, message_set

from .certificates.vehicle import StatusSource
from .errors import CertificateError, Fault
from .inquiry import Fetch, ask_for_list, ask_responder, permitted
from .messages import hash_data_in
from .pki.certificate import Certificate
from .pki.crl import check_crl, parse_crl, revoked_serials
from .pki.hashdata import CertificateHashData
from .pki.ocsp import Revocation, encode_request, verify_response_about

_log = logging.getLogger(__name__)


async def certificate_chain_status(
    request: Request,
    fetch: Fetch,
    issuers: Iterable[Certificate],
    at: datetime,
    *,
    timeout: float = 5.0,
    patience: float = 20.0,
    allowed: Callable[[str], bool] | None = None,
    clock: Callable[[], float] = monotonic,
) -> Response:
    """Find out what a GetCertificateChainStatus asks for; its certificates one after the other (M07.FR.08).

    Arguments:
        request: as it came.
        fetch: asks web servers, as ``ocpp_adapters.anyio_web.AnyioFetch`` does.
        issuers: the authorities that the CSMS knows: OEM and V2G roots and sub-CAs.
        at: UTC.
        timeout: seconds for each question; of the addresses of a certificate each is asked until one answers.
        patience: seconds for all, so that the station still waits for the answer.
        allowed: whether a URL may be asked: it is the station's word. None: any may.
        clock: a monotonic one, in seconds.
    """
    known = tuple(issuers)
    fetch = permitted(fetch, allowed)
    found = []
    deadline = clock() + patience
    for entry in json.loads(request.to_json())["certificateStatusRequests"]:
        status, until = "Failed", at
        for url in entry["urls"]:
            try:
                if (left := deadline - clock()) <= 0:
                    raise TimeoutError(f"{url!r}: there was no time left")
                revocation, until = await _ask(entry, url, fetch, known, at, min(left, timeout))
            except (CertificateError, OSError) as error:
                _log.warning("no certificate status: %s", error)
            else:
                status = revocation.value
                break
        told = {"status": status, "nextUpdate": until.isoformat()}
        found.append({name: entry[name] for name in ("certificateHashData", "source")} | told)
    model = message_set(request.VERSION).response(request.ACTION)
    return model.model_validate_json(json.dumps({"certificateStatus": found}))


async def _ask(
    entry: Mapping[str, Any],
    url: str,
    fetch: Fetch,
    issuers: tuple[Certificate, ...],
    at: datetime,
    timeout: float,
) -> tuple[Revocation, datetime]:
    """What is said of one certificate, and until when. Raises CertificateError, OSError."""
    name = hash_data_in(entry["certificateHashData"])
    asked = encode_request(name)  # for a list, too: it refuses what is no hash data
    issuer, serial = _issuer(name, issuers), int(name.serial_number, 16)
    if entry["source"] == StatusSource.OCSP:
        said = verify_response_about(await fetch(ask_responder(url, asked), timeout), serial, issuer, at)
        return said.revocation, said.next_update
    crl = parse_crl(await fetch(ask_for_list(url), timeout))
    check_crl(crl, issuer, at)
    if crl.scope is not None and crl.scope.urls and url not in crl.scope.urls:
        raise CertificateError(Fault.WRONG_SUBJECT, "a list of other certificates")
    return Revocation.REVOKED if serial in revoked_serials(crl) else Revocation.GOOD, crl.next_update


def _issuer(name: CertificateHashData, issuers: tuple[Certificate, ...]) -> Certificate:
    """Raises CertificateError: the CSMS knows none of these hashes."""
    for issuer in issuers:
        hashes = name.algorithm.hex(issuer.subject_der), name.algorithm.hex(issuer.key_octets())
        if hashes == (name.issuer_name_hash, name.issuer_key_hash):
            return issuer
    raise CertificateError(Fault.NO_PATH, "no authority that is known has issued it")
