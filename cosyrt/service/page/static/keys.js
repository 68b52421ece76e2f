// The view of keys: the one that this page sends, and for those who may, all keys of the service.

import { ask, call, currentKey, forgetKey, Refusal, useKey } from "/page/api.js";
import { button, byId, clearProblems, make, showProblem } from "/page/dom.js";
import { refusalWords, t } from "/page/words.js";

const ROUTE = "/admin/keys";
const DAY_S = 86_400;
const STATES = { active: "active", expired: "expired", revoked: "revoked" };

let keys = [];

/** Make the view work. */
export function startKeys() {
  byId("own-key").addEventListener("submit", onUse);
  byId("forget-key").addEventListener("click", onForget);
  byId("make-key").addEventListener("submit", onMake);
  byId("copy-key").addEventListener("click", onCopy);
  document.addEventListener("key-needed", onNeeded);
  document.addEventListener("words", show);
  byId("key").value = currentKey();
  window.addEventListener("hashchange", loadKeys);
  loadKeys();
}

function onNeeded() {
  showProblem("key", t(currentKey() ? "key_wrong" : "needs_key"));
  if (location.hash === "#keys") byId("key").focus();
  else window.addEventListener("hashchange", () => byId("key").focus(), { once: true }); // once it is shown
  location.hash = "#keys";
}

function onUse(event) {
  event.preventDefault();
  clearProblems("key");
  useKey(byId("key").value.trim(), byId("keep-key").checked);
  changed(currentKey() ? "key_used" : "key_forgotten");
}

function onForget() {
  clearProblems("key");
  forgetKey();
  byId("key").value = "";
  changed("key_forgotten");
}

function changed(words) {
  byId("key-note").textContent = t(words);
  document.dispatchEvent(new Event("key-changed"));
  loadKeys();
}

async function loadKeys() {
  if (location.hash !== "#keys") return;
  const response = await fetch(ROUTE, { headers: currentKey() ? { Authorization: `Bearer ${currentKey()}` } : {} })
    .catch(() => null);
  byId("key-admin").hidden = !response?.ok; // a key that may only speak does not see the others
  keys = response?.ok ? (await response.json()).data : [];
  show();
}

function show() {
  byId("key-list").replaceChildren(...keys.map(row));
  if (keys.length === 0) {
    byId("key-list").append(make("li", { className: "muted", textContent: t("no_keys") }));
    byId("new-key-scopes").value = "speech,voices,admin"; // the first one: without it nobody could make others
  }
}

function row(key) {
  const facts = [key.account, key.scopes.join(", "), t(STATES[key.state] ?? "expired")];
  if (key.expires_at) facts.push(t("until", { date: new Date(1000 * key.expires_at).toLocaleDateString() }));
  const item = make(
    "li",
    {},
    make("div", {}, make("strong", { textContent: key.name }), " ", make("small", { textContent: facts.join(" · ") })),
  );
  if (key.state === "active") item.append(button(t("revoke"), () => revoke(key), "quiet danger"));
  return item;
}

async function revoke(key) {
  if (!confirm(t("revoke_sure", { name: key.name }))) return;
  try {
    await call(`${ROUTE}/${encodeURIComponent(key.id)}`, { method: "DELETE" });
    await loadKeys();
  } catch (error) {
    tell("keys", error);
  }
}

async function onMake(event) {
  event.preventDefault();
  clearProblems("new-key", "keys");
  const name = byId("new-key-name").value.trim();
  if (!name) return showProblem("new-key", t("key_name_needed"));
  const days = Number(byId("new-key-days").value);
  const fields = { name, scopes: byId("new-key-scopes").value.split(",") };
  if (days) fields.expires_in_s = days * DAY_S;
  try {
    const made = await ask(ROUTE, { json: fields });
    if (keys.length === 0) adopt(made.key);
    byId("make-key").reset();
    byId("new-key-text").textContent = made.key;
    byId("copy-key").textContent = t("copy");
    byId("copy-key").hidden = !navigator.clipboard; // browsers have it only on https and localhost
    byId("new-key").hidden = false;
    byId("new-key-text").focus();
    await loadKeys();
  } catch (error) {
    tell("new-key", error);
  }
}

/** Send the first key of a service, which from now on answers to nobody without one. */
function adopt(key) {
  useKey(key, false);
  byId("key").value = key;
  changed("key_used");
}

async function onCopy() {
  await navigator.clipboard.writeText(byId("new-key-text").textContent);
  byId("copy-key").textContent = t("copied");
}

function tell(place, error) {
  if (!(error instanceof Refusal)) throw error;
  showProblem(place, error.status ? refusalWords(error) : t(error.code));
}
