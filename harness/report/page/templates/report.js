"use strict";
(() => {
  const number = (text) => {
    const found = /^[+\-]?[\d,]*\.?\d+/.exec(text.trim());
    return found ? parseFloat(found[0].replaceAll(",", "")) : null;
  };
  // A dash, where there is no figure, comes last in both orders.
  const compare = (a, b, sign) => {
    const [x, y] = [number(a), number(b)];
    if ((x === null) !== (y === null)) return x === null ? 1 : -1;
    return sign * (x - y || a.localeCompare(b, undefined, { numeric: true }));
  };
  // Rows whose name is indented, such as the paper's, belong to the row above them.
  const families = (rows) => rows.reduce((found, row) => {
    if (found.length && row.cells[0].textContent.startsWith("  ")) found.at(-1).push(row);
    else found.push([row]);
    return found;
  }, []);
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      rows.forEach((row) => row.classList.remove("group"));
      const key = (family) => family[0].cells[place].textContent;
      const sorted = families(rows).sort((a, b) => compare(key(a), key(b), down ? -1 : 1));
      table.tBodies[0].append(...sorted.flat());
    }));
  }

  // Long tables can be filtered by a part of any of their cells.
  for (const table of document.querySelectorAll("table.sortable:not(#rows)")) {
    const found = families([...table.tBodies[0].rows]);
    if (table.tBodies[0].rows.length <= 12) continue;
    const label = document.createElement("label");
    const input = document.createElement("input");
    label.className = "filter";
    input.type = "search";
    label.append("Show rows with ", input);
    table.parentElement.before(label);
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase();
      for (const family of found) {
        const hidden = !family.some((line) => line.textContent.toLowerCase().includes(wanted));
        family.forEach((line) => { line.hidden = hidden; });
      }
    });
  }

  // Folded tables are printed unfolded.
  const unfold = () => document.querySelectorAll("details:not([open])").forEach((one) => {
    one.open = true;
    one.dataset.folded = "";
  });
  addEventListener("beforeprint", unfold);
  addEventListener("afterprint", () => document.querySelectorAll("details[data-folded]").forEach((one) => {
    one.open = false;
    delete one.dataset.folded;
  }));

  const entries = new Map(JSON.parse(document.getElementById("entries").textContent).map((one) => [one.frame, one]));
  const controls = document.getElementById("controls");
  const box = document.getElementById("cards");
  const body = document.getElementById("rows").tBodies[0];
  const cards = box ? [...box.children] : [];
  const rows = [...body.rows];
  const layers = [...controls.querySelectorAll("[name=layer]")].map((input) => input.value);
  const titles = Object.fromEntries([...controls.querySelectorAll("[name=layer]")]
    .map((input) => [input.value, input.parentElement.textContent.trim()]));
  const of = (item) => entries.get(item.dataset.frame);

  const order = (sort, model) => {
    const keys = {
      worst: (one) => one.f1[model],
      best: (one) => -one.f1[model],
      gain: (one) => -one.gain,
      disagreement: (one) => -one.disagreement,
    };
    const key = keys[sort];
    const byName = (a, b) => of(a).frame.localeCompare(of(b).frame, undefined, { numeric: true });
    return key ? (a, b) => key(of(a)) - key(of(b)) || byName(a, b) : byName;
  };
  // A picture with some of the contours; the frame itself is on the page once.
  const picture = (card, wanted) => {
    const from = card.querySelector(".view svg");
    const svg = from.cloneNode(false);
    const image = document.createElementNS(svg.namespaceURI, "use");
    image.setAttribute("href", `#${from.querySelector("image").id}`);
    svg.append(image);
    for (const path of from.querySelectorAll("[data-layer]")) {
      if (!wanted.includes(path.dataset.layer)) continue;
      const copy = path.cloneNode();
      copy.style.display = "";
      svg.append(copy);
    }
    return svg;
  };
  const panel = (card, wanted, title) => {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    figure.append(picture(card, wanted), caption);
    return figure;
  };
  const panels = (card) => layers.map((layer) => layer === "truth"
    ? panel(card, [layer], titles[layer])
    : panel(card, ["truth", layer], `${titles[layer]}, F1 ${of(card).f1[layer].toFixed(2)}`));

  const update = () => {
    const chosen = new FormData(controls);
    const model = +chosen.get("model");
    const shownLayers = chosen.getAll("layer");
    const each = chosen.get("show") === "each";
    const fits = (item) => {
      const one = of(item);
      const f1 = one.f1[model];
      return ["place", "stratum"].every((name) => !chosen.get(name) || one[name] === chosen.get(name))
        && f1 >= +chosen.get("least") - 1e-9 && f1 <= +chosen.get("most") + 1e-9;
    };
    for (const item of [...cards, ...rows]) item.hidden = !fits(item);
    const by = order(chosen.get("sort"), model);
    body.append(...[...rows].sort(by));
    if (box) {
      box.append(...[...cards].sort(by));
      box.classList.toggle("each", each);
    }
    for (const card of cards) {
      for (const path of card.querySelectorAll(".view [data-layer]")) {
        path.style.display = shownLayers.includes(path.dataset.layer) ? "" : "none";
      }
      card.querySelector(".panels")?.remove();
      if (!each || card.hidden) continue;
      const strip = document.createElement("div");
      strip.className = "panels";
      strip.append(panel(card, [], "Frame"), ...panels(card));
      card.prepend(strip);
    }
    document.querySelectorAll("#rows th").forEach((head) => head.removeAttribute("aria-sort"));
    for (const input of controls.querySelectorAll("input[type=range]")) {
      input.nextElementSibling.value = (+input.value).toFixed(2);
    }
    const count = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent = `${count} of ${rows.length} frames`;
  };
  controls.addEventListener("input", update);
  controls.addEventListener("submit", (event) => event.preventDefault());
  update();

  const dialog = document.getElementById("full");
  const inside = document.getElementById("panels");
  let current = null;
  const open = (card) => {
    current = card;
    const one = of(card);
    const size = `${one.stratum === "none" ? "no" : one.stratum} ${controls.dataset.class}`;
    document.getElementById("full-title").textContent = `${one.frame}: ${one.place}, ${size}`;
    const chosen = new FormData(controls).getAll("layer");
    inside.replaceChildren(
      panel(card, chosen, chosen.map((layer) => titles[layer]).join(", ")),
      panel(card, [], "Frame"),
      ...panels(card),
    );
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };
  const step = (by) => {
    const shown = [...box.children].filter((card) => !card.hidden);
    const place = shown.indexOf(current);
    if (place + by >= 0 && place + by < shown.length) open(shown[place + by]);
  };
  // A frame without a picture is shown in the table.
  const visit = (frame) => {
    const card = cards.find((one) => one.dataset.frame === frame);
    if (card) return open(card);
    const row = rows.find((one) => one.dataset.frame === frame);
    row.hidden = false;
    row.scrollIntoView({ block: "center" });
    row.classList.add("visited");
    row.addEventListener("animationend", () => row.classList.remove("visited"), { once: true });
  };
  document.getElementById("frames").addEventListener("click", (event) => {
    const button = event.target.closest("[data-open]");
    if (button) visit(button.dataset.open);
  });

  // Colours come from the style sheet, through the CSS variables that the plots name.
  const options = { actions: false, renderer: "svg", tooltip: { theme: "page" } };
  for (const chart of document.querySelectorAll(".chart")) {
    const spec = JSON.parse(chart.nextElementSibling.textContent);
    vegaEmbed(chart, spec, options).then(({ view }) => {
      view.addEventListener("click", (event, item) => {
        if (item?.datum?.frame) visit(item.datum.frame);
      });
      chart.dataset.drawn = "";
    });
  }
  if (!box) return;

  dialog.querySelector("[name=previous]").addEventListener("click", () => step(-1));
  dialog.querySelector("[name=next]").addEventListener("click", () => step(1));
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
})();
