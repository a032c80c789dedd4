"""The hardware of an emulated station: pure state, driven by method calls that say what time it is."""

from .evse import Side, SimulatedEvse
from .hardware import Hardware, HardwareError
from .memory import MeterMemory, NoMemory, StoreMemory
from .meter import EnergyRegister, RegisterState

__all__ = [
    "EnergyRegister",
    "Hardware",
    "HardwareError",
    "MeterMemory",
    "NoMemory",
    "RegisterState",
    "Side",
    "SimulatedEvse",
    "StoreMemory",
]
