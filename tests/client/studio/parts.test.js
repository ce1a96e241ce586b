import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Format, clock } from '../../../client/studio/format.js';
import { Batch } from '../../../client/studio/frames.js';
import { KeyedList } from '../../../client/studio/keyed.js';
import { Memory } from '../../../client/studio/memory.js';
import { FakeEnvironment } from '../fakes.js';
import { FakeNode } from './fakes.js';

function list() {
    const panel = new FakeNode('panel');
    const root = panel.add(new FakeNode('list'));
    const made = [];
    const closed = [];
    const keyed = new KeyedList(root, ({ id }) => id, ({ id }) => {
        made.push(id);
        const node = new FakeNode(id);
        node.control();
        return {
            root: node,
            update: ({ text }) => {
                node.text = text;
            },
            close: () => closed.push(id),
        };
    });
    const show = (...ids) => keyed.show(ids.map((id) => ({ id, text: `text of ${id}` })));
    const names = () => root.children.map(({ name }) => name);
    return { root, panel, made, closed, show, names };
}

test('rows are made once and updated ever after', () => {
    const { root, made, show, names } = list();

    show('a', 'b');
    show('a', 'b');

    assert.deepEqual(names(), ['a', 'b']);
    assert.deepEqual(made, ['a', 'b']);
    assert.equal(root.children[0].text, 'text of a');
    assert.equal(root.moves, 2);
});

test('a new row on top moves no other', () => {
    const { root, show, names } = list();
    show('b', 'c');
    root.moves = 0;

    show('a', 'b', 'c');

    assert.deepEqual(names(), ['a', 'b', 'c']);
    assert.equal(root.moves, 1);
});

test('rows come into any order', () => {
    const { show, names } = list();
    show('a', 'b', 'c', 'd');

    show('d', 'b', 'a', 'c');

    assert.deepEqual(names(), ['d', 'b', 'a', 'c']);
});

test('a row that is not shown any more is closed', () => {
    const { closed, show, names } = list();
    show('a', 'b', 'c');

    show('a', 'c');

    assert.deepEqual(names(), ['a', 'c']);
    assert.deepEqual(closed, ['b']);
});

test('where the row with the focus goes, its neighbour has it; a control that takes none is passed over', () => {
    const { root, show } = list();
    show('a', 'b', 'c');
    const [a, b, c] = root.children;
    b.controls[0].focus();

    show('a', 'c');
    assert.equal(root.ownerDocument.activeElement, c.controls[0]);

    a.controls[0].isHidden = true;
    const second = a.control();
    show('a');
    assert.equal(root.ownerDocument.activeElement, second);
});

test('where the last row goes, the panel around has the focus', () => {
    const { root, panel, show } = list();
    show('a');
    root.children[0].control().focus();

    show();

    assert.equal(root.ownerDocument.activeElement, panel);
});

test('a row that has to move keeps the focus, and one elsewhere is let alone', () => {
    const { root, panel, show } = list();
    show('a', 'b');
    const control = root.children[1].control();
    control.focus();
    show('b', 'a');
    assert.equal(root.ownerDocument.activeElement, control);

    panel.focus();
    show();
    assert.equal(root.ownerDocument.activeElement, panel);
});

test('a hundred events are one update', () => {
    const environment = new FakeEnvironment();
    let runs = 0;
    const batch = new Batch(() => {
        runs += 1;
    }, environment.requestFrame);

    for (let event = 0; event < 100; event += 1) {
        batch.request();
    }
    assert.equal(runs, 0);
    environment.frames.splice(0).forEach((frame) => frame());
    assert.equal(runs, 1);

    batch.request();
    assert.equal(environment.frames.length, 1);
});

test('times and numbers are written as the language writes them', () => {
    const english = new Format('en');
    const russian = new Format('ru');

    assert.deepEqual([0, 7_900, 750_000, 3_723_000, -5].map(clock), [
        '0:00', '0:07', '12:30', '1:02:03', '0:00',
    ]);
    assert.equal(english.duration(42.4), '42 ms');
    assert.equal(english.duration(1540), '1.5 sec');
    assert.equal(russian.duration(1540), '1,5 с');
    assert.equal(russian.tenths(1234.56).replace(/\s/g, ' '), '1 234,6');
    assert.equal(english.whole(1234.56), '1,235');
});

test('what is remembered comes back, and can be forgotten', () => {
    const kept = new Map();
    const memory = new Memory(() => ({
        getItem: (name) => kept.get(name) ?? null,
        setItem: (name, value) => kept.set(name, value),
        removeItem: (name) => kept.delete(name),
    }));

    memory.set('theme', 'dark');
    assert.equal(memory.get('theme'), 'dark');
    memory.set('theme', null);
    assert.equal(memory.get('theme'), null);
    assert.equal(kept.size, 0);
});

test('a browser that keeps nothing breaks nothing', () => {
    const refuse = () => {
        throw new DOMException('no', 'SecurityError');
    };
    for (const memory of [new Memory(refuse), new Memory(() => ({ getItem: refuse, setItem: refuse }))]) {
        memory.set('theme', 'dark');
        assert.equal(memory.get('theme'), null);
    }
});
