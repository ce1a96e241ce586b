/** Doubles for the tests of the studio. */

/** A job as the server tells it. */
export function job(id, changes = {}) {
    const { parameters = {}, ...others } = changes;
    return {
        id,
        canvas: 'left',
        kind: 'once',
        state: 'running',
        source: 'api',
        author: null,
        message: null,
        prompt: `prompt of ${id}`,
        parameters: {
            negative_prompt: '', model: null, style: null, width: null, height: null, steps: null,
            guidance_scale: null, seed: 7, strength: null, template: null, upscale: null, count: 1, fps: null,
            transition_s: 0, folder: null, loop: false, ...parameters,
        },
        step: 0,
        total_steps: 0,
        position: null,
        created_ms: 1000,
        started_ms: 1000,
        ends_ms: null,
        images: [],
        preview: `/jobs/${id}/preview`,
        warnings: [],
        loading: null,
        error: null,
        reason: null,
        ...others,
    };
}

/** A picture of a job, as the server tells it. */
export function image(changes = {}) {
    const { metadata = {}, ...others } = changes;
    return {
        url: '/jobs/a/images/0',
        format: 'jpeg',
        width: 512,
        height: 512,
        metadata: {
            model: 'procedural', engine: 'procedural', is_neural: false, device: 'cpu', seed: 7, steps: 20,
            guidance_scale: 1.5, style: '', warnings: [], queued_for_ms: 4, painted_for_ms: 1500, encoded_for_ms: 3,
            prompt: 'prompt of a', stage_ms: { text: 2, denoise: 1400 }, upscaler: '', ...metadata,
        },
        ...others,
    };
}

/** A model as the server offers it. */
export function model(name, changes = {}) {
    return {
        name, description: '', engine: 'procedural', state: 'ready', default_width: 512, default_height: 512,
        default_steps: 4, default_guidance_scale: 2, min_size: 64, max_size: 1024, max_steps: 50,
        uses_negative_prompt: true, uses_guidance: true, paints_from_source: true, paints_from_mask: true,
        error: '', aliases: [], ...changes,
    };
}

/** What stands for an element where only its text and its attributes matter. */
export class FakeElement {
    textContent = '';
    attributes = new Map();

    setAttribute(name, value) {
        this.attributes.set(name, value);
    }

    getAttribute(name) {
        return this.attributes.get(name) ?? null;
    }
}

/** An element and its children, as far as a keyed list needs them: what leaves the page loses the focus. */
export class FakeNode {
    children = [];
    parent = null;
    moves = 0;
    isHidden = false;
    #document = { activeElement: null };

    constructor(name = '') {
        this.name = name;
    }

    get ownerDocument() {
        return this.parent?.ownerDocument ?? this.#document;
    }

    get firstElementChild() {
        return this.children[0] ?? null;
    }

    get nextElementSibling() {
        return this.parent.children[this.parent.children.indexOf(this) + 1] ?? null;
    }

    /** Its controls, as the page finds them. */
    get controls() {
        return this.children.filter(({ name }) => name === 'control');
    }

    /** Have one more control. */
    control() {
        return this.add(new FakeNode('control'));
    }

    add(node) {
        this.insertBefore(node, null);
        this.moves = 0;
        return node;
    }

    insertBefore(node, before) {
        node.remove();
        this.moves += 1;
        this.children.splice(before === null ? this.children.length : this.children.indexOf(before), 0, node);
        node.parent = this;
    }

    remove() {
        if (this.parent !== null) {
            const document = this.ownerDocument;
            if (this.contains(document.activeElement)) {
                document.activeElement = null;
            }
            this.parent.children = this.parent.children.filter((child) => child !== this);
            this.parent = null;
        }
    }

    contains(node) {
        return node !== null && (node === this || this.contains(node.parent));
    }

    closest() {
        return this.name === 'panel' ? this : this.parent?.closest() ?? null;
    }

    querySelectorAll() {
        return this.controls;
    }

    focus() {
        if (!this.isHidden) {
            this.ownerDocument.activeElement = this;
        }
    }
}

/** Answers requests from a table, in the words of the server. */
export class FakeServer {
    requests = [];
    answers = new Map();

    /** `answer` is a body, or `{ status, body }`, or an Error for a line that is down; the last one stays. */
    on(request, ...answers) {
        this.answers.set(request, answers);
    }

    fetch = (path, { method = 'GET', headers = {}, body, signal }) => {
        this.requests.push({ method, path, headers, body, signal });
        const waiting = this.answers.get(`${method} ${path}`) ?? [{ status: 404, body: {} }];
        const answer = waiting.length > 1 ? waiting.shift() : waiting[0];
        if (answer instanceof Error) {
            return Promise.reject(answer);
        }
        const { status, body: told } = typeof answer?.status === 'number' ? answer : { status: 200, body: answer };
        const text = typeof told === 'string' ? told : JSON.stringify(told);
        return Promise.resolve({ ok: status < 400, status, text: () => Promise.resolve(text) });
    };
}
