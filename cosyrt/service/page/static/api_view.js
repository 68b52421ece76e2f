// The view of the API: every route, as the service itself describes it, and a line to try.

import { ask, Refusal } from "/page/api.js";
import { byId, make, showProblem } from "/page/dom.js";
import { refusalWords, t } from "/page/words.js";

let description = null;

/** Make the view work; it asks for the description when it is looked at. */
export function startApi() {
  window.addEventListener("hashchange", load);
  document.addEventListener("key-changed", load);
  load();
}

async function load() {
  if (location.hash !== "#api" || description) return;
  showProblem("api", "");
  try {
    description = await ask("/openapi.json");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    showProblem("api", error.status ? refusalWords(error) : t(error.code));
    return;
  }
  byId("api-list").replaceChildren(...Object.entries(description.paths).flatMap(rows));
}

function rows([path, operations]) {
  return Object.entries(operations).map(([method, operation]) => {
    const item = make(
      "li",
      {},
      make(
        "div",
        {},
        make("code", { textContent: `${method.toUpperCase()} ${path}` }),
        make("p", { className: "muted", lang: "en" }, ...marked(operation.description ?? operation.summary ?? "")),
      ),
    );
    const example = exampleOf(operation);
    if (example) item.append(make("pre", { tabIndex: 0, textContent: curl(method, path, example) }));
    return item;
  });
}

/** Words between backticks are code. */
function marked(text) {
  return text.split("`").map((words, at) => (at % 2 ? make("code", { textContent: words }) : words));
}

function exampleOf(operation) {
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  return (named(schema) ?? schema)?.examples?.[0];
}

function named(schema) {
  const name = schema?.$ref?.split("/").at(-1);
  return name && description.components?.schemas?.[name];
}

function curl(method, path, example) {
  const body = JSON.stringify(example).replaceAll("'", "'\\''");
  const verb = method === "post" ? "" : ` -X ${method.toUpperCase()}`;
  return `curl${verb} ${location.origin}${path} -H 'Content-Type: application/json' -d '${body}'`;
}
