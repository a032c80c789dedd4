"""What the schemas do not say of an action: its functional block, who sends it, and what it is for."""

from dataclasses import dataclass

UP, DOWN, BOTH = "STATION_TO_CSMS", "CSMS_TO_STATION", "BOTH"


@dataclass(frozen=True)
class Block:
    """A functional block of 2.x or a feature profile of 1.6: one generated module."""

    module: str
    title: str
    letter: str = ""


@dataclass(frozen=True)
class ActionFacts:
    """One action of one version."""

    name: str
    block: Block
    direction: str
    summary: str
    confirmed: bool = True


_CORE_16 = Block("core", "Core")
_FIRMWARE_16 = Block("firmware_management", "Firmware Management")
_LIST_16 = Block("local_auth_list_management", "Local Auth List Management")
_RESERVATION_16 = Block("reservation", "Reservation")
_SMART_16 = Block("smart_charging", "Smart Charging")
_TRIGGER_16 = Block("remote_trigger", "Remote Trigger")
_SECURITY_16 = Block("security", "Security (whitepaper)")

_V16 = {
    _CORE_16: """
        Authorize                     up    Ask whether an id tag may charge.
        BootNotification              up    Register with the central system after a start.
        ChangeAvailability            down  Make a connector or the charge point operative or inoperative.
        ChangeConfiguration           down  Set one configuration key.
        ClearCache                    down  Empty the authorization cache.
        DataTransfer                  both  Carry what a vendor defines.
        GetConfiguration              down  Read configuration keys.
        Heartbeat                     up    Show that the charge point is there, and learn the time.
        MeterValues                   up    Report readings of a meter.
        RemoteStartTransaction        down  Ask for a transaction to be started.
        RemoteStopTransaction         down  Ask for a transaction to be stopped.
        Reset                         down  Restart the charge point.
        StartTransaction              up    Report that a transaction has started; the answer gives its id.
        StatusNotification            up    Report the state or an error of a connector.
        StopTransaction               up    Report that a transaction has ended.
        UnlockConnector               down  Release the cable lock of a connector.
    """,
    _FIRMWARE_16: """
        DiagnosticsStatusNotification up    Report how the upload of diagnostics goes.
        FirmwareStatusNotification    up    Report how the update of the firmware goes.
        GetDiagnostics                down  Ask for diagnostics to be uploaded.
        UpdateFirmware                down  Ask for firmware to be fetched and installed.
    """,
    _LIST_16: """
        GetLocalListVersion           down  Read the version of the local authorization list.
        SendLocalList                 down  Replace or amend the local authorization list.
    """,
    _RESERVATION_16: """
        CancelReservation             down  Withdraw a reservation.
        ReserveNow                    down  Reserve a connector for an id tag.
    """,
    _SMART_16: """
        ClearChargingProfile          down  Remove charging profiles by id or by criteria.
        GetCompositeSchedule          down  Ask what limits result from all profiles together.
        SetChargingProfile            down  Install a charging profile.
    """,
    _TRIGGER_16: """
        TriggerMessage                down  Ask for a message to be sent now.
    """,
    _SECURITY_16: """
        CertificateSigned             down  Deliver the certificate that the charge point had asked for.
        DeleteCertificate             down  Remove an installed certificate.
        ExtendedTriggerMessage        down  Ask for a message to be sent now, the whitepaper's too.
        GetInstalledCertificateIds    down  List the installed certificates of a kind.
        GetLog                        down  Ask for a log to be uploaded.
        InstallCertificate            down  Install a root certificate.
        LogStatusNotification         up    Report how the upload of a log goes.
        SecurityEventNotification     up    Report a security event.
        SignCertificate               up    Ask for a certificate signing request to be signed.
        SignedFirmwareStatusNotification up Report how a signed firmware update goes.
        SignedUpdateFirmware          down  Ask for signed firmware to be fetched, verified and installed.
    """,
}

_V2 = {
    Block("security", "Security", "A"): """
        CertificateSigned             down  Deliver the certificate chain that the station had asked for.
        GetCertificateChainStatus     up    2.1  Ask for the revocation status of certificates in a chain.
        SecurityEventNotification     up    Report a security event.
        SignCertificate               up    Ask for a certificate signing request to be signed.
    """,
    Block("provisioning", "Provisioning", "B"): """
        BootNotification              up    Register with the CSMS after a start.
        GetBaseReport                 down  Ask for one of the predefined reports of the device model.
        GetReport                     down  Ask for a report of chosen components and variables.
        GetVariables                  down  Read variables of the device model.
        NotifyReport                  up    Deliver a part of a report of the device model.
        Reset                         down  Restart the station or one EVSE.
        SetNetworkProfile             down  Store how to reach a CSMS.
        SetVariables                  down  Write variables of the device model.
    """,
    Block("authorization", "Authorization", "C"): """
        Authorize                     up    Ask whether an id token may charge.
        ClearCache                    down  Empty the authorization cache.
        NotifySettlement              up    2.1  Report the outcome of a payment made at a terminal.
        NotifyWebPaymentStarted       down  2.1  Say that a driver has begun to pay on a web page.
        VatNumberValidation           up    2.1  Ask whether a VAT number is valid.
    """,
    Block("local_authorization_list_management", "Local Authorization List Management", "D"): """
        GetLocalListVersion           down  Read the version of the local authorization list.
        SendLocalList                 down  Replace or amend the local authorization list.
    """,
    Block("transactions", "Transactions", "E"): """
        GetTransactionStatus          down  Ask whether a transaction goes on and messages of it are queued.
        TransactionEvent              up    Report the start, a change or the end of a transaction.
    """,
    Block("remote_control", "Remote Control", "F"): """
        RequestStartTransaction       down  Ask for a transaction to be started.
        RequestStopTransaction        down  Ask for a transaction to be stopped.
        TriggerMessage                down  Ask for a message to be sent now.
        UnlockConnector               down  Release the cable lock of a connector.
    """,
    Block("availability", "Availability", "G"): """
        ChangeAvailability            down  Make the station, an EVSE or a connector operative or inoperative.
        Heartbeat                     up    Show that the station is there, and learn the time.
        StatusNotification            up    Report the state of a connector.
    """,
    Block("reservation", "Reservation", "H"): """
        CancelReservation             down  Withdraw a reservation.
        ReservationStatusUpdate       up    Report that a reservation lapsed or was removed.
        ReserveNow                    down  Reserve an EVSE for an id token.
    """,
    Block("tariff_and_cost", "Tariff and Cost", "I"): """
        ChangeTransactionTariff       down  2.1  Change the tariff of a running transaction.
        ClearTariffs                  down  2.1  Remove tariffs by id or by EVSE.
        CostUpdated                   down  Tell the running cost of a transaction.
        GetTariffs                    down  2.1  List the tariffs installed.
        SetDefaultTariff              down  2.1  Install the tariff for drivers who have none of their own.
    """,
    Block("meter_values", "Meter Values", "J"): """
        MeterValues                   up    Report readings of a meter outside a transaction.
    """,
    Block("smart_charging", "Smart Charging", "K"): """
        ClearChargingProfile          down  Remove charging profiles by id or by criteria.
        ClearedChargingLimit          up    Report that an external limit was lifted.
        GetChargingProfiles           down  Ask for installed charging profiles to be reported.
        GetCompositeSchedule          down  Ask what limits result from all profiles together.
        NotifyChargingLimit           up    Report that an external limit was set.
        NotifyEVChargingNeeds         up    Report what an EV says it needs.
        NotifyEVChargingSchedule      up    Report the schedule that an EV has chosen.
        NotifyPriorityCharging        up    2.1  Report that priority charging began or ended.
        PullDynamicScheduleUpdate     up    2.1  Ask for the present values of a dynamic profile.
        ReportChargingProfiles        up    Deliver installed charging profiles that were asked for.
        SetChargingProfile            down  Install a charging profile.
        UpdateDynamicSchedule         down  2.1  Send new values for a dynamic profile.
        UsePriorityCharging           down  2.1  Switch priority charging on or off for a transaction.
    """,
    Block("firmware_management", "Firmware Management", "L"): """
        FirmwareStatusNotification    up    Report how the update of the firmware goes.
        PublishFirmware               down  Ask a local controller to fetch firmware and offer it to stations.
        PublishFirmwareStatusNotification up Report how the publishing of firmware goes.
        UnpublishFirmware             down  Ask a local controller to stop offering firmware.
        UpdateFirmware                down  Ask for firmware to be fetched and installed.
    """,
    Block("certificate_management", "ISO 15118 Certificate Management", "M"): """
        DeleteCertificate             down  Remove an installed certificate.
        Get15118EVCertificate         up    Pass on an EV's request for its contract certificate.
        GetCertificateStatus          up    Ask for the OCSP status of a certificate.
        GetInstalledCertificateIds    down  List the installed certificates of some kinds.
        InstallCertificate            down  Install a root certificate.
    """,
    Block("diagnostics", "Diagnostics", "N"): """
        AdjustPeriodicEventStream     down  2.1  Change the rate of a periodic event stream.
        ClearVariableMonitoring       down  Remove monitors.
        ClosePeriodicEventStream      up    2.1  Say that a periodic event stream has ended.
        CustomerInformation           down  Ask for data held of a customer to be reported or erased.
        GetLog                        down  Ask for a log to be uploaded.
        GetMonitoringReport           down  Ask for a report of the monitors set.
        GetPeriodicEventStream        down  2.1  List the periodic event streams that are open.
        LogStatusNotification         up    Report how the upload of a log goes.
        NotifyCustomerInformation     up    Deliver a part of the data held of a customer.
        NotifyEvent                   up    Report events of the device model.
        NotifyMonitoringReport        up    Deliver a part of a report of the monitors set.
        NotifyPeriodicEventStream     up    2.1  send  Deliver samples of a periodic event stream, unanswered.
        OpenPeriodicEventStream       up    2.1  Announce a periodic event stream.
        SetMonitoringBase             down  Choose the set of monitors that is active.
        SetMonitoringLevel            down  Choose how severe an event must be to be reported.
        SetVariableMonitoring         down  Set monitors on variables.
    """,
    Block("display_message", "Display Message", "O"): """
        ClearDisplayMessage           down  Remove a message from the display.
        GetDisplayMessages            down  Ask for the messages on the display to be reported.
        NotifyDisplayMessages         up    Deliver messages on the display that were asked for.
        SetDisplayMessage             down  Put a message on the display.
    """,
    Block("data_transfer", "Data Transfer", "P"): """
        DataTransfer                  both  Carry what a vendor defines.
    """,
    Block("bidirectional_power_transfer", "Bidirectional Power Transfer", "Q"): """
        AFRRSignal                    down  2.1  Pass on a signal of the frequency restoration reserve.
        NotifyAllowedEnergyTransfer   down  2.1  Say which kinds of energy transfer a transaction may use.
    """,
    Block("der_control", "DER Control", "R"): """
        ClearDERControl               down  2.1  Remove DER controls by id or by type.
        GetDERControl                 down  2.1  Ask for DER controls to be reported.
        NotifyDERAlarm                up    2.1  Report that a grid event raised or ended an alarm.
        NotifyDERStartStop            up    2.1  Report that a scheduled DER control began or ended.
        ReportDERControl              up    2.1  Deliver DER controls that were asked for.
        SetDERControl                 down  2.1  Install a DER control.
    """,
    Block("battery_swapping", "Battery Swapping", "S"): """
        BatterySwap                   up    2.1  Report that batteries were put in or taken out.
        RequestBatterySwap            down  2.1  Ask for a battery swap to be started for an id token.
    """,
}

_DIRECTIONS = {"up": UP, "down": DOWN, "both": BOTH}


def actions_of(version: str) -> list[ActionFacts]:
    """The actions of ``version`` (``"v16"``, ``"v201"``, ``"v21"``) by block, then by name."""
    table = _V16 if version == "v16" else _V2
    facts = []
    for block, lines in table.items():
        for line in lines.strip().splitlines():
            name, direction, summary = line.split(None, 2)
            only_21, summary = _flag("2.1", summary)
            unconfirmed, summary = _flag("send", summary)
            if version == "v21" or not only_21:
                facts.append(ActionFacts(name, block, _DIRECTIONS[direction], summary, not unconfirmed))
    return facts


def _flag(flag: str, text: str) -> tuple[bool, str]:
    first, _, rest = text.partition(" ")
    return (True, rest.strip()) if first == flag else (False, text)
