"""The charging world in OCPP 2.x terms, the same for every version: what blocks speak and dialects translate."""
