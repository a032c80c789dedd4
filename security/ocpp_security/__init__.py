"""Certificates, keys and security profiles, beside the adapters and above the core; nothing of it is here yet."""
