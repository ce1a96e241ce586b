/**
 * How loud something is to somebody who listens, from 0 to 1: a noise gate, and a gain that follows slowly.
 * Pure: it knows decibels and time.
 *
 * What is always there (a fan, the hum of an amplifier, a quiet room) is exactly 0. What was loudest of late is 1,
 * whether the microphone stands beside the drums or at the back of the hall.
 */

// Nothing that anybody would call sound.
const SILENCE_DB = -90;

// How far above what is always there something must be to be heard, and to be heard no longer.
const OPEN_DB = 6;
const SHUT_DB = 4;

// A gap between two notes does not shut the gate.
const HOLD_S = 0.15;

// What is always there is the quietest of late: found soon when it gets quieter, believed slowly when it gets louder.
const FLOOR_FALL_S = 0.4;
const FLOOR_RISE_DB_PER_S = 1.5;

// The loudest of late: a drummer who pauses for a verse must not be followed down.
const PEAK_RISE_S = 0.25;
const PEAK_FALL_DB_PER_S = 1.2;

// From the gate to the loudest at least so much: a room that is just audible is not blown up to 1.
const MIN_SPAN_DB = 24;

// Falling takes time, as the eye does; rising does not.
const RELEASE_S = 0.09;

// Below this it is nothing: what falls by halves would never end.
const NOTHING = 0.004;

export class Loudness {
    #loudestFloorDb;
    #floorDb;
    #peakDb;
    #heldS = 0;
    #isOpen = false;
    #value = 0;

    /**
     * @param {number} [loudestFloorDb] What is louder than this is sound even where it never changes: a long chord of
     *     an organ stays. Decibels of full scale.
     */
    constructor(loudestFloorDb = -42) {
        this.#loudestFloorDb = loudestFloorDb;
        // Whoever begins to listen does not know the room yet: what is steady from the start is not heard.
        this.#floorDb = loudestFloorDb;
        this.#peakDb = loudestFloorDb + OPEN_DB + MIN_SPAN_DB;
    }

    /** Whether there is anything to hear. */
    get isOpen() {
        return this.#isOpen;
    }

    /**
     * Take the loudness of a moment.
     *
     * @param {number} db Of full scale; -Infinity for digital silence.
     * @param {number} stepS Since the last moment.
     * @param {boolean} [isHeard] False: it is not heard whatever it is, and still tells what is always there.
     * @returns {number} From 0 to 1.
     */
    take(db, stepS, isHeard = true) {
        const heardDb = Math.max(SILENCE_DB, db);
        this.#follow(heardDb, stepS);
        this.#gate(heardDb, stepS);
        const gateDb = this.#floorDb + SHUT_DB;
        const topDb = Math.max(this.#peakDb, gateDb + MIN_SPAN_DB);
        const share = Math.min(1, Math.max(0, (heardDb - gateDb) / (topDb - gateDb)));
        const target = this.#isOpen && isHeard ? share : 0;
        const fallen = this.#value * Math.exp(-stepS / RELEASE_S);
        this.#value = Math.max(target, fallen < NOTHING ? 0 : fallen);
        return this.#value;
    }

    /**
     * @param {number} db
     * @param {number} stepS
     */
    #follow(db, stepS) {
        if (db < this.#floorDb) {
            this.#floorDb += (db - this.#floorDb) * (1 - Math.exp(-stepS / FLOOR_FALL_S));
        } else {
            const risen = this.#floorDb + FLOOR_RISE_DB_PER_S * stepS;
            this.#floorDb = Math.min(db, risen, this.#loudestFloorDb);
        }
        if (db > this.#peakDb) {
            this.#peakDb += (db - this.#peakDb) * (1 - Math.exp(-stepS / PEAK_RISE_S));
        } else {
            this.#peakDb = Math.max(db, this.#peakDb - PEAK_FALL_DB_PER_S * stepS);
        }
    }

    /**
     * @param {number} db
     * @param {number} stepS
     */
    #gate(db, stepS) {
        if (db > this.#floorDb + (this.#isOpen ? SHUT_DB : OPEN_DB)) {
            this.#isOpen = true;
            this.#heldS = HOLD_S;
        } else {
            this.#heldS -= stepS;
            this.#isOpen = this.#isOpen && this.#heldS > 0;
        }
    }
}
