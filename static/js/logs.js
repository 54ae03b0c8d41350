// The log page follows its component: new lines are asked for every second and put at the end. After a person
// scrolls up the page stays where it is, and says how much is new. Without this script the page shows the lines as of its loading.
"use strict";
(() => {
  const MOST_LINES = 5000, NEAR = 32, EVERY = 1000, AGAIN = 5000, PATIENCE = 5000, AT_ONCE = 100;

  class Log {
    #root; #box; #resume; #timer; #waiting = []; #missed = 0; #following = true; #ended = false; #top; #adding = false; #asking = null;

    constructor(root) {
      this.#root = root;
      this.#box = root.querySelector("[data-log-lines]");
      this.#resume = root.querySelector("[data-log-resume]");
      this.#toEnd();
      const up = (event) => ["ArrowUp", "PageUp", "Home"].includes(event.key) || (event.key === " " && event.shiftKey);
      this.#box.addEventListener("wheel", (event) => { if (event.deltaY < 0) this.#pause(); }, { passive: true });
      this.#box.addEventListener("touchmove", () => this.#pause(), { passive: true });
      this.#box.addEventListener("keydown", (event) => {
        if (up(event)) this.#pause();
        else if (event.key === "End" && !this.#following) this.#follow(); // where nothing moves, no scroll is reported
      });
      this.#box.addEventListener("pointerdown", (event) => { if (event.offsetX > this.#box.clientWidth) this.#pause(); });
      this.#box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
      this.#resume.addEventListener("click", () => { this.#follow(); this.#box.focus({ preventScroll: true }); });
      root.addEventListener("click", (event) => { if (event.target.closest("[data-log-retry]")) this.poll(); });
      this.#say();
      this.#timer = setTimeout(() => this.poll(), EVERY);
    }

    get gone() { return !this.#root.isConnected; }
    end() { this.#ended = true; clearTimeout(this.#timer); this.#asking?.abort(); }

    // -- Following --
    #atEnd() { return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight <= NEAR; }
    #toEnd() { this.#box.scrollTop = this.#box.scrollHeight; this.#top = this.#box.scrollTop; }
    #scrolled() {
      const up = this.#box.scrollTop < this.#top - 1;
      this.#top = this.#box.scrollTop;
      if (this.#adding) return;
      if (up && this.#following && !this.#atEnd()) this.#pause();
      else if (!up && !this.#following && this.#atEnd()) this.#follow();
    }
    #pause() {
      if (!this.#following || this.#box.scrollHeight <= this.#box.clientHeight) return;
      this.#following = false;
      this.#missed = this.#waiting.length;
      this.#say();
    }
    #follow() {
      this.#following = true;
      this.#missed = 0;
      this.#say();
      this.#add();
    }
    #say() {
      const lines = this.#missed === 1 ? "1 new line" : `${this.#missed.toLocaleString("en")} new lines`;
      this.#resume.textContent = this.#missed ? `Paused, ${lines} ↓` : "Paused. Go to the newest ↓";
      this.#resume.hidden = this.#following;
      this.#root.querySelector("[data-log-state]").textContent = this.#following ? "Following" : "Paused";
    }

    // -- New lines, some in each frame: 250 and more took frames over 200 ms --
    #selected() {
      const selection = getSelection();
      return !selection.isCollapsed && this.#box.contains(selection.anchorNode);
    }
    #receive(html) {
      const template = document.createElement("template");
      template.innerHTML = html;
      const lines = [...template.content.children];
      if (!lines.length) return;
      this.#waiting.push(...lines);
      if (this.#waiting.length > MOST_LINES) this.#waiting.splice(0, this.#waiting.length - MOST_LINES);
      if (this.#following && this.#selected()) this.#pause();
      if (this.#following) this.#add();
      else { this.#missed += lines.length; this.#say(); }
    }
    #add() {
      if (this.#adding || !this.#waiting.length) { if (!this.#adding) this.#toEnd(); return; }
      this.#adding = true;
      requestAnimationFrame(() => {
        this.#adding = false;
        if (!this.#following) return; // paused since: nothing moves any more
        this.#box.append(...this.#waiting.splice(0, AT_ONCE));
        for (let surplus = this.#box.childElementCount - MOST_LINES; surplus > 0; surplus--) this.#box.firstElementChild.remove();
        this.#toEnd();
        this.#root.querySelector("[data-log-empty]")?.remove();
        const count = this.#box.childElementCount;
        this.#root.querySelector("[data-log-count]").textContent = count === 1 ? "1 line" : `The last ${count.toLocaleString("en")} lines`;
        if (this.#waiting.length) this.#add();
      });
    }

    // -- Asking --
    async poll() {
      clearTimeout(this.#timer);
      if (this.#ended || this.#asking || document.visibilityState !== "visible") return;
      if (this.gone) { this.end(); return; }
      const delay = await this.#ask();
      this.#asking = null;
      if (!this.#ended) this.#timer = setTimeout(() => this.poll(), delay);
    }
    async #ask() {
      this.#asking = new AbortController();
      const late = setTimeout(() => this.#asking.abort(), PATIENCE);
      const { log, cursor, carry } = this.#root.dataset;
      try {
        const answer = await fetch(`${log}&${new URLSearchParams({ after: cursor, carry })}`, { redirect: "manual", signal: this.#asking.signal });
        if (answer.type === "opaqueredirect") return this.#stop("You are signed out. Reload the page.");
        if (answer.status === 503) return this.#problem(await answer.text());
        if (answer.status === 403 || answer.status === 404) return this.#stop("It is no longer there, or no longer yours to read. Reload the page.");
        if (!answer.ok) return this.#problem(`Airdeck answered with an error (${answer.status}).`);
        const html = await answer.text();
        this.#root.dataset.cursor = answer.headers.get("X-Log-Cursor") ?? "";
        this.#root.dataset.carry = answer.headers.get("X-Log-Carry") ?? "";
        this.#problem("");
        this.#receive(html);
        return answer.headers.has("X-Log-More") ? 0 : EVERY;
      } catch {
        return this.#ended ? 0 : this.#problem(navigator.onLine ? "Airdeck did not answer within 5 s." : "This computer is offline.");
      } finally {
        clearTimeout(late);
      }
    }
    #problem(text) {
      const place = this.#root.querySelector("[data-log-problem]");
      if (!text) { if (place.firstChild) place.replaceChildren(); return EVERY; }
      const shown = place.querySelector("[data-text]");
      if (shown?.textContent !== text) {
        place.replaceChildren(this.#root.querySelector("[data-log-problem-template]").content.cloneNode(true));
        place.querySelector("[data-text]").textContent = text;
      }
      return AGAIN;
    }
    #stop(text) { this.#problem(text); this.#ended = true; return 0; }
  }

  let log = null;
  const begin = () => {
    const root = document.querySelector("[data-log]");
    if (log && !log.gone) return;
    log?.end();
    log = root ? new Log(root) : null;
    if (!root) document.querySelector("[data-log-lines]")?.scrollTo(0, 1e9);
  };
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") log?.poll(); });
  addEventListener("htmx:afterSettle", begin);
  begin();
})();
