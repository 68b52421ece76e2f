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

function show() {
  byId("device").textContent = last?.device ?? "–";
  byId("plan").textContent = last?.plan ? planWords(last.plan) : "–";
  byId("queue").textContent = last?.queued ?? "–";
  byId("about").textContent = last ? [last.model, last.ready ? "" : t("not_ready")].filter(Boolean).join(" · ") : t("unreachable");
}
