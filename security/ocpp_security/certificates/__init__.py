"""What a station does with certificates, by subject: its roots, its own, revocation, signatures."""
