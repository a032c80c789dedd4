"""Whether what the local caller wants to send may be sent."""

from pydantic import ValidationError

from ocpp_core.errors import LocalProtocolError
from ocpp_core.messages import Payload, Request, Response, message_set
from ocpp_core.versions import OcppVersion, Role

from .directions import SENT_BY


def check_request(request: Request, version: OcppVersion, role: Role, *, confirmed: bool) -> None:
    """Check that ``role`` sends ``request`` in ``version``, as a CALL (``confirmed``) or as a SEND.

    Raises:
        LocalProtocolError: it does not.
    """
    name = type(request).__name__
    if not isinstance(request, Request):
        raise LocalProtocolError(f"{name} is no request")
    if request.VERSION is not version:
        spoken, other = version.number, request.VERSION.number
        raise LocalProtocolError(f"{name} is of OCPP {other}, and this link speaks OCPP {spoken}")
    action = message_set(version).actions[request.ACTION]
    if action.direction not in SENT_BY[role]:
        raise LocalProtocolError(f"{name} goes from {action.direction}")
    if action.confirmed is not confirmed:
        raise LocalProtocolError(f"{name} is sent with {'call' if action.confirmed else 'send'}()")


def check_response(response: Response, action: str, version: OcppVersion) -> None:
    """Check that ``response`` answers ``action`` in ``version``.

    Raises:
        LocalProtocolError: it does not.
    """
    if not isinstance(response, Response) or response.VERSION is not version or action != response.ACTION:
        raise LocalProtocolError(
            f"{type(response).__name__} does not answer {action} of OCPP {version.number}"
        )


def check_payload(payload: Payload) -> None:
    """Validate a payload as its receiver will.

    Raises:
        LocalProtocolError: it is not valid.
    """
    try:
        type(payload).model_validate_json(payload.to_json())
    except (ValidationError, ValueError) as error:
        raise LocalProtocolError(f"{type(payload).__name__} is not valid: {error}") from error
