import assert from 'node:assert/strict';
import test from 'node:test';

import { Decoder } from '../../../client/paint/decoder.js';
import { Painter } from '../../../client/paint/painter.js';
import { FakeEnvironment, frame, settle } from '../fakes.js';

function setUp() {
    const environment = new FakeEnvironment();
    const counts = { created: 0, closed: 0 };
    const decoder = new Decoder(environment, (changed) => Object.assign(counts, changed));
    const drawn = [];
    const presented = [];
    const corrupt = [];
    const acks = [];
    const painter = new Painter(decoder, environment, {
        draw: (bitmap, { sequence }) => {
            assert.equal(bitmap.closed, 0, 'drawn after it was closed');
            drawn.push(sequence);
        },
        onPresented: ({ sequence }) => presented.push(sequence),
        onCorrupt: ({ sequence }) => corrupt.push(sequence),
    });
    const offer = (sequence) =>
        painter.offer(frame(sequence), (timings) => acks.push({ sequence, ...timings }));
    return { environment, counts, drawn, presented, corrupt, acks, painter, offer };
}

test('a frame is decoded, drawn in one animation frame, and acknowledged once that is on its way', async () => {
    const { environment, drawn, presented, acks, offer } = setUp();

    offer(1);
    environment.elapsedMs = 20;
    await environment.finishDecode();
    assert.deepEqual(drawn, []);
    environment.elapsedMs = 30;
    environment.frames.shift()();
    assert.deepEqual(acks, []);
    environment.elapsedMs = 35;
    environment.paint();

    assert.deepEqual(drawn, [1]);
    assert.deepEqual(presented, [1]);
    assert.deepEqual(acks, [
        { sequence: 1, received_ms: 1_000_000, decoded_ms: 1_000_020, presented_ms: 1_000_035, skipped: 0 },
    ]);
});

test('the image goes to the decoder with its media type', () => {
    const { environment, painter } = setUp();

    painter.offer(frame(1, { format: 'webp' }), () => {});

    assert.equal(environment.decodes[0].blob.type, 'image/webp');
    assert.equal(environment.decodes[0].blob.size, 1);
});

test('the newest frame replaces the one that waits for a decoder', async () => {
    const { environment, drawn, acks, offer } = setUp();

    [1, 2, 3, 4, 5].forEach(offer);
    assert.equal(environment.decodes.length, 2);
    await environment.finishDecode();
    environment.paint();
    await environment.finishDecode();
    environment.paint();
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual(drawn, [1, 2, 5]);
    assert.deepEqual(acks.map(({ sequence, skipped }) => [sequence, skipped]), [[1, 2], [2, 0], [5, 0]]);
    assert.equal(environment.decodes.length, 0);
});

test('a result that is overtaken by a newer one is closed and never drawn', async () => {
    const { environment, counts, drawn, acks, offer } = setUp();

    offer(1);
    offer(2);
    const newer = await environment.finishDecode(1);
    const older = await environment.finishDecode(0);
    environment.paint();

    assert.deepEqual(drawn, [2]);
    assert.deepEqual([older.closed, newer.closed], [1, 1]);
    assert.deepEqual(acks.map(({ sequence, skipped }) => [sequence, skipped]), [[2, 1]]);
    assert.deepEqual(counts, { created: 2, closed: 2 });
});

test('a bitmap that waits for the animation frame gives way to a newer one', async () => {
    const { environment, counts, drawn, acks, offer } = setUp();

    offer(1);
    const superseded = await environment.finishDecode();
    offer(2);
    await environment.finishDecode();

    assert.equal(superseded.closed, 1);
    assert.equal(environment.frames.length, 1, 'one animation frame is outstanding');
    environment.paint();
    assert.deepEqual(drawn, [2]);
    assert.deepEqual(acks.map(({ sequence, skipped }) => [sequence, skipped]), [[2, 1]]);
    assert.deepEqual(counts, { created: 2, closed: 2 });
});

test('a corrupt frame is counted, acknowledged, and does not stop the next one', async () => {
    const { environment, counts, drawn, corrupt, acks, offer } = setUp();

    offer(1);
    await environment.failDecode();
    offer(2);
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual(corrupt, [1]);
    assert.deepEqual(drawn, [2]);
    assert.deepEqual(
        acks.map(({ sequence, skipped, presented_ms }) => [sequence, skipped, presented_ms]),
        [[1, 0, undefined], [2, 0, 1_000_000]],
    );
    assert.deepEqual(counts, { created: 1, closed: 1 });
});

test('a corrupt frame frees its decoder for the one that waits', async () => {
    const { environment, drawn, offer } = setUp();

    [1, 2, 3].forEach(offer);
    await environment.failDecode();
    await environment.failDecode();
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual(drawn, [3]);
});

test('a hidden page acknowledges on receipt and shows the newest when it returns', async () => {
    const { environment, drawn, acks, painter, offer } = setUp();
    painter.setVisible(false);

    [1, 2, 3].forEach(offer);

    assert.equal(environment.decodes.length, 0);
    assert.deepEqual(
        acks.map(({ sequence, skipped, presented_ms }) => [sequence, skipped, presented_ms]),
        [[1, 0, undefined], [2, 0, undefined], [3, 0, undefined]],
    );
    painter.setVisible(true);
    await environment.finishDecode();
    environment.paint();
    assert.deepEqual(drawn, [3]);
    assert.equal(acks.length, 3, 'a frame is acknowledged once');
});

test('a page that is hidden between decode and paint acknowledges what it has', async () => {
    const { environment, drawn, acks, painter, offer } = setUp();
    offer(1);
    await environment.finishDecode();
    offer(2);

    painter.setVisible(false);

    assert.equal(acks[0].sequence, 2, 'the newest first: it releases the others');
    assert.equal(acks[0].presented_ms, undefined);
    await environment.finishDecode();
    painter.setVisible(true);
    environment.paint();
    assert.deepEqual(drawn, [2]);
});

test('of frames that are being decoded, hiding acknowledges the newest first', () => {
    const { acks, painter, offer } = setUp();
    offer(1);
    offer(2);

    painter.setVisible(false);

    assert.deepEqual(acks.map(({ sequence }) => sequence), [2, 1]);
});

test('every bitmap is closed once, whatever became of it', async () => {
    const { environment, counts, painter, offer } = setUp();

    offer(1);
    offer(2);
    offer(3);
    const bitmaps = [await environment.finishDecode(1), await environment.finishDecode(0)];
    bitmaps.push(await environment.finishDecode());
    offer(4);
    painter.close();
    bitmaps.push(await environment.finishDecode());
    environment.paint();

    assert.deepEqual(bitmaps.map(({ closed }) => closed), [1, 1, 1, 1]);
    assert.deepEqual(counts, { created: 4, closed: 4 });
});

test('a closed painter draws nothing and takes nothing', async () => {
    const { environment, drawn, painter, offer } = setUp();
    offer(1);
    await environment.finishDecode();
    offer(2);

    painter.close();
    offer(3);
    await environment.finishDecode();
    environment.paint();
    await settle();

    assert.deepEqual(drawn, []);
    assert.equal(environment.decodes.length, 0);
});

test('the last picture is drawn anew at another size, without another acknowledgement', async () => {
    const { environment, counts, drawn, presented, acks, painter, offer } = setUp();
    offer(1);
    await environment.finishDecode();
    environment.paint();

    painter.repaint();
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual(drawn, [1, 1]);
    assert.deepEqual(presented, [1]);
    assert.equal(acks.length, 1);
    assert.deepEqual(counts, { created: 2, closed: 2 });
});

test('nothing is drawn anew while a frame is on its way', async () => {
    const { environment, painter, offer } = setUp();
    offer(1);
    await environment.finishDecode();
    environment.paint();
    offer(2);

    painter.repaint();

    assert.equal(environment.decodes.length, 1);
});

test('what is drawn anew is not forgotten where the frame that was on its way is corrupt', async () => {
    const { environment, drawn, corrupt, painter, offer } = setUp();
    offer(1);
    await environment.finishDecode();
    environment.paint();
    offer(2);
    offer(3);

    painter.repaint();
    await environment.failDecode();
    assert.equal(environment.decodes.length, 1, 'another one is on its way');
    await environment.failDecode();
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual([drawn, corrupt], [[1, 1], [2, 3]]);
    offer(4);
    await environment.failDecode();
    assert.equal(environment.decodes.length, 0, 'that is done with');
});

test('what is drawn anew is not forgotten where the frame that was on its way is overtaken', async () => {
    const { environment, drawn, painter, offer } = setUp();
    offer(1);
    offer(2);
    await environment.finishDecode(1);
    environment.paint();

    painter.repaint();
    await environment.finishDecode();
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual(drawn, [2, 2]);
    assert.equal(environment.decodes.length, 0, 'that is done with');
});

test('sequences that begin anew are newer than the ones before', async () => {
    const { environment, drawn, painter, offer } = setUp();
    offer(500);
    await environment.finishDecode();
    environment.paint();

    painter.restart();
    offer(1);
    await environment.finishDecode();
    environment.paint();

    assert.deepEqual(drawn, [500, 1]);
});

test('frames that were lost before a new epoch are not told to the new one', async () => {
    const { environment, acks, painter, offer } = setUp();
    [1, 2, 3, 4].forEach(offer);

    painter.restart();
    await environment.finishDecode();
    environment.paint();

    assert.equal(acks[0].skipped, 0);
});

test('a frame that cannot be drawn is no reason to stop', async () => {
    const { environment, counts } = setUp();
    const drawn = [];
    const painter = new Painter(new Decoder(environment, (changed) => Object.assign(counts, changed)), environment, {
        draw: (_, { sequence }) => {
            if (sequence === 1) {
                throw new Error('InvalidStateError');
            }
            drawn.push(sequence);
        },
        offsetMs: () => 0,
    });
    const acks = [];
    painter.offer(frame(1, { present_at_ms: environment.nowMs() + 50 }), (timings) => acks.push(timings));
    painter.offer(frame(2, { present_at_ms: environment.nowMs() + 120 }), () => {});
    await environment.finishDecode();
    environment.advance(50);
    await environment.finishDecode();
    assert.throws(() => environment.paint(), /InvalidStateError/);
    assert.deepEqual(acks.map(({ presented_ms }) => presented_ms), [undefined], 'the server waits for no one');

    environment.advance(70);
    environment.paint();

    assert.deepEqual(drawn, [2]);
    assert.deepEqual(counts, { created: 2, closed: 2 });
});
