// Brings a live region up to date in place, as htmx's swap "morph". A node that stays the same node keeps keyboard focus,
// caret, selection and scroll; what has not changed is not touched. Children are matched by element name and id, and
// without an id by their order. What the reader has selected is left as it is until the selection ends.
"use strict";
(() => {
  const ELEMENT = 1;
  // What belongs to the reader or to this page load, not to the server: an open menu, a form being sent, the stream.
  const OWN = new Set(["open", "aria-disabled", "data-sent", "data-touched", "sse-connect"]);
  const behind = new Set(); // regions in which something was left as it was

  const key = (node) => (node.nodeType === ELEMENT && node.id ? `${node.nodeName}#${node.id}` : node.nodeName);
  const selected = (node) => {
    const selection = getSelection();
    return !selection.isCollapsed && selection.containsNode(node, true);
  };
  const put = (parent, node, before) => {
    if (parent.moveBefore && node.isConnected) parent.moveBefore(node, before); // keeps the focus
    else parent.insertBefore(node, before);
  };

  class Morph {
    #region; #held = false;
    constructor(region) { this.#region = region; }

    run(fresh) {
      this.#children(this.#region, fresh);
      if (this.#held) behind.add(this.#region);
      else behind.delete(this.#region);
    }
    #children(old, fresh) {
      const waiting = new Map();
      for (const node of old.childNodes) waiting.set(key(node), [...(waiting.get(key(node)) ?? []), node]);
      const pairs = [...fresh.childNodes].map((want) => [waiting.get(key(want))?.shift(), want]);
      for (const rest of waiting.values()) rest.forEach((node) => this.#drop(node));
      let at = old.firstChild;
      for (const [have, want] of pairs) {
        if (!have) { old.insertBefore(document.importNode(want, true), at); continue; }
        if (have === at) at = at.nextSibling;
        else put(old, have, at);
        this.#same(have, want);
      }
    }
    #same(have, want) {
      if (have.nodeType !== ELEMENT) {
        if (have.data === want.data) return;
        if (selected(have)) this.#held = true;
        else have.data = want.data;
        return;
      }
      if (have.isEqualNode(want) || have.hasAttribute("data-keep")) return;
      for (const { name, value } of want.attributes) {
        if (!OWN.has(name) && have.getAttribute(name) !== value) have.setAttribute(name, value);
      }
      for (const { name } of [...have.attributes]) {
        if (!OWN.has(name) && !want.hasAttribute(name)) have.removeAttribute(name);
      }
      if (!have.dataset.since) this.#children(have, want); // a clock ticks by itself
    }
    #drop(node) {
      if (node.dataset?.linger !== undefined) return;
      if (selected(node) && node.textContent.trim()) { this.#held = true; return; }
      const focused = node.contains(document.activeElement);
      node.remove();
      if (focused) this.#region.closest("[tabindex]")?.focus({ preventScroll: true });
    }
  }

  htmx.defineExtension("morph", {
    isInlineSwap: (style) => style === "morph",
    handleSwap: (style, target, fragment) => {
      if (style !== "morph") return false;
      if (!fragment.hasChildNodes()) return [target]; // what was asked for is not on that page: this stays as it is
      const only = fragment.childElementCount === 1 ? fragment.firstElementChild : null;
      if (only && only.id && only.id === target.id) {
        const attributes = [...only.attributes].filter(({ name }) => !OWN.has(name));
        attributes.forEach(({ name, value }) => { if (target.getAttribute(name) !== value) target.setAttribute(name, value); });
        new Morph(target).run(only);
      } else new Morph(target).run(fragment);
      return [target];
    },
  });
  document.addEventListener("selectionchange", () => {
    if (!behind.size || !getSelection().isCollapsed) return;
    const regions = [...behind];
    behind.clear();
    regions.forEach((each) => htmx.trigger(each, "sse:resync"));
  });
})();
