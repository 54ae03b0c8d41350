// Packs a folder that a person chooses, or drops, as a .zip in the browser, and puts it into the field for an archive.
// The server judges it as any other archive. What is no code stays at home: the same as the command line leaves out.
"use strict";
(() => {
  const box = document.querySelector("[data-folder]"), form = box?.closest("form");
  const field = form?.querySelector("input[type=file][name=archive]");
  if (!field || !window.DataTransfer) return;
  const chooser = box.querySelector("input"), words = box.querySelector("[data-folder-words]"), limits = box.dataset;
  const say = (text) => { words.textContent = text; };
  const files = (count) => (count === 1 ? "1 file" : `${count.toLocaleString("en")} files`);

  // Patterns of a .airdeckignore, in the syntax of .gitignore: of those that match the last one decides.
  const plainly = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  const name = (text) => text.replace(/\\(.)|\[([!^]?)([^\]]+)\]|[*?]|[^*?[\\]+|[[\\]/g, (all, plain, not, inner) => {
    if (plain) return plainly(plain);
    if (inner) return `[${not ? "^" : ""}${inner.replace(/[\\\]^]/g, "\\$&")}]`;
    return { "*": "[^/]*", "?": "[^/]" }[all] ?? plainly(all);
  });
  const pattern = (line) => {
    const back = line.startsWith("!"), body = back ? line.slice(1) : line;
    const parts = body.split("/").filter(Boolean), anchored = body.replace(/\/+$/, "").includes("/");
    if (!parts.length || line.startsWith("#")) return null;
    const whole = (anchored ? parts : ["**", ...parts]).map((part, at, all) => {
      if (part === "**") return at === all.length - 1 ? ".+" : "(?:[^/]+/)*";
      return name(part) + (at === all.length - 1 ? "" : "/");
    });
    return { back, folders: body.endsWith("/"), test: new RegExp(`^${whole.join("")}$`, "su") };
  };
  const patterns = (text) => text.split(/\r?\n/).map((line) => line.trimEnd()).filter(Boolean).map(pattern).filter(Boolean);
  const isOut = (rules, path, isFolder) => {
    const rule = rules.findLast((each) => (isFolder || !each.folders) && each.test.test(path));
    return Boolean(rule && !rule.back);
  };
  const leavesOut = (rules, path) => {
    const parts = path.split("/");
    return parts.some((_, at) => isOut(rules, parts.slice(0, at + 1).join("/"), at < parts.length - 1));
  };

  // A project is its dags with what belongs beside them; a folder with dags alone is the content of those.
  const arranged = async (found) => {
    const text = async (path) => (await found.get(path)?.text()) ?? "";
    const usual = limits.leaveOut.split(" ").join("\n"), own = await text(".airdeckignore");
    const has = (path) => found.has(path) || [...found.keys()].some((each) => each.startsWith(`${path}/`));
    const project = limits.beside.split(" ").filter(has), inside = [...found.keys()].some((each) => each.startsWith("dags/"));
    const rules = patterns(`${usual}\n${own}`), inner = patterns(await text("dags/.airdeckignore"));
    const only = inside && project.length ? ["dags", ".airdeckignore", ...project] : inside ? ["dags"] : null;
    const kept = new Map();
    for (const [path, file] of found) {
      const below = path.startsWith("dags/") ? path.slice(5) : null;
      if (only && !only.includes(path.split("/")[0])) continue;
      if (leavesOut(rules, path) || (below && leavesOut(inner, below))) continue;
      kept.set(inside && !project.length ? below : path, file);
    }
    return kept;
  };

  // The archive: sorted and without times, deflated where the browser can.
  const table = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n >>> 0;
  });
  const crc = async (file) => {
    let sum = 0xffffffff;
    const reader = file.stream().getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      for (const byte of part.value) sum = (sum >>> 8) ^ table[(sum ^ byte) & 0xff];
    }
    return (sum ^ 0xffffffff) >>> 0;
  };
  const deflated = async (file) => {
    if (!window.CompressionStream) return [0, file];
    const packed = await new Response(file.stream().pipeThrough(new CompressionStream("deflate-raw"))).blob();
    return packed.size < file.size ? [8, packed] : [0, file];
  };
  const record = (signature, ...figures) => {
    const bytes = new DataView(new ArrayBuffer(4 + figures.reduce((sum, [size]) => sum + size, 0)));
    bytes.setUint32(0, signature, true);
    let at = 4;
    for (const [size, value] of figures) {
      if (size === 2) bytes.setUint16(at, value, true);
      else bytes.setUint32(at, value, true);
      at += size;
    }
    return bytes.buffer;
  };
  const zipped = async (kept) => {
    const parts = [], central = [];
    let offset = 0, middle = 0, count = 0;
    for (const [path, file] of [...kept].sort(([a], [b]) => (a < b ? -1 : 1))) {
      say(`Packing: ${++count} of ${files(kept.size)}.`);
      const [sum, [method, data]] = await Promise.all([crc(file), deflated(file)]), bytes = new TextEncoder().encode(path);
      const common = [[2, 20], [2, 0x800], [2, method], [2, 0], [2, 0x21], [4, sum], [4, data.size], [4, file.size], [2, bytes.length], [2, 0]];
      const head = record(0x04034b50, ...common);
      parts.push(head, bytes, data);
      const entry = record(0x02014b50, [2, 0x31e], ...common, [2, 0], [2, 0], [2, 0], [4, 0o100644 * 65536], [4, offset]);
      central.push(entry, bytes);
      middle += entry.byteLength + bytes.length;
      offset += head.byteLength + bytes.length + data.size;
      if (offset > Number(limits.packed)) throw new RangeError(limits.tooLarge);
    }
    const end = record(0x06054b50, [2, 0], [2, 0], [2, count], [2, count], [4, middle], [4, offset], [2, 0]);
    return new Blob([...parts, ...central, end]);
  };

  const pack = async (folder, found) => {
    const button = form.querySelector("button.btn--primary");
    button.setAttribute("aria-disabled", "true");
    field.value = "";
    try {
      const kept = await arranged(found);
      if (!kept.size) throw new RangeError(limits.empty);
      if (kept.size > Number(limits.most)) throw new RangeError(limits.tooMany);
      const carrier = new DataTransfer();
      carrier.items.add(new File([await zipped(kept)], `${folder}.zip`, { type: "application/zip" }));
      field.files = carrier.files;
      say(`${folder}: ${files(kept.size)} packed${found.size > kept.size ? `, ${(found.size - kept.size).toLocaleString("en")} left out` : ""}.`);
    } catch (error) {
      say(error instanceof RangeError ? error.message : `${folder} cannot be read. Choose it again.`);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };

  // What a person drops: folders are walked, a file is an archive.
  const walk = async (entry, path, found) => {
    if (entry.isFile) { found.set(path, await new Promise((done, fail) => { entry.file(done, fail); })); return; }
    if (isOut(usualRules, path, true)) return; // thousands of files that are never deployed
    const reader = entry.createReader(), next = () => new Promise((done, fail) => { reader.readEntries(done, fail); });
    for (let some = await next(); some.length; some = await next()) {
      for (const each of some) await walk(each, path ? `${path}/${each.name}` : each.name, found);
    }
  };
  const usualRules = patterns(limits.leaveOut.split(" ").join("\n"));

  box.hidden = false;
  chooser.addEventListener("change", () => {
    const all = [...chooser.files].map((file) => [file.webkitRelativePath.split("/").slice(1).join("/"), file]);
    if (all.length) pack(chooser.files[0].webkitRelativePath.split("/")[0], new Map(all));
  });
  const target = form.querySelector(".card");
  ["dragover", "dragleave", "drop"].forEach((kind) => target.addEventListener(kind, (event) => {
    event.preventDefault();
    target.toggleAttribute("data-drop", kind === "dragover");
  }));
  target.addEventListener("drop", async (event) => {
    const entry = event.dataTransfer.items[0]?.webkitGetAsEntry();
    if (!entry) return;
    if (entry.isFile) { field.files = event.dataTransfer.files; say(""); return; }
    const found = new Map();
    say(`Reading ${entry.name}.`);
    try { await walk(entry, "", found); } catch { say(`${entry.name} cannot be read. Choose it again.`); return; }
    await pack(entry.name, found);
  });
})();
