// Small helpers around elements of the page.

/** The element of an id. */
export const byId = (id) => document.getElementById(id);

/** Make an element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A button with words, that does something. */
export function button(words, action, name = "") {
  return make("button", { type: "button", className: name, textContent: words, onclick: action });
}

/** Show a problem below what it is about; an empty one is cleared. */
export function showProblem(id, message) {
  const place = byId(`${id}-error`);
  place.textContent = message;
  const field = byId(id);
  if (field?.matches("input, textarea, select")) field.ariaInvalid = message ? "true" : null;
}

/** Clear the problems of several places. */
export function clearProblems(...ids) {
  for (const id of ids) showProblem(id, "");
}

/** Say something to those who listen to the page instead of looking at it. */
export function say(words) {
  byId("said").textContent = words;
}

/** Minutes and seconds. */
export function asClock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Offer bytes as a file to keep. */
export function offerFile(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
