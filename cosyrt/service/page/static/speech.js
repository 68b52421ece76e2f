// One utterance from the service: asked for, received while it is made, stopped, fetched again as a file.

import { call, Refusal } from "/page/api.js";
import { Sound, wavFile } from "/page/sound.js";

const ROUTE = "/v1/audio/speech";

/** A piece of speech and what is known of how it was made. */
export class Speech {
  constructor(fields) {
    this.fields = fields; // of the request; the seed is among them, so that it can be made again
    this.voiceName = "";
    this.sound = null;
    this.firstAudioMs = 0;
    this.madeInS = 0;
    this.ignored = "";
    this.stopping = new AbortController();
  }

  /** Seconds of work for one second of sound. */
  get realTimeFactor() {
    return this.sound?.length ? this.madeInS / this.sound.seconds : 0;
  }

  /** Receive the sound; `begun` is called with it when its first samples are there. */
  async receive(begun) {
    const asked = performance.now();
    const response = await call(ROUTE, {
      json: { ...this.fields, response_format: "pcm" },
      signal: this.stopping.signal,
    });
    this.sound = new Sound(Number(response.headers.get("X-Audio-Sample-Rate")) || 24_000);
    this.sound.label = decodeURIComponent(response.headers.get("X-AIGC") ?? "");
    this.ignored = response.headers.get("X-Ignored-Fields") ?? "";
    try {
      for await (const bytes of parts(response.body)) {
        this.madeInS = (performance.now() - asked) / 1000;
        const isFirst = this.sound.length === 0;
        if (isFirst) this.firstAudioMs = performance.now() - asked;
        this.sound.push(bytes);
        if (isFirst) begun(this);
      }
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0, { code: "lost" });
    } finally {
      this.sound.end();
    }
  }

  /** Leave off; the service stops working on it. */
  stop() {
    this.stopping.abort();
  }

  /** The speech as a file: WAV from the samples that are here, else made again, the same by its seed. */
  async file(format) {
    if (format === "wav") return wavFile(this.sound);
    const response = await call(ROUTE, { json: { ...this.fields, response_format: format } });
    return response.blob();
  }
}

async function* parts(stream) {
  const reader = stream.getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    reader.releaseLock();
  }
}

/** A seed that nobody chose. */
export function anySeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
