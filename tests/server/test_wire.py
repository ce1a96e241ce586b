"""The wire protocol in bytes and text: golden files, the three forms, and malformed messages."""

from __future__ import annotations

import base64
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from images import frame_of

from server.errors import MessageTooBigError, ProtocolError
from server.streaming import multipart
from server.streaming.frame import EncodedImage, Frame
from server.streaming.wire import (
    MAX_CLIENT_MESSAGE_BYTES,
    Form,
    control_bytes,
    frame_payload,
    number_field,
    pack_frame,
    pack_message,
    parse_client_message,
    shown,
)


GOLDEN = Path(__file__).resolve().parent.parent / "golden"
INDEX = json.loads((GOLDEN / "index.json").read_text())


def golden_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("regenerate_golden", GOLDEN / "regenerate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def with_bytes(message: dict[str, Any]) -> dict[str, Any]:
    """Read a message as the index writes it."""
    return {
        key.removesuffix("_hex"): bytes.fromhex(value) if key.endswith("_hex") else value
        for key, value in message.items()
    }


def test_the_golden_files_are_what_the_code_writes_today() -> None:
    made = golden_module().golden()

    assert {f"{name}.msgpack": data for name, (_, data, _) in made.items()} == {
        path.name: path.read_bytes() for path in GOLDEN.glob("*.msgpack")
    }
    assert [
        {"file": f"{name}.msgpack", "from": sender, "message": message}
        for name, (sender, _, message) in made.items()
    ] == INDEX


@pytest.mark.parametrize("entry", INDEX, ids=lambda entry: entry["file"])
def test_golden_files_decode_to_the_messages_of_the_index(entry: dict[str, Any]) -> None:
    decoded = msgpack.unpackb((GOLDEN / entry["file"]).read_bytes())

    assert decoded == with_bytes(entry["message"])
    assert next(iter(decoded)) == "type"
    assert "image" not in decoded or list(decoded)[-1] == "image"


@pytest.mark.parametrize(
    "entry", [entry for entry in INDEX if entry["from"] == "client"], ids=lambda entry: entry["file"]
)
def test_messages_of_clients_are_read_the_same_in_both_forms(entry: dict[str, Any]) -> None:
    packed = (GOLDEN / entry["file"]).read_bytes()

    assert parse_client_message(packed, Form.MSGPACK) == entry["message"]
    assert parse_client_message(json.dumps(entry["message"]), Form.JSON) == entry["message"]


@pytest.mark.parametrize("size_bytes", [0, 1, 255, 256, 65_535, 65_536, 200_000])
def test_images_of_every_size_come_back_as_they_were(size_bytes: int) -> None:
    frame = frame_of(3, EncodedImage(bytes(range(256)) * (size_bytes // 256 + 1), "webp", 640, 480))
    frame = frame_of(3, EncodedImage(frame.image.data[:size_bytes], "webp", 640, 480))

    packed = b"".join(pack_frame(frame, Form.MSGPACK, "original"))
    text = b"".join(pack_frame(frame, Form.JSON, "original"))

    assert msgpack.unpackb(packed)["image"] == frame.image.data
    assert base64.b64decode(json.loads(text)["image"]) == frame.image.data


def test_json_carries_the_same_values_as_msgpack() -> None:
    frame = golden_module().FRAME

    packed = msgpack.unpackb(b"".join(pack_frame(frame, Form.MSGPACK, "original")))
    text = json.loads(b"".join(pack_frame(frame, Form.JSON, "original")))

    text["image"] = base64.b64decode(text["image"])
    assert text == packed
    assert list(text) == list(packed)


def test_the_first_clients_get_their_three_fields() -> None:
    frame = golden_module().FRAME

    message = json.loads(b"".join(pack_frame(frame, Form.SEED_JSON, "original")))

    assert message == {
        "timestamp": "2026-11-20T14:28:37.348Z",
        "image": base64.b64encode(frame.image.data).decode(),
        "image_id": "0123456789ab-42",
    }


def test_what_passes_through_is_encoded_when_it_is_published() -> None:
    bare = Frame("left", 1, "id", 1.0, 2.0, EncodedImage(b"x", "png", 1, 1))

    message = msgpack.unpackb(b"".join(pack_frame(bare, Form.MSGPACK, "original")))

    assert message["stages"] == {"painted": 1.0, "published": 2.0, "encoded": 2.0}
    assert "present_at_ms" not in message


def test_the_instant_to_present_at_is_told_where_there_is_one() -> None:
    frame = replace(frame_of(1), present_at_ms=1_795_184_917_500.5)

    message = msgpack.unpackb(b"".join(pack_frame(frame, Form.MSGPACK, "original")))

    assert message["present_at_ms"] == 1_795_184_917_500.5
    assert list(message)[-1] == "image"


def test_the_image_is_a_piece_of_its_own_and_not_copied() -> None:
    frame = frame_of(1)

    assert any(piece is frame.image.data for piece in pack_frame(frame, Form.MSGPACK, "original"))


@pytest.mark.parametrize("form", [Form.MSGPACK, Form.JSON])
def test_a_frame_of_those_who_acknowledge_has_a_ping_with_its_number_in_front(form: Form) -> None:
    payload = frame_payload(frame_of(2**32 + 7), form, "original")

    assert bytes(payload.parts[0][: payload.ping_bytes]) == b"\x89\x04\0\0\0\x07"
    assert payload.encoded_ms == frame_of(1).published_ms


@pytest.mark.parametrize("form", [Form.SEED_JSON, Form.MJPEG, Form.MJPEG_AHEAD])
def test_the_others_have_none_and_know_no_control_messages(form: Form) -> None:
    assert frame_payload(frame_of(1), form, "original").ping_bytes == 0
    assert control_bytes({"type": "bye"}, form) == b""


def test_a_multipart_frame_is_its_parts_and_nothing_else() -> None:
    payload = frame_payload(frame_of(1), Form.MJPEG, "original")

    assert b"".join(payload.parts) == b"".join(multipart.pieces(frame_of(1), is_ahead=False))


def test_a_pong_is_text_in_every_form() -> None:
    assert control_bytes({"type": "pong"}, Form.MSGPACK) == b"\x81\x04pong"
    assert control_bytes({"type": "pong"}, Form.JSON) == b"\x81\x04pong"


@pytest.mark.parametrize("form", [Form.MSGPACK, Form.JSON])
def test_a_status_is_written_once_for_all_screens_of_a_canvas(form: Form) -> None:
    statuses = [{"type": "status", "state": f"painting {number}"} for number in range(3)]
    written = [control_bytes(status, form) for status in statuses]

    assert all(control_bytes(status, form) is data for status, data in zip(statuses, written, strict=True))
    assert control_bytes(dict(statuses[0]), form) == written[0]
    # An identity that is free again may be another status's.
    for number in range(500):
        status = {"type": "status", "state": f"resting {number}"}
        data = control_bytes(status, form)
        del status
        assert f"resting {number}".encode() in data


@pytest.mark.parametrize("form", [Form.MSGPACK, Form.JSON])
def test_control_messages_are_written_in_the_form_of_the_connection(form: Form) -> None:
    message = {"type": "bye", "reason": "deleted", "reconnect": False}

    packed = pack_message(message, form)

    assert (msgpack.unpackb(packed) if isinstance(packed, bytes) else json.loads(packed)) == message
    assert isinstance(packed, str) == form.is_text


ACK = (GOLDEN / "ack.msgpack").read_bytes()

MALFORMED: dict[str, tuple[bytes | str, Form]] = {
    "nothing": (b"", Form.MSGPACK),
    "no text": ("", Form.JSON),
    "text where bytes are due": ('{"type": "ack"}', Form.MSGPACK),
    "bytes where text is due": (ACK, Form.JSON),
    "two messages in one": (ACK + ACK, Form.MSGPACK),
    "two texts in one": ('{"type": "ack"} {"type": "ack"}', Form.JSON),
    "a number": (msgpack.packb(7), Form.MSGPACK),
    "an array": (msgpack.packb(["type", "ack"]), Form.MSGPACK),
    "a JSON array": ('["type"]', Form.JSON),
    "JSON null": ("null", Form.JSON),
    "no type": (msgpack.packb({"sequence": 1}), Form.MSGPACK),
    "a type that is a number": (msgpack.packb({"type": 1}), Form.MSGPACK),
    "a type in bytes": (msgpack.packb({"type": b"ack"}), Form.MSGPACK),
    "a type under a key in bytes": (msgpack.packb({b"type": "ack"}), Form.MSGPACK),
    "keys that are numbers": (msgpack.packb({1: 2, "type": "ack"}), Form.MSGPACK),
    "a key that is a map": (b"\x81\x80\x01", Form.MSGPACK),
    "an array said to be huge": (b"\xdd\xff\xff\xff\xff", Form.MSGPACK),
    "a map said to be huge": (b"\xdf\xff\xff\xff\xff", Form.MSGPACK),
    "a string said to be huge": (b"\xdb\xff\xff\xff\xff", Form.MSGPACK),
    "bytes said to be huge": (b"\x82\xa4type\xc6\xff\xff\xff\xff", Form.MSGPACK),
    "the byte that msgpack never uses": (b"\xc1", Form.MSGPACK),
    "text that is no UTF-8": (b"\x81\xa4type\xa2\xff\xfe", Form.MSGPACK),
    "an impossible time": (b"\x81\xa4type\xc7\x0c\xff" + b"\xff" * 12, Form.MSGPACK),
    "arrays nested too deep": (b"\x91" * 5000, Form.MSGPACK),
    "maps nested too deep": (b"\x81\xa1a" * 5000, Form.MSGPACK),
    "JSON nested too deep": ("[" * 8000, Form.JSON),
    "half a JSON object": ('{"type": "ack"', Form.JSON),
    "a number with too many digits": ('{"type": ' + "1" * 5000 + "}", Form.JSON),
}


@pytest.mark.parametrize(("data", "form"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_message_is_a_protocol_error(data: bytes | str, form: Form) -> None:
    with pytest.raises(ProtocolError) as told:
        parse_client_message(data, form)

    assert told.value.close_code == 1002


@pytest.mark.parametrize("length", range(len(ACK)))
def test_a_message_cut_short_anywhere_is_a_protocol_error(length: int) -> None:
    with pytest.raises(ProtocolError):
        parse_client_message(ACK[:length], Form.MSGPACK)


@pytest.mark.parametrize("form", [Form.MSGPACK, Form.JSON])
def test_a_message_over_the_limit_is_refused_before_it_is_read(form: Form) -> None:
    over = MAX_CLIENT_MESSAGE_BYTES + 1

    with pytest.raises(MessageTooBigError, match=str(over)) as told:
        parse_client_message(" " * over if form.is_text else b"\xc1" * over, form)

    assert told.value.close_code == 1009


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    try:
        message = parse_client_message(data, Form.MSGPACK)
    except ProtocolError:
        return
    assert isinstance(message["type"], str)


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=200))
@example('{"type": "\\ud800"}')
def test_any_text_is_a_message_or_a_protocol_error(data: str) -> None:
    try:
        message = parse_client_message(data, Form.JSON)
    except ProtocolError:
        return
    assert isinstance(message["type"], str)


@pytest.mark.parametrize("value", [0, -1, 2.5, 10**18, 1.7e308])
def test_numbers_are_read(value: float) -> None:
    assert number_field({"type": "ack", "rtt_ms": value}, "rtt_ms") == value


def test_a_number_that_is_not_there_is_none() -> None:
    assert number_field({"type": "ack"}, "rtt_ms") is None


@pytest.mark.parametrize(
    "value", [True, "1", float("nan"), float("inf"), float("-inf"), 10**400, -(10**400), [1], {}, b"1"]
)
def test_what_is_no_finite_number_is_refused_by_the_name_of_its_field(value: object) -> None:
    with pytest.raises(ProtocolError, match=r"ack\.rtt_ms must be a number") as told:
        number_field({"type": "ack", "rtt_ms": value}, "rtt_ms")

    assert told.value.field == "rtt_ms"


@pytest.mark.parametrize("value", [-0.001, 60.001])
def test_a_number_out_of_range_is_told_with_the_range(value: float) -> None:
    with pytest.raises(ProtocolError, match=f"from 0 to 60, got {value}"):
        number_field({"type": "ready", "max_fps": value}, "max_fps", low=0, high=60)


def test_what_a_peer_sent_is_shown_short_whatever_it_is() -> None:
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]

    assert shown("a") == "'a'"
    assert len(shown("x" * 10_000)) <= 60
    assert shown(nested) == "a list nested too deep"
