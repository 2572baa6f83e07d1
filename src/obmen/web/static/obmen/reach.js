"use strict";
// The theme's own menus answer to a mouse only, and its icons are read aloud as the words they are drawn from ("add", "close").
(function () {
  const OWN = "a[href], button, input, select, textarea, summary, label";

  function mend(root) {
    root.querySelectorAll(".material-symbols-outlined").forEach(function (icon) {
      if (!icon.matches(OWN) && !icon.hasAttribute("x-on:click")) { icon.setAttribute("aria-hidden", "true"); }
    });
    root.querySelectorAll("[x-on\\:click]").forEach(function (element) {
      if (element.matches(OWN) || element.hasAttribute("tabindex")) { return; }
      if (!element.firstElementChild && !element.textContent.trim()) { return; } // a shade beside a panel: Escape does the same
      element.setAttribute("tabindex", "0");
      element.setAttribute("role", "button");
      const opened = element.nextElementSibling; // a mere icon is called by what it opens
      if (!element.querySelector(":not(.material-symbols-outlined, .material-symbols-outlined *)") && opened) {
        const there = opened.querySelector("a, button") ? opened : element.parentElement.parentElement;
        const words = Array.from(there.querySelectorAll("a, button"), function (one) { return one.lastElementChild || one; });
        const field = element.parentElement.parentElement.querySelector("select, input");
        const said = words.map(function (one) { return one.textContent.trim(); }).filter(Boolean).join(", ");
        element.setAttribute("aria-label", said || (field && field.labels && field.labels.length ? field.labels[0].textContent.trim() : "…"));
      }
    });
    const find = root.querySelector("#searchbar-submit"), field = root.querySelector("#searchbar");
    if (find && field && !find.hasAttribute("aria-label")) { find.setAttribute("aria-label", field.placeholder); }
  }

  document.addEventListener("DOMContentLoaded", function () {
    mend(document);
    // Browsers leave "autofocus" undone where a page is drawn late, and whoever types then types into nothing.
    const first = document.querySelector("[autofocus]");
    if (first && document.activeElement === document.body) { first.focus(); }
    // The theme calls the first column after a tick box also where there is none.
    const head = document.querySelector("#result_list thead th");
    document.querySelectorAll("#result_list tbody tr > td:first-child[data-label]").forEach(function (cell) {
      if (head && !cell.querySelector("input")) { cell.dataset.label = head.innerText.trim() || head.textContent.trim(); }
    });
    show();
  });
  // On a phone the open tab would stand outside of what is seen of its row.
  function show() {
    document.querySelectorAll(".o-tabs .o-on").forEach(function (tab) {
      const row = tab.closest(".o-tabs");
      row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
    });
  }
  window.addEventListener("resize", show);
  document.addEventListener("htmx:afterSwap", function (event) { mend(event.detail.target); });
  document.addEventListener("keydown", function (event) {
    const element = event.target;
    if ((event.key !== "Enter" && event.key !== " ") || !element.matches("[role=button][x-on\\:click]") || element.matches(OWN)) { return; }
    event.preventDefault();
    element.click();
  });
})();
