"use strict";
(() => {
  const number = (text) => {
    const found = /^[+\-]?[\d,]*\.?\d+/.exec(text.trim());
    return found ? parseFloat(found[0].replaceAll(",", "")) : null;
  };
  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null) return x - y;
    if (x !== null || y !== null) return x !== null ? -1 : 1;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      rows.forEach((row) => row.classList.remove("group"));
      rows.sort((a, b) => (down ? -1 : 1) * compare(a.cells[place].textContent, b.cells[place].textContent));
      table.tBodies[0].append(...rows);
    }));
  }

  const controls = document.getElementById("controls");
  if (!controls) return;
  const box = document.getElementById("cards");
  const cards = [...box.children];
  const keys = {
    worst: (card) => +card.dataset.f1,
    best: (card) => -card.dataset.f1,
    improved: (card) => -card.dataset.improved,
    disagreed: (card) => -card.dataset.disagreed,
  };
  const update = () => {
    const chosen = new FormData(controls);
    const layers = new Set(chosen.getAll("layer"));
    const key = keys[chosen.get("sort")];
    const order = key
      ? (a, b) => key(a) - key(b)
      : (a, b) => a.dataset.frame.localeCompare(b.dataset.frame, undefined, { numeric: true });
    let shown = 0;
    for (const card of cards) {
      const fits = ["place", "stratum"].every((name) => !chosen.get(name) || card.dataset[name] === chosen.get(name));
      card.hidden = !(fits && +card.dataset.f1 <= +chosen.get("most") + 1e-9);
      shown += !card.hidden;
      for (const path of card.querySelectorAll("[data-layer]")) {
        path.style.display = layers.has(path.dataset.layer) ? "" : "none";
      }
    }
    box.append(...[...cards].sort(order));
    controls.querySelector("output").value = (+chosen.get("most")).toFixed(2);
    document.getElementById("shown").textContent = `${shown} of ${cards.length} frames`;
  };
  controls.addEventListener("input", update);
  controls.addEventListener("submit", (event) => event.preventDefault());

  const dialog = document.getElementById("full");
  const panels = document.getElementById("panels");
  const titles = Object.fromEntries([...controls.querySelectorAll("[name=layer]")]
    .map((input) => [input.value, input.parentElement.textContent.trim()]));
  const panel = (svg, layers, title) => {
    const copy = svg.cloneNode(true);
    for (const path of copy.querySelectorAll("[data-layer]")) {
      if (layers.includes(path.dataset.layer)) path.style.display = "";
      else path.remove();
    }
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    figure.append(copy, caption);
    return figure;
  };
  box.addEventListener("click", (event) => {
    const view = event.target.closest(".view");
    if (!view) return;
    const svg = view.querySelector("svg");
    const layers = Object.keys(titles);
    panels.replaceChildren(
      panel(svg, [], view.closest(".card").dataset.frame),
      ...layers.map((layer) => panel(svg, layer === "truth" ? ["truth"] : ["truth", layer], titles[layer])),
    );
    dialog.showModal();
  });
  update();
})();
