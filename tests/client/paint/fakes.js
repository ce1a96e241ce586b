/** Canvases that compute their pixels in plain JavaScript: as much of a 2D context as the surface uses. */

import { FakeBitmap } from '../fakes.js';

const COLOURS = { '#000000': [0, 0, 0, 1], '#050507': [5, 5, 7, 1] };

// What becomes of a pixel (premultiplied; source, destination), per channel: source * first + destination * second.
const OPERATIONS = {
    'source-over': (source) => [1, 1 - source[3]],
    'copy': () => [1, 0],
    'lighter': () => [1, 1],
    'destination-out': (source) => [0, 1 - source[3]],
};

/** What most screens are asked for. */
export const PLAIN = { fit: 'contain', background: '#050507', isSmooth: true };

/** A bitmap of one colour, as the decoder gives it. */
export function plain(colour, size = {}) {
    return Object.assign(new FakeBitmap(undefined, size), { colour: [...colour, 1] });
}

/** A bitmap of colours of its own, row by row. */
export function painted(rows) {
    const bitmap = new FakeBitmap(undefined, { width: rows[0].length, height: rows.length });
    return Object.assign(bitmap, { pixelAt: (x, y) => rows[y][x] });
}

class FakeContext {
    globalAlpha = 1;
    globalCompositeOperation = 'source-over';
    imageSmoothingEnabled = true;
    imageSmoothingQuality = 'low';
    fillStyle = '#000000';
    drawn = [];
    #saved = [];
    #scale = 1;
    #shift = { x: 0, y: 0 };

    constructor(canvas, hasAlpha) {
        this.canvas = canvas;
        this.hasAlpha = hasAlpha;
    }

    save() {
        const { globalAlpha, globalCompositeOperation, imageSmoothingEnabled, fillStyle } = this;
        const state = { globalAlpha, globalCompositeOperation, imageSmoothingEnabled, fillStyle };
        this.#saved.push({ state, scale: this.#scale, shift: this.#shift });
    }

    restore() {
        const { state, scale, shift } = this.#saved.pop();
        Object.assign(this, state);
        this.#scale = scale;
        this.#shift = shift;
    }

    translate(x, y) {
        this.#shift = { x: this.#shift.x + x * this.#scale, y: this.#shift.y + y * this.#scale };
    }

    scale(factor) {
        this.#scale *= factor;
    }

    drawImage(source, ...numbers) {
        if (source.pixels?.length === 0) {
            throw new Error('InvalidStateError: a canvas without an area');
        }
        const own = [0, 0, source.width, source.height];
        const [sx, sy, sw, sh, x, y, w, h] =
            numbers.length === 8 ? numbers : [...own, ...numbers, ...own.slice(numbers.length)];
        this.drawn.push({ source, x, y, width: w, height: h, isSmooth: this.imageSmoothingEnabled });
        const at = colourOf(source);
        this.#each(x, y, w, h, (px, py) =>
            at(Math.floor(sx + ((px + 0.5 - x) * sw) / w), Math.floor(sy + ((py + 0.5 - y) * sh) / h)));
    }

    fillRect(x, y, width, height) {
        const { fillStyle } = this;
        const scale = this.#scale;
        const { x: left, y: top } = this.#shift;
        const at = (px, py) =>
            (typeof fillStyle === 'string'
                ? COLOURS[fillStyle]
                : fillStyle.at(Math.floor((px + 0.5 - left) / scale), Math.floor((py + 0.5 - top) / scale)));
        this.#each(x * scale + left, y * scale + top, width * scale, height * scale, at);
    }

    clearRect(x, y, width, height) {
        this.#each(x, y, width, height, () => [0, 0, 0, 0], 'copy');
    }

    createPattern(canvas) {
        const { pixels, width, height } = canvas;
        const kept = pixels.slice();
        return { at: (x, y) => kept[(((y % height) + height) % height) * width + (((x % width) + width) % width)] };
    }

    createImageData(width, height) {
        return { width, height, data: new Uint8ClampedArray(4 * width * height) };
    }

    putImageData({ data }) {
        const { pixels } = this.canvas;
        pixels.forEach((_, index) => {
            const [red, green, blue, alpha] = data.slice(4 * index, 4 * index + 4);
            const part = alpha / 255;
            pixels[index] = [red * part, green * part, blue * part, part];
        });
    }

    /** The colour of a pixel, premultiplied; what does not exist is undefined. */
    at(x, y) {
        return this.canvas.pixels[y * this.canvas.width + x];
    }

    #each(x, y, width, height, at, operation = this.globalCompositeOperation) {
        const { pixels, width: wide, height: high } = this.canvas;
        for (let py = Math.max(0, Math.round(y)); py < Math.min(high, Math.round(y + height)); py += 1) {
            for (let px = Math.max(0, Math.round(x)); px < Math.min(wide, Math.round(x + width)); px += 1) {
                const source = at(px, py).map((value) => value * this.globalAlpha);
                const [ours, theirs] = OPERATIONS[operation](source);
                const mixed = pixels[py * wide + px].map((value, index) => source[index] * ours + value * theirs);
                pixels[py * wide + px] = this.hasAlpha ? mixed : [...mixed.slice(0, 3), 1];
            }
        }
    }
}

function colourOf(source) {
    if (source.pixels) {
        return (x, y) => source.pixels[y * source.width + x];
    }
    return source.pixelAt ?? (() => source.colour ?? [0, 0, 0, 1]);
}

/** An offscreen canvas, or with a document an element. */
export class FakeCanvas {
    static made = [];
    static isOutOfMemory = false;
    pixels = [];
    #width;
    #height;
    #context = null;

    constructor(width, height) {
        this.#width = width;
        this.#height = height;
        this.#clear();
        FakeCanvas.made.push(this);
    }

    get width() {
        return this.#width;
    }

    set width(width) {
        this.#width = width;
        this.#clear();
    }

    get height() {
        return this.#height;
    }

    set height(height) {
        this.#height = height;
        this.#clear();
    }

    getContext(_, { alpha = true } = {}) {
        if (FakeCanvas.isOutOfMemory) {
            return null;
        }
        this.#context ??= new FakeContext(this, alpha);
        return this.#context;
    }

    #clear() {
        const empty = this.#context?.hasAlpha === false ? [0, 0, 0, 1] : [0, 0, 0, 0];
        this.pixels = Array.from({ length: this.#width * this.#height }, () => [...empty]);
    }
}

/** A canvas that hangs as it is. */
export function hungWhole(width, height) {
    return { place: { width, height }, view: { x: 0, y: 0, width, height } };
}
