"""Names: attributes from wire names, enumeration members from wire values, classes from type names.

Wire names themselves are never derived: they are carried verbatim beside the attribute.
"""

import re

_PLAIN = re.compile(r"[a-z]+(?:[A-Z][a-z]+)*")

# Every wire name that is not plain camelCase, reviewed one by one. A name that is neither plain nor listed
# stops the generator, so that a new schema cannot bring in a name nobody has read.
_REVIEWED = {
    "address1": "address1",
    "address2": "address2",
    "autonomousVRefEnable": "autonomous_v_ref_enable",
    "autonomousVRefTimeConstant": "autonomous_v_ref_time_constant",
    "bulkSoC": "bulk_soc",
    "dischargeLimit_L2": "discharge_limit_l2",
    "dischargeLimit_L3": "discharge_limit_l3",
    "evDurationLevel1DCInjection": "ev_duration_level1_dc_injection",
    "evDurationLevel2DCInjection": "ev_duration_level2_dc_injection",
    "evMaxV2XEnergyRequest": "ev_max_v2x_energy_request",
    "evMaximumLevel1DCInjection": "ev_maximum_level1_dc_injection",
    "evMaximumLevel2DCInjection": "ev_maximum_level2_dc_injection",
    "evMinV2XEnergyRequest": "ev_min_v2x_energy_request",
    "evSupportedDERControl": "ev_supported_der_control",
    "fixedPF": "fixed_pf",
    "fixedPFAbsorb": "fixed_pf_absorb",
    "fixedPFInject": "fixed_pf_inject",
    "fullSoC": "full_soc",
    "hv10MinMeanTripDelay": "hv10_min_mean_trip_delay",
    "hv10MinMeanValue": "hv10_min_mean_value",
    "iso15118CertificateHashData": "iso15118_certificate_hash_data",
    "iso15118SchemaVersion": "iso15118_schema_version",
    "language1": "language1",
    "language2": "language2",
    "limitAtSoC": "limit_at_soc",
    "limit_L2": "limit_l2",
    "limit_L3": "limit_l3",
    "maxChargeApparentPower_L2": "max_charge_apparent_power_l2",
    "maxChargeApparentPower_L3": "max_charge_apparent_power_l3",
    "maxChargePower_L2": "max_charge_power_l2",
    "maxChargePower_L3": "max_charge_power_l3",
    "maxChargeReactivePower_L2": "max_charge_reactive_power_l2",
    "maxChargeReactivePower_L3": "max_charge_reactive_power_l3",
    "maxDischargeApparentPower_L2": "max_discharge_apparent_power_l2",
    "maxDischargeApparentPower_L3": "max_discharge_apparent_power_l3",
    "maxDischargePower_L2": "max_discharge_power_l2",
    "maxDischargePower_L3": "max_discharge_power_l3",
    "maxDischargeReactivePower_L2": "max_discharge_reactive_power_l2",
    "maxDischargeReactivePower_L3": "max_discharge_reactive_power_l3",
    "maxSoC": "max_soc",
    "minChargePower_L2": "min_charge_power_l2",
    "minChargePower_L3": "min_charge_power_l3",
    "minChargeReactivePower_L2": "min_charge_reactive_power_l2",
    "minChargeReactivePower_L3": "min_charge_reactive_power_l3",
    "minDischargePower_L2": "min_discharge_power_l2",
    "minDischargePower_L3": "min_discharge_power_l3",
    "minDischargeReactivePower_L2": "min_discharge_reactive_power_l2",
    "minDischargeReactivePower_L3": "min_discharge_reactive_power_l3",
    "numEPriceLevels": "num_e_price_levels",
    "priceScheduleID": "price_schedule_id",
    "prioritizedEMAIDs": "prioritized_emaids",
    "responderURL": "responder_url",
    "setpointReactive_L2": "setpoint_reactive_l2",
    "setpointReactive_L3": "setpoint_reactive_l3",
    "setpoint_L2": "setpoint_l2",
    "setpoint_L3": "setpoint_l3",
    "soC": "soc",
    "soH": "soh",
    "targetSoC": "target_soc",
    "taxRuleID": "tax_rule_id",
    "v2xBaseline": "v2x_baseline",
    "v2xChargingParameters": "v2x_charging_parameters",
    "v2xFreqWattCurve": "v2x_freq_watt_curve",
    "v2xSignalWattCurve": "v2x_signal_watt_curve",
}


def attribute_name(wire: str) -> str:
    """The snake_case attribute for a wire name; a wire name nobody has reviewed raises ``KeyError``."""
    if _PLAIN.fullmatch(wire):
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", wire).lower()
    return _REVIEWED[wire]


# Values whose words a rule would split wrongly.
_MEMBERS = {
    "IKEv2": "IKEV2",
    "IPSec": "IPSEC",
    "IdleTIme": "IDLE_TIME",
    "Other1PhMax16A": "OTHER_1PH_MAX_16A",
    "Other1PhOver16A": "OTHER_1PH_OVER_16A",
    "Other3Ph": "OTHER_3PH",
    "L2TP": "L2TP",
    "PctWAvail": "PCT_W_AVAIL",
    "QRCODE": "QR_CODE",
    "RCLQFactor": "RCLQ_FACTOR",
    "RoCoF": "ROCOF",
    "cTesla": "C_TESLA",
    "eMAID": "EMAID",
    "kVA": "KVA",
    "kW": "KW",
    "kWh": "KWH",
}
_WORDS = re.compile(
    r"SoC|V2X|V2G(?:20)?|EVSE|CSMS|OEM|MO(?=Root)|[A-Z]{2,}(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+"
)


def member_name(value: str) -> str:
    """The UPPER_CASE member for an enumeration value: words parted, digits kept with the word before them."""
    if value in _MEMBERS:
        return _MEMBERS[value]
    parts = []
    for part in re.split(r"[^A-Za-z0-9]+", value):
        name = ""
        for word in _WORDS.findall(part):
            name += word if not name or word.isdigit() else f"_{word}"
        parts.append(re.sub(r"(?<=\d)_(?=[A-Z]$)", "", name))
    return "_".join(parts).upper()


def class_name(type_name: str) -> str:
    """The class for a type of the schemas: the standard's name without its trailing ``Type``."""
    return type_name.removesuffix("Type")


# OCPP 1.6 writes its types inline; these are the names its specification gives them, by owner and member.
INLINE_16 = {
    "AuthorizationData.idTagInfo": "IdTagInfo",
    "AuthorizeResponse.idTagInfo": "IdTagInfo",
    "BootNotificationResponse.status": "RegistrationStatus",
    "CancelReservationResponse.status": "CancelReservationStatus",
    "ChangeAvailabilityRequest.type": "AvailabilityType",
    "ChangeAvailabilityResponse.status": "AvailabilityStatus",
    "ChangeConfigurationResponse.status": "ConfigurationStatus",
    "ChargingProfile.chargingProfileKind": "ChargingProfileKindType",
    "ChargingProfile.chargingProfilePurpose": "ChargingProfilePurposeType",
    "ChargingProfile.chargingSchedule": "ChargingSchedule",
    "ChargingProfile.recurrencyKind": "RecurrencyKindType",
    "ChargingSchedule.chargingRateUnit": "ChargingRateUnitType",
    "ChargingSchedule.chargingSchedulePeriod": "ChargingSchedulePeriod",
    "ClearCacheResponse.status": "ClearCacheStatus",
    "ClearChargingProfileRequest.chargingProfilePurpose": "ChargingProfilePurposeType",
    "ClearChargingProfileResponse.status": "ClearChargingProfileStatus",
    "DataTransferResponse.status": "DataTransferStatus",
    "DiagnosticsStatusNotificationRequest.status": "DiagnosticsStatus",
    "FirmwareStatusNotificationRequest.status": "FirmwareStatus",
    "GetCompositeScheduleRequest.chargingRateUnit": "ChargingRateUnitType",
    "GetCompositeScheduleResponse.chargingSchedule": "ChargingSchedule",
    "GetCompositeScheduleResponse.status": "GetCompositeScheduleStatus",
    "GetConfigurationResponse.configurationKey": "KeyValue",
    "IdTagInfo.status": "AuthorizationStatus",
    "MeterValue.sampledValue": "SampledValue",
    "MeterValuesRequest.meterValue": "MeterValue",
    "RemoteStartTransactionRequest.chargingProfile": "ChargingProfile",
    "RemoteStartTransactionResponse.status": "RemoteStartStopStatus",
    "RemoteStopTransactionResponse.status": "RemoteStartStopStatus",
    "ReserveNowResponse.status": "ReservationStatus",
    "ResetRequest.type": "ResetType",
    "ResetResponse.status": "ResetStatus",
    "SampledValue.context": "ReadingContext",
    "SampledValue.format": "ValueFormat",
    "SampledValue.location": "Location",
    "SampledValue.measurand": "Measurand",
    "SampledValue.phase": "Phase",
    "SampledValue.unit": "UnitOfMeasure",
    "SendLocalListRequest.localAuthorizationList": "AuthorizationData",
    "SendLocalListRequest.updateType": "UpdateType",
    "SendLocalListResponse.status": "UpdateStatus",
    "SetChargingProfileRequest.csChargingProfiles": "ChargingProfile",
    "SetChargingProfileResponse.status": "ChargingProfileStatus",
    "StartTransactionResponse.idTagInfo": "IdTagInfo",
    "StatusNotificationRequest.errorCode": "ChargePointErrorCode",
    "StatusNotificationRequest.status": "ChargePointStatus",
    "StopTransactionRequest.reason": "Reason",
    "StopTransactionRequest.transactionData": "MeterValue",
    "StopTransactionResponse.idTagInfo": "IdTagInfo",
    "TriggerMessageRequest.requestedMessage": "MessageTrigger",
    "TriggerMessageResponse.status": "TriggerMessageStatus",
    "UnlockConnectorResponse.status": "UnlockStatus",
}
