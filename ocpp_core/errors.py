"""The exceptions of the core.

A peer can never make the core raise: what it sends has a defined result (design rule 2). These are for
the local caller, who hears at the very call that is wrong.
"""


class OcppError(Exception):
    """Base of every exception this distribution raises on purpose."""


class LocalProtocolError(OcppError):
    """The local caller asked for something the protocol or the machine's state does not allow.

    The machine is unchanged: a refused call has no effect.
    """


class ConfigurationError(OcppError, ValueError):
    """A configuration value is missing, malformed or contradicts another; the text names it."""


class StoreError(OcppError):
    """Durable state cannot be read: from a newer version, damaged, or not of this kind."""
