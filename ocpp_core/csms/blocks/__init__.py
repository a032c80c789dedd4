"""What a CSMS does, one functional block each, in domain terms."""
