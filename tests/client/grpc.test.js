/**
 * A stranger's client of the inference service: @grpc/grpc-js, and the .proto alone.
 *
 * The service is the real one, with the procedural engine: no network, no weights.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import process from 'node:process';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PROTO = `${ROOT}protos/psyche_inference_v1.proto`;

// For a start, a stop or a picture on a busy machine.
const PATIENCE_MS = 60_000;

const PYTHON = [process.env.PSYCHE_PYTHON, `${ROOT}.venv/bin/python`, `${ROOT}.venv/Scripts/python.exe`]
    .find((path) => path && existsSync(path));

const skip = PYTHON ? false : 'no Python: `make setup` installs it, or set PSYCHE_PYTHON=/path/to/it';

const { ImageGenerationService } = grpc.loadPackageDefinition(
    // 64-bit numbers as JavaScript's own: revisions are small.
    protoLoader.loadSync(PROTO, { keepCase: true, longs: Number, enums: String, oneofs: true, defaults: true }),
).psyche.inference.v1;

let service;
let client;

/** Start the service at any free port; resolves to its address once it serves. */
async function start() {
    const environment = Object.fromEntries(
        Object.entries(process.env).filter(([name]) => !name.startsWith('PSYCHE_')),
    );
    service = spawn(
        PYTHON,
        ['-m', 'inference', '--engine', 'procedural', '--port', '0', '--log-format', 'json', '--supervised'],
        // Without an `.env` of the checkout. Its standard input is open as long as we live: it ends with us.
        { cwd: tmpdir(), env: { ...environment, PYTHONPATH: ROOT }, stdio: ['pipe', 'ignore', 'pipe'] },
    );
    const lines = [];
    for await (const line of createInterface({ input: service.stderr })) {
        lines.push(line);
        const entry = line.startsWith('{') ? JSON.parse(line) : {};
        if (entry.event === 'serving') {
            service.stderr.resume();
            return entry.address;
        }
    }
    throw new Error(`the service did not start:\n${lines.join('\n')}`);
}

before(async () => {
    if (!skip) {
        const address = await start();
        client = new ImageGenerationService(address, grpc.credentials.createInsecure());
    }
}, { timeout: PATIENCE_MS });

after(async () => {
    client?.close();
    if (service && service.exitCode === null) {
        const ended = once(service, 'exit');
        service.stdin.end();
        await ended;
    }
}, { timeout: PATIENCE_MS });

/** When a call must have ended. */
const deadline = () => ({ deadline: Date.now() + PATIENCE_MS });

/** Call a method that answers once. */
const ask = (method, request) => new Promise((resolve, reject) => {
    client[method](request, deadline(), (error, answer) => {
        if (error) {
            reject(error);
        } else {
            resolve(answer);
        }
    });
});

/** Read the size of a JPEG from the first frame header in it. */
function jpegSize(data) {
    assert.equal(data.readUInt16BE(0), 0xffd8);
    let at = 2;
    for (;;) {
        const marker = data.readUInt16BE(at);
        // SOF0 to SOF15, but for the tables and the arithmetic marker that share their numbers.
        if (marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker)) {
            return { width: data.readUInt16BE(at + 7), height: data.readUInt16BE(at + 5) };
        }
        at += 2 + data.readUInt16BE(at + 2);
    }
}

const request = (fields = {}, settings = {}) => ({
    prompt: 'a cozy cabin in the woods, snow',
    settings: { width: 320, height: 192, seed: 7, ...settings },
    ...fields,
});

test('an image is generated', { skip }, async () => {
    const response = await ask('GenerateImage', request({ request_id: 'from-node' }));

    assert.equal(response.request_id, 'from-node');
    assert.equal(response.format, 'jpeg');
    assert.deepEqual(jpegSize(response.image_data), { width: 320, height: 192 });
    assert.equal(response.metadata.seed, 7);
    assert.equal(response.metadata.width, 320);
    assert.equal(response.metadata.is_neural, false);
});

test('the models on offer are told with their states by name', { skip }, async () => {
    const offer = await ask('GetImageModels', {});

    const model = offer.models.find(({ name }) => name === offer.default_model);
    assert.equal(model.state, 'STATE_READY');
    assert.ok(offer.styles.length > 0);
});

test('a stream tells the progress, and the image last', { skip }, async () => {
    const call = client.GenerateImageStream(request({ previews: true }, { steps: 4 }), deadline());
    const events = [];
    for await (const message of call) {
        events.push(message);
    }

    const kinds = events.map(({ event }) => event);
    assert.equal(kinds.at(-1), 'image');
    assert.ok(kinds.length > 1);
    assert.ok(kinds.slice(0, -1).every((kind) => kind === 'progress'));
    assert.ok(events.some(({ progress }) => progress?.preview.length > 0));
    assert.deepEqual(jpegSize(events.at(-1).image.image_data), { width: 320, height: 192 });
    assert.equal(events.at(-1).image.metadata.steps, 4);
});

test('a wrong field is named', { skip }, async () => {
    const call = ask('GenerateImage', request({}, { width: 321 }));

    await assert.rejects(call, (error) => {
        assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
        assert.deepEqual(error.metadata.get('psyche-field'), ['settings.width']);
        assert.match(error.details, /multiple of 8/);
        return true;
    });
});

test('a live picture gets a frame for each credit, and follows its newest target', { skip }, async () => {
    const call = client.Paint(deadline());
    const frames = (async function* read() {
        for await (const message of call) {
            assert.notEqual(message.event, 'error');
            if (message.event === 'frame') {
                yield message.frame;
            }
        }
    }());
    const next = async (credit) => {
        call.write({ credit });
        const { value } = await frames.next();
        return value;
    };

    call.write({ open: { request: request(), revision: 1 } });
    const first = await next({ time_s: 0 });
    const second = await next({ time_s: 0.25 });
    call.write({
        retarget: { request: request({ prompt: 'a desert at noon' }), revision: 2, at_s: 0.5, transition_s: 0 },
    });
    const third = await next({ time_s: 0.5 });
    call.write({ close: {} });
    call.end();

    assert.deepEqual([first, second, third].map(({ revision }) => revision), [1, 1, 2]);
    assert.deepEqual([first, second, third].map((frame) => frame.time_s), [0, 0.25, 0.5]);
    assert.deepEqual(jpegSize(third.image_data), { width: 320, height: 192 });
    assert.notDeepEqual(third.image_data, first.image_data);
    assert.equal((await frames.next()).done, true);
});

test('a cancelled stream ends as cancelled', { skip }, async () => {
    const call = client.GenerateImageStream(request({}, { width: 1024, height: 1024, steps: 100 }), deadline());

    await assert.rejects(async () => {
        for await (const message of call) {
            assert.equal(message.event, 'progress');
            call.cancel();
        }
    }, { code: grpc.status.CANCELLED });
});
