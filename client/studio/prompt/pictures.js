/** The images that a prompt is painted from: chosen, shown, and put on the server before they are needed. */

import { find } from '../dom.js';
import { tell } from '../problems.js';

/**
 * @typedef {object} Picture
 * @property {HTMLInputElement} input
 * @property {HTMLImageElement} preview
 * @property {HTMLElement} state
 * @property {string | null} id On the server.
 * @property {boolean} isUploading
 */

// The server takes no more.
const MOST_MB = 32;

/**
 * Tell why a file need not be sent; null: it may do.
 *
 * @param {{ size: number }} file
 */
export function problemOfFile({ size }) {
    return size > MOST_MB * 1024 * 1024 ? { key: 'problem.too_big', values: { max: MOST_MB } } : null;
}

export class Pictures {
    #api;
    #texts;
    #onProblem;
    #source = picture('#field-image', '#image-preview', '#image-state');
    #mask = picture('#field-mask', '#mask-preview', '#mask-state');

    /**
     * @param {import('../api.js').Api} api
     * @param {import('../texts.js').Texts} texts
     * @param {(field: string, message: string) => void} onProblem
     */
    constructor(api, texts, onProblem) {
        this.#api = api;
        this.#texts = texts;
        this.#onProblem = onProblem;
        this.#source.input.addEventListener('change', () => void this.#chosen(this.#source, 'upload'));
        this.#mask.input.addEventListener('change', () => void this.#chosen(this.#mask, 'mask'));
        find('#drop-mask').addEventListener('click', () => {
            this.#mask.input.value = '';
            void this.#chosen(this.#mask, 'mask');
            this.#mask.input.focus();
        });
    }

    get sourceId() {
        return this.#source.id;
    }

    get maskId() {
        return this.#mask.id;
    }

    get isUploading() {
        return this.#source.isUploading || this.#mask.isUploading;
    }

    /** @param {boolean} isUsed Whether the model uses a mask. */
    allowMask(isUsed) {
        this.#mask.input.disabled = !isUsed;
    }

    /** Put the images on the server again: it keeps what is not used for a while only. */
    async renew() {
        await this.#upload(this.#source, 'upload');
        await this.#upload(this.#mask, 'mask');
        return this.#source.id !== null;
    }

    /**
     * @param {Picture} chosen
     * @param {string} field
     */
    async #chosen(chosen, field) {
        URL.revokeObjectURL(chosen.preview.src);
        const [file] = chosen.input.files ?? [];
        chosen.preview.hidden = file === undefined;
        if (file === undefined) {
            chosen.preview.removeAttribute('src');
        } else {
            chosen.preview.src = URL.createObjectURL(file);
        }
        find('#drop-mask').hidden = (this.#mask.input.files ?? []).length === 0;
        await this.#upload(chosen, field);
    }

    /**
     * @param {Picture} chosen
     * @param {string} field
     */
    async #upload(chosen, field) {
        const [file] = chosen.input.files ?? [];
        const isStill = () => chosen.input.files?.[0] === file;
        chosen.id = null;
        this.#texts.unbind(chosen.state);
        chosen.state.textContent = '';
        if (file === undefined) {
            chosen.isUploading = false;
            return;
        }
        const problem = problemOfFile(file);
        if (problem !== null) {
            chosen.isUploading = false;
            this.#onProblem(field, this.#texts.t(problem.key, problem.values));
            return;
        }
        chosen.isUploading = true;
        this.#texts.bind(chosen.state, 'source.uploading');
        try {
            const { image } = await this.#api.upload('/images', file);
            if (isStill()) {
                const values = { width: String(image.width), height: String(image.height) };
                this.#texts.bind(chosen.state, 'source.ready', { values });
                chosen.id = image.id;
            }
        } catch (error) {
            if (isStill()) {
                this.#texts.unbind(chosen.state);
                chosen.state.textContent = '';
                this.#onProblem(field, tell(error, this.#texts));
            }
        } finally {
            if (isStill()) {
                chosen.isUploading = false;
            }
        }
    }
}

/**
 * @param {string} input
 * @param {string} preview
 * @param {string} state
 * @returns {Picture}
 */
function picture(input, preview, state) {
    return {
        input: /** @type {HTMLInputElement} */ (find(input)),
        preview: /** @type {HTMLImageElement} */ (find(preview)),
        state: find(state),
        id: null,
        isUploading: false,
    };
}
