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
    const body = exampleOf(operation);
    if (body) item.append(make("pre", { tabIndex: 0, textContent: curl(method, path, body) }));
    return item;
  });
}

/** Words between backticks are code. */
function marked(text) {
  return text.split("`").map((words, at) => (at % 2 ? make("code", { textContent: words }) : words));
}

/** Options of curl that send the example of a route, of JSON or of a form; nothing where it takes no body. */
function exampleOf(operation) {
  const content = operation.requestBody?.content ?? {};
  const { schema, example } = content["application/json"] ?? {};
  const json = example ?? (named(schema) ?? schema)?.examples?.[0];
  if (json) return `-H 'Content-Type: application/json' -d ${quoted(JSON.stringify(json))}`;
  const form = Object.entries(content["multipart/form-data"]?.example ?? {});
  return form.map(([name, value]) => `-F ${quoted(`${name}=${value}`)}`).join(" ");
}

function named(schema) {
  const name = schema?.$ref?.split("/").at(-1);
  return name && description.components?.schemas?.[name];
}

function quoted(words) {
  return `'${words.replaceAll("'", "'\\''")}'`;
}

function curl(method, path, body) {
  const verb = method === "post" ? "" : ` -X ${method.toUpperCase()}`;
  return `curl${verb} ${location.origin}${path} ${body}`;
}
