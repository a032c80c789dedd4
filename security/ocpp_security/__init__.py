"""Certificates and keys of a station, beside the adapters, above the core.

``manager`` answers questions about certificates, ``renewal`` knows when to ask them, ``messages`` puts both
on the wire; ``keys`` and ``tpm`` hold private keys; ``pki`` is X.509 as pure functions.
"""
