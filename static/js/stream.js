// One event stream for all tabs of a browser. Over HTTP/1.1 a browser opens six connections to a host, so a stream in
// each tab would leave the seventh page, and every click, waiting for ever.
//
// The tabs of one Workspace elect who listens: the tab that holds a lock of its name. The others receive from it over a channel,
// and when it goes the lock passes on. While no tab of the Workspace can be seen there is no stream at all. Without
// locks (plain HTTP beyond this machine) each tab has a stream of its own, for as long as it can be seen.
"use strict";
(() => {
  const HIDDEN = 5000; // before an unseen stream is closed: a glance at another tab costs nothing
  const OVERLAP = 5000; // what came so long before a page was asked for may be missing in it

  // An EventSource that never gives up: the browser's own stops for good at the first HTTP error, and the extension
  // then backs off to a minute. This one tries every 1 to 5 s.
  class Connection {
    open = false; idle = true; #url; #to; #names = new Set(); #source = null; #timer; #delay = 1000;
    constructor(url, to) { this.#url = url; this.#to = to; }
    connect() {
      this.close();
      this.idle = false;
      const source = this.#source = new EventSource(this.#url);
      this.#names.forEach((name) => this.#subscribe(name));
      source.onopen = () => { this.open = true; this.#delay = 1000; this.#to.opened(); };
      source.onerror = () => {
        const refused = source.readyState === EventSource.CLOSED;
        this.open = false;
        source.close();
        this.#to.lost();
        this.#timer = setTimeout(() => this.connect(), this.#delay);
        this.#delay = Math.min(5000, this.#delay * 2);
        if (refused) this.#ask();
      };
    }
    listen(name) {
      if (this.#names.has(name)) return;
      this.#names.add(name);
      if (this.#source) this.#subscribe(name);
    }
    wake() { if (!this.open && !this.idle) this.connect(); }
    close() { clearTimeout(this.#timer); this.#source?.close(); this.#source = null; this.open = false; this.idle = true; }
    #subscribe(name) { this.#source.addEventListener(name, (event) => this.#to.frame(name, event.data)); }
    async #ask() {
      const answer = await fetch(this.#url).catch(() => null);
      answer?.body?.cancel();
      if (answer && [401, 403, 404].includes(answer.status)) { this.close(); this.#to.out(); }
    }
  }

  // What htmx takes for an EventSource.
  class Stream {
    readyState = 0; onopen = null; onerror = null; onout = null;
    #listeners = []; #connection; #leads = false; #release; #channel = null; #leaving = new AbortController();
    #element = null; #id = `${Date.now()} ${Math.random()}`; #seen = new Map(); #timer; #last = -Infinity; #openedAt = Infinity;

    #see = () => { if (this.#leads) this.#settle(); else this.#say(this.#mine()); };

    constructor(url) {
      this.#connection = new Connection(url, {
        opened: () => { this.#openedAt = Date.now(); this.#broadcast({ state: "open" }); },
        lost: () => { this.#openedAt = Infinity; this.#broadcast({ state: "wait" }); },
        out: () => { this.#broadcast({ state: "out" }); this.#leads = false; this.#release?.(); }, // for who may listen
        frame: (name, data) => { this.#last = Date.now(); this.#broadcast({ frame: [name, data] }); },
      });
      document.addEventListener("visibilitychange", this.#see);
      const name = `stream ${new URL(url, location).pathname}`;
      if (!navigator.locks || !globalThis.BroadcastChannel) { this.#lead(); return; }
      this.#channel = new BroadcastChannel(name);
      this.#channel.onmessage = (event) => this.#receive(event.data);
      const held = () => new Promise((release) => { this.#release = release; this.#lead(); });
      navigator.locks.request(name, { signal: this.#leaving.signal }, held).catch(() => {});
      queueMicrotask(() => this.#say({ joins: performance.timeOrigin, ...this.#mine() })); // htmx names its events first
    }

    // Who listens from now on. An element whose attributes changed is a new one to htmx, which has it listen again and
    // leaves its former listeners in place.
    listensFor(element) {
      this.#element = element;
      this.#listeners = this.#listeners.filter(([, , of]) => of !== element);
    }
    addEventListener(name, listener) {
      this.#listeners.push([name, listener, this.#element]);
      if (this.#leads) this.#connection.listen(name); else this.#say({ names: [name] });
    }
    removeEventListener(name, listener) {
      this.#listeners = this.#listeners.filter(([n, l]) => n !== name || l !== listener);
    }
    wake() { if (this.#leads) this.#connection.wake(); else this.#say({ wake: true }); }
    close() {
      this.readyState = 2;
      this.#leads = false;
      clearTimeout(this.#timer);
      document.removeEventListener("visibilitychange", this.#see);
      this.#connection.close();
      this.#leaving.abort();
      this.#release?.();
      this.#channel?.close();
      this.#channel = null;
    }

    #mine() { return { names: this.#listeners.map(([name]) => name), visible: document.visibilityState === "visible" }; }
    #say(message) { this.#channel?.postMessage({ from: this.#id, ...message }); }
    #broadcast(message) { this.#say(message); this.#take(message); }

    // -- Everybody --
    #take({ state, frame }) {
      if (this.readyState === 2) return;
      if (frame) this.deliver(...frame);
      if (state === "open") { this.readyState = 1; this.onopen?.(new Event("open")); }
      if (state === "wait") { this.readyState = 0; this.onerror?.(new Event("error")); }
      if (state === "out") { this.readyState = 0; this.onout?.(); }
    }
    deliver(name, data) {
      this.#listeners.filter(([n]) => n === name).forEach(([, listener]) => listener(new MessageEvent(name, { data })));
    }
    #receive(message) {
      if (message.to && message.to !== this.#id) return;
      if (this.#leads) { this.#serve(message); return; }
      if (message.leads) this.#say(this.#mine());
      this.#take(message);
      if (message.resync) this.deliver("resync", "");
    }

    // -- Who listens for all --
    #lead() {
      if (this.readyState === 2) { this.#release?.(); return; }
      this.#leads = true;
      this.#listeners.forEach(([name]) => this.#connection.listen(name));
      this.#say({ leads: true });
      this.#connection.connect();
      this.#settle();
    }
    #serve({ from, joins, names, visible, wake }) {
      names?.forEach((name) => this.#connection.listen(name));
      if (visible !== undefined) { this.#seen.set(from, visible); this.#settle(); }
      if (wake) this.#connection.wake();
      if (joins === undefined) return;
      const missed = this.#last >= joins - OVERLAP || this.#openedAt > joins - OVERLAP;
      this.#say({ to: from, state: this.#connection.open ? "open" : "wait", resync: missed });
    }
    #settle() {
      clearTimeout(this.#timer);
      const seen = document.visibilityState === "visible" || [...this.#seen.values()].some(Boolean);
      if (seen && this.#connection.idle) this.#connection.connect();
      if (!seen) this.#timer = setTimeout(() => { this.#connection.close(); this.#broadcast({ state: "wait" }); }, HIDDEN);
    }
  }
  globalThis.SharedStream = Stream;
})();
