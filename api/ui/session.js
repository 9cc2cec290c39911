// Signing in where the server asks for a key: the key goes to the server once and comes back as a cookie that no script reads.

import { at, call, say } from "./net.js";

/** Shows the dialog; after signing in the page starts anew. */
function open() {
  const dialog = at("sign-in");
  if (!dialog.open) dialog.showModal();
}

export function start() {
  addEventListener("wellspring:unauthenticated", open);
  at("sign-in-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const status = at("sign-in-status");
    try {
      await call("POST", "/v1/session", { key: at("sign-in-key").value });
      location.reload();
    } catch (error) {
      say(status, error.message, "bad");
    }
  });
}
