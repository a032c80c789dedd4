"""What the CSMS asks of the station: any request of its version, or a command that all versions know (F)."""

from dataclasses import replace

from ...messages import Request
from ...rpc import CallFailed, CallSucceeded
from ..commands import Command, CommandAnswered, CommandFailed, RequestStart
from ..context import Context
from .provisioning import Provisioning

_ACCEPTING = frozenset({"Accepted", "Scheduled", "Unlocked"})


class RemoteControl:
    """Calls of the CSMS until they are answered, and which of them are commands."""

    __slots__ = ("_calls", "_context", "_provisioning")

    def __init__(self, context: Context, provisioning: Provisioning) -> None:
        self._context = context
        self._provisioning = provisioning
        self._calls: dict[str, Command | None] = {}

    def call(self, what: Request | Command, now: float, timeout: float | None) -> str:
        """Send a request, or a command as a request. Returns its message id.

        Raises :class:`LocalProtocolError` if it is not allowed now, or the version or the session refuses it.
        """
        command = None
        if isinstance(what, Request):
            request = what
        else:
            command = self._numbered(what)
            request = self._context.dialect.request(command)
        self._provisioning.permit(request)
        call_id = self._context.session.call(request, now, timeout=timeout)
        self._calls[call_id] = command
        return call_id

    def withdraw(self, now: float) -> None:
        """Give up every call: the station was rejected (B03.FR.03)."""
        for call_id in self._calls:
            self._context.session.cancel(call_id, now)

    def succeeded(self, result: CallSucceeded) -> None:
        """A call was answered."""
        command = self._calls.pop(result.call_id, None)
        if command is None:
            self._context.emit(result)
            return
        outcome = self._context.dialect.outcome(result.response)
        accepted = outcome.status in _ACCEPTING
        self._context.emit(
            CommandAnswered(
                result.call_id, command, accepted, outcome.status, outcome.reason, outcome.transaction
            )
        )

    def failed(self, result: CallFailed) -> None:
        """A call got no answer, or an error."""
        command = self._calls.pop(result.call_id, None)
        if command is None:
            self._context.emit(result)
            return
        self._context.emit(
            CommandFailed(result.call_id, command, result.reason, result.code, result.description)
        )

    def _numbered(self, command: Command) -> Command:
        """The command with the id that 2.x gives every remote start: 31 random bits."""
        if not isinstance(command, RequestStart) or command.remote_start_id is not None:
            return command
        number = int.from_bytes(self._context.entropy(4), "big") % 2**31
        return replace(command, remote_start_id=number)
