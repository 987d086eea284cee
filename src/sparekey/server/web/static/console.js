/* What the pages cannot do without a script, and nothing that they need one for. */
"use strict";

/* The server writes moments in the zone of whoever reads them. */
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const kept = encodeURIComponent(zone);
  if (!document.cookie.split("; ").includes(`sparekey-zone=${kept}`)) {
    document.cookie = `sparekey-zone=${kept}; path=/; samesite=strict; max-age=31536000`;
  }
}

/* A row opens the menu of its first button, wherever it is clicked. */
document.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-row]");
  if (!row || event.target.closest("a, button, input, label, [popover]") || getSelection().toString()) return;
  row.querySelector("button[popovertarget], a")?.click();
});

/* In a menu the arrows move; opening it goes to its first entry, closing it back to its button. */
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("[popover].menu")) return;
  if (event.newState === "open") event.target.querySelector("a, button")?.focus();
}, true);
document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("[popover].menu");
  if (!menu || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
  const entries = [...menu.querySelectorAll("a, button")];
  const at = entries.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 }[event.key];
  entries[(to + entries.length) % entries.length]?.focus();
  event.preventDefault();
});

/* On a narrow screen each row of a wide table is a card: its cells say in which column they would stand. */
const labelled = () => document.querySelectorAll("main table:not(#cost table)").forEach((table) => {
  const names = [...table.querySelectorAll("thead th")].map((each) =>
    each.querySelector(".only-read") ? "" : each.textContent.replace(each.querySelector(".sign")?.textContent ?? "", "").trim());
  if (names.length < 3) return;
  table.classList.add("stack");
  table.querySelectorAll("tbody tr").forEach((row) => [...row.cells].forEach((cell, at) => {
    if (cell.matches("td") && !cell.textContent.trim() && !cell.querySelector("input, button")) cell.dataset.blank = "";
    else if (at > 0 && cell.matches("td") && cell.colSpan === 1 && names[at]) cell.dataset.label ??= names[at];
  }));
});
labelled();
document.addEventListener("htmx:after:swap", labelled);

/* A table that is wider than its box can be moved by keyboard, too. */
const reachable = () => document.querySelectorAll(".box.flush").forEach((box) => {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
});
reachable();
addEventListener("resize", reachable);
document.addEventListener("htmx:after:swap", reachable);

/* The search box is one key away. */
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
  document.querySelector("#search")?.focus();
  event.preventDefault();
});

/* Something that is shown for a while only: a code hides after two minutes. */
const hideLater = (shown) => {
  const left = shown.querySelector("[data-left]");
  const end = Date.now() + Number(shown.dataset.hideAfter) * 1000;
  const tick = () => {
    const seconds = Math.max(0, Math.round((end - Date.now()) / 1000));
    if (left) left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (seconds > 0 && shown.isConnected) return setTimeout(tick, 500);
    shown.querySelector("[data-secret]")?.remove();
    shown.querySelector("[data-hides]")?.remove(); /* nothing is left to hide */
    shown.querySelector("[data-hidden-words]")?.removeAttribute("hidden");
  };
  tick();
};
document.querySelectorAll("[data-hide-after]").forEach(hideLater);

/* A page that comes back from the browser's memory could show what was to be hidden. */
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
addEventListener("pagehide", () => document.querySelectorAll("[data-secret]").forEach((each) => each.remove()));

/* A button that was pressed is not pressed twice. */
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.defaultPrevented) return;
  if (button.dataset.sent) return event.preventDefault();
  button.dataset.sent = "yes";
  button.setAttribute("aria-busy", "true");
});

/* All boxes of a list at once; what is done with several is offered when some are chosen. */
const countChosen = () => {
  const chosen = document.querySelectorAll("tbody input[type=checkbox][form]:checked").length;
  document.querySelectorAll("[data-chosen]").forEach((each) => { each.textContent = String(chosen); });
  document.querySelectorAll("[data-bulk]").forEach((each) => { each.hidden = chosen === 0; });
};
document.addEventListener("change", (event) => {
  const table = event.target.closest("table");
  if (!table) return;
  if (event.target.matches("thead input[type=checkbox]")) {
    table.querySelectorAll("tbody input[type=checkbox]").forEach((box) => { box.checked = event.target.checked; });
  }
  countChosen();
});
addEventListener("pageshow", countChosen);
document.addEventListener("htmx:after:settle", countChosen);

/* A file goes with a bar that tells how much of it has gone, and stays chosen for the next step. */
document.addEventListener("submit", (event) => {
  const form = event.target, button = event.submitter;
  if (event.defaultPrevented || !form.matches("form[data-upload]")) return;
  event.preventDefault();
  const [bar, words] = form.querySelectorAll("[data-progress] > *");
  const say = (text) => { bar.parentElement.hidden = false; words.textContent = text; };
  const fail = (text) => {
    say(text);
    bar.hidden = true;
    delete button.dataset.sent;
    button.removeAttribute("aria-busy");
  };
  const most = Number(form.dataset.upload);
  if ([...form.querySelectorAll("input[type=file]")].some((each) => (each.files[0]?.size ?? 0) + 4096 > most)) {
    return fail("The file is too large.");
  }
  bar.hidden = false;
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.upload.onprogress = (gone) => {
    bar.max = gone.total;
    bar.value = gone.loaded;
    say(`${Math.floor((100 * gone.loaded) / gone.total)} % sent`);
  };
  request.upload.onload = () => { bar.removeAttribute("value"); say("Upload complete. The server is reading the file."); };
  request.onerror = () => fail("The server could not be reached. Try again.");
  request.onload = () => {
    if (new URL(request.responseURL).pathname !== new URL(form.action).pathname) return location.assign(request.responseURL);
    const main = new DOMParser().parseFromString(request.responseText, "text/html").querySelector("main");
    if (!main) return fail("The server did not accept the file.");
    form.querySelectorAll("input[type=file], input[type=password]").forEach((kept) => {
      main.querySelector(`#${kept.id}`)?.replaceWith(kept);
    });
    document.querySelector("main").replaceWith(main);
    labelled();
    reachable();
    main.focus();
    scrollTo(0, 0);
  };
  request.send(new FormData(form, button));
});
