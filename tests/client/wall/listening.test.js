import assert from 'node:assert/strict';
import test from 'node:test';

import { listen } from '../../../client/wall/listening.js';
import { speak } from '../../../client/wall/texts.js';

class FakeTile {
    sent = [];

    constructor(features) {
        this.features = features;
    }

    send(feature, message) {
        const isWanted = this.features?.includes(feature) ?? false;
        if (isWanted) {
            this.sent.push(message);
        }
        return isWanted;
    }
}

function setUp(...tiles) {
    const told = [];
    const microphone = {};
    const dataset = {};
    listen({
        openMicrophone: (handlers) => Object.assign(microphone, handlers),
        tiles: () => tiles,
        notice: { show: (text) => told.push(text), clear: () => told.push(null) },
        say: (key) => key,
        dataset,
    });
    return { told, microphone, dataset };
}

const MESSAGE = { type: 'audio', level: 0.5 };

test('what is heard goes to every canvas whose server wants it', () => {
    const [left, right] = [new FakeTile(['ack', 'audio']), new FakeTile(['ack'])];
    const { told, microphone } = setUp(left, right);

    microphone.send(MESSAGE);

    assert.deepEqual(left.sent, [MESSAGE]);
    assert.deepEqual(right.sent, []);
    assert.deepEqual(told, []);
});

test('a browser without the token is told to log in, once', () => {
    const { told, microphone } = setUp(new FakeTile(['ack']));
    microphone.onState({ state: 'listening' });

    microphone.send(MESSAGE);
    microphone.send(MESSAGE);

    assert.deepEqual(told, [null, 'token']);
});

test('nobody is told to log in before the server has greeted', () => {
    const { told, microphone } = setUp(new FakeTile(null), new FakeTile(['ack']));

    microphone.send(MESSAGE);

    assert.deepEqual(told, []);
});

for (const [state, expected] of [
    [{ state: 'waiting' }, 'waiting'],
    [{ state: 'failed', reason: 'refused' }, 'refusedMicrophone'],
    [{ state: 'failed', reason: 'absent' }, 'absentMicrophone'],
    [{ state: 'failed', reason: 'busy' }, 'busyMicrophone'],
    [{ state: 'failed', reason: 'lost' }, 'lostMicrophone'],
    [{ state: 'failed', reason: 'insecure' }, 'insecure'],
    [{ state: 'failed', reason: 'unsupported' }, 'unsupported'],
]) {
    test(`“${state.reason ?? state.state}” is said in words, once`, () => {
        const { told, microphone } = setUp();

        microphone.onState({ state: 'starting' });
        microphone.onState(state);
        microphone.onState(state);

        assert.deepEqual(told, [expected]);
        for (const language of ['en', 'ru']) {
            assert.ok(speak(language)(expected).length > 10);
        }
    });
}

test('what was said goes when the page hears, and is said again when it is so again', () => {
    const { told, microphone } = setUp();

    microphone.onState({ state: 'failed', reason: 'lost' });
    microphone.onState({ state: 'listening' });
    microphone.onState({ state: 'failed', reason: 'lost' });

    assert.deepEqual(told, ['lostMicrophone', null, 'lostMicrophone']);
});

test('a name is put into words as it is', () => {
    assert.equal(speak('en')('gone', { slug: '$& <b>' }), 'There is no canvas “$& <b>”');
    assert.equal(speak('ru')('gone', { slug: 'left' }), 'Холста «left» нет');
});

test('the page says how the microphone is, for tests and for a person with the developer tools', () => {
    const { microphone, dataset } = setUp();

    microphone.onState({ state: 'failed', reason: 'lost' });
    assert.equal(dataset.sound, 'lost');
    microphone.onState({ state: 'listening' });

    assert.equal(dataset.sound, 'listening');
});
