import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Api, ApiError, newKey } from '../../../client/studio/api.js';
import { Sender } from '../../../client/studio/prompt/sender.js';
import { FakeEnvironment, settle } from '../fakes.js';
import { FakeServer } from './fakes.js';

const LOCKED = { status: 401, body: { error: { code: 'unauthorized', message: 'this needs the token' } } };
const DOWN = new TypeError('Failed to fetch');

function made({ login = () => Promise.resolve(false) } = {}) {
    const server = new FakeServer();
    const environment = new FakeEnvironment();
    const api = new Api({ fetch: server.fetch, login, ...environment });
    return { server, environment, api };
}

test('an answer is its JSON, and a body is sent as JSON', async () => {
    const { api, server } = made();
    server.on('PATCH /canvases/left', { canvas: { slug: 'left' } });

    assert.deepEqual(await api.patch('/canvases/left', { blank: true }), { canvas: { slug: 'left' } });
    assert.equal(server.requests[0].body, '{"blank":true}');
    assert.equal(server.requests[0].headers['content-type'], 'application/json');
});

test('an error tells its status, its code and its field', async () => {
    const { api, server } = made();
    server.on('POST /jobs', { status: 400, body: { error: { code: 'invalid', message: 'too many', field: 'steps' } } });

    await assert.rejects(api.post('/jobs', {}), (error) => {
        assert.ok(error instanceof ApiError);
        assert.deepEqual([error.status, error.code, error.message, error.field], [400, 'invalid', 'too many', 'steps']);
        assert.equal(error.isPassing, false);
        return true;
    });
});

test('an error page of a proxy is an error, too', async () => {
    const { api, server } = made();
    server.on('GET /state', { status: 502, body: '<h1>Bad gateway</h1>' });

    await assert.rejects(api.get('/state'), { status: 502, code: 'http', isPassing: true });
});

test('where the door is locked the reader is asked, and the request goes again', async () => {
    let asked = 0;
    const { api, server } = made({ login: () => Promise.resolve((asked += 1) > 0) });
    server.on('DELETE /jobs/a', LOCKED, { job: { id: 'a' } });

    assert.deepEqual(await api.delete('/jobs/a'), { job: { id: 'a' } });
    assert.equal(asked, 1);
    assert.equal(server.requests.length, 2);
});

test('many locked requests open one dialog', async () => {
    let open = null;
    let asked = 0;
    const { api, server } = made({
        login: () => {
            asked += 1;
            return new Promise((resolve) => {
                open = resolve;
            });
        },
    });
    server.on('PATCH /canvases/a', LOCKED, { ok: 1 });
    server.on('PATCH /canvases/b', LOCKED, { ok: 2 });

    const both = Promise.all([api.patch('/canvases/a', {}), api.patch('/canvases/b', {})]);
    await settle();
    open(true);

    assert.deepEqual(await both, [{ ok: 1 }, { ok: 2 }]);
    assert.equal(asked, 1);
});

test('who does not log in gets the refusal, and is asked again the next time', async () => {
    let asked = 0;
    const { api, server } = made({ login: () => Promise.resolve((asked += 1) > 5) });
    server.on('DELETE /jobs/a', LOCKED);

    await assert.rejects(api.delete('/jobs/a'), { status: 401 });
    await assert.rejects(api.delete('/jobs/a'), { status: 401 });

    assert.equal(asked, 2);
});

test('a wrong token does not ask for the token again', async () => {
    const { api, server } = made({ login: () => assert.fail('it asks already') });
    server.on('POST /login', LOCKED);

    await assert.rejects(api.post('/login', { token: 'x' }), { status: 401 });
});

test('a request with a key is tried again where no answer comes, with the same key', async () => {
    const { api, server, environment } = made();
    server.on('POST /jobs', DOWN, DOWN, { job: { id: 'a' } });

    const sending = api.post('/jobs', { prompt: 'x' }, { key: 'k1' });
    await settle();
    environment.advance(400);
    await settle();
    environment.advance(1600);

    assert.deepEqual(await sending, { job: { id: 'a' } });
    assert.deepEqual(server.requests.map(({ headers }) => headers['idempotency-key']), ['k1', 'k1', 'k1']);
});

test('a request without a key is not tried again: it may have arrived', async () => {
    const { api, server } = made();
    server.on('POST /canvases', DOWN);

    await assert.rejects(api.post('/canvases', {}), { status: 0, isPassing: true });
    assert.equal(server.requests.length, 1);
});

test('an answer that does not come is given up', async () => {
    const { api, environment } = made();
    const hanging = new Api({
        ...environment,
        login: () => Promise.resolve(false),
        fetch: (_url, { signal }) => new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason));
        }),
    });

    const asking = hanging.get('/state');
    environment.advance(30_000);

    await assert.rejects(asking, { status: 0 });
    assert.equal(environment.timers.size, 0);
    assert.ok(api);
});

test('an image is sent as it is', async () => {
    const { api, server } = made();
    server.on('POST /images', { image: { id: 'i' } });
    const blob = new Blob(['x'], { type: 'image/png' });

    await api.upload('/images', blob);

    assert.equal(server.requests[0].body, blob);
    assert.equal(server.requests[0].headers['content-type'], 'image/png');
});

test('keys are long and no two are the same', () => {
    assert.match(newKey(), /^[0-9a-f]{32}$/);
    assert.notEqual(newKey(), newKey());
    assert.equal(newKey((bytes) => bytes.fill(10)), '0a'.repeat(16));
});

function sender(answers) {
    const keys = [];
    let number = 0;
    const api = {
        post: (_path, _body, { key }) => {
            keys.push(key);
            const answer = answers.shift();
            return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
        },
    };
    return { sends: new Sender(api, () => `key-${(number += 1)}`), keys };
}

test('a double click is one click', async () => {
    const { sends, keys } = sender([{ job: { id: 'a' } }]);

    const [first, second] = await Promise.all([sends.send({ prompt: 'x' }), sends.send({ prompt: 'x' })]);

    assert.deepEqual(first, [{ id: 'a' }]);
    assert.equal(second, null);
    assert.deepEqual(keys, ['key-1']);
});

test('the same prompt after no answer has the same key; after an answer it is another one', async () => {
    const lost = new ApiError(0, 'unreachable', 'no answer');
    const { sends, keys } = sender([lost, { jobs: [{ id: 'a' }, { id: 'b' }] }, { job: { id: 'c' } }]);

    await assert.rejects(sends.send({ prompt: 'x' }));
    const jobs = await sends.send({ prompt: 'x' });
    await sends.send({ prompt: 'x' });

    assert.deepEqual(jobs.map(({ id }) => id), ['a', 'b']);
    assert.deepEqual(keys, ['key-1', 'key-1', 'key-2']);
});

test('another prompt after no answer, and one after a refusal, have keys of their own', async () => {
    const lost = new ApiError(0, 'unreachable', 'no answer');
    const refused = new ApiError(400, 'invalid', 'too long', 'prompt');
    const { sends, keys } = sender([lost, refused, { job: { id: 'a' } }]);

    await assert.rejects(sends.send({ prompt: 'x' }));
    await assert.rejects(sends.send({ prompt: 'y' }));
    await sends.send({ prompt: 'y' });

    assert.deepEqual(keys, ['key-1', 'key-2', 'key-3']);
});
