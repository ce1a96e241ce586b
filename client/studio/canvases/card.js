/** A canvas in the studio: its live picture, how it is doing, and what can be done with it. */

import { element, setText } from '../dom.js';
import { newId } from './field.js';
import { progressOf } from './figures.js';
import { QueueList } from './queue.js';
import { Thumbnail } from './thumbnail.js';

/** @typedef {import('../store.js').StudioCanvas} StudioCanvas */
/** @typedef {import('./figures.js').CardFigures} CardFigures */

/**
 * @typedef {object} CardActions What is done with the canvas of a card.
 * @property {(slug: string, isSelected: boolean) => void} select
 * @property {(canvas: StudioCanvas, patch: Record<string, unknown>) => void} change
 * @property {(canvas: StudioCanvas) => void} skip
 * @property {(canvas: StudioCanvas, count: number) => void} clear
 * @property {(job: import('../store.js').JobRecord) => void} cancel
 * @property {(canvas: StudioCanvas) => void} edit
 * @property {(canvas: StudioCanvas) => void} remove
 */

/**
 * @typedef {object} CardServices
 * @property {import('../texts.js').Texts} texts
 * @property {import('../../screen/screens.js').Screens} screens
 * @property {() => boolean} isVisible Whether the page is.
 * @property {() => import('../format.js').Format} format
 * @property {CardActions} actions
 */

// Enough to see that it moves: a wall of them must not cost what the show needs.
const THUMBNAIL_FPS = 4;

const FIGURES = /** @type {const} */ (['fps', 'age', 'screens']);

export class Card {
    #services;
    #canvas;
    #parts;
    #thumbnail;
    #queue;
    #waiting = 0;

    /**
     * @param {StudioCanvas} canvas
     * @param {CardServices} services
     */
    constructor(canvas, services) {
        this.#canvas = canvas;
        this.#services = services;
        const { texts, screens, isVisible, actions } = services;
        this.#queue = new QueueList(texts, {
            onClear: () => actions.clear(this.#canvas, this.#waiting),
            onCancel: actions.cancel,
        });
        this.#parts = build(canvas.slug, texts, this.#queue.root);
        this.root = this.#parts.root;
        this.#listen();
        this.#thumbnail = new Thumbnail(
            this.#parts.view,
            canvas.slug,
            { screens, maxFps: THUMBNAIL_FPS, isVisible: isVisible() },
            { onConnection: (isUp) => this.root.classList.toggle('is-down', !isUp) },
        );
    }

    get takesAudio() {
        return this.#thumbnail.takesAudio;
    }

    /** @param {{ type: string } & Record<string, unknown>} message */
    send(message) {
        this.#thumbnail.send(message);
    }

    /** Come anew: this page may do more now than when its connection was made, or less. */
    reconnect() {
        this.#thumbnail.reconnect();
    }

    /** @param {boolean} isVisible Whether the page is. */
    setVisible(isVisible) {
        this.#thumbnail.setVisible(isVisible);
    }

    /** @param {boolean} isSelected */
    setSelected(isSelected) {
        this.root.classList.toggle('is-selected', isSelected);
        this.#parts.checkbox.checked = isSelected;
    }

    /**
     * @param {StudioCanvas} canvas
     * @param {CardFigures} figures
     */
    show(canvas, figures) {
        const { texts } = this.#services;
        this.#canvas = canvas;
        this.#waiting = figures.queue.length;
        this.#thumbnail.follow(canvas.epoch);
        const { state, size, root, pause, blank } = this.#parts;
        root.dataset.state = figures.state;
        texts.bind(state, `canvases.state.${figures.state}`);
        setText(size, `${canvas.width} × ${canvas.height}`);
        texts.bind(pause, canvas.paused ? 'canvases.resume' : 'canvases.pause');
        texts.bind(blank, canvas.blank ? 'canvases.show' : 'canvases.blank');
        pause.classList.toggle('is-on', canvas.paused === true);
        blank.classList.toggle('is-on', canvas.blank === true);
        this.#showFigures(figures);
        this.#showJob(figures);
        this.#queue.show(figures.queue);
    }

    close() {
        this.#thumbnail.close();
    }

    /** @param {CardFigures} figures */
    #showFigures({ fpsIn, fpsOut, ageMs, screens }) {
        const format = this.#services.format();
        const { figures } = this.#parts;
        setText(figures.fps, `${format.tenths(fpsIn)} → ${format.tenths(fpsOut)}`);
        setText(figures.age, ageMs === null ? '–' : format.duration(ageMs));
        setText(figures.screens, format.whole(screens));
    }

    /** @param {CardFigures} figures */
    #showJob({ running }) {
        const { texts } = this.#services;
        const { job, progress, skip } = this.#parts;
        const share = progressOf(running);
        if (running === null) {
            texts.bind(job, 'canvases.nothing');
        } else if (running.prompt) {
            texts.unbind(job);
            setText(job, running.prompt);
        } else {
            texts.bind(job, `canvases.kind.${running.kind}`);
        }
        job.title = running?.prompt ?? '';
        skip.disabled = running === null;
        progress.hidden = share === null;
        progress.value = share ?? 0;
    }

    #listen() {
        const { actions } = this.#services;
        const { checkbox, view, pause, blank, skip, edit, remove } = this.#parts;
        const on = (/** @type {HTMLElement} */ target, /** @type {() => void} */ act) =>
            target.addEventListener('click', act);
        checkbox.addEventListener('change', () => actions.select(this.#canvas.slug, checkbox.checked));
        // For whoever has a mouse: the picture is a larger target than the box.
        on(view, () => actions.select(this.#canvas.slug, !checkbox.checked));
        on(pause, () => actions.change(this.#canvas, { paused: !this.#canvas.paused }));
        on(blank, () => actions.change(this.#canvas, { blank: !this.#canvas.blank }));
        on(skip, () => actions.skip(this.#canvas));
        on(edit, () => actions.edit(this.#canvas));
        on(remove, () => actions.remove(this.#canvas));
    }
}

/**
 * @param {string} slug
 * @param {import('../texts.js').Texts} texts
 * @param {HTMLElement} queue
 */
function build(slug, texts, queue) {
    const id = newId('canvas');
    const state = element('span', { className: 'badge canvas-state' });
    const view = element('div', { className: 'canvas-view' }, state);
    const checkbox = element('input', { type: 'checkbox', id });
    const name = element('label', { htmlFor: id, textContent: slug });
    const size = element('span', { className: 'canvas-size' });
    const title = element('h3', { id: `${id}-name` }, name);
    const head = element('div', { className: 'canvas-head' }, checkbox, title, size);
    const { list, figures } = buildFigures(texts);
    const job = element('p', { className: 'canvas-job' });
    const progress = element('progress', { className: 'canvas-progress', max: 1, hidden: true });
    texts.bind(progress, 'canvases.progress', { attribute: 'aria-label' });
    const buttons = buildActions(slug, texts);
    const root = element(
        'article',
        { className: 'canvas-card', 'aria-labelledby': `${id}-name` },
        view, head, list, job, progress, queue, buttons.root,
    );
    root.dataset.slug = slug;
    return { ...buttons, root, view, state, checkbox, size, figures, job, progress };
}

/** @param {import('../texts.js').Texts} texts */
function buildFigures(texts) {
    const list = element('dl', { className: 'canvas-figures' });
    const figures = /** @type {Record<typeof FIGURES[number], HTMLElement>} */ ({});
    for (const name of FIGURES) {
        const term = element('dt');
        texts.bind(term, `canvases.${name}`);
        figures[name] = element('dd');
        list.append(element('div', {}, term, figures[name]));
    }
    return { list, figures };
}

/**
 * @param {string} slug
 * @param {import('../texts.js').Texts} texts
 */
function buildActions(slug, texts) {
    const button = (/** @type {string} */ key, className = 'button button-small') => {
        const made = element('button', { className, type: 'button' });
        texts.bind(made, key);
        return made;
    };
    const link = (/** @type {string} */ key, /** @type {string} */ href) => {
        const made = element('a', { className: 'button button-small', href, target: '_blank', rel: 'noopener' });
        texts.bind(made, key);
        return made;
    };
    const pause = button('canvases.pause');
    const blank = button('canvases.blank');
    const skip = button('canvases.skip');
    const edit = button('canvases.settings');
    const remove = button('canvases.delete', 'button button-small button-danger');
    const root = element(
        'div',
        { className: 'canvas-actions', role: 'group' },
        pause, blank, skip, edit,
        link('canvases.wall', `/c/${slug}`),
        link('canvases.stage', `/stage/${slug}`),
        remove,
    );
    texts.bind(root, 'canvases.actions', { attribute: 'aria-label', values: { name: slug } });
    return { pause, blank, skip, edit, remove, root };
}
