"""The charging world in OCPP 2.x terms, the same for every version; dialects translate."""
