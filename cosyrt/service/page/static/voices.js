// The view of voices: those there are, and making a new one with its owner's consent.

import { ask, call, Refusal } from "/page/api.js";
import { button, byId, clearProblems, make, say, showProblem } from "/page/dom.js";
import { Take } from "/page/recorder.js";
import { hear } from "/page/speak.js";
import { refusalWords, t } from "/page/words.js";

const PROBLEMS = ["clone-name", "reference", "transcript", "consent", "clone", "voices"];
const PLACES = { name: "clone-name", audio_sample: "reference", ref_text: "transcript", recording: "consent", consent: "consent", language: "consent" };
const SENTENCES = {
  "en-US": "This is my own voice. I agree that a synthetic voice is made from it and used with this service.",
  "zh-CN": "这是我本人的声音。我同意用它制作合成音色，并在此服务中使用。",
};

let voices = [];
let reference, consent;

/** Make the view work. */
export function startVoices() {
  reference = new Take(document.querySelector("#reference .take"), (words) => showProblem("reference", words));
  consent = new Take(document.querySelector("#consent .take"), (words) => showProblem("consent", words));
  byId("clone").addEventListener("submit", onSubmit);
  byId("consent-language").addEventListener("change", showSentence);
  document.addEventListener("words", show);
  document.addEventListener("key-changed", loadVoices);
  byId("consent-language").value = document.documentElement.lang === "zh-CN" ? "zh-CN" : "en-US";
  showSentence();
  loadVoices();
}

/** Ask the service for its voices. */
export async function loadVoices() {
  try {
    voices = (await ask("/v1/audio/voices")).data;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    showProblem("voices", error.status ? refusalWords(error) : t(error.code));
  }
  show();
}

function show() {
  showChoices();
  byId("voice-list").replaceChildren(...voices.map(row));
  if (voices.length === 0) byId("voice-list").append(make("li", { className: "muted", textContent: t("no_voices") }));
}

function showChoices() {
  const select = byId("voice");
  const chosen = select.value;
  const groups = Object.groupBy(voices, (voice) => voice.kind ?? "own");
  select.replaceChildren(make("option", { value: "", textContent: t("any_voice") }));
  for (const [kind, members] of Object.entries(groups)) {
    select.append(make("optgroup", { label: kindWords(kind) }, ...members.map(choice)));
  }
  select.value = [...select.options].some((option) => option.value === chosen) ? chosen : "";
}

function choice({ id, name, language }) {
  const option = make("option", { value: id, textContent: language ? `${name} (${language})` : name });
  option.dataset.name = name;
  return option;
}

function kindWords(kind) {
  return t({ model: "of_model", shared: "shared" }[kind] ?? "own");
}

function row(voice) {
  const facts = [voice.language, kindWords(voice.kind)].filter(Boolean).join(" · ");
  const item = make(
    "li",
    {},
    make("div", {}, make("strong", { textContent: voice.name }), " ", make("small", { textContent: facts })),
    button(t("hear"), () => hearSample(voice), "quiet"),
  );
  if (voice.kind === "own") item.append(button(t("delete"), () => remove(voice), "quiet danger"));
  return item;
}

function hearSample(voice) {
  location.hash = "#speak";
  byId("voice").value = voice.id;
  return hear(t(voice.language === "zh" ? "greeting_zh" : "greeting_en"), voice.id);
}

async function remove(voice) {
  if (!confirm(t("delete_sure", { name: voice.name }))) return;
  try {
    await call(`/v1/audio/voices/${encodeURIComponent(voice.id)}`, { method: "DELETE" });
    await loadVoices();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    showProblem("voices", error.status ? refusalWords(error) : t(error.code));
  }
}

async function onSubmit(event) {
  event.preventDefault();
  clearProblems(...PROBLEMS);
  byId("clone-note").textContent = "";
  const missing = whatIsMissing();
  if (missing) return fail(...missing);
  byId("clone-go").disabled = true;
  byId("clone-note").textContent = t("making_voice");
  try {
    const voice = await makeVoice(byId("clone-name").value.trim());
    byId("clone").reset();
    reference.clear();
    consent.clear();
    showSentence();
    byId("clone-note").textContent = t("voice_made", { name: voice.name });
    await loadVoices();
  } catch (error) {
    byId("clone-note").textContent = "";
    if (!(error instanceof Refusal)) throw error;
    if (error.status !== 401) fail(PLACES[error.param] ?? "clone", error.status ? refusalWords(error) : t(error.code));
  } finally {
    byId("clone-go").disabled = false;
  }
}

function whatIsMissing() {
  if (!byId("clone-name").value.trim()) return ["clone-name", t("name_needed")];
  if (!reference.blob) return ["reference", t("reference_needed")];
  if (!consent.blob) return ["consent", t("consent_recording_needed")];
  if (!byId("consent-given").checked) return ["consent", t("consent_needed")];
  return null;
}

function fail(place, words) {
  showProblem(place, words);
  const target = byId(place);
  (target?.matches("input, textarea") ? target : target?.querySelector("button"))?.focus();
  say(words);
}

async function makeVoice(name) {
  const language = byId("consent-language").value;
  const agreed = await ask("/v1/audio/voice_consents", {
    method: "POST",
    body: form({ name, language, statement: SENTENCES[language] }, "recording", consent),
  });
  const fields = { name, consent: agreed.id, ref_text: byId("transcript").value.trim() };
  return ask("/v1/audio/voices", { method: "POST", body: form(fields, "audio_sample", reference) });
}

function form(fields, fileName, take) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value) data.append(name, value);
  data.append(fileName, take.blob, take.name);
  return data;
}

function showSentence() {
  const language = byId("consent-language").value;
  Object.assign(byId("consent-sentence"), { textContent: SENTENCES[language], lang: language });
}
