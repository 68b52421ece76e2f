// The view where text becomes sound: the form, the player, the figures, the history.

import { Refusal } from "/page/api.js";
import { asClock, button, byId, clearProblems, make, offerFile, say, showProblem } from "/page/dom.js";
import { Player } from "/page/player.js";
import { anySeed, Speech } from "/page/speech.js";
import { drawWave, shownSeconds } from "/page/waveform.js";
import { refusalWords, t } from "/page/words.js";

const FIELDS = { input: "text", voice: "voice", speed: "speed", instructions: "instructions", seed: "seed" };
const PROBLEMS = [...Object.values(FIELDS), "speech", "download"];

const player = new Player();
const history = []; // newest first
let running = null; // the speech that is being received
let shown = null; // the one that the player holds
let countdown = 0; // the timer of a refusal that says when to come back

/** Make the view work. */
export function startSpeaking() {
  byId("speech").addEventListener("submit", onSubmit);
  byId("text").addEventListener("keydown", onKey);
  byId("text").addEventListener("input", showCount);
  byId("speed").addEventListener("input", showSpeed);
  byId("stop").addEventListener("click", stop);
  byId("play").addEventListener("click", playOrPause);
  byId("seek").addEventListener("input", () => player.seek(Number(byId("seek").value)));
  byId("download").addEventListener("click", download);
  document.addEventListener("keydown", (event) => event.key === "Escape" && running && stop());
  document.addEventListener("words", showAll);
  player.addEventListener("change", showPlayer);
  new ResizeObserver(draw).observe(byId("wave"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.addEventListener("theme", draw);
  byId("text").value = t("sample");
  showAll();
}

/** Speak a text with a voice at once, as a sample of it. */
export function hear(text, voice) {
  return begin({ input: text, voice });
}

function onKey(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("speech").requestSubmit();
}

async function onSubmit(event) {
  event.preventDefault();
  const input = byId("text").value;
  clearProblems(...PROBLEMS);
  if (!input.trim()) {
    showProblem("text", t("empty_text"));
    byId("text").focus();
    return;
  }
  const fields = { input, speed: Number(byId("speed").value) };
  if (byId("voice").value) fields.voice = byId("voice").value;
  if (byId("instructions").value.trim()) fields.instructions = byId("instructions").value.trim();
  fields.seed = byId("seed").value === "" ? anySeed() : Number(byId("seed").value);
  await begin(fields);
}

async function begin(fields) {
  stop();
  player.pause();
  clearProblems(...PROBLEMS);
  clearInterval(countdown);
  byId("speech-note").textContent = "";
  const speech = new Speech({ seed: anySeed(), ...fields });
  speech.voiceName = fields.voice ? byId("voice").selectedOptions[0].dataset.name : "";
  running = speech;
  showPlayer();
  say(t("making"));
  try {
    await speech.receive(onFirstAudio);
  } catch (error) {
    if (error.name !== "AbortError") showRefusal(error);
  } finally {
    if (running === speech) running = null;
    showPlayer();
    showFigures();
    if (speech.sound?.length) showHistory();
  }
}

function onFirstAudio(speech) {
  history.unshift(speech);
  if (speech.ignored.includes("instructions")) byId("speech-note").textContent = t("ignored");
  show(speech);
  player.play();
}

function stop() {
  if (!running) return;
  running.stop();
  running = null;
  player.pause();
  showPlayer();
  say(t("stopped"));
}

function showRefusal(error) {
  if (!(error instanceof Refusal)) throw error;
  const message = error.status ? refusalWords(error) : t(error.code);
  if (error.status === 401) return; // told where the key is given
  if (error.retryAfterS) return showCountdown(message, error.retryAfterS);
  showProblem(FIELDS[error.param] ?? "speech", message);
  byId(FIELDS[error.param])?.focus();
}

function showCountdown(message, seconds) {
  const end = performance.now() + 1000 * seconds;
  const tell = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    showProblem("speech", left > 0 ? t("again_in", { message, s: left }) : t("again_now", { message }));
    if (left <= 0) clearInterval(countdown);
  };
  tell();
  countdown = setInterval(tell, 1000);
}

function show(speech) {
  shown = speech;
  player.load(speech.sound);
  showHistory();
  showFigures();
  requestAnimationFrame(follow);
}

function playOrPause() {
  if (player.state === "playing" || player.state === "waiting") player.pause();
  else player.play();
}

async function download() {
  const format = byId("format").value;
  const words = byId("download");
  clearProblems("download");
  words.disabled = true;
  words.textContent = t("preparing", { format });
  try {
    offerFile(await shown.file(format), `speech.${format}`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    showProblem("download", error.status ? refusalWords(error) : t(error.code));
  } finally {
    words.textContent = t("download");
    showButtons();
  }
}

function follow() {
  draw();
  const moves = running || player.state === "playing" || player.state === "waiting";
  if (moves) requestAnimationFrame(follow);
}

function draw() {
  const sound = isAsking() ? null : player.sound;
  drawWave(byId("wave"), sound, player.position);
  byId("clock").textContent = asClock(sound ? player.position : 0);
  byId("length").textContent = asClock(sound?.seconds ?? 0);
  if (!sound) return;
  Object.assign(byId("seek"), { max: shownSeconds(sound).toFixed(2), disabled: sound.length === 0 });
  if (document.activeElement !== byId("seek") || player.state === "playing") {
    byId("seek").value = player.position;
  }
  byId("seek").ariaValueText = `${asClock(player.position)} / ${asClock(sound.seconds)}`;
  if (shown) showFigures();
}

function showPlayer() {
  byId("player").dataset.state = isAsking() ? "asking" : player.state;
  byId("hint").textContent = t(isAsking() ? "asking" : "wave_hint");
  const plays = player.state === "playing" || player.state === "waiting";
  byId("play").ariaLabel = t(plays ? "pause" : "play");
  showButtons();
  requestAnimationFrame(follow);
}

function isAsking() {
  return running !== null && running !== shown; // its first audio has not come
}

function showButtons() {
  byId("stop").disabled = !running;
  byId("play").disabled = !player.sound || isAsking();
  byId("download").disabled = !shown?.sound.done || isAsking();
  byId("speech").ariaBusy = running ? "true" : "false";
}

function showFigures() {
  if (!shown) return;
  byId("first-audio").textContent = `${Math.round(shown.firstAudioMs)} ms`;
  byId("rtf").textContent = shown.realTimeFactor.toFixed(2);
  byId("gaps").textContent = player.gaps;
}

function showHistory() {
  byId("history-empty").hidden = history.length > 0;
  byId("history").replaceChildren(...history.map(entry));
}

function entry(speech) {
  const { input } = speech.fields;
  const facts = [
    speech.voiceName || t("any_voice"),
    speech.sound.done ? t("made", { s: speech.sound.seconds.toFixed(1) }) : t("still_made"),
    `${t("first_audio")} ${Math.round(speech.firstAudioMs)} ms`,
  ];
  const item = make(
    "li",
    {},
    make("div", {}, make("span", { className: "what", textContent: input }), make("small", { textContent: facts.join(" · ") })),
    make(
      "div",
      { className: "buttons" },
      button(t("play"), () => replay(speech), "quiet"),
      button(t("use_text"), () => reuse(speech), "quiet"),
      button(t("remove"), () => remove(speech), "quiet"),
    ),
  );
  if (speech === shown) item.ariaCurrent = "true";
  return item;
}

function replay(speech) {
  show(speech);
  player.play();
}

function reuse(speech) {
  byId("text").value = speech.fields.input;
  showCount();
  byId("text").focus();
}

function remove(speech) {
  history.splice(history.indexOf(speech), 1);
  if (speech === running) stop();
  showHistory();
  byId("text").focus();
}

function showCount() {
  byId("count").textContent = t("characters", { n: byId("text").value.length });
}

function showSpeed() {
  byId("speed-shown").textContent = `${Number(byId("speed").value).toFixed(2)}×`;
}

function showAll() {
  showCount();
  showSpeed();
  showPlayer();
  showHistory();
  draw();
}
