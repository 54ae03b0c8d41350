// Conveniences over pages that work without any of this: clocks that tick, a stream that reconnects and says so,
// copy buttons, focus on errors, no double submit, a question before unsaved changes are left.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const ahead = Date.parse(document.documentElement.dataset.now) - Date.now(); // how far the server's clock is ahead

  // Elapsed times
  const clock = (ms) => {
    const seconds = Math.max(0, Math.floor(ms / 1000)), pad = (n) => String(n).padStart(2, "0");
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    if (h >= 24) return `${Math.floor(h / 24)} d ${h % 24} h`;
    return h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
  };
  setInterval(() => all("time[data-since]").forEach((each) => {
    each.textContent = clock(Date.now() + ahead - Date.parse(each.dataset.since));
  }), 1000);

  // The live indicator
  let state = "still", fresh = new Date();
  const show = (next) => {
    state = next;
    const at = fresh.toLocaleTimeString("en-GB");
    const text = { open: `Live, updated ${at}`, wait: `Reconnecting, data from ${at}`,
      offline: `Offline, data from ${at}`, out: "Signed out. Reload the page" }[state];
    all("[data-live]").forEach((each) => { each.dataset.state = state; each.querySelector("[data-live-text]").textContent = text; });
  };
  const updated = () => { fresh = new Date(); if (state === "open") show("open"); };
  const refetch = () => all("[hx-trigger*='sse:resync']").forEach((each) => htmx.trigger(each, "sse:resync"));

  // The stream of the Workspace, which all tabs of the browser share (stream.js)
  let stream = null;
  const wake = () => { if (document.visibilityState === "visible" && stream?.readyState === 0) { stream.wake(); refetch(); } };
  htmx.createEventSource = (url) => {
    stream?.close();
    stream = new SharedStream(url);
    stream.onout = () => show("out");
    return stream;
  };
  addEventListener("htmx:sseOpen", () => { fresh = new Date(); show("open"); });
  addEventListener("htmx:sseError", () => { if (state !== "out") show(navigator.onLine ? "wait" : "offline"); });
  addEventListener("htmx:sseClose", () => show("wait"));
  addEventListener("htmx:sseMessage", updated);
  addEventListener("htmx:afterOnLoad", updated);
  addEventListener("online", wake);
  addEventListener("offline", () => { if (stream) show("offline"); });
  document.addEventListener("visibilitychange", wake);

  // Nothing waits for ever: a part that could not be fetched says so
  ["htmx:responseError", "htmx:sendError", "htmx:timeout"].forEach((name) => addEventListener(name, (event) => {
    all("[data-waits]", event.target).forEach((each) => { each.textContent = each.dataset.waits; });
  }));

  // Speaks once per change: the region says what to say in data-announce
  let spoken = new Map(all("[data-announce]").map((each) => [each.dataset.subject, each.dataset.announce]));
  addEventListener("htmx:afterSettle", (event) => {
    const said = all("[data-announce]", event.target.parentNode ?? document)[0];
    if (!said || spoken.get(said.dataset.subject) === said.dataset.announce) return;
    spoken.set(said.dataset.subject, said.dataset.announce);
    document.getElementById("announce").textContent = said.dataset.announce;
  });

  // Copy and show/hide buttons are only there when they can work
  const reveal = (root) => {
    if (navigator.clipboard) all("[data-copy][hidden]", root).forEach((each) => { each.hidden = false; });
    all("[data-show][hidden]", root).forEach((each) => { each.hidden = false; });
  };
  addEventListener("htmx:load", (event) => reveal(event.target));
  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]"), eye = event.target.closest("[data-show]");
    if (copy) {
      const words = copy.querySelector("[data-copy-text]");
      await navigator.clipboard.writeText(copy.dataset.copy).then(() => { words.textContent = "Copied"; }, () => { words.textContent = "Not copied"; });
      setTimeout(() => { words.textContent = "Copy"; }, 2000);
    }
    if (eye) {
      const input = document.getElementById(eye.dataset.show), hide = input.type === "text";
      input.type = hide ? "password" : "text";
      eye.querySelector("[data-show-text]").textContent = hide ? "Show" : "Hide";
    }
    all("[data-menu][open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("[data-menu][open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });

  // A form is sent once; coming back to the page makes it ready again
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    all("button:not([type=button])", form).forEach((each) => each.setAttribute("aria-disabled", "true"));
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => {
    delete form.dataset.sent;
    all("[aria-disabled]", form).forEach((each) => each.removeAttribute("aria-disabled"));
  }));

  // A guarded form with unsaved changes asks before its page is left; sending it is no leaving
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-guard]");
    if (form) form.dataset.touched = "yes";
  });
  addEventListener("beforeunload", (event) => {
    if (document.querySelector("form[data-touched]:not([data-sent])")) event.preventDefault();
  });

  document.querySelector("[data-focus]")?.focus();
  reveal(document);
})();
