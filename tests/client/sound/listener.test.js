import assert from 'node:assert/strict';
import test from 'node:test';

import { settle } from '../fakes.js';
import { Listener, isOver } from '../../../client/sound/listener.js';
import { openMicrophone } from '../../../client/sound/microphone.js';

class FakeTrack extends EventTarget {
    isStopped = false;

    stop() {
        this.isStopped = true;
    }
}

class FakeStream {
    track = new FakeTrack();
    getTracks = () => [this.track];
    getAudioTracks = () => [this.track];
}

class FakeNode {
    targets = [];
    gain = { value: 1 };
    frequencyBinCount = 1024;

    connect(node) {
        this.targets.push(node);
    }

    getFloatTimeDomainData(samples) {
        samples.fill(0);
    }

    getFloatFrequencyData(spectrum) {
        spectrum.fill(-Infinity);
    }
}

class FakeContext extends EventTarget {
    sampleRate = 48_000;
    destination = new FakeNode();
    made = [];

    constructor(state) {
        super();
        this.state = state;
    }

    createAnalyser = () => this.#make();
    createGain = () => this.#make();
    createMediaStreamSource = () => this.#make();
    createMediaElementSource = () => this.#make();

    resume() {
        return Promise.resolve();
    }

    close() {
        this.become('closed');
        return Promise.resolve();
    }

    become(state) {
        this.state = state;
        this.dispatchEvent(new Event('statechange'));
    }

    #make() {
        this.made.push(new FakeNode());
        return this.made.at(-1);
    }
}

class FakeDevices extends EventTarget {
    asked = [];

    getUserMedia(constraints) {
        return new Promise((resolve, reject) => this.asked.push({ constraints, resolve, reject }));
    }
}

class FakeSound {
    isSecure = true;
    devices = new FakeDevices();
    gestures = new EventTarget();
    contexts = [];
    timers = new Map();
    ticks = new Set();
    contextState = 'running';
    nowMs = () => 0;
    clearTimer = (handle) => this.timers.delete(handle);

    setTimer = (callback, delayMs) => {
        const handle = Symbol(String(delayMs));
        this.timers.set(handle, callback);
        return handle;
    };

    tick = (callback) => {
        this.ticks.add(callback);
        return () => this.ticks.delete(callback);
    };

    openContext = () => {
        this.contexts.push(new FakeContext(this.contextState));
        return this.contexts.at(-1);
    };
}

function listening(sound = new FakeSound()) {
    const states = [];
    const heard = [];
    const handlers = {
        onFeatures: (features) => heard.push(features),
        onState: ({ state, reason }) => states.push(reason ?? state),
    };
    return { sound, states, heard, listener: new Listener(handlers, sound) };
}

async function grant(sound) {
    const stream = new FakeStream();
    sound.devices.asked.at(-1).resolve(stream);
    await settle();
    return stream;
}

function refusal(name) {
    return Object.assign(new Error(name), { name });
}

test('a microphone is asked for its sound as it is', () => {
    const { sound, listener } = listening();

    void listener.listen('usb');

    assert.deepEqual(sound.devices.asked[0].constraints, {
        audio: {
            echoCancellation: false,
            noiseSuppression: false,
            autoGainControl: false,
            deviceId: { exact: 'usb' },
        },
        video: false,
    });
});

test('a microphone is heard until it is stopped, and then given back', async () => {
    const { sound, states, heard, listener } = listening();
    void listener.listen();
    const stream = await grant(sound);

    sound.ticks.forEach((tick) => tick());
    assert.equal(heard.length, 1);
    assert.equal(heard[0].level, 0);
    listener.stop();

    assert.deepEqual(states, ['starting', 'listening', 'off']);
    assert.ok(stream.track.isStopped);
    assert.equal(sound.contexts[0].state, 'closed');
    assert.equal(sound.ticks.size, 0);
});

test('a microphone never goes to the loudspeakers', async () => {
    const { sound, listener } = listening();
    void listener.listen();
    await grant(sound);

    const [context] = sound.contexts;
    assert.ok(context.made.every((node) => !node.targets.includes(context.destination)));
});

test('what was granted after it was stopped is given back at once', async () => {
    const { sound, states, listener } = listening();
    void listener.listen();
    listener.stop();

    const stream = await grant(sound);

    assert.ok(stream.track.isStopped);
    assert.deepEqual(sound.contexts, []);
    assert.deepEqual(states, ['starting', 'off']);
});

test('a context that sleeps is woken by a gesture', async () => {
    const sound = new FakeSound();
    sound.contextState = 'suspended';
    const { states, listener } = listening(sound);
    void listener.listen();
    await grant(sound);
    assert.deepEqual(states, ['starting', 'waiting']);

    sound.contexts[0].resume = () => {
        sound.contexts[0].become('running');
        return Promise.resolve();
    };
    sound.gestures.dispatchEvent(new Event('keydown'));

    assert.deepEqual(states, ['starting', 'waiting', 'listening']);
});

for (const [error, reason] of [
    ['NotAllowedError', 'refused'],
    ['NotFoundError', 'absent'],
    ['OverconstrainedError', 'absent'],
    ['NotReadableError', 'busy'],
    ['TypeError', 'unsupported'],
]) {
    test(`${error} is told as ${reason}`, async () => {
        const { sound, listener } = listening();
        void listener.listen();

        sound.devices.asked[0].reject(refusal(error));
        await settle();

        assert.deepEqual(listener.state, { state: 'failed', reason });
    });
}

test('a page without HTTPS is told apart from a browser that cannot', () => {
    for (const [isSecure, reason] of [[false, 'insecure'], [true, 'unsupported']]) {
        const sound = Object.assign(new FakeSound(), { devices: null, isSecure });
        const { listener } = listening(sound);

        void listener.listen();

        assert.deepEqual(listener.state, { state: 'failed', reason });
    }
});

test('a microphone that was pulled out is asked for when the devices change', async () => {
    const { sound, states, listener } = listening();
    void listener.listen('usb');
    const stream = await grant(sound);

    stream.track.dispatchEvent(new Event('ended'));
    sound.devices.dispatchEvent(new Event('devicechange'));
    sound.devices.dispatchEvent(new Event('devicechange'));
    assert.equal(sound.devices.asked.length, 2);
    await grant(sound);

    assert.deepEqual(states, ['starting', 'listening', 'lost', 'listening']);
    assert.deepEqual(sound.devices.asked[1].constraints.audio.deviceId, { exact: 'usb' });
    assert.equal(sound.contexts[0].state, 'closed');
});

test('what is absent or busy is tried again by itself, what was refused is not', async () => {
    for (const [error, attempts] of [['NotFoundError', 1], ['NotReadableError', 1], ['NotAllowedError', 0]]) {
        const { sound, listener } = listening();
        void listener.listen();
        sound.devices.asked[0].reject(refusal(error));
        await settle();

        assert.equal(sound.timers.size, attempts);
        sound.devices.dispatchEvent(new Event('devicechange'));
        assert.equal(sound.devices.asked.length, 1 + attempts);
        listener.stop();
        assert.equal(sound.timers.size, 0);
    }
});

test('what stays absent is told once, however often it is tried again', async () => {
    const { sound, states, listener } = listening();
    void listener.listen();
    for (let attempt = 0; attempt < 3; attempt += 1) {
        sound.devices.asked.at(-1).reject(refusal('NotFoundError'));
        await settle();
        const [[handle, again]] = sound.timers;
        sound.timers.delete(handle);
        again();
    }
    await grant(sound);

    assert.equal(sound.devices.asked.length, 4);
    assert.deepEqual(states, ['starting', 'absent', 'listening']);
});

test('what is waited for can be stopped, every other failure is over', () => {
    for (const reason of ['absent', 'busy', 'lost']) {
        assert.ok(!isOver({ state: 'failed', reason }), reason);
    }
    for (const reason of ['refused', 'insecure', 'unsupported', 'undecodable']) {
        assert.ok(isOver({ state: 'failed', reason }), reason);
    }
    assert.ok(isOver({ state: 'off' }));
    assert.ok(!isOver({ state: 'waiting' }));
});

test('a file goes to the loudspeakers only where it is wanted', () => {
    const { sound, listener } = listening();
    const player = Object.assign(new EventTarget(), { play: () => Promise.resolve(), pause: () => {} });

    const setHeard = listener.play(player, false);

    const [context] = sound.contexts;
    const volume = context.made.find((node) => node.targets.includes(context.destination));
    assert.equal(volume.gain.value, 0);
    setHeard(true);
    assert.equal(volume.gain.value, 1);
});

test('a file that is no sound is told', () => {
    const { listener } = listening();
    let isPaused = false;
    const player = Object.assign(new EventTarget(), { play: () => Promise.resolve(), pause: () => (isPaused = true) });
    listener.play(player, true);

    player.dispatchEvent(new Event('error'));

    assert.deepEqual(listener.state, { state: 'failed', reason: 'undecodable' });
    assert.ok(isPaused);
});

test('a page that listens sends nothing in silence and gives everything back', async () => {
    const sound = new FakeSound();
    const sent = [];
    const states = [];
    const handlers = { send: (message) => sent.push(message), onState: ({ state }) => states.push(state) };
    const microphone = openMicrophone(handlers, sound);
    const stream = await grant(sound);

    sound.ticks.forEach((tick) => tick());
    microphone.close();
    sound.timers.forEach((callback) => callback());

    assert.deepEqual(sent, []);
    assert.deepEqual(states, ['starting', 'listening', 'off']);
    assert.ok(stream.track.isStopped);
});
