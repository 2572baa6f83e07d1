"use strict";
// Copy buttons, rows of two-column tables, and questions before a form is sent. Everything works without it, less comfortably.
document.addEventListener("click", function (event) {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const text = document.querySelector(copy.dataset.copy).textContent.trim();
    const done = function () {
      copy.classList.add("o-copied");
      setTimeout(function () { copy.classList.remove("o-copied"); }, 1500);
    };
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(done);
    } else { // the hub often stands in a local network without TLS
      const area = document.createElement("textarea");
      area.value = text;
      area.style.position = "fixed";
      area.style.opacity = "0";
      document.body.appendChild(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      done();
    }
    return;
  }
  const add = event.target.closest("[data-add-pair]");
  if (add) {
    const rows = add.closest(".o-pairs").querySelector("tbody");
    const row = rows.lastElementChild.cloneNode(true);
    row.querySelectorAll("input").forEach(function (input) { input.value = ""; });
    rows.appendChild(row);
    row.querySelector("input").focus();
  }
});

// A text field with a list that can be searched: <input list="…">, or an input inside of [data-combo] beside its <datalist>.
// Browsers show a datalist only of what begins like the text that is already there, so we show it ourselves.
(function () {
  let list = null, field = null, at = -1, asked = 0;

  function source(input) {
    const combo = input.closest("[data-combo]");
    return combo ? combo.querySelector("datalist") : document.getElementById(input.dataset.list || "");
  }
  function same(a, b) { return a.trim().toLocaleLowerCase() === b.trim().toLocaleLowerCase(); }
  function close() {
    if (field) { field.setAttribute("aria-expanded", "false"); }
    if (list) { list.remove(); }
    list = field = null;
    at = -1;
  }
  function place() {
    const box = field.getBoundingClientRect();
    const below = window.innerHeight - box.bottom;
    list.style.left = box.left + "px";
    list.style.minWidth = box.width + "px";
    list.style.maxWidth = Math.max(box.width, Math.min(420, window.innerWidth - box.left - 8)) + "px";
    list.style.maxHeight = Math.max(120, Math.min(280, Math.max(below, box.top) - 12)) + "px";
    if (below < 160 && box.top > below) {
      list.style.top = "";
      list.style.bottom = (window.innerHeight - box.top + 2) + "px";
    } else {
      list.style.bottom = "";
      list.style.top = (box.bottom + 2) + "px";
    }
  }
  function show(options, typed) {
    list.replaceChildren();
    options.slice(0, 200).forEach(function (option) {
      const row = document.createElement("div");
      row.setAttribute("role", "option");
      row.textContent = option.label;
      if (option.code && option.code !== option.label) {
        const code = document.createElement("small");
        code.textContent = option.code;
        row.appendChild(code);
      }
      row.dataset.value = option.label;
      row.dataset.code = option.code || "";
      list.appendChild(row);
    });
    if (typed && field.dataset.new && !field.closest("[data-search]") && !options.some(function (o) { return same(o.label, typed); })) {
      const row = document.createElement("div");
      row.className = "o-new";
      row.setAttribute("role", "option");
      row.textContent = field.dataset.new + " " + typed;
      row.dataset.value = typed;
      list.appendChild(row);
    }
    list.hidden = !list.children.length;
    at = -1;
  }
  function fill(all) {
    const typed = all ? "" : field.value.trim();
    const far = field.closest("[data-search]");
    if (far) {
      const mine = ++asked;
      fetch(far.dataset.search + "?q=" + encodeURIComponent(typed), { headers: { Accept: "application/json" } })
        .then(function (answer) { return answer.ok ? answer.json() : { found: [] }; })
        .then(function (answer) {
          if (mine === asked && field) { show(answer.found.map(function (label) { return { label: label }; }), typed); place(); }
        });
      return;
    }
    const words = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const options = Array.from(source(field).options, function (o) { return { label: o.value, code: o.dataset.code }; });
    show(options.filter(function (o) {
      const text = (o.label + " " + (o.code || "")).toLocaleLowerCase();
      return words.every(function (word) { return text.includes(word); });
    }), typed);
    place();
  }
  function open(input) {
    if (input.readOnly || input.disabled || !source(input)) { return; }
    close();
    field = input;
    list = document.createElement("div");
    list.className = "o-options";
    list.setAttribute("role", "listbox");
    document.body.appendChild(list);
    input.setAttribute("aria-expanded", "true");
    fill(true);
  }
  function choose(row) {
    const input = field;
    input.value = row.dataset.value;
    close();
    input.dispatchEvent(new Event("input", { bubbles: true, cancelable: true }));
    close();
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  function ready(input) {
    const has = input.getAttribute("list");
    if (has) {
      input.dataset.list = has;
      input.removeAttribute("list");
    }
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-expanded", "false");
    input.setAttribute("aria-autocomplete", "list");
  }
  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("input[list], [data-combo] input").forEach(ready);
    // The theme wants a text field beside every file field, to write the name into; ours show it themselves.
    document.querySelectorAll("[data-plain-file]").forEach(function (input) { input.hasChangeListener = true; });
  });
  document.addEventListener("focusin", function (event) {
    const input = event.target;
    if (input.matches && input.matches("input[data-list], [data-combo] input")) { open(input); } else { close(); }
  });
  document.addEventListener("input", function (event) {
    const input = event.target;
    if (input !== field && input.matches && input.matches("input[data-list], [data-combo] input")) { open(input); } // closed by scrolling
    if (input === field) { fill(false); }
  });
  document.addEventListener("mousedown", function (event) {
    const row = list && event.target.closest(".o-options > div");
    if (row) {
      event.preventDefault();
      choose(row);
    } else if (field && event.target !== field && !event.target.closest(".o-options")) { close(); }
    if (!field && event.target.matches("input[data-list], [data-combo] input") && event.target === document.activeElement) { open(event.target); }
  });
  document.addEventListener("keydown", function (event) {
    if (!field || event.target !== field) { return; }
    const rows = list.children;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!rows.length) { return; }
      if (at >= 0) { rows[at].removeAttribute("aria-selected"); }
      at = (at + (event.key === "ArrowDown" ? 1 : rows.length - 1) + (at < 0 && event.key === "ArrowUp" ? 1 : 0)) % rows.length;
      rows[at].setAttribute("aria-selected", "true");
      rows[at].scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      choose(rows[at]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    } else if (event.key === "Tab") { close(); }
  });
  window.addEventListener("scroll", function (event) { if (list && event.target !== list) { close(); } }, true);
  window.addEventListener("resize", close);

  // The name of a value of theirs and its code go together.
  document.addEventListener("change", function (event) {
    const input = event.target;
    const row = input.matches && input.matches("[data-name]") && input.closest("[data-row]");
    if (!row) { return; }
    const code = row.querySelector("[data-code]");
    const found = source(input) && Array.from(source(input).options).find(function (o) { return same(o.value, input.value); });
    if (found) { code.value = found.dataset.code; } else if (code.readOnly) { code.value = ""; }
  });
  document.addEventListener("click", function (event) {
    const add = event.target.closest("[data-add-row]");
    if (add) {
      const body = add.closest("[data-table]").querySelector("tbody");
      const last = body.lastElementChild;
      const row = last.cloneNode(true);
      row.querySelectorAll("[name]").forEach(function (input) {
        input.name = input.name.replace(/\.(\d+)\./, function (_all, n) { return "." + (Number(n) + 1) + "."; });
      });
      row.querySelectorAll("[data-pk], [data-accept], [data-tick]").forEach(function (old) { old.remove(); });
      row.querySelectorAll("[data-remove-row]").forEach(function (button) {
        button.value = button.value.replace(/\.(\d+)$/, function (_all, n) { return "." + (Number(n) + 1); });
      });
      row.querySelectorAll("input[type=text]").forEach(function (input) { input.value = ""; });
      row.querySelectorAll("select").forEach(function (input) { input.selectedIndex = 0; });
      body.appendChild(row);
      const first = row.querySelector("input[type=text]");
      if (first) { first.focus(); }
      return;
    }
    const remove = event.target.closest("[data-remove-row]");
    if (remove) {
      event.preventDefault();
      const row = remove.closest("[data-row]");
      const form = remove.form;
      if (row.nextElementSibling) { row.remove(); } else {  // the last row is the one for more
        row.querySelectorAll("input[type=text]").forEach(function (input) { input.value = ""; });
        row.querySelectorAll("select").forEach(function (input) { input.selectedIndex = 0; });
      }
      form.dispatchEvent(new Event("change", { bubbles: true }));
      return;
    }
    const tab = event.target.closest("[data-shows]");
    if (tab) { showTable(tab); }
  });

  // Tables of one tab stand behind each other.
  function showTable(tab) {
    const tabs = Array.from(tab.parentElement.querySelectorAll("[data-shows]"));
    tabs.forEach(function (t) {
      t.classList.toggle("o-on", t === tab);
      t.setAttribute("aria-selected", t === tab ? "true" : "false");
      document.getElementById(t.dataset.shows).classList.toggle("o-behind", t !== tab);
    });
  }

  // What a setting of the same page switches on and off.
  function follow() {
    document.querySelectorAll("[data-when]").forEach(function (part) {
      part.hidden = !part.dataset.when.split(" ").some(function (name) {
        const input = document.querySelector('[name="' + name + '"]');
        return input && (input.type === "checkbox" ? input.checked : input.value !== "");
      });
    });
  }

  // Groups: search, and how many are chosen.
  function count(tree) {
    const n = tree.querySelectorAll("input[type=checkbox]:checked").length;
    const said = tree.querySelector("[data-tree-count]");
    said.textContent = n ? said.dataset.some + " " + n : said.dataset.none;
  }
  document.addEventListener("input", function (event) {
    const search = event.target.closest("[data-tree-search]");
    if (!search) { return; }
    event.stopPropagation();
    const words = search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const leaves = Array.from(search.closest("[data-tree]").querySelectorAll("[data-depth]"));
    let needed = 0;  // a group that is found is shown with all above it
    leaves.reverse().forEach(function (leaf) {
      const depth = Number(leaf.dataset.depth);
      const found = words.every(function (word) { return leaf.textContent.toLocaleLowerCase().includes(word); });
      leaf.hidden = !(found || needed > depth);
      if (!leaf.hidden) { needed = depth; } else if (needed > depth) { needed = depth; }
    });
  });

  // Lanes of the overview: those with this in their name, or with trouble.
  function sift() {
    const search = document.querySelector("[data-lane-search]"), only = document.querySelector("[data-lane-trouble]");
    if (!search) { return; }
    const words = search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    document.querySelectorAll("[data-lanes] > [data-name]").forEach(function (lane) {
      const name = lane.dataset.name.toLocaleLowerCase();
      lane.hidden = !(words.every(function (word) { return name.includes(word); }) && (!only.checked || "trouble" in lane.dataset));
      shown += lane.hidden ? 0 : 1;
    });
    document.querySelector("[data-lanes-none]").hidden = shown > 0;
  }
  document.addEventListener("input", function (event) {
    if (event.target.matches && event.target.matches("[data-lane-search], [data-lane-trouble]")) { sift(); }
  });

  document.addEventListener("DOMContentLoaded", function () {
    const here = document.querySelector("nav.o-tabs .o-on");
    if (here) { here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.offsetLeft - 24; }
    const on = document.querySelector("[data-subtabs] .o-on");
    if (on) { showTable(on); }
    follow();
    document.querySelectorAll("[data-tree]").forEach(count);
    const wanted = document.querySelector(".o-wanted");
    if (wanted) {
      wanted.scrollIntoView({ block: "center" });
      const first = wanted.querySelector("[data-ours]");
      if (first) { first.focus({ preventScroll: true }); }
    }
  });
  document.addEventListener("change", function (event) {
    follow();
    const tree = event.target.closest && event.target.closest("[data-tree]");
    if (tree) { count(tree); }
  });
  document.addEventListener("keydown", function (event) {
    const help = event.key === "F1" && document.querySelector("[data-help]");
    if (help) {
      event.preventDefault();
      help.click();
    }
  });
})();

// Mapping tables: suggestions, ticked rows, looking for rows. What is shown is filtered here; a table of several pages asks the server.
(function () {
  function table(part) { return part.closest("[data-table]"); }
  function rows(of) { return Array.from(of.querySelectorAll("[data-row]")); }
  function changed(input) { input.dispatchEvent(new Event("change", { bubbles: true })); }
  function fill(row, value) {
    const by = table(row).querySelector("[data-fill-with]");
    const field = row.querySelector(by && (by.dataset.list || "").endsWith("-theirs") ? "[data-name]:not([type=hidden])" : "[data-ours]");
    if (!field || field.disabled) { return false; }
    field.value = value;
    field.classList.add("o-suggested");
    changed(field);
    return true;
  }
  function accept(chip) {
    fill(chip.closest("[data-row]"), chip.dataset.accept);
    chip.remove();
  }
  function say(of, text) {
    const said = of.querySelector("[data-suggested]");
    said.hidden = false;
    said.textContent = text;
  }
  function ticked(of) { return Array.from(of.querySelectorAll("[data-tick]:checked")); }
  function count(of) {
    const bar = of.querySelector("[data-fill]"), n = ticked(of).length;
    if (bar) {
      bar.hidden = !n;
      bar.querySelector("[data-ticked]").textContent = n;
    }
  }
  function filter(of) {
    const find = of.querySelector("[data-find]"), only = of.querySelector("[data-only]");
    if (!find || "paged" in of.dataset) { return; }
    const words = find.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    rows(of).forEach(function (row) {
      const ours = row.querySelector("[data-ours]"), name = row.querySelector("[data-name]"), code = row.querySelector("[data-code]");
      const fresh = !row.nextElementSibling; // the last row is the one for more
      const text = [ours, name, code].map(function (x) { return x ? x.value : ""; }).join(" ").toLocaleLowerCase();
      const fits = words.every(function (word) { return text.includes(word); }) && (!only.checked || "open" in row.dataset);
      row.hidden = !fresh && !fits;
      if (!fresh && fits) { n += 1; }
      const tick = row.querySelector("[data-tick]");
      if (row.hidden && tick) { tick.checked = false; } // nobody sets what he does not see
    });
    const said = of.querySelector("[data-found]");
    said.textContent = words.length || only.checked ? said.dataset.word + " " + n : "";
    count(of);
  }
  document.addEventListener("click", function (event) {
    const chip = event.target.closest("[data-accept]");
    if (chip) { accept(chip); return; }
    const all = event.target.closest("[data-suggest]");
    if (all) {
      const of = table(all), chips = of.querySelectorAll("[data-accept]");
      chips.forEach(accept);
      of.querySelector("[data-accept-all]").value = "1"; // also of the rows that stand on other pages
      say(of, all.dataset.said + " " + all.textContent.replace(/\D+/g, "") + ". " + all.dataset.then);
      changed(of.querySelector("[data-accept-all]"));
      all.remove();
      return;
    }
    const set = event.target.closest("[data-fill-do]"), out = event.target.closest("[data-fill-out]");
    if (set || out) {
      const of = table(set || out), value = of.querySelector("[data-fill-with]").value;
      if (set && !value) { of.querySelector("[data-fill-with]").focus(); return; }
      ticked(of).forEach(function (tick) {
        const row = tick.closest("[data-row]");
        if (set) { fill(row, value); } else {
          const decision = row.querySelector("[data-decide]"), taken = row.querySelector("[data-taken]");
          if (decision) { decision.value = "0"; changed(decision); }
          if (taken) { taken.checked = false; changed(taken); }
        }
        tick.checked = false;
      });
      const every = of.querySelector("[data-tick-all]");
      if (every) { every.checked = false; }
      count(of);
    }
  });
  // Ticks and what is looked for are no changes: nothing of them is saved.
  ["input", "change"].forEach(function (name) {
    document.addEventListener(name, function (event) {
      const input = event.target;
      if (!input.matches || !input.matches("[data-tick], [data-tick-all], [data-find], [data-only], [data-fill-with]")) { return; }
      const of = table(input);
      if (input.matches("[data-tick-all]")) {
        rows(of).forEach(function (row) {
          const tick = row.querySelector("[data-tick]");
          if (tick && !row.hidden) { tick.checked = input.checked; }
        });
      }
      if (input.matches("[data-find], [data-only]")) { filter(of); } else { count(of); }
      if (!input.matches("[data-fill-with]")) { event.stopPropagation(); }
    }, true);
  });
  document.addEventListener("keydown", function (event) {
    const input = event.target;
    if (event.key === "Enter" && input.matches && input.matches("[data-find]") && !("paged" in table(input).dataset)) { event.preventDefault(); }
    if (event.key === "Enter" && input.matches && input.matches("[data-fill-with]") && !event.defaultPrevented) {
      event.preventDefault();
      table(input).querySelector("[data-fill-do]").click();
    }
  });
  document.addEventListener("DOMContentLoaded", function () { document.querySelectorAll("[data-table]").forEach(filter); });
})();

// Nobody loses what was typed by clicking elsewhere: every form with several fields, also one that came later, holds back who leaves
// its page until it is sent. data-guard: also one with a single field; data-unguarded: what is ticked in it is a choice, nothing that
// is kept. data-dirty marks a form in which something stands that is not saved; a page that comes back with errors has it from the start.
(function () {
  const TYPED = "input:not([type=hidden]):not([type=submit]):not([type=button]), select, textarea";
  function fields(form) {
    const groups = new Set(); // the buttons of one choice are one field
    return Array.from(form.elements).filter(function (field) {
      if (!field.matches(TYPED) || field.readOnly || field.disabled || field.hidden) { return false; }
      if (field.type !== "radio") { return true; }
      return groups.has(field.name) ? false : groups.add(field.name);
    }).length;
  }
  function guarded(form) {
    // By attribute: a field called "method" or "id" would hide the form's own.
    if ((form.getAttribute("method") || "").toLowerCase() !== "post") { return false; }
    if (form.getAttribute("id") === "login-form" || "unguarded" in form.dataset) { return false; }
    return "guard" in form.dataset || fields(form) > 1;
  }
  function mark(event) {
    const form = event.target.form || event.target.closest("form");
    if (!form || !guarded(form) || event.target.matches("[data-tree-search]")) { return; }
    form.setAttribute("data-dirty", "");
    form.querySelectorAll("[data-unsaved]").forEach(function (note) { note.hidden = false; });
  }
  document.addEventListener("input", mark);
  document.addEventListener("change", mark);
  // Clean is what really goes off: a form that something else on the page has stopped is still to be saved.
  window.addEventListener("submit", function (event) {
    if (!event.defaultPrevented) { event.target.removeAttribute("data-dirty"); }
  });
  window.addEventListener("beforeunload", function (event) {
    if (document.querySelector("form[data-dirty]")) { event.preventDefault(); }
  });
  // A part of the page that comes by itself does not replace what somebody is typing in; it comes again.
  document.addEventListener("htmx:beforeSwap", function (event) {
    const lost = Array.from(event.detail.target.querySelectorAll(TYPED)).some(function (field) {
      return field.form && field.form.hasAttribute("data-dirty") && !field.form.contains(event.detail.requestConfig.elt);
    });
    if (lost) { event.detail.shouldSwap = false; }
  });
  document.addEventListener("htmx:afterRequest", function (event) {
    if (event.detail.successful && event.detail.elt.matches("form[data-dirty]")) { event.detail.elt.removeAttribute("data-dirty"); }
  });
})();

// An id that is pasted is meant as it is: it is sent without another press. What is typed waits for Enter or the button.
document.addEventListener("paste", function (event) {
  const field = event.target;
  if (!field.matches || !field.matches("[data-paste-sends]") || field.value.trim()) { return; }
  setTimeout(function () { // by then it stands in the field
    if (/^\S+$/.test(field.value.trim())) { field.form.requestSubmit(); }
  });
});
