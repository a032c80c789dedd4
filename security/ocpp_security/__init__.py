"""Certificates, keys and security profiles, beside the adapters, above the core; nothing is here yet."""
