/**
 * The wire protocol `psyche.v1` in msgpack: bytes to messages and back. Nothing here knows a socket.
 *
 * A message that breaks the protocol raises `WireError` with the field's name; unknown types and
 * fields pass, so that an older page lives with a newer server.
 */

import { decode, encode } from '../vendor/msgpack.js';

export const SUB_PROTOCOL = 'psyche.v1.msgpack';

/** Kinds of jobs that paint one picture, or each of several as soon as it is done: they have no rate. */
export const SINGLE_PICTURES = new Set(['once', 'variations']);

/**
 * @typedef {object} Size
 * @property {number} width Pixels.
 * @property {number} height Pixels.
 */

/**
 * @typedef {object} CanvasRecord A canvas as `GET /canvases` tells it; what is used here.
 * @property {string} slug
 * @property {number} width Pixels.
 * @property {number} height Pixels.
 * @property {string} [epoch] This incarnation of the canvas: another one after it was deleted and made again.
 * @property {boolean} [temporary] Made by a screen that named it, and no part of the wall.
 * @property {number} [fps] Pictures a second.
 * @property {Transition | null} [transition] Absent: a cut.
 */

/**
 * @typedef {object} Transition How one picture becomes the next.
 * @property {'cut' | 'cross-fade' | 'dissolve' | 'wipe'} kind
 * @property {number} duration_s Of a kind that this browser does not know it may be missing.
 */

/**
 * @typedef {object} Hello
 * @property {'hello'} type
 * @property {string} epoch
 * @property {CanvasRecord} canvas
 * @property {number} [server_time_ms] When it was said, on the server's clock.
 * @property {Record<string, number>} [limits] What this connection may do; `audio_per_s`.
 * @property {string[]} [features] What the server takes from this connection beside the protocol's core: `audio`.
 * @property {number} [subscriber] This connection's number in `GET /state`.
 */

/**
 * @typedef {object} Job What is being painted; what pages of screens use of it.
 * @property {string} id
 * @property {string} kind
 * @property {string} state
 * @property {string} [source]
 * @property {string | null} [author]
 * @property {string | null} [message]
 * @property {string} [prompt]
 * @property {{ fps?: number | null }} [parameters] What it was asked with.
 * @property {number | null} [step]
 * @property {number | null} [total_steps]
 * @property {number | null} [created_ms] Instants are on the server's clock.
 * @property {number | null} [started_ms]
 * @property {number | null} [ends_ms]
 */

/**
 * @typedef {object} Frame
 * @property {'frame'} type
 * @property {number} sequence +1 per published frame, within an epoch.
 * @property {number} timestamp_ms When the picture was finished, on the server's clock.
 * @property {number} [published_ms] When it was published, on the server's clock.
 * @property {'jpeg' | 'webp' | 'png'} format
 * @property {number} width Pixels.
 * @property {number} height Pixels.
 * @property {string} [tier] Scale, format and quality that the server chose for this screen; the same sequence
 *     may come again in a better one.
 * @property {string | null} [job]
 * @property {boolean} [final] No other picture follows by itself.
 * @property {Record<string, number>} [stages] When it was painted, published and encoded, on the server's clock.
 * @property {number | null} [present_at_ms] When every screen shows it, on the server's clock; absent: at once.
 * @property {Uint8Array<ArrayBuffer>} image The encoded image: a view of the message, not a copy.
 */

/**
 * @typedef {object} Status
 * @property {'status'} type
 * @property {'idle' | 'painting' | 'paused' | 'blank' | 'unavailable'} state
 * @property {Job | null} [job] The active one.
 * @property {{ length: number, next: Job[] } | null} [queue] How many jobs wait, and the first of them.
 * @property {Transition | null} [transition] From the next picture on.
 */

/**
 * @typedef {object} Time
 * @property {'time'} type
 * @property {number} client_sent_ms
 * @property {number} server_time_ms
 */

/**
 * @typedef {object} Bye
 * @property {'bye'} type
 * @property {string} reason
 * @property {boolean} reconnect
 */

/** @typedef {Hello | Frame | Status | Time | Bye} ServerMessage */

/** The peer broke the protocol. */
export class WireError extends Error {
    name = 'WireError';
}

/** @type {(value: any) => boolean} */
const isNumber = (value) => Number.isFinite(value);
/** @type {(value: any) => boolean} */
const isSequence = (value) => Number.isSafeInteger(value) && value >= 0;
/** @type {(value: any) => boolean} */
const isLength = (value) => Number.isSafeInteger(value) && value > 0;
/** @type {(value: any) => boolean} */
const isString = (value) => typeof value === 'string';
/** @type {(value: any) => boolean} */
const isBoolean = (value) => typeof value === 'boolean';
/** @type {(value: any) => boolean} */
const isBytes = (value) => value instanceof Uint8Array;
/** @type {(value: any) => boolean} */
const isMap = (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && !isBytes(value);
/** @type {(value: any) => boolean} */
const isFormat = (value) => value === 'jpeg' || value === 'webp' || value === 'png';
/** @type {(isValid: (value: any) => boolean) => (value: any) => boolean} */
const optional = (isValid) => (value) => value === undefined || value === null || isValid(value);
// A kind that this browser does not know, or one without a duration, is no error: it cuts.
/** @type {(value: any) => boolean} */
const isTransition = (value) => isMap(value) && isString(value.kind);
/** @type {(value: any) => boolean} */
const isQueue = (value) => isMap(value) && isSequence(value.length) && Array.isArray(value.next);
/** @type {(value: any) => boolean} */
const isNames = (value) => Array.isArray(value) && value.every(isString);
/** @type {(value: any) => boolean} */
const isCanvas = (value) =>
    isMap(value) &&
    isString(value.slug) &&
    isLength(value.width) &&
    isLength(value.height) &&
    optional(isNumber)(value.fps) &&
    optional(isTransition)(value.transition);

/**
 * What this browser relies on; the other fields of the protocol are not looked at.
 *
 * @type {Map<string, [string, (value: any) => boolean][]>}
 */
const RELIED_ON = new Map([
    [
        'hello',
        [
            ['canvas', isCanvas],
            ['server_time_ms', optional(isNumber)],
            ['limits', optional(isMap)],
            ['features', optional(isNames)],
        ],
    ],
    [
        'frame',
        [
            ['sequence', isSequence],
            ['timestamp_ms', isNumber],
            ['published_ms', optional(isNumber)],
            ['format', isFormat],
            ['width', isLength],
            ['height', isLength],
            ['tier', optional(isString)],
            ['stages', optional(isMap)],
            ['present_at_ms', optional(isNumber)],
            ['image', isBytes],
        ],
    ],
    [
        'status',
        [
            ['state', isString],
            ['job', optional(isMap)],
            ['queue', optional(isQueue)],
            ['transition', optional(isTransition)],
        ],
    ],
    [
        'time',
        [
            ['client_sent_ms', isNumber],
            ['server_time_ms', isNumber],
        ],
    ],
    [
        'bye',
        [
            ['reason', isString],
            ['reconnect', isBoolean],
        ],
    ],
]);

/**
 * Read a message of the server.
 *
 * @param {unknown} data What the socket gave: binary messages as `ArrayBuffer`.
 * @returns {ServerMessage | null} Null for a type that this browser does not know.
 * @throws {WireError} If it is no msgpack map with a `type`, or a field is missing or wrong.
 */
export function decodeMessage(data) {
    if (!(data instanceof ArrayBuffer)) {
        throw new WireError('expected a binary message');
    }
    const message = decodeMap(data);
    if (!isString(message.type)) {
        throw new WireError('a message is a map with a string at type');
    }
    const fields = RELIED_ON.get(message.type);
    if (fields === undefined) {
        return null;
    }
    for (const [name, isValid] of fields) {
        if (!isValid(message[name])) {
            throw new WireError(`${message.type}.${name} is missing or wrong`);
        }
    }
    return /** @type {ServerMessage} */ (message);
}

/**
 * @param {ArrayBuffer} data
 * @returns {any}
 */
function decodeMap(data) {
    let message;
    try {
        message = decode(data);
    } catch (error) {
        throw new WireError(`malformed msgpack: ${error instanceof Error ? error.message : error}`);
    }
    if (!isMap(message)) {
        throw new WireError('a message is a map with a string at type');
    }
    return message;
}

/**
 * Write a message to the server; fields that are undefined are left out.
 *
 * @param {{ type: string } & Record<string, unknown>} message
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeMessage(message) {
    return encode(message, { ignoreUndefined: true });
}
