/**
 * One canvas on the wall: its elements, its connection and its painter.
 *
 * For tests and for a person with the developer tools, the `<canvas>` says in its data attributes
 * what it shows: `slug`, `sequence`, `job`, `tier` and `timestamp-ms` of the last frame, `presented-ms`
 * (when it was on its way to the screen, on the server's clock) and `age-ms` (how old it was then),
 * `painted` and `corrupt` frames since the page was loaded; its parent says the canvas's `state`. For
 * each frame that was presented, the `<canvas>` sends a `psyche:presented` event that bubbles and says
 * the same in its `detail`: `slug`, `sequence`, `tier`, `timestamp_ms`, `present_at_ms`, `presented_ms`
 * (null while the server's clock is not known yet).
 */

import { Connection } from '../stream/connection.js';
import { Painter } from '../paint/painter.js';
import { NO_SUCH_CANVAS } from '../stream/socket.js';
import { contain, isSameShape } from './layout.js';
import { timeOfDay } from './timestamp.js';
import { Visibility } from './visibility.js';

/**
 * @typedef {object} TileServices What all tiles of a page share.
 * @property {import('../stream/environment.js').Environment} environment
 * @property {import('../paint/decoder.js').Decoder} decoder
 * @property {string[]} formats
 * @property {(slug: string) => string} streamUrl
 * @property {boolean} isVisible Of the page, at the start.
 * @property {number} [maxFps] At most so many frames a second; 0: none.
 * @property {(element: Element, onSight: (isInSight: boolean) => void) => () => void} watchSight
 * @property {() => void} onShape Called when a tile has learned its canvas's size.
 */

// Below this many CSS pixels the two captions would meet.
const NARROW_PX = 190;

// Pictures of one shape for so long have come to stay.
const STEADY_MS = 1000;

export class Tile {
    /** @type {import('../stream/wire.js').Size} */
    #shape;
    /** @type {import('../stream/wire.js').Size | null} Of the last frame. */
    #picture = null;
    /** @type {import('../stream/wire.js').Size | null} Of the frames that the tile is hung for. */
    #hung = null;
    /** @type {any} */
    #hangTimer = null;
    #place = { x: 0, y: 0, width: 1, height: 1 };
    #box = { width: 1, height: 1 };
    #pixelRatio = 1;
    #painted = 0;
    #corrupt = 0;
    #isEnded = false;
    #services;
    /** @type {string | null} */
    #epoch = null;
    #elements;
    #surface;
    #painter;
    #connection;
    #visibility;
    #unwatchSight;

    /**
     * @param {string} slug
     * @param {import('../stream/wire.js').Size | null} shape The canvas's size, where it is known yet.
     * @param {Element} parent Where the tile is put.
     * @param {TileServices} services
     */
    constructor(slug, shape, parent, services) {
        this.slug = slug;
        this.#shape = shape ?? { width: 1, height: 1 };
        this.#services = services;
        this.#elements = build(slug);
        parent.append(this.#elements.tile);
        this.#surface = /** @type {CanvasRenderingContext2D} */ (
            this.#elements.canvas.getContext('2d', { alpha: false })
        );
        this.#painter = this.#makePainter();
        this.#connection = this.#makeConnection();
        this.#visibility = new Visibility(services.environment, services.isVisible, (isVisible) => {
            this.#painter.setVisible(isVisible);
            this.#connection.setVisible(isVisible);
        });
        this.#painter.setVisible(services.isVisible);
        this.#unwatchSight = services.watchSight(this.#elements.tile, (isInSight) => {
            this.#visibility.note('sight', isInSight);
        });
        this.#connection.open();
    }

    /** What the tile is hung for: its pictures' size, the canvas's before the first; a square where nobody has told. */
    get shape() {
        return this.#hung ?? this.#shape;
    }

    /** Whether the server wants this screen no longer. */
    get isEnded() {
        return this.#isEnded;
    }

    /** The incarnation of the canvas that it last received, or null before the first. */
    get epoch() {
        return this.#epoch;
    }

    /** Try again after the end: the canvas is there once more. */
    reopen() {
        this.#isEnded = false;
        this.#connection.open();
    }

    /**
     * Hang the tile.
     *
     * @param {import('./layout.js').Rectangle} place In device pixels.
     * @param {number} pixelRatio Device pixels per CSS pixel.
     */
    hang(place, pixelRatio) {
        this.#place = place;
        this.#pixelRatio = pixelRatio;
        this.#arrange();
        // After the size, so that whoever appears says in one message how large it is.
        this.#visibility.note('area', hasArea(place));
        this.#painter.repaint();
    }

    /** @param {boolean} isVisible Whether the page is. */
    setVisible(isVisible) {
        this.#visibility.note('page', isVisible);
    }

    close() {
        this.#unwatchSight();
        this.#visibility.close();
        this.#services.environment.clearTimer(this.#hangTimer);
        this.#connection.close();
        this.#painter.close();
        this.#elements.tile.remove();
    }

    #makePainter() {
        const { decoder, environment } = this.#services;
        return new Painter(decoder, environment, {
            draw: (bitmap) => this.#draw(bitmap),
            onDrawn: (frame) => this.#label(frame),
            onPresented: (frame, presentedMs) => this.#tellPresented(frame, presentedMs),
            offsetMs: () => this.#connection.offsetMs,
            onCorrupt: () => {
                this.#corrupt += 1;
                this.#elements.canvas.dataset.corrupt = String(this.#corrupt);
            },
        });
    }

    #makeConnection() {
        const { environment, formats, isVisible, maxFps, streamUrl } = this.#services;
        return new Connection(
            streamUrl(this.slug),
            { viewport: this.#box, formats, visible: isVisible, max_fps: maxFps },
            {
                onHello: (hello) => this.#greet(hello),
                onFrame: (frame, acknowledge) => this.#painter.offer(frame, acknowledge),
                onStatus: (status) => {
                    this.#elements.tile.dataset.state = status.state;
                },
                onDown: () => this.#mark('is-down', true),
                onEnd: (code) => this.#end(code),
            },
            environment,
        );
    }

    /** @param {import('../stream/wire.js').Hello} hello */
    #greet(hello) {
        this.#mark('is-down', false);
        this.#painter.restart();
        this.#epoch = hello.epoch;
        const { width, height } = hello.canvas;
        if (width !== this.#shape.width || height !== this.#shape.height) {
            this.#shape = { width, height };
            this.#services.onShape();
        }
    }

    /** @param {number} code */
    #end(code) {
        this.#isEnded = true;
        if (code === NO_SUCH_CANVAS) {
            // Nobody paints here any more: its last picture would be a claim.
            this.#mark('is-painted', false);
        }
    }

    /**
     * Draw at the size of the screen's own pixels.
     *
     * @param {ImageBitmap} bitmap
     */
    #draw(bitmap) {
        // The bitmap's own: a photograph that was taken upright lies on its side in the file.
        const { width, height } = bitmap;
        if (this.#picture === null || !isSameShape(this.#picture, bitmap)) {
            // A rendition's sides are rounded: the canvas's own say its shape better.
            this.#picture = isSameShape(this.#shape, bitmap) ? this.#shape : { width, height };
            this.#arrange();
            this.#hangAnew();
        }
        const { canvas } = this.#elements;
        if (canvas.width !== this.#box.width || canvas.height !== this.#box.height) {
            // Setting either one clears the canvas and its settings: only here, where it is drawn anew.
            canvas.width = this.#box.width;
            canvas.height = this.#box.height;
        }
        this.#surface.imageSmoothingQuality = 'high';
        this.#surface.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    }

    /**
     * Have the wall hang the tile for pictures of another shape, once they have come to stay: pictures that
     * change their shape in turn must not make the others dance. Never at once: a frame is being drawn.
     */
    #hangAnew() {
        const { environment, onShape } = this.#services;
        environment.clearTimer(this.#hangTimer);
        const picture = this.#picture;
        if (picture === null || isSameShape(this.shape, picture)) {
            return;
        }
        const delayMs = this.#hung === null ? 0 : STEADY_MS;
        this.#hangTimer = environment.setTimer(() => {
            this.#hung = picture;
            onShape();
        }, delayMs);
    }

    /** @param {import('../stream/wire.js').Frame} frame */
    #label(frame) {
        this.#painted += 1;
        this.#mark('is-painted', true);
        this.#elements.timestamp.textContent = timeOfDay(frame.timestamp_ms);
        Object.assign(this.#elements.canvas.dataset, {
            sequence: frame.sequence,
            job: frame.job ?? '',
            tier: frame.tier ?? '',
            timestampMs: frame.timestamp_ms,
            painted: this.#painted,
        });
    }

    /**
     * @param {import('../stream/wire.js').Frame} frame
     * @param {number} presentedMs On this browser's clock.
     */
    #tellPresented(frame, presentedMs) {
        const { canvas } = this.#elements;
        const offsetMs = this.#connection.offsetMs;
        const presented_ms = offsetMs === null ? null : presentedMs + offsetMs;
        if (presented_ms !== null) {
            canvas.dataset.presentedMs = presented_ms.toFixed(1);
            canvas.dataset.ageMs = (presented_ms - frame.timestamp_ms).toFixed(1);
        }
        const { sequence, tier, timestamp_ms, present_at_ms } = frame;
        const detail = { slug: this.slug, sequence, tier, timestamp_ms, present_at_ms, presented_ms };
        canvas.dispatchEvent(new CustomEvent('psyche:presented', { bubbles: true, detail }));
    }

    /** Fit the tile to its picture, on whole device pixels. */
    #arrange() {
        const place = this.#place;
        this.#box = contain(this.#picture ?? this.#shape, place);
        const cssPx = (/** @type {number} */ devicePx) => `${devicePx / this.#pixelRatio}px`;
        const { tile } = this.#elements;
        tile.style.left = cssPx(place.x + Math.floor((place.width - this.#box.width) / 2));
        tile.style.top = cssPx(place.y + Math.floor((place.height - this.#box.height) / 2));
        tile.style.width = cssPx(this.#box.width);
        tile.style.height = cssPx(this.#box.height);
        this.#mark('is-narrow', this.#box.width / this.#pixelRatio < NARROW_PX);
        if (hasArea(place)) {
            this.#connection.resize(this.#box);
        }
    }

    /**
     * @param {string} name
     * @param {boolean} isSet
     */
    #mark(name, isSet) {
        this.#elements.tile.classList.toggle(name, isSet);
    }
}

/** @param {import('../stream/wire.js').Size} size */
function hasArea({ width, height }) {
    return width > 0 && height > 0;
}

/** @param {string} slug */
function build(slug) {
    const tile = element('section', 'tile');
    const canvas = element('canvas', 'picture');
    canvas.dataset.slug = slug;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', slug);
    const name = element('p', 'caption slug');
    name.textContent = slug;
    const timestamp = element('p', 'caption timestamp');
    tile.append(element('div', 'placeholder'), canvas, name, timestamp, element('i', 'dot'));
    return { tile, canvas, timestamp };
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} className
 */
function element(name, className) {
    const made = document.createElement(name);
    made.className = className;
    return made;
}
