// The page: its views, its language, its colours. Read this first; speak.js is where sound begins.

import { startApi } from "/page/api_view.js";
import { byId } from "/page/dom.js";
import { startKeys } from "/page/keys.js";
import { startSpeaking } from "/page/speak.js";
import { watchService } from "/page/status.js";
import { startVoices } from "/page/voices.js";
import { changeLanguage, t, writeWords } from "/page/words.js";

function showView() {
  const views = [...document.querySelectorAll("[data-view]")];
  const chosen = views.find((view) => `#${view.id}` === location.hash) ?? views[0];
  for (const view of views) view.hidden = view !== chosen;
  for (const link of document.querySelectorAll("nav a")) {
    link.ariaCurrent = link.hash === `#${chosen.id}` ? "page" : null;
  }
  document.title = `${t(chosen.id)} · cosyrt`;
}

function startTheme() {
  const root = document.documentElement;
  const kept = localStorage.getItem("cosyrt.theme");
  if (kept) root.dataset.theme = kept;
  byId("theme").addEventListener("click", () => {
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("cosyrt.theme", root.dataset.theme);
    document.dispatchEvent(new Event("theme"));
  });
}

writeWords();
startTheme();
byId("language").addEventListener("click", changeLanguage);
document.addEventListener("words", showView);
window.addEventListener("hashchange", showView);
showView();
startSpeaking();
startVoices();
startKeys();
startApi();
watchService();
