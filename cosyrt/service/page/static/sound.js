// One piece of speech: 16-bit samples that grow while they come, and the loudness of each hundredth of a second.

const PEAKS_A_SECOND = 100;

/** Samples of one rate, and what is known of them. */
export class Sound extends EventTarget {
  constructor(rate) {
    super();
    this.rate = rate;
    this.length = 0; // samples that are there
    this.done = false; // whether more will come
    this.peaks = []; // 0 to 1, each of a hundredth of a second
    this.label = ""; // of synthetic speech, as the service wrote it
    this.samples = new Int16Array(rate * 10);
    this.halfSample = new Uint8Array(0);
  }

  get seconds() {
    return this.length / this.rate;
  }

  /** Add bytes of little-endian samples, cut anywhere. */
  push(bytes) {
    const all = new Uint8Array(this.halfSample.length + bytes.length);
    all.set(this.halfSample);
    all.set(bytes, this.halfSample.length);
    const whole = all.length & ~1;
    this.halfSample = all.slice(whole);
    this.#append(new Int16Array(all.buffer, 0, whole / 2));
    this.dispatchEvent(new Event("grown"));
  }

  /** Say that no more samples come. */
  end() {
    this.done = true;
    this.dispatchEvent(new Event("grown"));
  }

  /** Samples from one position to another, as floats. */
  floats(from, to) {
    const part = new Float32Array(to - from);
    for (let i = 0; i < part.length; i++) part[i] = this.samples[from + i] / 32768;
    return part;
  }

  #append(samples) {
    if (this.length + samples.length > this.samples.length) {
      const room = new Int16Array(2 * (this.length + samples.length));
      room.set(this.samples.subarray(0, this.length));
      this.samples = room;
    }
    this.samples.set(samples, this.length);
    this.length += samples.length;
    this.#measure();
  }

  #measure() {
    const step = this.rate / PEAKS_A_SECOND;
    while ((this.peaks.length + 1) * step <= this.length) {
      const from = Math.floor(this.peaks.length * step);
      let peak = 0;
      for (let i = from; i < from + step; i++) peak = Math.max(peak, Math.abs(this.samples[i]));
      this.peaks.push(peak / 32768);
    }
  }
}

/** A WAV file of a sound, with its label where other programs look for it. */
export function wavFile(sound) {
  const tags = sound.label ? listOfTags({ AIGC: sound.label, ICMT: "AI-generated speech" }) : new Uint8Array(0);
  const data = sound.samples.slice(0, sound.length);
  const head = new DataView(new ArrayBuffer(36));
  writeText(head, 0, "RIFF");
  head.setUint32(4, 4 + 24 + tags.length + 8 + data.byteLength, true);
  writeText(head, 8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // samples as they are
  head.setUint16(22, 1, true); // one channel
  head.setUint32(24, sound.rate, true);
  head.setUint32(28, 2 * sound.rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  const start = new DataView(new ArrayBuffer(8));
  writeText(start, 0, "data");
  start.setUint32(4, data.byteLength, true);
  return new Blob([head.buffer, tags, start.buffer, data.buffer], { type: "audio/wav" });
}

function listOfTags(tags) {
  const parts = Object.entries(tags).map(([name, value]) => chunk(name, new TextEncoder().encode(`${value}\0`)));
  return chunk("LIST", joined([new TextEncoder().encode("INFO"), ...parts]));
}

function chunk(name, body) {
  const head = new DataView(new ArrayBuffer(8));
  writeText(head, 0, name);
  head.setUint32(4, body.length, true);
  return joined([new Uint8Array(head.buffer), body, new Uint8Array(body.length % 2)]);
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function writeText(view, at, text) {
  for (let i = 0; i < text.length; i++) view.setUint8(at + i, text.charCodeAt(i));
}
