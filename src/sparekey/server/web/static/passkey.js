/* Passkeys: the authenticator signs a challenge of the server, and the form sends the response. */
"use strict";
{
  const known = window.PublicKeyCredential?.parseCreationOptionsFromJSON !== undefined;
  const used = {
    create: async (options) => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }),
    get: async (options) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }),
  };
  /* Errors are written without a capital letter and a full stop. */
  const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
  const words = {
    InvalidStateError: "This authenticator already holds a passkey for this account.",
    NotAllowedError: "No passkey was used. The request was cancelled, took too long, or there is no passkey for this server.",
    SecurityError: "Passkeys do not work at this address. Open this page by the server's name.",
  };

  const asked = async (box, form) => {
    const sent = new URLSearchParams();
    const filled = new FormData(form);
    box.dataset.sends.split(" ").forEach((name) => sent.set(name, filled.get(name) ?? ""));
    const reply = await fetch(box.dataset.question, { method: "POST", headers: { accept: "application/json" }, body: sent, redirect: "error" });
    if (!reply.headers.get("content-type")?.startsWith("application/json")) throw new Error("no question");
    const said = await reply.json();
    if (!reply.ok) throw Object.assign(new Error("refused"), { said });
    return said;
  };

  const sign = async (box, form, button) => {
    const failed = box.querySelector("[data-passkey-failed]");
    failed.hidden = true;
    button.setAttribute("aria-busy", "true");
    try {
      const passkey = await used[box.dataset.passkey](await asked(box, form));
      box.querySelector("input[type=hidden]").value = JSON.stringify(passkey.toJSON());
      form.noValidate = true;
      form.requestSubmit();
    } catch (error) {
      const said = error.said && [error.said.message, error.said.do].filter(Boolean).map(sentence).join(" ");
      failed.firstElementChild.textContent = said || words[error.name] || "Something went wrong. Reload the page and try again.";
      failed.hidden = false;
      button.removeAttribute("aria-busy");
    }
  };

  /* The code of a link follows the #, which browsers never send: no server and no log sees it. Copy it into the form. */
  const code = document.querySelector("[data-from-fragment]");
  if (code && location.hash.length > 1) {
    code.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    code.form.requestSubmit();
  }

  document.querySelectorAll("[data-passkey]").forEach((box) => {
    const form = box.closest("form");
    const button = box.querySelector("button");
    box.hidden = !known;
    document.querySelectorAll(`[data-without-passkeys]`).forEach((each) => { each.hidden = known; });
    button.addEventListener("click", () => {
      // before a passkey is created, let the browser check the fields of the form
      if (box.dataset.passkey === "create" && !form.reportValidity()) return;
      sign(box, form, button);
    });
  });
}
