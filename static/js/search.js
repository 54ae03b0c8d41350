// The search of every page, and its keys. app.js fetches this with the first key, or click, that needs it. Both dialogs
// come from the server; without any of this the same addresses are pages.
"use strict";
globalThis.airdeckKeys ??= (() => {
  const KEPT = "airdeck-single-keys"; // "off": for those whose dictation would press them
  const off = () => localStorage.getItem(KEPT) === "off";

  const open = async (address, id) => {
    if (document.querySelector("dialog[open]")) return null;
    const answer = await fetch(address, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer?.ok || answer.redirected) { location.href = address; return null; } // signed out, or offline: the page says so
    document.getElementById(id)?.remove();
    document.body.insertAdjacentHTML("beforeend", await answer.text());
    const dialog = document.getElementById(id);
    htmx.process(dialog);
    const style = dialog.querySelector("link");
    if (!style.sheet) await new Promise((done) => { style.onload = done; style.onerror = done; });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
    });
    dialog.showModal(); // keeps the focus inside, closes on Escape, and gives the focus back
    dialog.addEventListener("close", () => dialog.remove());
    return dialog;
  };

  const search = async (address, ready) => {
    const dialog = await open(address, "palette"), early = ready();
    if (!dialog) return;
    const field = dialog.querySelector("input"), list = dialog.querySelector("[role=listbox]");
    const options = () => [...list.querySelectorAll("[role=option]")];
    let chosen = null, waits = false; // Enter was pressed before the answer to what was typed had come
    const choose = (option, { scroll = true } = {}) => {
      chosen?.setAttribute("aria-selected", "false");
      chosen = option ?? null;
      if (!chosen) { field.removeAttribute("aria-activedescendant"); return; }
      chosen.setAttribute("aria-selected", "true");
      field.setAttribute("aria-activedescendant", chosen.id);
      if (scroll) chosen.scrollIntoView({ block: "nearest" });
    };
    const answered = () => list.firstElementChild?.dataset.q === field.value.trim();
    const drawn = () => {
      choose(options()[0]);
      dialog.querySelector(".palette__none").hidden = Boolean(chosen);
      dialog.querySelector("[data-spoken]").textContent = list.firstElementChild?.dataset.summary ?? "";
      if (waits && answered()) chosen?.click();
      waits = false;
    };
    list.addEventListener("htmx:afterSwap", drawn);
    list.addEventListener("mousemove", ({ target }) => {
      const option = target.closest("[role=option]");
      if (option && option !== chosen) choose(option, { scroll: false });
    });
    field.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], all = options();
      if (step && all.length) {
        event.preventDefault();
        choose(all.at((all.indexOf(chosen) + step) % all.length));
      } else if (event.key === "Enter" && !event.isComposing) {
        event.preventDefault();
        if (answered()) chosen?.click(); else waits = true;
      }
    });
    drawn();
    if (!early) return;
    field.value = early;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const singles = (root) => {
    const row = root.querySelector("[data-single-keys]"), box = row?.querySelector("input");
    if (!box) return;
    row.hidden = false;
    box.checked = !off();
    box.addEventListener("change", () => localStorage.setItem(KEPT, box.checked ? "on" : "off"));
  };
  singles(document);
  return {
    search,
    keys: async (address) => { const dialog = await open(address, "keys"); if (dialog) singles(dialog); },
  };
})();
