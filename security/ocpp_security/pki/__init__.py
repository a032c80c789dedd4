"""X.509 as pure functions: certificates, paths, hash data, OCSP, CRLs, signatures. No file, no clock."""
