// Conveniences over pages that work without any of this: clocks that tick, a stream that reconnects and says so,
// copy buttons, focus on errors, no double submit, a question before unsaved changes are left.
"use strict";
(() => {
  // htmx reads this once the document is there, which is after this script: nothing inline, and nothing from elsewhere
  Object.assign(htmx.config, { includeIndicatorStyles: false, allowEval: false, allowScriptTags: false,
    selfRequestsOnly: true, historyCacheSize: 0, historyRestoreAsHxRequest: false, timeout: 10000, responseHandling: [
      { code: "204", swap: false }, { code: "[23]..", swap: true }, { code: "422", swap: true },
      { code: "[45]..", swap: false, error: true }] });

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
  addEventListener("htmx:afterProcessNode", ({ target }) => stream?.listensFor(target));
  addEventListener("htmx:sseOpen", () => { fresh = new Date(); show("open"); });
  addEventListener("htmx:sseError", () => { if (state !== "out") show(navigator.onLine ? "wait" : "offline"); });
  addEventListener("htmx:sseClose", () => show("wait"));
  addEventListener("htmx:sseMessage", updated);

  // An answer may be older than what was pushed after it was asked for, and would undo that. So a part waits for its last
  // request alone, and no longer for it once the part itself is pushed; what is pushed inside the part comes once more
  // after the answer. htmx forgets the request of a part that is drawn again.
  const asked = new WeakMap();
  const drop = (part) => { const it = asked.get(part); asked.delete(part); it?.xhr.abort(); };
  addEventListener("htmx:beforeSend", ({ target, detail: { xhr } }) => {
    if (!target.hasAttribute("hx-get")) return; // what a person sends is theirs
    drop(target);
    asked.set(target, { xhr, pushed: new Map() });
  });
  addEventListener("htmx:sseBeforeMessage", ({ target, detail }) => {
    drop(target);
    for (let part = target; (part = part.parentElement?.closest("[hx-get]"));) asked.get(part)?.pushed.set(detail.type, detail.data);
  });
  addEventListener("htmx:afterRequest", ({ target, detail: { xhr } }) => {
    const it = asked.get(target);
    if (it?.xhr !== xhr) return;
    asked.delete(target);
    it.pushed.forEach((data, name) => stream?.deliver(name, data));
  });
  addEventListener("htmx:afterOnLoad", ({ detail }) => {
    if (detail.successful) updated(); else if (detail.xhr.status === 401) show("out");
  });
  addEventListener("online", wake);
  addEventListener("offline", () => { if (stream) show("offline"); });
  document.addEventListener("visibilitychange", wake);

  // Nothing waits for ever: a part that could not be fetched says so, and a page that asked for itself may ask again
  let staged = "";
  ["htmx:responseError", "htmx:sendError", "htmx:timeout"].forEach((name) => addEventListener(name, (event) => {
    staged = "";
    all("[data-waits]", event.target).forEach((each) => { each.textContent = each.dataset.waits; });
  }));

  // Speaks once per change: the region says what to say in data-announce
  let spoken = new Map(all("[data-announce]").map((each) => [each.dataset.subject, each.dataset.announce]));
  addEventListener("htmx:afterSettle", (event) => {
    const region = all("[data-announce]", event.target.parentNode ?? document)[0];
    if (!region || spoken.get(region.dataset.subject) === region.dataset.announce) return;
    spoken.set(region.dataset.subject, region.dataset.announce);
    document.getElementById("announce").textContent = region.dataset.announce;
  });

  // A pushed badge names the stage its Deployment is at. What may be done changes with it, so a page that was drawn for
  // another one asks for itself again.
  const restage = () => {
    const page = document.querySelector("[data-stage]"), now = document.querySelector("[data-stage-now]")?.dataset.stageNow;
    if (!page || !now || page.dataset.stage === now || staged === now) return;
    staged = now;
    htmx.trigger(page, "stage");
  };
  addEventListener("htmx:afterSettle", restage);

  // The tab says what the badges say: of the Deployment, or of how many in the list a person should look at.
  const tab = document.getElementById("tab");
  let shown = document.title, title = tab && shown.slice(tab.dataset.before.length);
  const markOf = (badges) => {
    const tones = all(".badge", badges).map((each) => each.dataset.tone);
    return tones.includes("bad") ? "bad" : tones.includes("warn") || badges.querySelector(".silent") ? "warn" : tones[0];
  };
  const wordOf = (badges, mark) => {
    const word = (badges.querySelector(`.badge[data-tone=${mark}]`) ?? badges.querySelector(".badge")).textContent.trim();
    return ["Healthy", "Deleted"].includes(word) ? "" : `${word}: `; // what is usual, and what its page says
  };
  const needing = () => {
    const marks = all("#rows .badges").map((each) => (each.querySelector('[data-icon="circle-question-mark"]') ? "unknown" : markOf(each)));
    const { elsewhere: more, mark = "bad" } = document.querySelector("[data-elsewhere]").dataset, elsewhere = Number(more);
    const count = elsewhere + marks.filter((each) => ["bad", "warn", "unknown"].includes(each)).length;
    return { count, mark: marks.includes("bad") ? "bad" : elsewhere ? mark : count ? "warn" : "plain" };
  };
  const retab = () => {
    const badges = document.querySelector("#head .badges:has(.badge)");
    let before = "", mark = "plain";
    if (badges) { mark = markOf(badges); before = wordOf(badges, mark); }
    else if (document.querySelector("[data-elsewhere]")) { const found = needing(); mark = found.mark; before = found.count ? `(${found.count}) ` : ""; }
    else return;
    if (document.title !== shown) title = document.title.startsWith(before) ? document.title.slice(before.length) : document.title; // htmx took another
    shown = before + title;
    if (document.title !== shown) document.title = shown;
    if (tab.dataset[mark] && tab.getAttribute("href") !== tab.dataset[mark]) tab.href = tab.dataset[mark];
  };
  if (tab) addEventListener("htmx:afterSettle", retab);

  // Copy and show/hide buttons are only there when they can work; their room is kept for them
  document.documentElement.dataset.script = navigator.clipboard ? "copies" : "yes";
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
  // Menus: arrows walk, Escape goes back to the button, leaving closes
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" ? document.querySelector("[data-menu][open]") : event.target.closest("[data-menu]");
    if (!menu) return;
    if (event.key === "Escape") { menu.open = false; menu.querySelector("summary").focus(); return; }
    const stops = all("a[href], button", menu.querySelector(".menu__list")), at = stops.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1 + stops.length, Home: 0, End: -1 }[event.key];
    if (to === undefined || (at < 0 && !["ArrowDown", "ArrowUp"].includes(event.key))) return;
    event.preventDefault();
    menu.open = true;
    stops.at(to % stops.length)?.focus();
  });
  document.addEventListener("focusout", (event) => {
    const menu = event.target.closest("[data-menu][open]");
    if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });

  // Keys: Ctrl or Cmd with K searches, / goes to the page's filter, ? shows the keys. None while a person types.
  const finder = document.querySelector("[data-keys]");
  const TYPED = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";
  let keys = null;
  const press = (act, address) => {
    keys ??= new Promise((done, failed) => {
      const script = Object.assign(document.createElement("script"), { src: finder.dataset.keys, onload: done, onerror: failed });
      document.head.append(script);
    });
    let early = ""; // what is typed before the dialog is there
    const keep = (event) => {
      if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) return;
      early += event.key;
      event.preventDefault();
      event.stopPropagation();
    };
    if (act === "search") addEventListener("keydown", keep, true);
    const ready = () => { removeEventListener("keydown", keep, true); return early; };
    keys.then(() => airdeckKeys[act](address, ready), () => { location.href = address; });
  };
  const single = (key) => {
    if (localStorage.getItem("airdeck-single-keys") === "off") return false;
    const filter = document.querySelector("main form[role=search] [type=search]");
    if (key === "?") press("keys", `${finder.pathname}keys/`);
    else if (filter) filter.select();
    else press("search", finder.pathname);
    return true;
  };
  document.addEventListener("keydown", (event) => {
    if (!finder || event.defaultPrevented || event.altKey || event.repeat || event.target.closest(`${TYPED}, dialog`)) return;
    const chord = event.ctrlKey || event.metaKey;
    if (chord && !event.shiftKey && event.key.toLowerCase() === "k") press("search", finder.pathname);
    else if (chord || !["/", "?"].includes(event.key) || !single(event.key)) return;
    event.preventDefault();
  });
  finder?.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    press("search", finder.pathname);
  });

  // A key that sounds like a secret ticks the box, unless its reader has decided already; ticked rows are counted
  document.addEventListener("input", ({ target }) => {
    const box = target.dataset?.suggestsSecret && document.getElementById(target.dataset.suggestsSecret);
    if (box && !box.dataset.decided) box.checked = /PASSWORD|PASSWD|TOKEN|SECRET|_KEY$|^AIRFLOW_CONN_/i.test(target.value);
    if (target.id === "id_secret") target.dataset.decided = "yes";
    const words = target.name === "key" && target.form?.querySelector("[data-picked]");
    if (words) {
      const count = all("input[name=key]:checked", target.form).length;
      words.textContent = count ? `${count} selected` : "Tick the variables to delete.";
    }
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

  // The error summary, else the safe button of a page that asks before it removes something
  const first = document.querySelector("[data-focus]");
  first?.focus({ preventScroll: first.dataset.focus === "still" });
  // A list that was sorted or filtered: the keyboard goes on where it was
  if (!first && sessionStorage.at) document.querySelector(sessionStorage.at)?.focus();
  addEventListener("pagehide", () => {
    const held = document.querySelector(":is(thead, .chips, [role=search]) :focus-visible");
    sessionStorage.at = held ? held.id ? `#${held.id}` : ".chips [aria-current]" : "";
  });
  // In a row that scrolls sideways the current page is in view
  all(".tabs [aria-current], .side__nav [aria-current]").forEach((each) => {
    const row = each.closest(".tabs, .side__nav");
    row.scrollLeft = each.offsetLeft - (row.clientWidth - each.offsetWidth) / 2;
  });
})();
