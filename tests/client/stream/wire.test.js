import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';

import { WireError, decodeMessage, encodeMessage } from '../../../client/stream/wire.js';
import { decode, encode } from '../../../client/vendor/msgpack.js';
import { HELLO, frame } from '../fakes.js';

const GOLDEN = new URL('../../golden/', import.meta.url);
const SERVER_TYPES = ['hello', 'frame', 'status', 'time', 'bye'];

function toBuffer(bytes) {
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

/** The golden files: bytes that the server's tests read and write too. */
function goldenEntries() {
    const entries = JSON.parse(readFileSync(new URL('index.json', GOLDEN), 'utf8'));
    return entries
        .filter(({ file }) => file.endsWith('.msgpack'))
        .map(({ file, message: { image_hex, ...expected } }) => {
            if (image_hex !== undefined) {
                expected.image = Uint8Array.from(Buffer.from(image_hex, 'hex'));
            }
            return { file, expected, bytes: new Uint8Array(readFileSync(new URL(file, GOLDEN))) };
        });
}

test('there are golden files, and the index lists every one', () => {
    const listed = goldenEntries().map(({ file }) => file);

    assert.ok(listed.length > 0, 'tests/golden/index.json lists nothing');
    assert.deepEqual(listed.sort(), readdirSync(GOLDEN).filter((name) => name.endsWith('.msgpack')).sort());
});

test('golden files decode to the messages that the index says', () => {
    for (const { file, expected, bytes } of goldenEntries()) {
        assert.deepEqual(decode(bytes), expected, file);
    }
});

test('golden messages of the server are taken', () => {
    const taken = goldenEntries().filter(({ expected }) => SERVER_TYPES.includes(expected.type));

    assert.ok(taken.length > 0, 'no golden message of the server');
    for (const { file, expected, bytes } of taken) {
        if (expected.type === 'time' && expected.server_time_ms === undefined) {
            continue; // The browser's own question.
        }
        assert.deepEqual(decodeMessage(toBuffer(bytes)), expected, file);
    }
});

test('golden frames carry their stages, and one of them its instant', () => {
    const frames = goldenEntries()
        .filter(({ expected }) => expected.type === 'frame')
        .map(({ bytes }) => decodeMessage(toBuffer(bytes)));

    assert.ok(frames.every(({ stages }) => stages.painted <= stages.published));
    assert.equal(frames.filter(({ present_at_ms }) => present_at_ms !== undefined).length, 1);
});

test('golden messages survive our own writing', () => {
    for (const { file, expected } of goldenEntries()) {
        assert.deepEqual(decode(encodeMessage(expected)), expected, file);
    }
});

test('a frame’s image is a view of the message, not a copy', () => {
    const data = toBuffer(encode(frame(1, { image: new Uint8Array(1000) })));

    const message = decodeMessage(data);

    assert.equal(message.image.buffer, data);
    assert.equal(message.image.byteLength, 1000);
});

test('fields that are undefined are not written', () => {
    const bytes = encodeMessage({ type: 'ack', sequence: 3, presented_ms: undefined });

    assert.deepEqual(decode(bytes), { type: 'ack', sequence: 3 });
});

test('an unknown type is null, an unknown field passes', () => {
    assert.equal(decodeMessage(toBuffer(encode({ type: 'horoscope' }))), null);
    assert.equal(decodeMessage(toBuffer(encode({ ...frame(1), mood: 'calm' }))).mood, 'calm');
});

test('stages, tier and an instant may be there or not', () => {
    const stages = { painted: 1.5, published: 2.5, encoded: 3.5 };
    const told = decodeMessage(toBuffer(encode(frame(1, { tier: 'jpeg-50-70', stages, present_at_ms: 7.25 }))));
    const plain = decodeMessage(toBuffer(encode(frame(1, { tier: null, present_at_ms: null }))));

    assert.deepEqual([told.tier, told.stages, told.present_at_ms], ['jpeg-50-70', stages, 7.25]);
    assert.equal(plain.stages, undefined);
});

test('what a canvas is shown with may be there or not, in hello and in status', () => {
    const transition = { kind: 'wipe', duration_s: 0.5 };
    const canvas = { ...HELLO.canvas, fps: 4, transition };
    const hello = decodeMessage(toBuffer(encode({ ...HELLO, canvas, features: ['audio'], subscriber: 7 })));
    const queue = { length: 1, next: [{ id: 'a' }] };
    const status = decodeMessage(toBuffer(encode({ type: 'status', state: 'idle', job: null, queue, transition })));

    assert.deepEqual([hello.canvas, hello.features, hello.subscriber], [canvas, ['audio'], 7]);
    assert.deepEqual([status.job, status.queue, status.transition], [null, queue, transition]);
});

test('a kind of transition that this browser does not know passes', () => {
    const transition = { kind: 'page-peel', duration_s: 1 };

    const status = decodeMessage(toBuffer(encode({ type: 'status', state: 'idle', transition })));

    assert.deepEqual(status.transition, transition);
});

test('a transition of another form, say without a duration, passes, too', () => {
    for (const transition of [{ kind: 'cut' }, { kind: 'morph', duration_s: null, curve: [0, 1] }]) {
        assert.deepEqual(decodeMessage(toBuffer(statusWith({ transition }))).transition, transition);
        assert.deepEqual(decodeMessage(toBuffer(canvasWith({ transition }))).canvas.transition, transition);
    }
});

test('a map whose type is the name of an object’s own method is unknown, too', () => {
    assert.equal(decodeMessage(toBuffer(encode({ type: 'constructor' }))), null);
});

const canvasWith = (fields) => encode({ ...HELLO, canvas: { ...HELLO.canvas, ...fields } });
const statusWith = (fields) => encode({ type: 'status', state: 'idle', ...fields });

const MALFORMED = [
    ['nothing', new Uint8Array(0)],
    ['a reserved byte', new Uint8Array([0xc1])],
    ['an array', encode([1, 2])],
    ['a number', encode(7)],
    ['nil', encode(null)],
    ['a map without a type', encode({ kind: 'frame' })],
    ['a type that is no string', encode({ type: 3 })],
    ['a map that stops short', encode(frame(1)).slice(0, -1)],
    ['bytes after the map', new Uint8Array([...encode(HELLO), 0])],
    ['a hello without a canvas', encode({ ...HELLO, canvas: undefined })],
    ['a hello whose canvas has no width', encode({ ...HELLO, canvas: { slug: 'left', height: 1 } })],
    ['a hello whose canvas has a transition without a kind', canvasWith({ transition: {} })],
    ['a hello whose canvas has a rate that is no number', canvasWith({ fps: '4' })],
    ['a hello at a time that is no number', encode({ ...HELLO, server_time_ms: 'now' })],
    ['a hello whose features are no names', encode({ ...HELLO, features: [1] })],
    ['a hello whose limits are no map', encode({ ...HELLO, limits: 20 })],
    ['a frame without a sequence', encode({ ...frame(1), sequence: null })],
    ['a sequence that is no whole number', encode(frame(1.5))],
    ['a sequence below zero', encode(frame(-1))],
    ['a frame without a timestamp', encode(frame(1, { timestamp_ms: 'now' }))],
    ['a timestamp that is no number', encode(frame(1, { timestamp_ms: NaN }))],
    ['a frame of an unknown format', encode(frame(1, { format: 'bmp' }))],
    ['a frame without width', encode(frame(1, { width: 0 }))],
    ['a frame of half a pixel', encode(frame(1, { height: 0.5 }))],
    ['a tier that is no string', encode(frame(1, { tier: 3 }))],
    ['stages that are no map', encode(frame(1, { stages: [1, 2] }))],
    ['an instant that is no number', encode(frame(1, { present_at_ms: 'soon' }))],
    ['an image in base64', encode(frame(1, { image: 'AAAA' }))],
    ['a status without a state', encode({ type: 'status', state: null })],
    ['a status whose transition is a name', statusWith({ transition: 'cut' })],
    ['a status whose queue is a list', statusWith({ queue: [] })],
    ['a status whose job is a name', statusWith({ job: 'a' })],
    ['a time without the server’s', encode({ type: 'time', client_sent_ms: 1 })],
    ['a bye that does not say whether to return', encode({ type: 'bye', reason: 'restart' })],
];

for (const [what, bytes] of MALFORMED) {
    test(`malformed: ${what}`, () => {
        assert.throws(() => decodeMessage(toBuffer(bytes)), WireError);
    });
}

test('a text message is refused', () => {
    assert.throws(() => decodeMessage('{"type":"hello"}'), /expected a binary message/);
});

test('the error names the field', () => {
    const bytes = encode(frame(1, { width: -3 }));

    assert.throws(() => decodeMessage(toBuffer(bytes)), /frame\.width is missing or wrong/);
});
