// What the service says of itself: device, plan and queue, asked for while the page is looked at.

import { byId } from "/page/dom.js";
import { t } from "/page/words.js";

const EVERY_MS = 2_000;

let last = null;

/** Keep the figures of the service up to date. */
export function watchService() {
  document.addEventListener("words", show);
  document.addEventListener("visibilitychange", () => document.hidden || look());
  look();
  setInterval(() => document.hidden || look(), EVERY_MS);
}

async function look() {
  const response = await fetch("/ready").catch(() => null);
  last = (await response?.json().catch(() => null)) ?? null;
  show();
}

function planWords(plan) {
  const backends = new Set(Object.values(plan));
  return backends.size ? [...backends].join(", ") : t("plain");
}

function aboutWords({ model, ready, database }) {
  const words = [model];
  if (!ready) words.push(t("not_ready"));
  if (database && database !== "ok") words.push(t("no_database"));
  return words.join(" · ");
}

function show() {
  byId("device").textContent = last?.device ?? "–";
  byId("plan").textContent = last?.plan ? planWords(last.plan) : "–";
  const parts = (last?.rolled_back ?? []).join(", ");
  byId("plan-note").textContent = parts ? t("rolled_back", { parts }) : "";
  byId("queue").textContent = last?.queued ?? "–";
  byId("about").textContent = last ? aboutWords(last) : t("unreachable");
}
