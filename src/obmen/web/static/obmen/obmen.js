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
