"""The TLS machine itself: any cut of the stream, any bytes, its endings and its timer."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocpp_adapters.tls_failures import OwnKeyError, TlsFault, diagnose, diagnosis
from ocpp_adapters.tls_link import TlsLink, TlsState
from ocpp_adapters.tls_policy import CsmsTls, StationTls
from ocpp_core import LocalProtocolError, OcppVersion
from ocpp_core.wire import CloseTransport, SendBytes
from tests.adapters.tls import pki
from tests.adapters.tls.memory import HOST, End, Pair, connect, pair


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    root = pki.root(tmp_path_factory.mktemp("pki"))
    # Without resumption: an example must not depend on those before it.
    station = StationTls(trust=(root.file,), resumption=False)
    return station.context(), CsmsTls(credentials=(root.leaf().credential,)).context()


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@given(sizes=st.lists(st.integers(1, 600), min_size=1, max_size=6), data=st.binary(max_size=40_000))
@settings(max_examples=25)
def test_it_does_not_matter_how_the_transport_cuts(contexts: Contexts, sizes: list[int], data: bytes) -> None:
    both = pair(*contexts)
    turns = 0
    while both.csms.established is None or both.station.established is None:
        for one, other in ((both.station, both.csms), (both.csms, both.station)):
            turns += 1
            deliver(one, other, sizes)
            assert turns < 20
    both.csms.link.send(data, 0.0)
    both.station.link.send(data[::-1], 0.0)
    deliver(both.station, both.csms, sizes)
    deliver(both.csms, both.station, sizes)
    both.station.turn()
    assert (both.station.received, both.csms.received) == (data, data[::-1])


def deliver(one: End, other: End, sizes: list[int]) -> None:
    out, index = one.turn(), 0
    while out:
        size = sizes[index % len(sizes)]
        other.link.receive_data(memoryview(out[:size]), 0.0)
        out, index = out[size:], index + 1


@given(noise=st.lists(st.binary(max_size=300), max_size=5), server=st.booleans(), after=st.booleans())
@settings(max_examples=60)
def test_no_bytes_raise(contexts: Contexts, noise: list[bytes], server: bool, after: bool) -> None:
    both = connect(*contexts) if after else pair(*contexts)
    both.station.turn()
    end = both.csms if server else both.station
    end.received = b""
    for data in noise:
        end.link.receive_data(data, 0.0)
    end.link.receive_eof(0.0)
    end.turn()
    assert end.link.state is TlsState.CLOSED
    assert end.received == b""
    assert end.link.next_timer() is None


@given(st.data())
@settings(max_examples=40)
def test_a_changed_byte_is_noticed(contexts: Contexts, data: st.DataObject) -> None:
    both = connect(*contexts)
    both.station.link.send(b"a secret", 0.0)
    sealed = bytearray(both.station.turn())
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    both.csms.received = b""
    both.csms.link.receive_data(sealed, 0.0)
    both.csms.link.receive_eof(0.0)
    both.csms.turn()
    assert both.csms.received == b""
    assert both.csms.failed is not None or (both.csms.finished is not None and both.csms.finished.truncated)


@pytest.mark.requirement("RFC8446-6.1")
def test_a_close_is_told_and_answered(contexts: Contexts) -> None:
    both = connect(*contexts)
    both.csms.link.close(0.0)
    both.csms.link.close(0.0)
    out = both.csms.turn()
    assert both.csms.closed == CloseTransport(abort=False)
    both.station.link.receive_data(out, 0.0)
    assert both.station.turn()  # its own word back
    assert both.station.finished is not None
    assert not both.station.finished.truncated
    both.station.link.receive_data(out, 0.0)
    both.station.link.receive_eof(0.0)
    assert both.station.link.actions() == []
    for end in (both.station, both.csms):
        with pytest.raises(LocalProtocolError):
            end.link.send(b"late", 0.0)


@pytest.mark.requirement("RFC8446-6.1")
def test_a_transport_that_just_ends_is_told_apart(contexts: Contexts) -> None:
    both = connect(*contexts)
    both.station.link.receive_eof(0.0)
    both.station.turn()
    assert both.station.finished is not None
    assert both.station.finished.truncated


def test_the_handshake_has_a_deadline_and_may_be_called_off(contexts: Contexts) -> None:
    link = TlsLink(contexts[1], 100.0, server_side=True, handshake_timeout=5.0)
    assert link.next_timer() == 105.0
    link.handle_timer(104.9)
    assert link.actions() == []
    with pytest.raises(LocalProtocolError):
        link.send(b"early", 101.0)
    link.handle_timer(105.0)
    end = End(link)
    end.turn()
    assert end.failed is not None
    assert (end.failed.fault, end.failed.event) == (TlsFault.TIMEOUT, None)
    assert end.closed is not None
    other = End(TlsLink(contexts[0], 0.0, server_hostname=HOST))
    other.link.close(0.0)
    other.turn()
    assert other.closed == CloseTransport(abort=True)
    assert other.link.next_timer() is None


def test_a_client_must_know_whom_it_wants(contexts: Contexts) -> None:
    with pytest.raises(ValueError, match="server_hostname"):
        TlsLink(contexts[0], 0.0)


def test_a_handshake_that_ends_is_a_failure(contexts: Contexts) -> None:
    both: Pair = pair(*contexts)
    out = both.station.turn()
    both.csms.link.receive_data(out[:20], 0.0)
    both.csms.link.receive_eof(0.0)
    both.csms.turn()
    assert both.csms.failed is not None
    assert both.csms.failed.fault is TlsFault.ENDED
    assert both.csms.link.error is None


@pytest.mark.requirement("RFC5246-7.2.2")
def test_a_failure_tells_the_peer(contexts: Contexts) -> None:
    """An alert is written before the transport is closed, in this order."""
    link = TlsLink(contexts[1], 0.0, server_side=True)
    link.receive_data(b"\x16\x03\x01\x00\x04\x0b\x00\x00\x00", 0.0)
    kinds = [type(action) for action in link.actions()]
    assert kinds[0] is SendBytes
    assert kinds[-1] is CloseTransport


@pytest.mark.requirement("A00.FR.310", "1.6-A00.FR.309", "A00.FR.408")
def test_a_diagnosis_reads_well_and_has_each_versions_name() -> None:
    found = diagnose(ssl.SSLError(1, "[SSL] whatever"))
    assert str(found).startswith("protocol error: the peer broke")
    assert found.event is None
    assert diagnose(ConnectionResetError()).fault is TlsFault.ENDED
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code, error.verify_message = 10, "certificate has expired"
    station, csms = diagnose(error).event, diagnose(error, server=True).event
    assert station is not None
    assert csms is not None
    names = [event.spelling(v) for event in (station, csms) for v in (OcppVersion.V16, OcppVersion.V201)]
    assert names == [
        "InvalidCentralSystemCertificate",
        "InvalidCsmsCertificate",
        "InvalidChargePointCertificate",
        "InvalidChargingStationCertificate",
    ]
    assert "(certificate has expired)" in str(diagnose(error))
    for fault in TlsFault:
        assert str(diagnosis(fault, server=True))


def test_a_key_that_could_not_sign_is_to_blame(tmp_path: Path) -> None:
    """Whoever put it into the context is asked, once TLS has failed for no reason of the peer's."""
    root = pki.root(tmp_path)
    leaf = root.leaf()
    context = CsmsTls(credentials=(leaf.credential,)).context()
    told: list[Exception | None] = [LookupError("the key is gone"), None, LookupError("stale")]
    asked: list[ssl.SSLContext] = []

    def explain(whose: ssl.SSLContext) -> Exception | None:
        asked.append(whose)
        return told.pop(0)

    vars(context)["explain"] = explain
    for fault in (TlsFault.OWN_KEY, TlsFault.NOT_TLS):
        end = End(TlsLink(context, 0.0, server_side=True))
        end.link.receive_data(b"GET / HTTP/1.1\r\n\r\n", 0.0)
        end.turn()
        assert end.failed is not None
        assert end.failed.fault is fault
        if fault is TlsFault.OWN_KEY:
            assert isinstance(end.link.error, OwnKeyError)
            assert end.failed == diagnose(end.link.error, server=True)
            assert end.failed.cause is end.link.error.__cause__
            assert str(end.failed) == "own key: our own key could not sign (the key is gone)"
    assert asked == [context] * 2
    stranger = StationTls(trust=(pki.root(tmp_path, "Another").file,)).context()
    vars(stranger)["explain"] = explain
    both = connect(stranger, CsmsTls(credentials=(leaf.credential,)).context())
    assert both.station.failed is not None
    assert both.station.failed.fault is TlsFault.UNKNOWN_ISSUER, (
        "the certificate's fault, whatever the key did"
    )
    assert len(asked) == 2
