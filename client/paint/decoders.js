/**
 * The ways in which browsers decode images, the usual one first. Which one works is found by trying, for
 * each format: reports of what is quick or broken where contradict each other.
 */

/**
 * @typedef {ImageBitmap | HeldPicture} Picture What was decoded: upright, and nobody's until it is closed.
 */

/**
 * @typedef {object} Way
 * @property {string} name
 * @property {(image: Blob) => Promise<Picture>} decode Never throws at once.
 */

/** A decoded image that is no bitmap. */
export class HeldPicture {
    #free;

    /**
     * @param {CanvasImageSource} source
     * @param {import('../stream/wire.js').Size} size
     * @param {() => void} free Called once, to free what is behind the source.
     */
    constructor(source, { width, height }, free) {
        this.source = source;
        this.width = width;
        this.height = height;
        this.#free = free;
    }

    close() {
        this.#free();
    }
}

/**
 * The ways that may work here.
 *
 * @param {import('../stream/environment.js').Environment} environment
 * @param {any} scope What the browser has: `globalThis` of a page or of a worker.
 * @returns {Way[]}
 */
export function waysOf(environment, scope) {
    /** @type {Way[]} */
    const ways = [{ name: 'bitmap', decode: async (image) => await environment.createImageBitmap(image) }];
    if (scope.ImageDecoder !== undefined) {
        ways.push({ name: 'image-decoder', decode: (image) => decodeByDecoder(scope.ImageDecoder, image) });
    }
    // On a page only: a worker has no elements.
    if (scope.document !== undefined && scope.Image !== undefined) {
        ways.push({ name: 'element', decode: (image) => decodeByElement(scope, image) });
    }
    return ways;
}

/**
 * WebCodecs, in secure contexts. One decoder an image: one that is kept holds on to its data.
 *
 * @param {any} ImageDecoder
 * @param {Blob} image
 */
async function decodeByDecoder(ImageDecoder, image) {
    const decoder = new ImageDecoder({ data: await image.arrayBuffer(), type: image.type });
    try {
        const { image: frame } = await decoder.decode();
        const size = { width: frame.displayWidth, height: frame.displayHeight };
        return new HeldPicture(frame, size, () => frame.close());
    } finally {
        decoder.close();
    }
}

/**
 * An element, on the main thread. Its pixels are freed with the address that they came from.
 *
 * @param {any} scope
 * @param {Blob} image
 */
async function decodeByElement(scope, image) {
    const address = scope.URL.createObjectURL(image);
    const element = new scope.Image();
    const free = () => {
        scope.URL.revokeObjectURL(address);
        element.src = '';
    };
    try {
        element.src = address;
        await element.decode();
    } catch (error) {
        free();
        throw error;
    }
    return new HeldPicture(element, { width: element.naturalWidth, height: element.naturalHeight }, free);
}
