// Calls of the service: the key goes along, a refusal becomes an error that knows where it belongs.

const KEPT = "cosyrt.key";

/** What the service refused, and why. */
export class Refusal extends Error {
  constructor(status, { message, param, code } = {}, retryAfterS = 0) {
    super(message || `HTTP ${status}`);
    Object.assign(this, { status, param: param ?? "", code: code ?? "", retryAfterS });
  }
}

/** The key that is sent, or nothing. */
export function currentKey() {
  return sessionStorage.getItem(KEPT) ?? localStorage.getItem(KEPT) ?? "";
}

/** Send this key from now on; kept on the device only if that is wanted. */
export function useKey(key, keep) {
  forgetKey();
  if (key) (keep ? localStorage : sessionStorage).setItem(KEPT, key);
}

/** Send no key any more. */
export function forgetKey() {
  sessionStorage.removeItem(KEPT);
  localStorage.removeItem(KEPT);
}

/** Call a route; gives its response, or throws a Refusal. */
export async function call(path, { json, ...options } = {}) {
  const headers = new Headers(options.headers);
  if (currentKey()) headers.set("Authorization", `Bearer ${currentKey()}`);
  if (json !== undefined) {
    headers.set("Content-Type", "application/json");
    options = { method: "POST", ...options, body: JSON.stringify(json) };
  }
  const response = await fetch(path, { ...options, headers }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, { code: "unreachable" });
  });
  if (!response.ok) throw await refusalIn(response);
  return response;
}

/** Call a route that answers with JSON. */
export async function ask(path, options) {
  return (await call(path, options)).json();
}

async function refusalIn(response) {
  const body = await response.json().catch(() => ({}));
  const retryAfterS = Number(response.headers.get("Retry-After")) || 0;
  const refusal = new Refusal(response.status, body.error, retryAfterS);
  if (response.status === 401) document.dispatchEvent(new CustomEvent("key-needed", { detail: refusal }));
  return refusal;
}
