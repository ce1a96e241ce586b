import assert from 'node:assert/strict';
import test from 'node:test';

import { Decoder } from '../../../client/paint/decoder.js';
import { EVENTS } from '../../../client/screen/host.js';
import { LocalScreen } from '../../../client/screen/local.js';
import { OPEN } from '../../../client/stream/gate.js';
import { FakeEnvironment, frame, settle } from '../fakes.js';
import { FakeCanvas, HUNG, OPTIONS, hello, listening } from './fakes.js';

function setUp({ options = {}, isHung = true } = {}) {
    const environment = new FakeEnvironment();
    const canvas = new FakeCanvas();
    const { events, seen, named } = listening(EVENTS);
    const services = { environment, decoder: new Decoder(environment), formats: ['jpeg'], gate: OPEN };
    const screen = new LocalScreen(canvas, { ...OPTIONS, ...options }, events, services);
    if (isHung) {
        screen.hang(HUNG);
    }
    screen.open();
    return { environment, canvas, seen, named, screen };
}

function greet(environment, canvas = {}) {
    environment.socket.accept();
    environment.socket.pushMessage(hello(canvas));
}

/** Push a frame and follow it to the screen. */
async function show(environment, sequence, { size = {}, ...fields } = {}) {
    environment.socket.pushMessage(frame(sequence, fields));
    await settle();
    const bitmap = await environment.finishDecode(0, size);
    environment.paint();
    return bitmap;
}

test('a picture is fitted into its place, and the page is told where it lies before it is drawn', async () => {
    const { environment, canvas, named, seen } = setUp();
    greet(environment);

    const bitmap = await show(environment, 1);

    assert.deepEqual(canvas.drawn.map(({ x, y, width, height }) => [x, y, width, height]), [[200, 0, 400, 400]]);
    assert.equal(canvas.drawn[0].source, bitmap);
    assert.deepEqual([canvas.width, canvas.height], [800, 400]);
    assert.deepEqual(named('onBox'), [[{ x: 200, y: 0, width: 400, height: 400 }, { width: 512, height: 512 }]]);
    assert.deepEqual(seen.map(([name]) => name), ['onHello', 'onBox', 'onDrawn', 'onPresented']);
});

test('the first ready says how large a picture of the canvas’s shape will be', () => {
    const { environment } = setUp();

    greet(environment, { width: 1920, height: 1080 });
    environment.advance(500);

    const [ready, ...others] = environment.socket.take('ready');
    assert.deepEqual(ready.viewport, { width: 711, height: 400 });
    assert.deepEqual(others, []);
});

test('a size that changes before the first picture is told, too', () => {
    const { environment, screen } = setUp();
    greet(environment, { width: 1920, height: 1080 });
    environment.socket.take();

    screen.hang({ place: { width: 1600, height: 900 }, view: { x: 0, y: 0, width: 1600, height: 900 } });
    environment.advance(500);

    assert.deepEqual(environment.socket.take('ready').map(({ viewport }) => viewport), [{ width: 1600, height: 900 }]);
});

test('a closed screen is told of nothing any more', async () => {
    const { environment, canvas, seen, screen } = setUp();
    greet(environment);
    environment.socket.pushMessage(frame(1));
    environment.socket.pushMessage(frame(2));
    await settle();
    await environment.finishDecode();
    environment.frames.splice(0).forEach((callback) => callback());
    seen.splice(0);

    screen.close();
    await environment.failDecode();
    environment.paint();
    canvas.dispatchEvent(new Event('contextrestored'));
    await settle();

    assert.deepEqual(seen, []);
    assert.equal(environment.decodes.length, 0);
});

test('a canvas that loses its pixels in mid-transition shows the picture wholly', async () => {
    const { environment, canvas } = setUp();
    greet(environment, { fps: 0.1, transition: { kind: 'cross-fade', duration_s: 1 } });
    await show(environment, 1);
    environment.advance(10_000);
    await show(environment, 2);
    assert.equal(environment.frames.length, 1);

    canvas.dispatchEvent(new Event('contextrestored'));
    canvas.drawn.length = 0;
    environment.paint();
    assert.deepEqual(canvas.drawn, [], 'no step of what is lost');
    await settle();
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual(canvas.drawn.map(({ x, width }) => [x, width]), [[200, 400]]);
    assert.equal(environment.frames.length, 0);
});

test('on another connection ready says the size of the pictures that there are', async () => {
    const { environment } = setUp();
    greet(environment);
    await show(environment, 1, { size: { width: 200, height: 400 } });
    environment.socket.drop(1006);
    environment.advance(250);

    greet(environment);

    assert.deepEqual(environment.socket.take('ready')[0].viewport, { width: 200, height: 400 });
});

test('the box is told again when the picture has another shape, or hangs elsewhere, and not otherwise', async () => {
    const { environment, named, screen } = setUp();
    greet(environment);
    await show(environment, 1);
    await show(environment, 2);
    assert.equal(named('onBox').length, 1);

    await show(environment, 3, { size: { width: 100, height: 200 } });
    screen.hang({ ...HUNG, place: { ...HUNG.place }, view: { ...HUNG.view } });
    assert.equal(named('onBox').length, 2);
    screen.hang({ place: { width: 100, height: 100 }, view: { x: 0, y: 0, width: 100, height: 100 } });

    assert.deepEqual(named('onBox').at(-1), [{ x: 25, y: 0, width: 50, height: 100 }, { width: 100, height: 200 }]);
});

test('a part of a place shows a part of the picture, which is asked for as large as the whole place', async () => {
    const { environment, canvas, screen } = setUp({ isHung: false });
    const place = { width: 2400, height: 400 };
    screen.hang({ place, view: { x: 800, y: 0, width: 800, height: 400 } });

    greet(environment, { width: 1200, height: 200 });
    await show(environment, 1, { size: { width: 1200, height: 200 } });

    assert.deepEqual(canvas.drawn.map(({ x, y, width, height }) => [x, y, width, height]), [[-800, 0, 2400, 400]]);
    assert.deepEqual(environment.socket.take('ready')[0].viewport, place);
});

test('a frame is told without its image, when drawn and when presented on the server’s clock', async () => {
    const { environment, named } = setUp();
    greet(environment);
    const [question] = environment.socket.take('time');
    environment.socket.pushMessage({ ...question, server_time_ms: environment.nowMs() + 500 });

    await show(environment, 7, { tier: 'jpeg-50-85', image: new Uint8Array(1234) });

    const [[drawn]] = named('onDrawn');
    const [[presented]] = named('onPresented');
    assert.deepEqual([drawn.sequence, drawn.tier, drawn.bytes, drawn.image], [7, 'jpeg-50-85', 1234, undefined]);
    assert.equal(presented.presented_ms, environment.nowMs() + 500);
    assert.deepEqual(named('onClock'), [[{ offset_ms: 500, rtt_ms: 0 }]]);
});

test('while the server’s clock is unknown nobody says when a frame was presented', async () => {
    const { environment, named } = setUp();
    greet(environment);

    await show(environment, 1);

    assert.equal(named('onPresented')[0][0].presented_ms, null);
});

test('a corrupt frame is counted, acknowledged, and the next one is shown', async () => {
    const { environment, named } = setUp();
    greet(environment);
    environment.socket.pushMessage(frame(1));
    await settle();
    await environment.failDecode();
    await show(environment, 2);

    assert.deepEqual(named('onCorrupt'), [[1]]);
    assert.deepEqual(named('onDrawn').map(([{ sequence }]) => sequence), [2]);
    const acks = environment.socket.take('ack').map(({ sequence, skipped }) => [sequence, skipped]);
    assert.deepEqual(acks, [[1, 0], [2, 0]], 'and is none that this screen was too slow for');
});

test('figures come in the next task and every second while they are watched', async () => {
    const { environment, named, screen } = setUp();
    greet(environment);
    await show(environment, 1, { image: new Uint8Array(1000) });
    environment.socket.pushMessage(frame(2));
    await settle();
    await environment.failDecode();

    screen.watchFigures(true);
    assert.deepEqual(named('onFigures'), [], 'never while somebody still asks for them');
    environment.advance(2500);
    screen.watchFigures(false);
    environment.advance(5000);

    const told = named('onFigures').map(([figures]) => figures);
    assert.equal(told.length, 3);
    assert.deepEqual([told[0].fps, told[0].drops.corrupt, told[0].drops.skipped], [1, 1, 0]);
    assert.ok(told[0].bytes_per_s >= 1000);
    assert.doesNotThrow(() => structuredClone(told));
});

for (const teller of ['hello', 'status']) {
    test(`the transition that ${teller} tells of is between one picture and the next`, async () => {
        const { environment } = setUp();
        const transition = { kind: 'cross-fade', duration_s: 1 };
        greet(environment, { fps: 0.1, ...(teller === 'hello' ? { transition } : {}) });
        const status = { type: 'status', state: 'idle' };
        environment.socket.pushMessage({ ...status, ...(teller === 'status' ? { transition } : {}) });
        await show(environment, 1);
        environment.advance(10_000);
        environment.paint();
        assert.equal(environment.frames.length, 0, 'one picture is no transition');

        await show(environment, 2);

        assert.equal(environment.frames.length, 1, 'the transition goes on in the next animation frame');
    });
}

test('a canvas that has lost what was drawn there is painted again, though no other picture comes', async () => {
    const { environment, canvas, named } = setUp();
    greet(environment);
    await show(environment, 1);

    canvas.dispatchEvent(new Event('contextrestored'));
    await settle();
    await environment.finishDecode();
    environment.paint();

    assert.equal(canvas.drawn.length, 2);
    assert.equal(named('onPresented').length, 1, 'and is no news');
});

test('whoever returns sees what there is, without a transition from what was there before', async () => {
    const { environment, screen } = setUp();
    greet(environment, { fps: 0.1, transition: { kind: 'cross-fade', duration_s: 1 } });
    await show(environment, 1);
    environment.advance(10_000);
    screen.setVisible(false);
    screen.setVisible(true);

    await show(environment, 2);

    assert.equal(environment.frames.length, 0);
});

test('a screen that hangs elsewhere shows its last picture there', async () => {
    const { environment, canvas, screen } = setUp();
    greet(environment);
    await show(environment, 1);

    screen.hang({ place: { width: 100, height: 100 }, view: { x: 0, y: 0, width: 100, height: 100 } });
    await settle();
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual([canvas.width, canvas.height, canvas.drawn.length], [100, 100, 2]);
});

test('what was skipped on a lost connection is not told on the next one', async () => {
    const { environment } = setUp();
    greet(environment);
    [1, 2, 3, 4, 5].forEach((sequence) => environment.socket.pushMessage(frame(sequence)));
    await settle();
    environment.socket.drop(1006);
    environment.advance(125);
    greet(environment);

    const [question] = environment.socket.take('time');
    environment.socket.pushMessage({ ...question, server_time_ms: environment.nowMs() });
    // It is acknowledged when it comes, since it is shown much later.
    environment.socket.pushMessage(frame(6, { present_at_ms: environment.nowMs() + 2000 }));

    assert.deepEqual(environment.socket.take('ack').map(({ skipped }) => skipped), [0]);
});

test('frames that came while nobody could see them are counted as hidden', async () => {
    const { environment, named, screen } = setUp();
    greet(environment);
    screen.setVisible(false);
    environment.socket.pushMessage(frame(1));
    await settle();

    screen.watchFigures(true);
    environment.advance(0);

    assert.equal(named('onFigures')[0][0].drops.hidden, 1);
});

test('a lost connection and an end are told with their codes', () => {
    const { environment, seen } = setUp();
    greet(environment);

    environment.socket.drop(1013);
    environment.advance(125);
    environment.socket.drop(4404);

    assert.deepEqual(seen.slice(1), [['onDown', 1013], ['onDown', 4404], ['onEnd', 4404]]);
});

test('the page’s messages go to the server', () => {
    const { environment, screen } = setUp();
    greet(environment);

    screen.send({ type: 'audio', level: 0.5 });

    assert.deepEqual(environment.socket.take('audio'), [{ type: 'audio', level: 0.5 }]);
});

test('what nobody sees is acknowledged as it comes, and shown on return', async () => {
    const { environment, canvas, screen } = setUp();
    greet(environment);
    screen.setVisible(false);
    environment.socket.take();

    environment.socket.pushMessage(frame(1));
    await settle();
    assert.deepEqual(environment.socket.take('ack').map(({ sequence }) => sequence), [1]);
    screen.setVisible(true);
    await settle();
    await environment.finishDecode();
    environment.paint();

    assert.equal(canvas.drawn.length, 1);
    assert.deepEqual(environment.socket.take('ready').map(({ visible }) => visible), [true]);
});

test('a closed screen frees what is being decoded, and nothing runs on', async () => {
    const { environment, canvas, screen } = setUp();
    greet(environment);
    screen.watchFigures(true);
    environment.socket.pushMessage(frame(1));
    await settle();

    screen.close();
    const bitmap = await environment.finishDecode();
    environment.paint();

    assert.equal(bitmap.closed, 1);
    assert.deepEqual(canvas.drawn, []);
    assert.equal(environment.timers.size, 0);
});
