// A recording from the microphone, or a file in its place.

import { button, make } from "/page/dom.js";
import { t } from "/page/words.js";

const LONGEST_MS = 30_000;

/** Buttons that record or choose, in a place of the page; `blob` is what there is. */
export class Take {
  constructor(place, problem) {
    this.place = place;
    this.problem = problem; // is called with words, or with nothing when all is well
    this.blob = null;
    this.recorder = null;
    document.addEventListener("words", () => this.show());
    this.show();
  }

  /** The name under which it is sent. */
  get name() {
    return this.blob?.name ?? "recording.webm";
  }

  /** Forget what there is. */
  clear() {
    this.blob = null;
    this.show();
  }

  /** Write the buttons, and what there is to hear. */
  show() {
    const records = this.recorder?.state === "recording";
    const canRecord = Boolean(navigator.mediaDevices && window.MediaRecorder);
    const file = make("input", { type: "file", accept: "audio/*,video/*", hidden: true });
    file.addEventListener("change", () => this.#take(file.files[0]));
    this.place.replaceChildren(
      button(t(records ? "finish" : "record"), () => this.#toggle(), records ? "main" : ""),
      button(t("choose"), () => file.click()),
      file,
    );
    this.place.firstChild.disabled = !canRecord;
    if (!canRecord) this.place.append(make("small", { className: "note", textContent: t("no_microphone") }));
    if (this.blob) {
      this.place.append(make("audio", { controls: true, src: URL.createObjectURL(this.blob) }));
    }
  }

  async #toggle() {
    if (this.recorder?.state === "recording") {
      this.recorder.stop();
      return;
    }
    try {
      await this.#record(await navigator.mediaDevices.getUserMedia({ audio: true }));
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      this.problem(t("microphone_refused", { reason: error.message }));
    }
  }

  async #record(stream) {
    const pieces = [];
    this.recorder = new MediaRecorder(stream);
    this.recorder.ondataavailable = (event) => pieces.push(event.data);
    this.recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      this.#take(new Blob(pieces, { type: this.recorder.mimeType }));
    };
    this.recorder.start();
    setTimeout(() => this.recorder.state === "recording" && this.recorder.stop(), LONGEST_MS);
    this.show();
    this.place.firstChild.focus();
  }

  #take(blob) {
    if (!blob) return;
    this.blob = blob;
    this.problem("");
    this.show();
  }
}
