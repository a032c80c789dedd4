"""A charging-station emulator: the station core, simulated EVSEs, cars and meters, and a network to cut."""
