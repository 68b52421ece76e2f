// Plays a sound while it is still being made: each part is a source that starts where the last one ends.
//
// Sources on a clock need neither a worklet nor Media Source Extensions, which browsers lack on plain http
// addresses or for some formats.

const LEAD_S = 0.2; // of audio that is waited for before the first of it is heard
const MOST_LEAD_S = 1.6; // after several gaps: fewer, longer ones are easier to follow
const START_S = 0.03; // from a click until sound that is there already

/** A player of one sound at a time; `change` tells that its state is another. */
export class Player extends EventTarget {
  constructor() {
    super();
    this.sound = null;
    this.state = "idle"; // waiting: for samples; playing; paused; ended
    this.gaps = 0; // times that the samples came too late
    this.contexts = new Map(); // by rate, so that no part is resampled by itself
    this.#forget();
  }

  /** Put a sound in place of another, at its beginning. */
  load(sound) {
    this.#silence();
    this.sound?.removeEventListener("grown", this.fill);
    this.sound = sound;
    this.gaps = 0;
    this.lead = LEAD_S;
    this.at = 0;
    sound.addEventListener("grown", this.fill);
    this.#enter("paused");
  }

  /** Play from where it stands; from the beginning if that is the end. */
  async play() {
    if (!this.sound) return;
    if (this.state === "ended") this.at = 0;
    this.#forget();
    this.#enter("waiting");
    await this.#context().resume();
    if (this.state === "waiting") this.fill();
  }

  /** Fall silent, and stay there. */
  pause() {
    if (this.state !== "playing" && this.state !== "waiting") return;
    this.at = Math.round(this.position * this.sound.rate);
    this.#silence();
    this.#enter("paused");
  }

  /** Go to a time in seconds; what plays goes on from there. */
  seek(seconds) {
    if (!this.sound) return;
    const plays = this.state === "playing" || this.state === "waiting";
    this.#silence();
    this.at = Math.min(Math.max(0, Math.round(seconds * this.sound.rate)), this.sound.length);
    this.#enter(plays ? "waiting" : "paused");
    if (plays) this.fill();
  }

  /** The time that is heard now, in seconds. */
  get position() {
    if (!this.sound) return 0;
    const now = this.#context().currentTime;
    const heard = this.parts.findLast((part) => part.startsAt <= now);
    if (!heard) return this.at / this.sound.rate;
    return Math.min(heard.from + (now - heard.startsAt) * this.sound.rate, heard.to) / this.sound.rate;
  }

  /** Schedule the samples that have come. */
  fill = () => {
    if (this.state !== "playing" && this.state !== "waiting") return;
    const { sound } = this;
    if (this.next < this.at) this.next = this.at;
    if (this.next < sound.length) this.#schedule(sound.length);
    else if (sound.done && this.cursor <= this.#context().currentTime) this.#finish();
  };

  #schedule(to) {
    const context = this.#context();
    const wasLate = this.parts.length > 0 && this.cursor < context.currentTime;
    if (this.parts.length === 0 || wasLate) {
      if (wasLate) this.#noteGap();
      this.cursor = context.currentTime + (this.sound.done ? START_S : this.lead);
    }
    const buffer = context.createBuffer(1, to - this.next, this.sound.rate);
    buffer.copyToChannel(this.sound.floats(this.next, to), 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(context.destination);
    const part = { source, from: this.next, to, startsAt: this.cursor };
    source.onended = () => this.#ended(part);
    source.start(this.cursor);
    this.parts.push(part);
    this.cursor += buffer.duration;
    this.next = to;
    this.#enter("playing");
  }

  #noteGap() {
    this.gaps += 1;
    this.lead = Math.min(2 * this.lead, MOST_LEAD_S);
  }

  #ended(part) {
    if (this.parts.at(-1) !== part) return;
    if (this.sound.done && part.to >= this.sound.length) this.#finish();
    else this.#enter("waiting");
  }

  #finish() {
    this.#forget();
    this.at = this.sound.length;
    this.#enter("ended");
  }

  #silence() {
    for (const { source } of this.parts) {
      source.onended = null;
      source.stop();
    }
    this.#forget();
  }

  #forget() {
    this.parts = []; // scheduled: samples [from, to) at a time of the context
    this.next = 0; // the first sample that is not scheduled
    this.cursor = 0; // when it is to be heard
    this.at ??= 0; // the sample where playing begins
  }

  #context() {
    const { rate } = this.sound;
    if (!this.contexts.has(rate)) this.contexts.set(rate, new AudioContext({ sampleRate: rate }));
    return this.contexts.get(rate);
  }

  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
